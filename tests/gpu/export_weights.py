"""Write an experiment's best checkpoint small: `python tests/gpu/export_weights.py ndf|rnvp TARGET --config ...`."""

import sys
from pathlib import Path

from configs.config_loader import get_config
from configs.errors import UserError, run
from configs.layout import Experiment


def main(argv: list[str] | None = None) -> int:
    kind, target, *rest = sys.argv[1:] if argv is None else argv
    experiment = Experiment(get_config(rest))
    from training.checkpoints import best_checkpoint
    from training.export import write_small

    folder = {"ndf": experiment.ndf_checkpoints, "rnvp": experiment.rnvp_checkpoints}[kind]
    source = best_checkpoint(folder)
    if source is None:
        raise UserError(f"no checkpoint in {folder}; train it first")
    write_small(source, Path(target))
    print(f"{target}: {Path(target).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    run(main)
