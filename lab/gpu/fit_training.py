"""Measure NDF training steps of growing batches and plan a training that fills the given seconds.

    python lab/gpu/fit_training.py --seconds 300 --max_batch 64 --config ...

Writes the measured rows and the chosen options to EXPERIMENT/training_plan.json.
"""

import argparse
import time
from typing import TYPE_CHECKING, Any

from configs.config_loader import get_config
from configs.options import Config
from runtime.errors import UserError, run
from runtime.files import write_json

if TYPE_CHECKING:
    from training.shape_samples import ShapeSteps

USED = 0.85  # of the seconds: the rest is for starting, validation and writing checkpoints
NEARLY = 0.95  # of the best rate: the smallest batch so fast is taken, since it gives the most steps
WARM_UP, TIMED = 3, 8  # steps


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--min_batch", type=int, default=2)
    parser.add_argument("--max_batch", type=int, default=64)
    own, rest = parser.parse_known_args(argv)
    cfg = get_config(rest)

    rows = measured_batches(cfg, own.min_batch, own.max_batch)
    best = max(row["shapes_per_second"] for row in rows)
    chosen = next(row for row in rows if row["shapes_per_second"] >= NEARLY * best)
    epochs = max(1, int(USED * own.seconds * chosen["shapes_per_second"] / chosen["shapes"]))
    write_json(
        cfg.experiment.root / "training_plan.json",
        {"batches": rows, "batch_size": chosen["batch_size"], "num_epochs": epochs, "seconds": own.seconds},
    )
    print(f"chosen: --batch_size {chosen['batch_size']} --num_epochs {epochs}")
    return 0


def measured_batches(cfg: Config, batch_size: int, max_batch: int) -> list[dict[str, Any]]:
    """Rates of real training steps, loading included, of a batch and twice as many, ... as long as they fit."""
    import torch

    from dataprocessing.split import split_folders
    from runtime.devices import pick_device
    from training.shape_samples import ShapeSteps

    split = split_folders(cfg)
    read = ShapeSteps(split["train"], cfg)
    read.read_all(pick_device(cfg.run))
    rows: list[dict[str, Any]] = []
    while batch_size <= min(max_batch, len(split["train"])):
        own = cfg.changed(batch_size=batch_size, num_epochs=10_000)
        try:
            row = measured_batch(own, split, read)
        except torch.cuda.OutOfMemoryError:
            break
        print(row, flush=True)
        rows.append(row)
        batch_size *= 2
    if not rows:
        raise UserError(f"not even a batch of {batch_size} shapes can be trained; lower input_res or encoder_channels")
    return rows


def measured_batch(cfg: Config, split: dict[str, list], read: "ShapeSteps") -> dict[str, Any]:
    """read: has read all samples, for steps of any batch size."""
    import torch

    from training.loop import train_step
    from training.ndf_task import NDFTask

    task = NDFTask(cfg, split)
    task.steps.cache, task.steps.on_gpu = read.cache, read.on_gpu
    task.model.train()
    on_gpu = task.device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = 0.0
    batches = task.batches()
    for step in range(WARM_UP + TIMED):
        if step == WARM_UP:
            started = time.perf_counter()
        train_step(task, batches)  # ends with .item(), which waits for the GPU
    seconds = (time.perf_counter() - started) / TIMED
    return {
        "batch_size": cfg.training.batch_size,
        "shapes": len(split["train"]),
        "seconds_per_step": seconds,
        "shapes_per_second": cfg.training.batch_size / seconds,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
    }


if __name__ == "__main__":
    run(main)
