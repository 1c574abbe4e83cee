"""What a partial scan says of a surface: places that lie on it and, from a depth view, places that are empty.

The points of a scan are no independent evidence. The decoder's errors at neighbouring points are alike, so a thousand
points on a bonnet say little more than ten. A scan therefore counts as many observations as cells of side `cell` hold
points of it, however many points there are, and few points count as they are.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from configs.options import Completion
from dataprocessing.surface import at_most
from generation.code_fitting import CLAMP, SPACINGS
from generation.surface_cells import HALF_EXTENT

MOST_POINTS = 20_000  # of a scan that are looked at; more are drawn from at random
NUM_EMPTY = 384  # places along the rays of a depth view, and as many in a covered box
LEAST_BOUND = 0.02  # mesh units: places nearer than this to what may be a surface say nothing
FEWEST = 64  # places of the surface that a part of the evidence holds
BEHIND, BEHIND_STEP = 1.5, 0.02  # mesh units: how far the unseen is followed behind the scan's points, and how finely


class Evidence(NamedTuple):
    """surface (N, 3): places on the surface, each of which counts `weight` observations; empty (M, 3): places with no
    surface within bounds (M,), each of which counts `empty_weight`. Mesh units."""

    surface: Tensor
    weight: float
    empty: Tensor
    bounds: Tensor
    empty_weight: float

    def to(self, device: torch.device) -> "Evidence":
        surface, empty, bounds = (part.to(device) for part in (self.surface, self.empty, self.bounds))
        return Evidence(surface, self.weight, empty, bounds, self.empty_weight)

    def part(self, first: int, step: int) -> "Evidence":
        """Every step-th place from number `first` on, which count for the others too; all, where there are few."""
        if len(self.surface) < step * FEWEST:
            return self
        surface, empty, bounds = (part[first::step] for part in (self.surface, self.empty, self.bounds))
        weight = self.weight * len(self.surface) / len(surface)
        return Evidence(surface, weight, empty, bounds, self.empty_weight * len(self.empty) / max(1, len(empty)))


def evidence_of(
    scan: np.ndarray,
    completion: Completion,
    camera: np.ndarray | None,
    rng: np.random.Generator,
    covered: np.ndarray | None = None,
) -> Evidence:
    """The evidence of a scan (n, 3) float32 and, if given, the place of its camera (3,) and the box (6,), lower corner
    first, in which it covers the whole surface, mesh units.

    Reads cfg.completion.scan_points and cfg.completion.scan_cell.
    """
    scan = at_most(scan, MOST_POINTS, rng)
    surface = spread(scan, completion.scan_points, rng)
    weight = observations(scan, completion.scan_cell, len(surface)) / len(surface)
    found = [(np.zeros((0, 3)), np.zeros(0))]
    if camera is not None:
        found.append(empty_places(scan, camera, NUM_EMPTY, rng))
    if covered is not None:
        found.append(uncovered_places(scan, covered, NUM_EMPTY, rng))
    empty, bounds = (np.concatenate(parts) for parts in zip(*found, strict=True))
    empty_weight = observations(empty, completion.scan_cell, len(empty)) / max(1, len(empty))
    tensors = (torch.from_numpy(array.astype(np.float32)) for array in (surface, empty, bounds))
    surface_tensor, empty_tensor, bounds_tensor = tensors
    return Evidence(surface_tensor, weight, empty_tensor, bounds_tensor, empty_weight)


def spread(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the points (n, 3), each the farthest from those before it, so that dense parts do not count more."""
    if len(points) <= count:
        return points
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = rng.integers(len(points))
    nearest = np.full(len(points), np.inf)
    for i in range(1, count):
        away = points - points[chosen[i - 1]]
        np.minimum(nearest, np.einsum("ij,ij->i", away, away), out=nearest)
        chosen[i] = nearest.argmax()
    return points[chosen]


def observations(points: np.ndarray, cell: float, most: int) -> int:
    """How many cells of side `cell` hold points (n, 3); at most `most`."""
    return min(most, len(np.unique(np.floor(points / cell).astype(np.int64), axis=0)))


def empty_places(
    scan: np.ndarray, camera: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places (M, 3) on the rays from the camera to the scan's points, and how far around each nothing can be (M,).

    A surface can be where the camera did not see: at the scan's points and behind them. So the bound is the distance to
    the half-lines from the scan's points (n, 3) away from the camera, at most `CLAMP`. It takes for granted that
    directions without points, between those with points or beside the shape, met nothing. M is `count` or less.
    """
    rays = scan - camera
    depth = np.linalg.norm(rays, axis=1, keepdims=True)
    rays = rays / depth
    chosen = rng.integers(len(scan), size=8 * count)
    places = scan[chosen] - rays[chosen] * rng.uniform(0, 1, (len(chosen), 1)) * np.minimum(depth[chosen], 1.0)
    places = places[(np.abs(places) < HALF_EXTENT).all(axis=1)]
    steps = np.arange(0, BEHIND, BEHIND_STEP)[:, None, None]
    unseen = (scan + steps * rays).reshape(-1, 3)
    unseen = unseen[(np.abs(unseen) < HALF_EXTENT + CLAMP).all(axis=1)]
    bounds = np.minimum(cKDTree(unseen).query(places)[0] - BEHIND_STEP / 2, CLAMP)
    kept = np.flatnonzero(bounds > LEAST_BOUND)[:count]
    return places[kept], bounds[kept]


def uncovered_places(
    scan: np.ndarray, box: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places (M, 3) in a box (6,) in which the scan (n, 3) covers the whole surface, and how far around each nothing
    can be (M,): up to the sides of the box, and to the scan's points less some of their spacings. M is at most count.

    Where a side of the box is beyond all shapes there is nothing on the other side of it.
    """
    low, high = np.maximum(box[:3], -HALF_EXTENT), np.minimum(box[3:], HALF_EXTENT)
    places = rng.uniform(low, np.maximum(low, high), (16 * count, 3))
    tree = cKDTree(scan)
    spacing = tree.query(scan, k=2)[0][:, 1].mean()
    to_low = np.where(low > -0.5, places - low, np.inf).min(axis=1)
    to_high = np.where(high < 0.5, high - places, np.inf).min(axis=1)
    bounds = np.minimum.reduce(
        [tree.query(places)[0] - SPACINGS * spacing, to_low, to_high, np.full(len(places), CLAMP)]
    )
    kept = np.flatnonzero(bounds > LEAST_BOUND)[:count]
    return places[kept], bounds[kept]
