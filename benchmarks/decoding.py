"""Clouds from networks: a million points of one shape, and a thousand small clouds, beside the loop of NDF's paper."""

from argparse import Namespace

import numpy as np
import torch
from scipy.spatial import cKDTree

from benchmarks.cars import demo_mesh
from benchmarks.harness import Machine, Row, alternate
from benchmarks.ndf_loop import Loop, dense_cloud
from configs.config_loader import get_config
from dataprocessing.distances import unsigned_distance
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from generation.decode import decode, decode_each, field_of
from generation.networks import Networks
from generation.projection import NetworkField
from generation.shapes import sampled
from models.ndf import Code
from training.stored_codes import encode_clouds

CODES = {"full": 20, "quick": 2, "tiny": 1}
SMALL = 2048  # points of a small cloud
# of one shape: points of our cloud, points of the loop's part, its seeds a round, rounds
DENSE = {"full": (1_000_000, 100_000, 200_000, 2), "quick": (20_000, 4_000, 8_000, 1), "tiny": (500, 200, 2_000, 1)}
TRUE_POINTS = {"full": 100_000, "quick": 4_000, "tiny": 200}
SEED = 0


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    return dense_row(size, machine) + small_rows(size, machine)


def options_of(config: str, threads: int) -> Namespace:
    return get_config(["--config", config, "--num_cpus", str(threads), "--device", "cpu", "--seed", str(SEED)])


def dense_row(size: str, machine: Machine) -> list[Row]:
    count, part, seeds, rounds = DENSE[size]
    networks = Networks(options_of("configs/any_car_pretrained.txt", machine.threads), alone=True)
    mesh = demo_mesh(0)
    points = sample_surface(mesh, networks.cfg.num_points, np.random.default_rng(0)).astype(np.float32)
    code = encode_clouds(networks.ndf, points[None], networks.cfg, networks.device)
    found: list[Loop] = []
    works = {
        "ours": lambda: decode(networks, code, count, 0),
        "loop": lambda: found.append(plain(field_of(networks, code), part, seeds)),
    }
    seconds = alternate(works, rounds, size != "full", machine.clock)
    whole = found[0].rounds_for(count)
    truth = sample_surface(mesh, TRUE_POINTS[size], np.random.default_rng(1)).astype(np.float32)
    of_part = {"ours": decode(networks, code, part, 0), "the loop's": found[0].points.numpy()}
    errors = {name: scores(cloud, truth, mesh, machine.threads) for name, cloud in of_part.items()}
    note = ", ".join(f"{name} {accuracy:.3f} and {complete:.3f}" for name, (accuracy, complete) in errors.items())
    flops = 3 * flops_of(networks, code) * count  # each point's distance and direction, once
    return [
        Row(f"{count:,} points from one plain NDF at {networks.cfg.input_res}^3", "the loop of NDF's paper",
            seconds["ours"], seconds["loop"] * whole / found[0].rounds, 20.0, "s", machine.least(flops),
            "the point network once forward and backward",
            f"{found[0].rounds} of the loop's {whole} rounds of {seeds:,} seeds measured, scaled; accuracy and"
            f" completeness (squared distances x 1e4) of {part:,} points: {note}")
    ]  # fmt: skip


def small_rows(size: str, machine: Machine) -> list[Row]:
    count = CODES[size]
    points = SMALL if size == "full" else 256
    networks = Networks(options_of("configs/demo_cars_pretrained.txt", machine.threads))
    codes = sampled(networks, count, SEED).codes
    clouds: dict[str, list[np.ndarray]] = {}

    def ours() -> None:
        clouds["ours"] = list(decode_each(networks, sampled(networks, count, SEED).codes, points))

    def loop() -> None:
        fields = [field_of(networks, code) for code in sampled(networks, count, SEED).codes]
        clouds["loop"] = [plain(field, points, 2 * points).points.numpy() for field in fields]

    seconds = alternate({"ours": ours, "loop": loop}, 3 if size == "full" else 1, clock=machine.clock)
    flops = 3 * flops_of(networks, codes[0]) * points
    means = {
        name: 1e4 * float(np.mean([far(networks, *pair) for pair in zip(codes, of_codes, strict=True)]))
        for name, of_codes in clouds.items()
    }
    return [
        Row(f"a sampled car of {points:,} points", "the loop of NDF's paper", seconds["ours"] / count,
            seconds["loop"] / count, 20.0, "s", machine.least(flops), "the point network once forward and backward",
            f"{count} cars measured of 1,000 (wanted also: at most 0.15 s a car); the loop with {2 * points:,} seeds a"
            f" round; mean predicted distance of the points x 1e4, ours {means['ours']:.0f}, loop {means['loop']:.0f}")
    ]  # fmt: skip


def plain(field: NetworkField, num_points: int, seeds: int) -> Loop:
    return dense_cloud(field, num_points, seeds, torch.Generator().manual_seed(SEED))


def far(networks: Networks, code: Code, cloud: np.ndarray) -> float:
    return float(field_of(networks, code).plain_distance(torch.from_numpy(cloud)).mean())


def scores(cloud: np.ndarray, truth: np.ndarray, mesh: Mesh, threads: int) -> tuple[float, float]:
    """Mean squared distances x 1e4, mesh units squared: of the cloud's points to the mesh, of true points to the
    cloud."""
    accuracy = unsigned_distance(*mesh, cloud, num_threads=threads)
    completeness = cKDTree(cloud).query(truth, workers=threads)[0]
    return 1e4 * float(np.mean(np.square(accuracy))), 1e4 * float(np.mean(np.square(completeness)))


def flops_of(networks: Networks, code: Code, points: int = 64) -> float:
    """Arithmetic of the point network's products for one point, forward."""
    from torch.utils.flop_counter import FlopCounterMode

    field = field_of(networks, code)
    with FlopCounterMode(display=False) as counter:
        field.plain_distance(torch.zeros(points, 3))
    return counter.get_total_flops() / points
