"""What the temperature of sampling does: less of it gives likelier shapes, and fewer kinds of them."""

from typing import Any

import numpy as np
import torch

from configs.errors import UserError
from dataprocessing.pool import num_workers
from models.analysis.decoded import codes_of, decoded_clouds
from models.codes import load_codes
from models.evaluation.generation_table import set_measures
from models.evaluation.tables import Column
from models.generation import Generator
from models.metrics import CloudSet, Matrix, pairwise

FLOOR_SEEDS = 300_000_000  # number of the first random stream of the floor's clouds, far from all others
REFERENCE_SEEDS = 400_000_000
NAME, TITLE = "temperatures", "Sampling at several temperatures, against decoded test shapes by CD"
FLOOR = "floor: training shapes, decoded"
COLUMNS = [
    Column("set", "set"),
    Column("shapes", "shapes", "d"),
    Column("nna_acc", "1-NNA %", ".1f", 100),
    Column("nna_acc_t", "acc_t %", ".1f", 100),
    Column("nna_acc_f", "acc_f %", ".1f", 100),
    Column("cov", "COV %", ".1f", 100),
    Column("mmd", "MMD x1e4", ".3f", 1e4),
]


def note(num_shapes: int) -> str:
    chance = 100 * np.sqrt(0.25 / (2 * num_shapes))
    return (
        "The same z at every temperature, times it. 1-NNA: 50 % is best; by chance it deviates by"
        f" {chance:.1f} points at {num_shapes} + {num_shapes} shapes. One set each: evaluate.py gives deviations."
    )


def temperature_rows(generator: Generator) -> list[dict[str, Any]]:
    """Rows of `COLUMNS`, one for each of `temperatures`, and the floor: as many decoded training shapes.

    All sets have as many shapes: num_curve_shapes, or less where the test or the training split has less. Raises
    UserError where that is fewer than 2.
    """
    cfg = generator.cfg
    stored = {split: load_codes(cfg, split) for split in ("train", "test")}
    plain = {split: codes.plain_indices() for split, codes in stored.items()}
    count = min(cfg.num_curve_shapes, *(len(found) for found in plain.values()))
    if count < 2:
        raise UserError(
            f"{count} shape to compare, 2 or more expected: {len(plain['test'])} test and {len(plain['train'])}"
            f" training shapes, num_curve_shapes {cfg.num_curve_shapes}; make them more, or leave out temperatures"
        )
    codes = {}
    for split, found in plain.items():
        chosen = np.sort(np.random.default_rng(cfg.seed).choice(found, count, replace=False))
        codes[split] = torch.from_numpy(stored[split].codes[chosen]).to(generator.device)
    points = cfg.num_analysis_points
    decoded = decoded_clouds(generator, codes["test"], points, "curve_test", "test shapes", REFERENCE_SEEDS)
    references = CloudSet(list(decoded))
    rr = _matrix(generator, references)
    z = generator.latents(count, cfg.seed)
    rows = []
    for temperature in sorted(set(cfg.temperatures)):
        label = f"T = {temperature:g}"
        clouds = decoded_clouds(
            generator, codes_of(generator, temperature * z), points, f"curve_{temperature:g}", label
        )
        rows.append({"set": label, "temperature": temperature, **_measures(generator, references, rr, clouds)})
    floor = decoded_clouds(generator, codes["train"], points, "curve_train", "training shapes", FLOOR_SEEDS)
    return [*rows, {"set": FLOOR, "temperature": None, **_measures(generator, references, rr, floor)}]


def _measures(generator: Generator, references: CloudSet, rr: Matrix, clouds: np.ndarray) -> dict[str, Any]:
    samples = CloudSet(list(clouds))
    measures = set_measures(rr, _matrix(generator, references, samples), _matrix(generator, samples))
    return {"shapes": len(samples), **measures}


def _matrix(generator: Generator, a: CloudSet, b: CloudSet | None = None) -> Matrix:
    return pairwise("cd", a, b, num_workers(generator.cfg.num_cpus), device=generator.device, description="comparing")
