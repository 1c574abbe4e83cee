"""How time and memory grow with the number of shapes and of points, the resolution, and the size of a code.

Each point of a curve is measured in a process of its own; memory is its peak, less what it held before the work began.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from evaluation.metrics import CloudSet, pairwise
from generation.decode import decode_parts, field_of
from generation.networks import Networks
from generation.sampling import sampled
from lab.benchmarks.cars import demo_cloud, mesh_files
from lab.benchmarks.decoding import SEED, options_of
from lab.benchmarks.flows import Sizes, function_of, our_flow
from lab.benchmarks.harness import Clock, Growth, Machine, alternate
from lab.benchmarks.preprocessing import options_of as preprocessing_options
from lab.benchmarks.preprocessing import our_files
from lab.benchmarks.processes import in_process, peak
from models.ndf import NDF
from runtime.devices import keep_freed_memory


class Curve(NamedTuple):
    """What is measured, and at which sizes; `work` returns seconds, after any preparation."""

    title: str
    grows_with: str
    work: Callable[[int, int], tuple[float, float]]  # size, threads -> seconds, bytes before the work
    sizes: dict[str, Sequence[int]]


def rows(size: str, machine: Machine, meshes: str | None) -> list[Growth]:
    found = []
    for curve in CURVES:
        seconds, memory = [], []
        for count in curve.sizes[size]:
            taken, held = in_process(measured, curve.work, count, machine.threads)
            seconds.append(taken)
            memory.append(held)
        found.append(Growth(curve.title, curve.grows_with, curve.sizes[size], seconds, memory))
    return found


def measured(work: Callable[[int, int], tuple[float, float]], count: int, threads: int) -> tuple[float, float]:
    """Seconds, and bytes beyond those held before the work: at least a megabyte, below which nothing is told."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    seconds, before = work(count, threads)
    return seconds, max(peak() - before, 2.0**20)


def clock_of(threads: int) -> Clock:
    return Machine(threads, 1.0, 1.0).clock


def preprocessing(shapes: int, threads: int) -> tuple[float, float]:
    """Cars at NDF's counts, one after the other in one process."""
    with tempfile.TemporaryDirectory() as name:
        root, cfg = Path(name), preprocessing_options(100_000, 256)
        files = mesh_files(root / "meshes", shapes, None)
        our_files(files[0], root / "warm", preprocessing_options(100, 16))
        clock = clock_of(threads)
        before, start = peak(), clock()
        for n, path in enumerate(files):
            our_files(path, root / str(n), cfg)
        return clock() - start, before


def chamfer_of_sets(shapes: int, threads: int) -> tuple[float, float]:
    return chamfer(shapes, 2048, threads)


def chamfer_of_points(points: int, threads: int) -> tuple[float, float]:
    return chamfer(4, points, threads)


def chamfer(shapes: int, points: int, threads: int) -> tuple[float, float]:
    a, b = ([demo_cloud(n, points) for n in range(first, first + shapes)] for first in (0, shapes))
    clock = clock_of(threads)
    before, start = peak(), clock()
    pairwise("cd", CloudSet(a), CloudSet(b), threads)
    return clock() - start, before


def cloud(points: int, threads: int) -> tuple[float, float]:
    """A cloud of one sampled code, in the parts in which it is written."""
    networks = Networks(options_of("configs/demo_cars_pretrained.txt", threads))
    code = sampled(networks, 1, SEED).codes[0]
    for _ in decode_parts(networks, field_of(networks, code), 1000, 0):
        pass
    clock = clock_of(threads)
    before, start = peak(), clock()
    for _ in decode_parts(networks, field_of(networks, code), points, 0):
        pass
    return clock() - start, before


@torch.no_grad()
def encoding(resolution: int, threads: int) -> tuple[float, float]:
    """The pyramid of one occupancy, by a plain NDF of the widths of any_car_grid, random weights."""
    model = NDF((8, 16, 32, 32), 96).eval()
    model.encode(torch.zeros(1, 16, 16, 16))
    before = peak()
    occupancy = (torch.rand(1, resolution, resolution, resolution) < 0.01).float()
    clock = clock_of(threads)
    start = clock()
    model.encode(occupancy)
    return clock() - start, before


def flow_step(dim: int, threads: int) -> tuple[float, float]:
    """A training step of a flow on codes of so many numbers, of 8 couplings with nets of 256 x 2."""
    torch.manual_seed(0)
    before = peak()
    step = function_of(our_flow(Sizes(dim, 8, 256, 256)), torch.randn(256, dim), "step")
    return alternate({"step": step}, rounds=5, clock=clock_of(threads))["step"], before


CURVES = (
    Curve("preprocessing at NDF's counts, one worker", "cars", preprocessing,
          {"full": (2, 4, 8, 16), "quick": (1, 2), "tiny": (1, 2)}),
    Curve("CD of N x N clouds of 2,048 points", "N", chamfer_of_sets,
          {"full": (10, 20, 40, 80), "quick": (4, 8), "tiny": (2, 4)}),
    Curve("CD of 4 x 4 clouds", "points of a cloud", chamfer_of_points,
          {"full": (1_000, 10_000, 100_000), "quick": (500, 2_000), "tiny": (100, 200)}),
    Curve("a cloud from one code, written in parts", "points", cloud,
          {"full": (10_000, 100_000, 1_000_000, 10_000_000), "quick": (1_000, 10_000), "tiny": (100, 200)}),
    Curve("encoding one shape, plain NDF", "nodes of an axis", encoding,
          {"full": (32, 64, 128, 256), "quick": (16, 32, 64), "tiny": (8, 16)}),
    Curve("a flow's training step, batch 256", "numbers of a code", flow_step,
          {"full": (32, 128, 512, 2048), "quick": (16, 64), "tiny": (4, 8)}),
)  # fmt: skip
