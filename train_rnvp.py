# PYTHON_ARGCOMPLETE_OK
"""Step 4: encode every shape once with the frozen NDF, then train a RealNVP on the codes."""

from configs.config_loader import get_config
from runtime.errors import UserError, run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "train_rnvp")
    from dataprocessing.extra_shapes import find_extras
    from dataprocessing.split import split_folders
    from frozen.checkpoint_files import ndf_checkpoint_path
    from frozen.loading import load_frozen_ndf
    from generation.training_pictures import SamplePictures
    from models.distance_network import WITHOUT_CODE
    from runtime.devices import pick_device
    from runtime.locks import only_run
    from training.distributed import all_processes, entered_by_first
    from training.flow_codes import make_codes
    from training.flow_task import FlowTask
    from training.loop import train

    if cfg.network.code_kind in WITHOUT_CODE:
        raise UserError(
            f"code_kind = {cfg.network.code_kind} is an NDF without a code to learn; set code_kind to vector, grid or"
            " fused"
        )
    with all_processes(cfg.run):
        device = pick_device(cfg.run)
        checkpoint = ndf_checkpoint_path(cfg)
        ndf = load_frozen_ndf(checkpoint, cfg, device)
        folders = split_folders(cfg, needed=("train", "val"))
        extras = find_extras(cfg, folders)
        lock = only_run(cfg.experiment.lock("train_rnvp"), "encoding its shapes or training its flow")
        with entered_by_first(lock):
            make_codes(ndf, checkpoint, folders, extras, cfg, device)
            return train(FlowTask(cfg, draw=SamplePictures(cfg, ndf)))


if __name__ == "__main__":
    run(main)
