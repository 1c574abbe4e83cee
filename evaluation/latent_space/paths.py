"""Paths between test shapes: straight lines in code space against straight lines in the flow's z."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from evaluation.latent_space.decoded import decoded_clouds
from evaluation.metrics import chamfer_l2_sq
from evaluation.tables import Column
from frozen.codes import load_codes
from generation.latents import codes_of, latents_of, likelihoods, path_between
from generation.networks import Networks
from generation.surface_cells import HALF_EXTENT
from models.occupancy import to_grid_coords
from runtime.devices import autocast
from runtime.errors import UserError

SPACES = {"code": "straight in code space", "z": "straight in the flow's z"}
NUM_QUERIES = 4096
NAME, TITLE = "paths", "Paths between test shapes, decoded"
COLUMNS = [
    Column("set", "path"),
    Column("pairs", "pairs", "d"),
    Column("steps", "steps", "d"),
    Column("jump_mean", "CD jump x1e4", ".3f", 1e4),
    Column("jump_max", "largest of a path", ".3f", 1e4),
    Column("floor", "same shape twice", ".3f", 1e4),
    Column("udf_change_mean", "|UDF change| x1e4", ".2f", 1e4),
    Column("udf_change_max", "largest of a path", ".2f", 1e4),
    Column("excess", "log-lik. of the middle (nats)", ".1f"),
]
NOTE = (
    "CD jump: chamfer_l2_sq of the clouds of neighbouring steps, its mean over all steps, and the mean over the pairs"
    " of each path's largest; same shape twice: that of two draws of points from one shape, about the least that a jump"
    f" can be. |UDF change|: mean over {NUM_QUERIES} fixed points, uniform in the box, of the change of the distance,"
    " clamped at max_dist, in a step. Log-likelihood: less that of the ends; below 0: less likely."
)


@dataclass
class Paths:
    """Measurements along the paths of one space, for K pairs in T steps.

    jumps, udf_changes: (K, T), of each step; log_likelihood: (K, T + 1) nats; floor: (K,), CD of two draws of the
    first shape's points; codes: (K, T + 1, *code_shape).
    """

    jumps: NDArray[np.float64]
    udf_changes: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]
    floor: NDArray[np.float64]
    codes: Tensor

    @property
    def excess(self) -> NDArray[np.float64]:
        """log_likelihood minus the straight line between its ends, (K, T + 1) nats; 0 at both ends."""
        share = np.linspace(0, 1, self.log_likelihood.shape[1])
        return self.log_likelihood - (self.log_likelihood[:, :1] * (1 - share) + self.log_likelihood[:, -1:] * share)

    def row(self, space: str) -> dict[str, Any]:
        """A row of `COLUMNS`."""
        row: dict[str, Any] = {"set": SPACES[space], "pairs": len(self.jumps), "steps": self.jumps.shape[1]}
        for key, values in (("jump", self.jumps), ("udf_change", self.udf_changes)):
            row |= {f"{key}_mean": float(values.mean()), f"{key}_max": float(values.max(axis=1).mean())}
        return row | {
            "floor": float(self.floor.mean()),
            "excess": float(self.excess[:, self.jumps.shape[1] // 2].mean()),
        }

    def curves(self) -> dict[str, list]:
        """All numbers in the plot, as lists."""
        return {name: getattr(self, name).tolist() for name in ("jumps", "udf_changes", "log_likelihood", "floor")}


def measure_paths(networks: Networks) -> tuple[dict[str, Paths], list[list[str]]]:
    """The paths in each of `SPACES`, and the names of num_paths random pairs of test shapes, without repetition.

    Raises UserError if the test split has fewer than 2 shapes.
    """
    cfg, stored = networks.cfg, load_codes(networks.cfg, "test")
    plain = stored.plain_indices()
    pairs = random_pairs(len(plain), cfg.analysis.num_paths, cfg.run.seed)
    rows = [[plain[end] for end in pair] for pair in pairs]
    starts, stops = (torch.from_numpy(stored.codes[list(column)]) for column in zip(*rows, strict=True))
    found = {space: _measure(networks, path_codes(networks, starts, stops, space), space) for space in SPACES}
    return found, [[stored.rows[end]["name"] for end in pair] for pair in rows]


def too_few(count: int) -> str | None:
    """Why so many test shapes have no path between them; None if they have."""
    return None if count >= 2 else f"a path needs 2 test shapes, the test split has {count}; make a larger one"


def random_pairs(count: int, wanted: int, seed: int) -> list[tuple[int, int]]:
    """At most `wanted` pairs of numbers below `count`, each number in at most one pair."""
    if count < 2:
        raise UserError(too_few(count) or "")
    order = np.random.default_rng(seed).permutation(count).tolist()
    return [(order[2 * k], order[2 * k + 1]) for k in range(min(wanted, count // 2))]


def path_codes(networks: Networks, starts: Tensor, stops: Tensor, space: str) -> Tensor:
    """Codes (K, T + 1, *code_shape) from starts to stops (K, *code_shape), in path_steps = T equal steps of `space`."""
    ends = torch.stack([starts, stops]).to(networks.device)  # (2, K, *code_shape)
    steps = networks.cfg.analysis.path_steps
    share = torch.linspace(0, 1, steps + 1, device=networks.device).repeat(len(starts))[:, None]
    x = ends.flatten(2) if space == "code" else latents_of(networks, ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
    start, stop = (end.repeat_interleave(steps + 1, dim=0) for end in x)  # (K (T + 1), D)
    if space == "code":
        codes = ((1 - share) * start + share * stop).unflatten(1, starts.shape[1:])
    else:
        codes = codes_of(networks, path_between(networks.flow, start, stop, share))
    return codes.unflatten(0, (len(starts), steps + 1))


def _measure(networks: Networks, codes: Tensor, space: str) -> Paths:
    count, length = codes.shape[:2]
    flat = codes.flatten(0, 1)
    again = codes[:, 0]  # the first shapes again, with other random points
    found = decoded_clouds(
        networks,
        torch.cat([flat, again]),
        networks.cfg.analysis.num_analysis_points,
        f"paths_{space}",
        f"paths, {space}",
    )
    clouds = found[: len(flat)].reshape(count, length, *found.shape[1:])
    jumps = [[chamfer_l2_sq(path[t], path[t + 1]) for t in range(length - 1)] for path in clouds]
    floor = [chamfer_l2_sq(path[0], other) for path, other in zip(clouds, found[len(flat) :], strict=True)]
    distances = field_values(networks, flat, f"distances, {space}").reshape(count, length, -1)
    return Paths(
        np.array(jumps),
        np.abs(np.diff(distances, axis=1)).mean(axis=2),
        likelihoods(networks, flat)[0].double().cpu().numpy().reshape(count, length),
        np.array(floor),
        codes,
    )


@torch.no_grad()
def field_values(networks: Networks, codes: Tensor, description: str) -> NDArray[np.float64]:
    """Distances decoded from codes (S, *code_shape) at fixed random points, clamped at max_dist, (S, NUM_QUERIES)."""
    cfg, values = networks.cfg, []
    uniform = torch.rand(NUM_QUERIES, 3, generator=torch.Generator().manual_seed(cfg.run.seed))
    points = to_grid_coords((2 * uniform - 1) * HALF_EXTENT).to(networks.device)[None]
    for code in tqdm(codes, desc=description, unit="shape", disable=None):
        with autocast(networks.device, cfg.run.precision):
            found = networks.ndf.query(points, networks.ndf.features(code[None]))[0]
        values.append(found.double().clamp(max=cfg.ndf_training.max_dist).cpu().numpy())
    return np.stack(values)
