"""The effect of the sampling temperature: lower ones give likelier but less diverse shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from configs.options import Config
from evaluation.generation_table import set_measures
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.metrics import CloudSet, Matrix, pairwise_nearest
from evaluation.tables import Column
from frozen.codes import load_codes
from generation.latents import codes_of, draw_latents
from generation.networks import Networks
from runtime.cores import num_workers
from runtime.errors import UserError
from runtime.seeds import FLOOR_STREAMS, REFERENCE_STREAMS

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
        "The same draws at every temperature. 1-NNA: 50 % is best; by chance it deviates by"
        f" {chance:.1f} points at {num_shapes} + {num_shapes} shapes. One set each: evaluate.py gives deviations."
    )


def too_few(cfg: Config, shapes: Mapping[str, Sequence[Any]]) -> str | None:
    """Why the shapes of a split do not suffice to compare sets of them; None if they do."""
    train, test, wanted = len(shapes["train"]), len(shapes["test"]), cfg.analysis.num_curve_shapes
    if (count := min(train, test, wanted)) >= 2:
        return None
    return (
        f"{count} shape to compare, 2 or more expected: {test} test and {train} training shapes, num_curve_shapes"
        f" {wanted}; make them more"
    )


def temperature_rows(networks: Networks) -> list[dict[str, Any]]:
    """Rows of `COLUMNS`, one per temperature, and the floor: as many decoded training shapes.

    All sets have the same size: num_curve_shapes, or fewer if the test or the training split has fewer. Raises
    UserError if that is below 2.
    """
    cfg = networks.cfg
    stored = {split: load_codes(cfg, split) for split in ("train", "test")}
    plain = {split: codes.plain_indices() for split, codes in stored.items()}
    if reason := too_few(cfg, plain):
        raise UserError(reason)
    count = min(cfg.analysis.num_curve_shapes, *(len(found) for found in plain.values()))
    codes = {}
    for split, found in plain.items():
        chosen = np.sort(np.random.default_rng(cfg.run.seed).choice(found, count, replace=False))
        codes[split] = torch.from_numpy(stored[split].codes[chosen]).to(networks.device)
    points = cfg.analysis.num_analysis_points
    decoded = decoded_clouds(networks, codes["test"], points, "curve_test", "test shapes", REFERENCE_STREAMS)
    references = CloudSet(list(decoded))
    rr = _matrix(networks, references)
    rows = []
    for temperature in sorted(set(cfg.analysis.temperatures)):
        label = f"T = {temperature:g}"
        z = draw_latents(networks.flow, count, cfg.run.seed, temperature=temperature)
        clouds = decoded_clouds(networks, codes_of(networks, z), points, f"curve_{temperature:g}", label)
        rows.append({"set": label, "temperature": temperature, **_measures(networks, references, rr, clouds)})
    floor = decoded_clouds(networks, codes["train"], points, "curve_train", "training shapes", FLOOR_STREAMS)
    return [*rows, {"set": FLOOR, "temperature": None, **_measures(networks, references, rr, floor)}]


def _measures(networks: Networks, references: CloudSet, rr: Matrix, clouds: np.ndarray) -> dict[str, Any]:
    samples = CloudSet(list(clouds))
    measures = set_measures(rr, _matrix(networks, references, samples), _matrix(networks, samples))
    return {"shapes": len(samples), **measures}


def _matrix(networks: Networks, a: CloudSet, b: CloudSet | None = None) -> Matrix:
    workers = num_workers(networks.cfg.run.num_cpus)
    return pairwise_nearest(a, b, workers, description="comparing", device=networks.device)
