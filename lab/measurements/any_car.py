"""How well a network rebuilds meshes that nobody trained on: python -m lab.measurements.any_car --real FOLDER

Of every mesh below FOLDER (or every nth), its longest side scaled to 1: a cloud decoded from points of its surface,
compared with as many points of the true surface. Each row is another input: 10,000 points, 3,000, 300, 10,000 with
noise, 10,000 of the turned mesh. Means and medians over the meshes of chamfer_udf x1e4, means of the agreement of
normals; the first row is the true surface drawn twice, which no reconstruction can beat. 5 seconds a mesh and row on
one core with 30,000 points.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from configs.config_loader import get_config
from dataprocessing.frames import to_unit_box
from dataprocessing.mesh_folder import shapes_below
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.surface import sample_surface
from evaluation.metrics import chamfer_udf
from evaluation.metrics.normals import normal_consistency
from frozen.loading import encode_clouds
from generation.decode import decode
from generation.networks import Networks
from runtime.errors import run

QUARTER_X = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
QUARTER_Y = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float)
QUARTER_Z = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], float)


class Input(NamedTuple):
    """What the network is given: points, noise (sd, mesh units), and how the shape is turned."""

    title: str
    num_points: int = 10_000
    noise: float = 0.0
    turn: np.ndarray = np.eye(3)  # noqa: RUF012


INPUTS = (
    Input("10,000 points"),
    Input("3,000 points", 3000),
    Input("300 points", 300),
    Input("noise of 0.00025 (1 mm of 4 m)", noise=0.00025),
    Input("noise of 0.0025 (1 cm of 4 m)", noise=0.0025),
    Input("turned about x", turn=QUARTER_X),
    Input("turned about y", turn=QUARTER_Y),
    Input("turned about z, upside down", turn=QUARTER_Z @ QUARTER_Z),
    Input("30,000 points", 30_000),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder of meshes with y up and front at -z")
    parser.add_argument("--config", default="configs/any_car_pretrained.txt")
    parser.add_argument("--checkpoint", default=None, help="weights, instead of the config's")
    parser.add_argument("--points", type=int, default=30_000, help="of each cloud (default 30000)")
    parser.add_argument("--every", type=int, default=1, help="every nth mesh alone (default 1)")
    parser.add_argument(
        "--inputs", type=int, default=len(INPUTS), help="the first so many rows of inputs (default all)"
    )
    args = parser.parse_args()
    words = ["--config", args.config, *(["--ndf_checkpoint", args.checkpoint] if args.checkpoint else [])]
    networks = Networks(get_config(words), alone=True)
    meshes = meshes_below(args.real, args.every)
    print(f"{len(meshes)} meshes, {args.points:,} points each\n| input | chamfer_udf x1e4 | median | normals |")
    print("|---|---:|---:|---:|")
    print_row("true surface, drawn twice", meshes, args.points, lambda n, points: points)
    for given in INPUTS[: args.inputs]:
        print_row(given.title, meshes, args.points, partial(rebuilt, networks, given))
    return 0


def meshes_below(folder: Path, every: int) -> list[Mesh]:
    """Every nth mesh below a folder, its longest side scaled to 1."""
    return [to_unit_box(load_mesh(path))[0] for path in shapes_below(folder).shapes[::every]]


def rebuilt(networks: Networks, given: Input, n: int, points: np.ndarray) -> np.ndarray:
    """The cloud, as many as points (N, 3), that the network decodes from the first of these as `given` says."""
    rng = np.random.default_rng([n, 7])
    cloud = points[: given.num_points] @ given.turn.T
    cloud = cloud + given.noise * rng.standard_normal(cloud.shape)
    code = encode_clouds(networks.ndf, cloud[None].astype(np.float32), networks.cfg, networks.device)
    return decode(networks, code, len(points), n) @ given.turn


def print_row(title: str, meshes: list[Mesh], count: int, made: Callable[[int, np.ndarray], np.ndarray]) -> None:
    rows = []
    for n, mesh in enumerate(tqdm(meshes, desc=title, unit="mesh", leave=False, disable=None)):
        true, other = (sample_surface(mesh, count, np.random.default_rng([n, k])) for k in range(2))
        cloud = made(n, other)
        rows.append([1e4 * chamfer_udf(cloud, true), normal_consistency(cloud, true)])
    (mean, normals), median = np.mean(rows, axis=0), np.median(rows, axis=0)[0]
    print(f"| {title} | {mean:.3f} | {median:.3f} | {normals:.3f} |", flush=True)


if __name__ == "__main__":
    run(main)
