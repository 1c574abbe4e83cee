"""What a training of an NDF needs, from a config alone: parameters, arithmetic, memory and disk. Nothing is computed.

    python -m lab.measurements.needs --config configs/shapenet_cars.txt --train 5249 --shapes 7497

Counted on tensors without storage, in float32, as a GPU would run the step: its operations (convolutions and matrix
products), and what forward passes leave for backward passes, each piece of memory once. The optimiser's and the
gradients' memory follow from the parameters. What an allocator, cuDNN and the candidates for hard points take beside
is not in it. Bytes of samples follow from their numbers; NPZ files of them are hardly smaller.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from configs.config_loader import get_config
from configs.options import Config
from models.shape_codes import build_ndf
from training.ndf_loss import training_loss
from training.shape_samples import sample_files
from training.task import Batch

POINT_BYTES, CLOUD_BYTES = 16, 12  # float32: a sample and its distance; a point of the input cloud
COORDS_BYTES = 12  # of a sample on the disk, where grid_coords are stored too
COPIES = {"Adam": 4, "AdamW": 4, "RMSprop": 3, "Muon": 3}  # of the weights: themselves, gradients, moments
SHAPES = 2  # that are counted


def needs(cfg: Config) -> dict[str, float]:
    """Of a step of train_ndf.py, a shape: operations, bytes that are kept for the gradient; of the network and the
    samples: parameters, bytes."""
    cfg = cfg.changed(precision="tf32")  # tensors without storage know no autocast
    model, batch = on_meta(cfg), meta_batch(cfg)
    weights = sum(weight.numel() for weight in model.parameters())
    held = sum(buffer.numel() for buffer in model.buffers())
    without = patch("models.principal_components.exact_products", lambda device: nullcontext())
    with without, FlopCounterMode(display=False) as counter, saved_bytes() as saved:
        loss = training_loss(model, batch, cfg)
        kept = saved()
        loss.backward()
    return {
        "parameters": weights,
        "network_bytes": 4 * (COPIES[cfg.ndf_training.optimizer] * weights + held),
        "operations_a_shape": counter.get_total_flops() / SHAPES,
        "kept_bytes_a_shape": kept / SHAPES,
        "samples_bytes_a_shape": samples_bytes(cfg),
        "disk_bytes_a_shape": disk_bytes(cfg),
    }


def on_meta(cfg: Config) -> Any:
    with torch.device("meta"):
        return build_ndf(cfg.values()).train()


def meta_batch(cfg: Config) -> Batch:
    """A batch of SHAPES shapes without storage."""
    training = cfg.ndf_training
    candidates = training.hard_point_candidates * training.num_hard_points
    sizes = {"cloud": cfg.grid.num_points, "points": training.num_sample_points_training, "candidates": candidates}
    batch = {name: torch.empty(SHAPES, size, 3, device="meta") for name, size in sizes.items() if size}
    for name, distances in (("points", "distances"), ("candidates", "candidate_distances")):
        if name in batch:
            batch[distances] = batch[name][..., 0]
    return batch


@contextmanager
def saved_bytes() -> Iterator[Any]:
    """Gives a function that tells how many bytes are kept for backward passes since; parameters are not counted."""
    seen: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no number of a storage is given twice

    def keep(tensor: Tensor) -> Tensor:
        if not tensor.is_leaf or not tensor.requires_grad:
            storage = tensor.untyped_storage()
            seen[storage._cdata] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield lambda: sum(seen.values())


def samples_bytes(cfg: Config) -> int:
    """Of the samples and the cloud of a shape, as training keeps them in memory."""
    return POINT_BYTES * num_samples(cfg) + CLOUD_BYTES * cfg.grid.num_points


def num_samples(cfg: Config) -> int:
    counts = {"uniform": cfg.sampling.num_uniform_samples, "gap": cfg.sampling.num_gap_samples}
    names = [name for name, _ in sample_files(cfg.sampling, cfg.ndf_training)]
    return sum(
        next((n for kind, n in counts.items() if name.startswith(kind)), cfg.sampling.num_boundary_samples)
        for name in names
    )


def disk_bytes(cfg: Config) -> float:
    """Of the files that step 1 writes of a shape, but for its mesh."""
    a_sample = POINT_BYTES + (COORDS_BYTES if cfg.preprocessing.grid_coords else 0)
    return a_sample * num_samples(cfg) + CLOUD_BYTES * cfg.grid.num_points + cfg.grid.input_res**3 / 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=5249, help="training shapes")
    parser.add_argument("--shapes", type=int, default=7497, help="shapes in all")
    args, options = parser.parse_known_args()
    cfg = get_config(options, "train_ndf")
    found, batch = needs(cfg), cfg.training.batch_size
    steps = args.train // batch * cfg.ndf_training.num_epochs
    rows = {
        "parameters, million": found["parameters"] / 1e6,
        "a step: batch": batch,
        "a step: TFLOP": batch * found["operations_a_shape"] / 1e12,
        "a shape: kept for the gradient, MB": found["kept_bytes_a_shape"] / 1e6,
        "memory: weights, gradients, moments, GB": found["network_bytes"] / 1e9,
        "memory: a batch, GB": batch * found["kept_bytes_a_shape"] / 1e9,
        "memory: all training samples, GB": args.train * found["samples_bytes_a_shape"] / 1e9,
        "training: steps": steps,
        "training: PFLOP": steps * batch * found["operations_a_shape"] / 1e15,
        "disk: step 1, GB": args.shapes * found["disk_bytes_a_shape"] / 1e9,
    }
    for name, value in rows.items():
        print(f"{name:42} {value:12,.4g}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
