# PYTHON_ARGCOMPLETE_OK
"""Step 3: train the NDF encoder and decoder on preprocessed shapes."""

from configs.config_loader import get_config
from runtime.errors import run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "train_ndf")

    from dataprocessing.split import split_folders
    from generation.training_pictures import ValidationPictures
    from runtime.locks import only_run
    from training.distributed import all_processes, entered_by_first
    from training.loop import train
    from training.ndf_task import NDFTask

    folders = split_folders(cfg, needed=("train", "val"))
    lock = only_run(cfg.experiment.lock("train_ndf"), "training its NDF")
    with all_processes(cfg.run), entered_by_first(lock):
        return train(NDFTask(cfg, folders, draw=ValidationPictures(cfg, folders["val"])))


if __name__ == "__main__":
    run(main)
