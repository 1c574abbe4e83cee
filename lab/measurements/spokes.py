"""Where spokes are lost on the way from a mesh to a generated cloud: python -m lab.measurements.spokes

Of demo cars with spoked rims, at each stage the number of spokes and the kind of rim are read by the same means: the
points of each wheel's face (between hub and rim, near the outside) as angles, their Fourier coefficients 4 to 20 added
over the wheels, a ridge regression on the coefficients and their lengths, and the nearest class. Balanced accuracy in %
of cars it was not fitted to; by chance 20 and 33. Where the wheels are is known from the mesh, so this is the most that
a stage can tell, not what a network finds. Points on spokes: of 10,000, on average.

--config adds what this config's network makes of the cars: the cloud decoded from --decoded cars' points (and their
codes). Minutes.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from configs.config_loader import get_config
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface, sample_surface_and_faces
from demo_cars.car import Car, build_car
from demo_cars.parameters import Parameters, draw_parameters
from evaluation.latent_space.attribute_scores import balanced_accuracy, nearest_values
from evaluation.latent_space.ridge import linear_reading, principal_coordinates
from frozen.loading import encode_clouds
from generation.decode import decode
from generation.networks import Networks
from generation.surface_cells import HALF_EXTENT
from models.occupancy import occupancy_and_offsets, occupancy_from_points
from runtime.errors import run

FREQUENCIES = np.arange(4, 21)  # of the angle; two bars a spoke have twice the number of spokes
INNER, OUTER, DEPTH = 0.28, 0.90, 0.25  # of the rim's radius: where spokes are, and how far from the face they may be
DECODED_POINTS = 100_000
Wheel = tuple[np.ndarray, float]  # the middle of a wheel's face (3,), and the radius of its rim, mesh units
Stage = Callable[[int, Car], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, default=600, help="cars with spokes (default 600)")
    parser.add_argument("--seed", type=int, default=0, help="of the cars")
    parser.add_argument("--config", default=None, help="whose networks decode cars")
    parser.add_argument("--decoded", type=int, default=200, help="the first so many cars are decoded (default 200)")
    args = parser.parse_args()
    cars = list(tqdm(spoked_cars(args.seed, args.cars), total=args.cars, desc="cars", disable=None))
    print("| stage | cars | number of spokes | kind of rim |\n|---|---:|---:|---:|")
    stages: dict[str, Stage] = {f"{n:,} points": partial(surface, n) for n in (300_000, 100_000, 30_000, 10_000)}
    stages |= {f"nodes of {r}^3 of 30,000 points": partial(nodes, 30_000, r) for r in (256, 128, 64)}
    stages["their mean offsets at 64^3"] = partial(with_offsets, 30_000, 64)
    stages["the same of 10,000 points"] = partial(with_offsets, 10_000, 64)
    for title, stage in stages.items():
        print_row(title, cars, stage)
    print(f"points on spokes, of 10,000: {np.mean([on_spokes(car) for _, car in cars[:50]]):.0f}")
    if args.config:
        networks = Networks(get_config(["--config", args.config]), alone=True)
        title = f"cloud of {DECODED_POINTS:,} decoded by {args.config}"
        print_row(title, cars[: args.decoded], partial(rebuilt, networks, DECODED_POINTS))
    return 0


def spoked_cars(seed: int, count: int) -> Iterator[tuple[Parameters, Car]]:
    index = 0
    while count:
        parameters = draw_parameters(seed, index)
        index += 1
        if parameters["wheel"] == "rim" and parameters["rim"] != "disc":
            count -= 1
            yield parameters, build_car(parameters)


def mesh_of(car: Car) -> Mesh:
    return Mesh(car.vertices, car.faces)


def surface(count: int, number: int, car: Car) -> np.ndarray:
    return sample_surface(mesh_of(car), count, np.random.default_rng([number, 3]))


def nodes(count: int, resolution: int, number: int, car: Car) -> np.ndarray:
    """The nodes that the points mark, as points."""
    cloud = torch.from_numpy(surface(count, number, car).astype(np.float32))[None]
    marked = occupancy_from_points(cloud, resolution, -HALF_EXTENT, HALF_EXTENT)[0].nonzero().double().numpy()
    return marked * (2 * HALF_EXTENT / (resolution - 1)) - HALF_EXTENT


def with_offsets(count: int, resolution: int, number: int, car: Car) -> np.ndarray:
    """The mean of the points at each node."""
    cloud = torch.from_numpy(surface(count, number, car).astype(np.float32))[None]
    grid = occupancy_and_offsets(cloud, resolution, -HALF_EXTENT, HALF_EXTENT)[0]
    marked = grid[0].nonzero()
    offsets = grid[1:, marked[:, 0], marked[:, 1], marked[:, 2]].T
    return (marked + offsets).double().numpy() * (2 * HALF_EXTENT / (resolution - 1)) - HALF_EXTENT


def rebuilt(networks: Networks, count: int, number: int, car: Car) -> np.ndarray:
    cloud = surface(networks.cfg.grid.num_points, number, car).astype(np.float32)
    code = encode_clouds(networks.ndf, cloud[None], networks.cfg, networks.device)
    return decode(networks, code, count, number)


def wheels_of(car: Car) -> list[Wheel]:
    """The wheels of both sides: parts of spokes, split by the sign of x."""
    ends = np.cumsum(car.counts)
    found = []
    for name, count, end in zip(car.names, car.counts, ends, strict=True):
        if "spokes" in name and "spare" not in name:
            points = car.vertices[np.unique(car.faces[end - count : end])]
            for side in (points[points[:, 0] < 0], points[points[:, 0] > 0]):
                if len(side):
                    low, high = side.min(axis=0), side.max(axis=0)
                    found.append(((low + high) / 2, float(high[1] - low[1]) / 2))
    return found


def on_spokes(car: Car) -> int:
    _, faces = sample_surface_and_faces(mesh_of(car), 10_000, np.random.default_rng(0))
    owner = np.repeat(np.arange(len(car.counts)), car.counts)
    return int(np.isin(owner[faces], [n for n, name in enumerate(car.names) if "spokes" in name]).sum())


def coefficients(points: np.ndarray, car: Car) -> np.ndarray:
    """Of the points (N, 3) near the faces of the wheels: Fourier coefficients of their angles, and their lengths."""
    total = np.zeros(len(FREQUENCIES), complex)
    for middle, radius in wheels_of(car):
        offsets = points - middle
        across, out = np.hypot(offsets[:, 1], offsets[:, 2]), np.abs(offsets[:, 0])
        near = offsets[(across > INNER * radius) & (across < OUTER * radius) & (out < DEPTH * radius)]
        angle = np.arctan2(near[:, 1], near[:, 2])
        total += np.exp(1j * FREQUENCIES * angle[:, None]).sum(axis=0) / max(len(near), 1)
    return np.concatenate([total.real, total.imag, np.abs(total)])


def print_row(title: str, cars: list[tuple[Parameters, Car]], stage: Stage) -> None:
    rows = [
        coefficients(stage(n, car), car) for n, (_, car) in enumerate(tqdm(cars, desc=title, leave=False, disable=None))
    ]
    features, half = np.array(rows) / np.std(rows, axis=0), len(rows) // 2
    numbers = []
    for name in ("spokes", "rim"):
        labels = np.unique([str(parameters[name]) for parameters, _ in cars], return_inverse=True)[1]
        targets = np.eye(labels.max() + 1)[labels][:, 1:]
        train, test = principal_coordinates(features[:half], features[half:])
        reading = linear_reading([train, test], targets[:half], np.zeros(targets.shape[1], int))
        read = nearest_values(reading.left_out, labels[:half], reading.others[0])
        numbers.append(100 * balanced_accuracy(labels[half:], read))
    print(f"| {title} | {len(cars)} | {numbers[0]:.0f} | {numbers[1]:.0f} |", flush=True)


if __name__ == "__main__":
    run(main)
