"""Write an experiment's trained weights as small files for release: `python -m training.export --config ...`.

The NDF goes to EXPORT_DIR/EXP_NAME_ndf.tar, converted to float16, with only what is needed to use it (no
optimiser state). The flow is tied to the codes of that exact file: name it as ndf_checkpoint, train the flow with
train_rnvp.py, and run this again, which writes EXPORT_DIR/EXP_NAME_rnvp.tar, in float32 (it is small, and its
likelihoods should stay exact).
"""

from pathlib import Path
from typing import Any

import torch

from configs.config_loader import get_config
from configs.options import Config
from frozen.checkpoint_files import best_checkpoint, load_checkpoint
from runtime.errors import UserError, run
from runtime.layout import absolute
from training.checkpoints import write_state

KEPT = (
    "training_time", "step", "epoch", "best", "best_step", "config", "commit", "shapes", "codes", "trained_on",
    "quantiles",
)  # fmt: skip
KEPT_OF_FLOW = ("ema_state_dict", "ndf_sha256", "flow_noise", "nll_nats_per_dim")


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "export")
    experiment = cfg.experiment
    folders = {"ndf": experiment.ndf_checkpoints, "rnvp": experiment.rnvp_checkpoints}
    best_of_each = {kind: best for kind, folder in folders.items() if (best := best_checkpoint(folder))}
    if not best_of_each:
        raise UserError(
            f"no checkpoint in {folders['ndf']}; train one with: python train_ndf.py --config {cfg.run.config}"
        )
    for kind, source in best_of_each.items():
        target = exported_path(cfg, kind)
        write_small(source, target)
        print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, from {source}")
    return 0


def exported_path(cfg: Config, kind: str) -> Path:
    """kind: ndf or rnvp."""
    return absolute(cfg.export.export_dir) / f"{cfg.run.exp_name}_{kind}.tar"


def write_small(source: Path, target: Path) -> None:
    """Write the weights of checkpoint `source`, with their provenance, to `target`."""
    state = load_checkpoint(source)
    small: dict[str, Any] = {key: state[key] for key in KEPT if key in state}
    if "ema_state_dict" in state:
        small |= {key: state[key] for key in KEPT_OF_FLOW} | {"model_state_dict": {}}
    else:
        small["model_state_dict"] = {name: halved(value) for name, value in state["model_state_dict"].items()}
    write_state(small, target, compress=True)


def halved(value: torch.Tensor) -> torch.Tensor:
    """float32 as float16, but for what is too large for it, as the variances of a batch norm may be."""
    if value.dtype != torch.float32 or value.abs().max() > torch.finfo(torch.float16).max:
        return value
    return value.half()


if __name__ == "__main__":
    run(main)
