"""How often `--up auto` is right: `python -m lab.measurements.poses --real FOLDER`, of cars with y up and front at -z.

Each mesh below FOLDER, and each of so many demo cars, is turned into all 24 pairs of axes and found again, from the
whole surface or from few points with noise. Doubted: a line says what else could be; unsaid: wrong without such a line.
Then the cars of which `scale_notes` says anything as they are, which should be none. A minute for 33 and 40 cars.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from configs.options.data import AXES
from dataprocessing.frames import turn_of
from dataprocessing.mesh_folder import shapes_below
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.pose import LOOKED_AT, find_pose
from dataprocessing.scale_notes import lines_of, scale_notes
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car
from runtime.errors import run

PAIRS = [(up, front) for up, front in itertools.product(AXES, AXES) if up[-1] != front[-1]]
CLOUDS = ((LOOKED_AT, 0.0), (2000, 0.0), (300, 0.0), (5000, 0.01))  # points, and their noise by the length of the car


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=None, help="folder of meshes with y up and front at -z")
    parser.add_argument("--cars", type=int, default=40, help="demo cars (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the demo cars (default 0)")
    args = parser.parse_args()
    sets = {f"demo cars of seed {args.seed}": dict(demo_cars(args.seed, args.cars))}
    if args.real:
        sets = {
            "real": {str(path.relative_to(args.real)): load_mesh(path) for path in shapes_below(args.real).shapes}
        } | sets
    print(
        "| cars | points | noise | turns | up % | up and front % | doubted % | unsaid | ms each |\n|---"
        + "|---:" * 8
        + "|"
    )
    for (points, noise), (title, cars) in itertools.product(CLOUDS, sets.items()):
        print_row(f"{len(cars)} {title}", cars, points, noise)
    for title, cars in sets.items():
        for line in lines_of({name: scale_notes(mesh, "y", "-z") for name, mesh in cars.items()}):
            print(f"said of {title}: {line}")
    return 0


def demo_cars(seed: int, count: int) -> Iterator[tuple[str, Mesh]]:
    for number in range(count):
        vertices, faces, parameters = make_car(seed, number)
        yield f"{parameters['style']} {number}", Mesh(vertices, faces)


def print_row(title: str, cars: dict[str, Mesh], num_points: int, noise: float) -> None:
    """A row of the table, and the cars that are not found, with the share of their turns."""
    found, start = {}, time.perf_counter()
    for n, (name, mesh) in enumerate(cars.items()):
        rng = np.random.default_rng(n)
        points = sample_surface(mesh, num_points, np.random.default_rng(0))  # as `pose_of_mesh` draws them
        points += noise * np.ptp(mesh.vertices, axis=0).max() * rng.standard_normal(points.shape)
        poses = [find_pose(points @ turn_of(*axes)) for axes in PAIRS]
        rows = zip(poses, PAIRS, strict=True)
        found[name] = [(pose.up == up, pose[:2] == (up, front), bool(pose.doubts)) for pose, (up, front) in rows]
    each = 1e3 * (time.perf_counter() - start) / len(found) / len(PAIRS)
    up, right, doubted = 100 * np.array(list(found.values())).mean(axis=(0, 1))
    unsaid = sum(not one[1] and not one[2] for rows in found.values() for one in rows)
    numbers = f"{len(found) * len(PAIRS)} | {up:.1f} | {right:.1f} | {doubted:.1f} | {unsaid} | {each:.0f}"
    print(f"| {title} | {num_points:,} | {noise:g} | {numbers} |")
    wrong = {name: np.mean([not one[1] for one in rows]) for name, rows in found.items()}
    told = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in wrong.items() if share)
    if told and num_points == LOOKED_AT:
        print(f"  wrong: {told}")


if __name__ == "__main__":
    run(main)
