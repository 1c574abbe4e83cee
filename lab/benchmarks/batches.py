"""A training batch from disk: our reader, and the way of NDF's loader, from the same samples in both formats."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from configs.options import Config
from lab.benchmarks.cars import mesh_files
from lab.benchmarks.harness import Machine, Row, alternate
from lab.benchmarks.ndf_recipe import SIGMAS, grid
from lab.benchmarks.preprocessing import options_of, our_files
from models.occupancy import occupancy_from_points
from runtime.layout import boundary_samples, voxelized_point_cloud
from training.shape_samples import ShapeSteps

COUNTS = {"full": (15, 100_000, 50_000, 256), "quick": (3, 20_000, 10_000, 128), "tiny": (1, 400, 100, 16)}
SHAPES = 4
RATIO = (0.01, 0.49, 0.5)  # NDF's share of each sigma


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    rounds, samples, points, res = COUNTS[size]
    with tempfile.TemporaryDirectory() as name:
        root, cfg = Path(name), options_of(samples, res)
        files = mesh_files(root / "meshes", SHAPES, meshes)
        folders = [root / "ours" / str(n) for n in range(SHAPES)]
        for path, folder in zip(files, folders, strict=True):
            our_files(path, folder, cfg)
        theirs = [in_ndf_format(folder, root / "ndf" / folder.name, cfg) for folder in folders]
        steps = our_steps(folders, cfg, points)
        numbers = iter(range(len(steps)))
        works = {
            "ours": lambda: our_batch(steps, next(numbers), cfg),
            "cloud": lambda: steps[next(numbers)],
            "ndf": lambda: ndf_batch(theirs, points, cfg),
        }
        check_alike(works["ours"](), works["ndf"]())
        seconds = alternate(works, rounds, clock=machine.clock)
    handed = SHAPES * (points * 16 + 4 * res**3)
    work = f"training batch from disk: {SHAPES} shapes x {points:,} points"
    name = "the way of NDF's loader"
    grids = max(0.0, seconds["ours"] - seconds["cloud"])
    note = (
        "files in the page cache, one process; same arrays: points, distances, occupancy. Ours reads the input as"
        f" points, and makes the grids where the network is, here on the CPU: {1e3 * grids:.0f} ms of ours"
    )
    return [
        Row(f"{work}, and its input grids of {res}^3", name, seconds["ours"], seconds["ndf"], 5.0,
            least=machine.least(num_bytes=handed), least_by="bytes handed over", note=note),
        Row(f"{work}, the input as points", name, seconds["cloud"], seconds["ndf"], 10.0,
            least=machine.least(num_bytes=2 * SHAPES * points * 16), least_by="bytes handed over",
            note="the reader alone, which is all of a batch that the host does where the network is on a GPU"),
    ]  # fmt: skip


def our_steps(folders: list[Path], cfg: Config, points: int) -> ShapeSteps:
    more: dict[str, Any] = {"batch_size": SHAPES, "num_sample_points_training": points, "sample_ratio": list(RATIO)}
    more |= {"uniform_ratio": 0.0, "gap_ratio": 0.0, "num_hard_points": 0, "mirror": False, "num_epochs": 1000}
    return ShapeSteps(folders, cfg.changed(**more))


def our_batch(steps: ShapeSteps, step: int, cfg: Config) -> dict[str, Tensor]:
    batch = steps[step]
    return batch | {
        "inputs": occupancy_from_points(batch["cloud"], cfg.grid.input_res, cfg.grid.bb_min, cfg.grid.bb_max)
    }


def in_ndf_format(folder: Path, to: Path, cfg: Config) -> Path:
    """The same samples as NDF writes them: float64, uncompressed."""
    to.mkdir(parents=True)
    for sigma in SIGMAS:
        with np.load(folder / boundary_samples(sigma)) as file:
            points, df = file["points"].astype(np.float64), file["df"].astype(np.float64)
        np.savez(to / boundary_samples(sigma), points=points, df=df, grid_coords=grid(points))
    name = voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points)
    with np.load(folder / name) as file:
        np.savez(to / name, **file)
    return to


def ndf_batch(folders: list[Path], points: int, cfg: Config) -> dict[str, Tensor]:
    """Whole files are read, numbers of each sigma drawn, occupancies unpacked; shape by shape, then stacked."""
    return default_collate([ndf_example(folder, points, cfg) for folder in folders])


def ndf_example(folder: Path, points: int, cfg: Config) -> dict[str, Any]:
    with np.load(folder / voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points)) as file:
        occupied = np.unpackbits(file["compressed_occupancies"])[: cfg.grid.input_res**3]
    found: dict[str, list[np.ndarray]] = {"grid_coords": [], "df": [], "points": []}
    for sigma, share in zip(SIGMAS, RATIO, strict=True):
        with np.load(folder / boundary_samples(sigma)) as file:
            arrays = {name: file[name] for name in found}
        chosen = np.random.default_rng().integers(0, len(arrays["df"]), round(share * points))
        for name, array in arrays.items():
            found[name].append(array[chosen])
    example: dict[str, Any] = {name: np.concatenate(parts).astype(np.float32) for name, parts in found.items()}
    return example | {"inputs": occupied.reshape((cfg.grid.input_res,) * 3).astype(np.float32)}


def check_alike(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Both hand over as much, and the same occupancies, in whatever order of shapes."""
    assert ours["points"].shape == theirs["points"].shape and ours["distances"].shape == theirs["df"].shape
    occupied = [grids.flatten(1).sum(1).sort().values for grids in (ours["inputs"], theirs["inputs"])]
    assert torch.equal(*occupied), "the two formats hold different shapes"
