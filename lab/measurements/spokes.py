"""Where spokes are lost on the way from a mesh to a generated cloud: python -m lab.measurements.spokes

Of demo cars with spoked rims, at each stage the number of spokes and the kind of rim are read by the same means: the
pattern of each wheel's face (between hub and rim, near the outside), as Fourier coefficients 4 to 20 of the angle added
over the wheels, of points or of distances on rings; a ridge regression on the coefficients and their lengths, and the
nearest class. Balanced accuracy in % of cars it was not fitted to, a quarter; by chance 20 and 33. Where the wheels are
is known from the mesh, so this is the most that a stage can tell, not what a network finds. Pattern: how much of the
true pattern is there, in its place, in % (`share_of`): no fit, so it also tells of a few cars.

--config adds what this config's network makes of the cars. Codes, where it has any, are read linearly, with products
of their leading directions, and by a small network; as are three other numbers that they hold, for comparison. The
field is asked on rings in the wheels' faces, and --decoded cars are decoded to clouds. Minutes.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from configs.config_loader import get_config
from dataprocessing.distances import unsigned_distance
from dataprocessing.mesh_io import Mesh
from dataprocessing.sharp_edges import SPREADS, sharp_points
from dataprocessing.surface import sample_surface, sample_surface_and_faces
from demo_cars.car import Car
from demo_cars.parameters import Parameters
from evaluation.latent_space.attribute_scores import balanced_accuracy, nearest_values, r_squared
from evaluation.latent_space.ridge import linear_reading, principal_coordinates, quadratic_reading
from frozen.loading import encode_clouds
from generation.decode import decode, field_of
from generation.distance_fields import NetworkField
from generation.networks import Networks
from generation.surface_cells import HALF_EXTENT
from lab.measurements.wheel_faces import pattern_of_field, pattern_of_points, share_of, spoked_cars
from models.distance_network import WITHOUT_CODE, Code
from models.occupancy import occupancy_and_offsets, occupancy_from_points
from runtime.errors import run

DECODED_POINTS = 100_000
CHOICES, NUMBERS = ("spokes", "rim"), ("rim_ratio", "wheel_radius", "length")
Cars = Sequence[tuple[Parameters, Car]]
Stage = Callable[[int, Car], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, default=600, help="cars with spokes (default 600)")
    parser.add_argument("--seed", type=int, default=0, help="of the cars")
    parser.add_argument("--config", default=None, help="whose networks decode cars")
    parser.add_argument("--ndf_checkpoint", default=None, help="and which of its checkpoints")
    parser.add_argument("--coded", type=int, default=2000, help="cars whose codes are read (default 2000)")
    parser.add_argument("--decoded", type=int, default=60, help="the first so many cars are decoded (default 60)")
    parser.add_argument("--skip_points", action="store_true", help="only what the network makes of the cars")
    args = parser.parse_args()
    cars = list(tqdm(spoked_cars(args.seed, args.cars), total=args.cars, desc="cars", disable=None))
    print("| stage | cars | number of spokes | kind of rim | pattern |\n|---|---:|---:|---:|---:|")
    if not args.skip_points:
        rows_of_points(cars)
    if args.config:
        chosen = ["--ndf_checkpoint", args.ndf_checkpoint] if args.ndf_checkpoint else []
        networks = Networks(get_config(["--config", args.config, *chosen]), alone=True)
        rows_of_fields(networks, cars)
        rows_of_clouds(networks, cars[: args.decoded])
        if networks.ndf.code_kind not in WITHOUT_CODE:
            rows_of_codes(networks, args.seed, args.coded)
    return 0


def rows_of_points(cars: Cars) -> None:
    stages: dict[str, Stage] = {f"{n:,} points": partial(surface, n) for n in (300_000, 100_000, 30_000, 10_000)}
    stages |= {f"nodes of {r}^3 of 30,000 points": partial(nodes, 30_000, r) for r in (256, 128, 64)}
    stages["their mean offsets at 64^3"] = partial(with_offsets, 30_000, 64)
    stages["the same of 10,000 points"] = partial(with_offsets, 10_000, 64)
    true = [pattern_of_points(surface(300_000, n, car), car) for n, (_, car) in enumerate(tqdm(cars, disable=None))]
    for title, stage in stages.items():
        found = [
            pattern_of_points(stage(n, car), car)
            for n, (_, car) in enumerate(tqdm(cars, desc=title, leave=False, disable=None))
        ]
        print_row(title, cars, np.array(found), np.array(true))
    on, sharp = np.mean([on_spokes(car) for _, car in cars[:50]], axis=0)
    print(f"points on spokes, of 10,000 by area: {on:.0f}; near them, of 10,000 of sharp_samples: {sharp:.0f}")


def rows_of_fields(networks: Networks, cars: Cars) -> None:
    true, found = [], []
    for n, (_, car) in enumerate(tqdm(cars, desc="fields", leave=False, disable=None)):
        field = field_of(networks, code_of(networks, n, car))
        true.append(pattern_of_field(partial(true_distance, mesh_of(car)), car))
        found.append(pattern_of_field(partial(decoded_distance, field), car))
    print_row("true distances on rings", cars, np.array(true), np.array(true))
    print_row("decoded distances on rings", cars, np.array(found), np.array(true))


def rows_of_clouds(networks: Networks, cars: Cars) -> None:
    if not cars:
        return
    true, found = [], []
    for n, (_, car) in enumerate(tqdm(cars, desc="clouds", leave=False, disable=None)):
        cloud = decode(networks, code_of(networks, n, car), DECODED_POINTS, n)
        true.append(pattern_of_points(surface(DECODED_POINTS, n, car), car))
        found.append(pattern_of_points(cloud, car))
    print_row(f"{DECODED_POINTS:,} points of as many cars", cars, np.array(true), np.array(true))
    print_row(f"decoded clouds of {DECODED_POINTS:,}", cars, np.array(found), np.array(true))


def rows_of_codes(networks: Networks, seed: int, count: int) -> None:
    if not count:
        return
    codes, known = [], []
    for n, (parameters, car) in enumerate(tqdm(spoked_cars(seed, count), total=count, desc="codes", disable=None)):
        code = code_of(networks, n, car)
        assert isinstance(code, torch.Tensor)
        codes.append(code.flatten().cpu().numpy())
        known.append(parameters)
    features = np.array(codes, dtype=np.float64)
    for how, read in READINGS.items():
        numbers = [choice_read(features, labels_of(known, name), read) for name in CHOICES]
        print(f"| codes, read {how} | {count} | {numbers[0]:.0f} | {numbers[1]:.0f} | |")
        others = [number_read(features, np.array([float(p[name]) for p in known]), read) for name in NUMBERS]
        print(f"|   R2 of {', '.join(NUMBERS)} | | {', '.join(f'{value:.2f}' for value in others)} | | |", flush=True)


def print_row(title: str, cars: Cars, found: np.ndarray, true: np.ndarray) -> None:
    """found, true: patterns of the stage and of the surface, (S, 17) complex."""
    features = np.concatenate([found.real, found.imag, np.abs(found)], axis=1)
    features /= np.maximum(np.std(features, axis=0), 1e-12)
    known = [parameters for parameters, _ in cars]
    numbers = [choice_read(features, labels_of(known, name), linear) for name in CHOICES]
    share = 100 * share_of(found, true)
    print(f"| {title} | {len(cars)} | {numbers[0]:.0f} | {numbers[1]:.0f} | {share:.1f} |", flush=True)


def labels_of(cars: Sequence[Parameters], name: str) -> np.ndarray:
    return np.unique([str(parameters[name]) for parameters in cars], return_inverse=True)[1]


def choice_read(features: np.ndarray, labels: np.ndarray, read: Callable) -> float:
    """Balanced accuracy in % of labels (S,) read from features (S, D): the last quarter by the first three."""
    fitted = len(labels) * 3 // 4
    left_out, others = read(features, np.eye(labels.max() + 1)[labels][:, 1:], fitted)
    return 100 * balanced_accuracy(labels[fitted:], nearest_values(left_out, labels[:fitted], others))


def number_read(features: np.ndarray, numbers: np.ndarray, read: Callable) -> float:
    fitted = len(numbers) * 3 // 4
    return r_squared(numbers[fitted:], read(features, numbers[:, None], fitted)[1][:, 0]) or 0.0


def linear(features: np.ndarray, targets: np.ndarray, fitted: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets (S, t) of the first `fitted` rows, each read without it, and of the others."""
    coordinates = principal_coordinates(features[:fitted], features[fitted:])
    reading = linear_reading(coordinates, targets[:fitted], np.zeros(targets.shape[1], int))
    return reading.left_out, reading.others[0]


def quadratic(features: np.ndarray, targets: np.ndarray, fitted: int) -> tuple[np.ndarray, np.ndarray]:
    coordinates, groups = principal_coordinates(features[:fitted], features[fitted:]), np.zeros(targets.shape[1], int)
    one = linear_reading(coordinates, targets[:fitted], groups)
    reading = quadratic_reading(coordinates, targets[:fitted], groups, one)
    return reading.left_out, reading.others[0]


def by_network(features: np.ndarray, targets: np.ndarray, fitted: int) -> tuple[np.ndarray, np.ndarray]:
    """Two hidden layers of 256; each fifth of the fitted rows is read by a network that has not seen it, the others by
    the mean of the five."""
    x = torch.from_numpy((features - features[:fitted].mean(axis=0)) / features[:fitted].std(axis=0)).float()
    mean, sd = targets[:fitted].mean(axis=0), targets[:fitted].std(axis=0)
    y = torch.from_numpy((targets - mean) / sd).float()
    fold, left_out, others = torch.arange(fitted) % 5, np.empty((fitted, targets.shape[1])), []
    for k in range(5):
        model = small_network(x[:fitted][fold != k], y[:fitted][fold != k])
        with torch.no_grad():
            left_out[(fold == k).numpy()] = model(x[:fitted][fold == k]).numpy()
            others.append(model(x[fitted:]).numpy())
    return left_out * sd + mean, np.mean(others, axis=0) * sd + mean


def small_network(x: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for width in (x.shape[1], 256):
        layers += [torch.nn.Linear(width, 256), torch.nn.SiLU(), torch.nn.Dropout(0.3)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(256, y.shape[1]))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1)
    for _ in range(40):  # passes: more of them fit the rows of the training alone
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            (model(x[rows]) - y[rows]).square().mean().backward()
            optimizer.step()
    return model.eval()


READINGS = {"linearly": linear, "with products": quadratic, "by a small network": by_network}


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


def code_of(networks: Networks, number: int, car: Car) -> Code:
    cloud = surface(networks.cfg.grid.num_points, number, car).astype(np.float32)
    return encode_clouds(networks.ndf, cloud[None], networks.cfg, networks.device)


def true_distance(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    return unsigned_distance(*mesh, points.astype(np.float32), num_threads=1)


def decoded_distance(field: NetworkField, points: np.ndarray) -> np.ndarray:
    asked = torch.from_numpy(points.astype(np.float32)).to(field.device)
    return field.plain_distance(asked).double().cpu().numpy()


def on_spokes(car: Car) -> tuple[int, int]:
    """Of 10,000 points drawn by area, how many are on spokes; and how many of 10,000 sharp ones are drawn there."""
    owner = np.repeat(np.arange(len(car.counts)), car.counts)
    spokes = [n for n, name in enumerate(car.names) if "spokes" in name]
    _, faces = sample_surface_and_faces(mesh_of(car), 10_000, np.random.default_rng(0))
    own = Mesh(car.vertices, car.faces[np.isin(owner, spokes)])
    sharp = sharp_points(mesh_of(car), 10_000, np.random.default_rng(0))
    near = true_distance(own, sharp) < 2 * SPREADS[0]
    return int(np.isin(owner[faces], spokes).sum()), int(near.sum())


if __name__ == "__main__":
    run(main)
