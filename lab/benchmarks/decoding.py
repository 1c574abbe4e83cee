"""Clouds from networks: a million points of one shape, and a thousand small clouds, beside the loop of NDF's paper."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.distances import unsigned_distance
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from frozen.loading import encode_clouds
from generation.decode import decode, decode_each, field_of
from generation.distance_fields import DistanceField
from generation.networks import Networks
from generation.sampling import sampled
from lab.benchmarks.cars import demo_mesh
from lab.benchmarks.harness import Machine, Row, alternate
from lab.benchmarks.ndf_look_up import AT_A_TIME, PlainField
from lab.benchmarks.ndf_loop import Loop, dense_cloud
from models.distance_network import Code
from models.ndf import NDF

CODES = {"full": 20, "quick": 2, "tiny": 1}
SMALL = 2048  # points of a small cloud
FEW, EVEN = 2, 16  # seeds of the loop for each of these: as few as give them, and as cover the surface about as ours do
MOST_EVEN = 5  # cars
# of one shape: points of our cloud, points of the loop's part, its seeds a round, rounds
DENSE = {"full": (1_000_000, 100_000, 200_000, 2), "quick": (20_000, 4_000, 8_000, 1), "tiny": (500, 200, 2_000, 1)}
TRUE_POINTS = {"full": 100_000, "quick": 4_000, "tiny": 200}
SEED = 0
POINT_NETWORK = "the point network once forward and backward"


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    return dense_row(size, machine) + small_rows(size, machine)


def options_of(config: str, threads: int) -> Config:
    return get_config(["--config", config, "--num_cpus", str(threads), "--device", "cpu", "--seed", str(SEED)])


def dense_row(size: str, machine: Machine) -> list[Row]:
    count, part, seeds, rounds = DENSE[size]
    networks = Networks(options_of("configs/any_car_grid.txt", machine.threads), alone=True)
    mesh = demo_mesh(0)
    points = sample_surface(mesh, networks.cfg.grid.num_points, np.random.default_rng(0)).astype(np.float32)
    code = encode_clouds(networks.ndf, points[None], networks.cfg, networks.device)
    plain_ndf = networks.ndf
    assert isinstance(code, list) and isinstance(plain_ndf, NDF)  # whose code is its grids
    found: list[Loop] = []
    all_own: list[Loop] = []
    works = {
        "ours": lambda: decode(networks, code, count, 0),
        "loop": lambda: found.append(plain(field_of(networks, code), part, seeds)),
        "own": lambda: all_own.append(plain(PlainField(plain_ndf, code), part, seeds)),
    }
    seconds = alternate(works, rounds, size != "full", machine.clock)
    whole, whole_own = found[0].rounds_for(count), all_own[0].rounds_for(count)
    truth = sample_surface(mesh, TRUE_POINTS[size], np.random.default_rng(1)).astype(np.float32)
    of_part = {"ours": decode(networks, code, part, 0), "the loop's": found[0].points.numpy()}
    errors = {name: scores(cloud, truth, mesh, machine.threads) for name, cloud in of_part.items()}
    note = ", ".join(f"{name} {accuracy:.3f} and {complete:.3f}" for name, (accuracy, complete) in errors.items())
    flops = 3 * flops_of(networks, code) * count  # each point's distance and direction, once
    work = f"{count:,} points from one plain NDF at {networks.cfg.grid.input_res}^3"
    return [
        Row(work, "the loop of NDF's paper", seconds["ours"], seconds["loop"] * whole / found[0].rounds, 20.0, "s",
            machine.least(flops), POINT_NETWORK,
            f"{found[0].rounds} of the loop's {whole} rounds of {seeds:,} seeds measured, scaled; accuracy and"
            f" completeness (squared distances x 1e4) of {part:,} points: {note}"),
        Row(work, "the same with the look-up and layers of NDF's paper, by torch", seconds["ours"],
            seconds["own"] * whole_own / all_own[0].rounds, 20.0, "s", machine.least(flops), POINT_NETWORK,
            f"the same weights, grid_sample at seven places, convolutions of kernel 1, autograd; {AT_A_TIME:,} points"
            " at a time"),
    ]  # fmt: skip


def small_rows(size: str, machine: Machine) -> list[Row]:
    """Sampled cars: ours, and the loop with several numbers of seeds. Few give as many points, in patches."""
    count, seeds = CODES[size], DENSE[size][2]
    points = SMALL if size == "full" else 256
    networks = Networks(options_of("configs/demo_cars_pretrained.txt", machine.threads))
    codes = sampled(networks, count, SEED).codes
    clouds: dict[str, list[np.ndarray]] = {}

    def loop(num_seeds: int, num: int) -> list[np.ndarray]:
        fields = [field_of(networks, code) for code in sampled(networks, num, SEED).codes]
        return [plain(field, points, num_seeds).points.numpy() for field in fields]

    def ours() -> None:
        clouds["ours"] = list(decode_each(networks, sampled(networks, count, SEED).codes, points))

    def few() -> None:
        clouds["few"] = loop(FEW * points, count)

    def even() -> None:
        clouds["even"] = loop(EVEN * points, min(count, MOST_EVEN))

    def many() -> None:
        clouds["many"] = loop(seeds, 1)

    seconds = alternate({"ours": ours, "few": few}, 3 if size == "full" else 1, clock=machine.clock)
    seconds |= alternate({"even": even, "many": many}, 1, warm=False, clock=machine.clock)
    each = seconds["ours"] / count
    least = machine.least(3 * flops_of(networks, codes[0]) * points)
    told = {name: scores_of_sampled(networks, codes, of_codes) for name, of_codes in clouds.items()}
    work = f"a sampled car of {points:,} points"
    note = (
        f"{count} cars of 1,000 measured (wanted also: at most 0.15 s a car). Mean predicted distance x 1e4, and how"
        f" completely the points cover the surface (squared distances x 1e4): ours {told['ours']}"
    )
    return [
        Row(work, "the loop of NDF's paper, as evenly covered", each, seconds["even"] / min(count, MOST_EVEN), 20.0,
            "s", least, POINT_NETWORK, f"{note}; the loop's, {EVEN * points:,} seeds a round, {told['even']}"),
        Row(work, "the same with its own number of seeds", each, seconds["many"], 20.0, "s", least, POINT_NETWORK,
            f"one car, {seeds:,} seeds a round: {told['many']}"),
        Row(work, "the same with few seeds, patchy", each, seconds["few"] / count, 1.0, "s", least, POINT_NETWORK,
            f"{FEW * points:,} seeds a round: {told['few']}"),
    ]  # fmt: skip


def scores_of_sampled(networks: Networks, codes: Sequence[Code], clouds: list[np.ndarray], most: int = 5) -> str:
    """Mean predicted distance of the points, and how completely they cover a dense cloud of the same code, of a few."""
    found = []
    for code, cloud in list(zip(codes, clouds, strict=False))[:most]:
        accuracy = field_of(networks, code).plain_distance(torch.from_numpy(cloud)).mean().item()
        dense = decode(networks, code, 10 * len(cloud), 1)
        found.append((accuracy, np.mean(np.square(cKDTree(cloud).query(dense)[0]))))
    accuracy, completeness = 1e4 * np.mean(found, axis=0)
    return f"{accuracy:.0f} and {completeness:.2f}"


def plain(field: DistanceField, num_points: int, seeds: int) -> Loop:
    return dense_cloud(field, num_points, seeds, torch.Generator().manual_seed(SEED))


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
    # It does not know oneDNN's products (models/kernels/products.py).
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        field.plain_distance(torch.zeros(points, 3))
    return counter.get_total_flops() / points
