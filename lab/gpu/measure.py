"""Measure an experiment's networks on this device; writes EXPERIMENT/measurements.json (name: value, unit inside).

python lab/gpu/measure.py --num_codes 1000 --num_dense 1000000 --config ...
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from frozen.loading import encode_clouds
from generation.decode import decode_each
from generation.networks import Networks
from generation.sampling import sampled
from models.occupancy import to_grid_coords
from runtime.devices import autocast, pick_device
from runtime.errors import run
from runtime.files import write_json
from training.flow_task import FlowTask
from training.loop import train_step
from training.ndf_task import NDFTask

BF16_PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense FLOP/s of the SXM cards, from NVIDIA's data sheets
REPEATS = 8


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num_codes", type=int, default=1000)
    parser.add_argument("--num_dense", type=int, default=1_000_000)
    own, rest = parser.parse_known_args(argv)
    cfg = get_config(rest)
    device = pick_device(cfg.run)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "cudnn_allows_tf32": torch.backends.cudnn.allow_tf32,
        "input_res": cfg.grid.input_res,
        "batch_size": cfg.training.batch_size,
    }
    path = cfg.experiment.root / "measurements.json"
    steps: list[Callable[[], dict[str, Any]]] = [
        lambda: flow_speed(cfg),
        lambda: decoding_speed(cfg, own.num_codes, own.num_dense),
        lambda: devices_apart(cfg, device),
        lambda: training_speed(cfg, device),
    ]
    for step in steps:
        found |= step()
        write_json(path, found)  # after each: a limit on time loses one of them only
    return 0


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> float:
    """Median seconds of `work` after two warm-up calls."""
    times = []
    for _ in range(repeats + 2):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def flow_speed(cfg: Config) -> dict[str, Any]:
    task = FlowTask(cfg)
    task.flow.train()
    batches = task.batches()
    return {"flow_steps_per_second": 1 / seconds_of(lambda: train_step(task, batches), task.device, 50)}


def decoding_speed(cfg: Config, num_codes: int, num_dense: int) -> dict[str, Any]:
    """Seconds for one dense cloud, milliseconds a shape for many small ones, flow and decoder together."""
    networks = Networks(cfg)

    def dense() -> None:
        for _ in decode_each(networks, sampled(networks, 1, cfg.run.seed).codes, num_dense):
            pass

    def small() -> None:
        for _ in decode_each(networks, sampled(networks, num_codes, cfg.run.seed).codes, 2048):
            pass

    seconds = seconds_of(dense, networks.device, 3)
    wait(networks.device)
    started = time.perf_counter()
    small()
    wait(networks.device)
    each = (time.perf_counter() - started) / num_codes
    return {
        "dense_points": num_dense,
        "dense_cloud_seconds": seconds,
        "sampled_codes": num_codes,
        "ms_per_shape_of_2048_points": 1e3 * each,
    }


def devices_apart(cfg: Config, device: torch.device, shapes: int = 4, points: int = 4096) -> dict[str, Any]:
    """Largest differences from the CPU in float32 of codes, distances (mesh units) and log-likelihoods (nats/dim).

    Four ways: plain float32 on the device (cuDNN may use TF32 in convolutions), with TF32 forbidden, TF32 in all
    products, and bf16.
    """
    folders = split_folders(cfg)["test"][:shapes]
    clouds = np.stack([read_input_cloud(folder, cfg) for folder in folders])
    p = torch.rand(len(folders), points, 3, generator=torch.Generator().manual_seed(0)) - 0.5

    def values(name: str, precision: str) -> list[torch.Tensor]:
        own = cfg.changed(device=name, precision=precision)
        networks = Networks(own)
        with torch.no_grad():
            code = encode_clouds(networks.ndf, clouds, own, networks.device).float()
            with autocast(networks.device, precision):
                grids = networks.ndf.features(code)
                distances = networks.ndf.query(to_grid_coords(p.to(networks.device)), grids)
            nats = networks.flow.log_prob(code) / networks.flow.dim
        return [value.float().cpu() for value in (code, distances, nats)]

    exact = values("cpu", "float32")
    found: dict[str, Any] = {}
    allowed = torch.backends.cudnn.allow_tf32
    ways = [("float32", "float32", allowed), ("no_tf32", "float32", False)]
    ways += [("tf32", "tf32", allowed), ("bf16", "bf16", allowed)]
    for label, precision, tf32 in ways:
        torch.backends.cudnn.allow_tf32 = tf32
        found_values = values(str(device), precision)
        for what, mine, theirs in zip(("code", "distance", "nats_per_dim"), found_values, exact, strict=True):
            found[f"apart_{label}_{what}"] = (mine - theirs).abs().max().item()
    torch.backends.cudnn.allow_tf32 = allowed
    return found


def training_speed(cfg: Config, device: torch.device) -> dict[str, Any]:
    """Training steps from a batch that is on the device already, in each precision, with counted FLOPs."""
    found: dict[str, Any] = {}
    for precision in ("bf16", "tf32", "float32"):
        own = cfg.changed(precision=precision, num_epochs=10_000)
        try:
            found |= {f"train_{precision}_{name}": value for name, value in step_facts(own, device).items()}
        except torch.cuda.OutOfMemoryError:
            found[f"train_{precision}_shapes_per_second"] = None  # this batch does not fit in this precision
    peak = matmul_peak(device)
    flops = found.get("train_bf16_flops_per_second") or 0.0
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    nominal = next((value for name, value in BF16_PEAK.items() if name in card), None)
    return found | {
        "bf16_matmul_flops_per_second": peak,
        "share_of_measured_bf16_peak": flops / peak,
        "share_of_nominal_bf16_peak": flops / nominal if nominal else None,
    }


def step_facts(cfg: Config, device: torch.device) -> dict[str, Any]:
    task = NDFTask(cfg, split_folders(cfg))
    task.run.step = 0  # of a finished training too
    task.model.train()
    batch = next(task.batches())
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(lambda: train_step(task, repeat(batch)), device)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None
    with FlopCounterMode(display=False) as counter:  # convolutions and matrix products, not look-ups
        train_step(task, repeat(batch))
    flops = counter.get_total_flops()
    return {
        "shapes_per_second": len(batch["cloud"]) / seconds,
        "peak_gb": peak,
        "flops_per_step": flops,
        "flops_per_second": flops / seconds,
    }


def matmul_peak(device: torch.device) -> float:
    """FLOP/s of a large product of bf16 matrices."""
    size = 8192 if device.type == "cuda" else 256
    a, b = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    return 2 * size**3 / seconds_of(lambda: a @ b, device)


if __name__ == "__main__":
    run(main)
