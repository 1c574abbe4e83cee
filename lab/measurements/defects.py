"""Defects injected into shapes, and what each measure says of a set of them: for measure_defects.py and its test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from evaluation.metrics import mmd_cov, one_nna
from evaluation.metrics.normals import agreement, local_planes
from generation.distance_fields import DistanceField
from training.code_nna import one_nna_of_points

HOLE, DEPTH, TEAR = (
    0.08,
    0.05,
    0.01,
)  # mesh units: radius of a hole, how far below the roof it goes, least of a torn field
PIECE, ABOVE = 0.04, 0.09  # radius of a floating sphere, and how far above the roof
DENSITY = 1000  # alpha of density-aware Chamfer, per square mesh unit
# Measure -> +1 where more is worse, -1 where less is.
WORSE = {
    "unsettled": 1, "pieces": 1, "border": 1, "nna_codes": 1, "nna_cd": 1, "cov": -1, "mmd": 1, "nna_density": 1,
    "nna_normals": 1,
}  # fmt: skip
OF_SHAPES, OF_CODES = ("unsettled", "pieces", "border"), ("nna_codes",)

Matrix = NDArray[np.float64]
Top = tuple[float, float, float]


class Changed(DistanceField):
    """A field with another distance: `change` gets points (N, 3) and the field's own distances there (N,)."""

    def __init__(self, field: DistanceField, change: Callable[[Tensor, Tensor], Tensor]):
        self.field, self.change, self.device = field, change, field.device

    def distance(self, points: Tensor) -> Tensor:
        return self.change(points, self.field.distance(points))


def top_of(cloud: NDArray[np.floating]) -> Top:
    """The middle of the roof of a cloud (N, 3), y up: of its points in the highest twentieth of its height."""
    height = cloud[:, 1]
    roof = cloud[height > height.max() - 0.05 * np.ptp(height)]
    x, _, z = np.median(roof, axis=0)
    return float(x), float(height.max()), float(z)


def above_roof(points: Tensor, top: Top) -> tuple[Tensor, Tensor]:
    """The horizontal distance of points (N, 3) from the roof's middle, and whether they are not far below it: (N,)."""
    from_axis = (points[:, [0, 2]] - points.new_tensor([top[0], top[2]])).norm(dim=1)
    return from_axis, points[:, 1] > top[1] - DEPTH


def with_hole(field: DistanceField, top: Top) -> DistanceField:
    """Without the roof's surface within `HOLE` of its middle: the distance there is that to the rim of the hole."""

    def change(points: Tensor, distance: Tensor) -> Tensor:
        from_axis, near = above_roof(points, top)
        to_rim = (distance**2 + (HOLE - from_axis).clamp_min(0) ** 2 + 1e-12).sqrt()
        return torch.where(near, to_rim, distance)

    return Changed(field, change)


def with_tear(field: DistanceField, top: Top) -> DistanceField:
    """The same place torn: the field stays above `TEAR` there, as between two kinds of car."""

    def change(points: Tensor, distance: Tensor) -> Tensor:
        from_axis, near = above_roof(points, top)
        return torch.where(near & (from_axis < HOLE), distance.clamp_min(TEAR), distance)

    return Changed(field, change)


def with_piece(field: DistanceField, top: Top) -> DistanceField:
    """A small sphere floats above the roof."""

    def change(points: Tensor, distance: Tensor) -> Tensor:
        centre = points.new_tensor([top[0], top[1] + ABOVE, top[2]])
        return torch.minimum(distance, ((points - centre).norm(dim=1) - PIECE).abs())

    return Changed(field, change)


@dataclass
class Points:
    """A cloud (N, 3) with its search tree and the normals of its local planes."""

    tree: cKDTree
    normals: Matrix

    @classmethod
    def of(cls, cloud: NDArray[np.floating]) -> "Points":
        tree = cKDTree(np.asarray(cloud, np.float64))
        return cls(tree, local_planes(tree).normals)


def pair(a: Points, b: Points) -> tuple[float, float, float]:
    """Three distances of two clouds: Chamfer (squared), density-aware Chamfer, and 1 - normal consistency.

    Density-aware Chamfer: mean of 1 - exp(-alpha d^2) / n, over the points of both clouds, where d is the distance to
    the nearest point of the other cloud and n how many have that one as their nearest. After Wu et al. 2021.
    """
    chamfer, density, normals = 0.0, 0.0, 0.0
    for source, target in ((a, b), (b, a)):
        distances, nearest = target.tree.query(source.tree.data)
        shared = np.bincount(nearest, minlength=target.tree.n)[nearest]
        chamfer += float(np.mean(distances**2))
        density += float(np.mean(1 - np.exp(-DENSITY * distances**2) / shared)) / 2
        normals += float(np.mean(1 - agreement(source.normals, target.normals[nearest]))) / 2
    return chamfer, density, normals


def pairs(a: Sequence[Points], b: Sequence[Points] | None = None) -> Matrix:
    """`pair` of each with each, (3, A, B); without `b` each pair of `a` once."""
    if b is not None:
        return np.array([[pair(one, other) for other in b] for one in a]).transpose(2, 0, 1)
    found = np.zeros((3, len(a), len(a)))
    for i, one in enumerate(a):
        for j in range(i):
            found[:, i, j] = found[:, j, i] = pair(one, a[j])
    return found


def measures_of_clouds(rr: Matrix, rs: Matrix, ss: Matrix) -> dict[str, float]:
    """From the `pairs` of references, of references and samples, and of samples."""
    nna = [one_nna(*three).acc for three in zip(rr, rs, ss, strict=True)]
    found = mmd_cov(rs[0])
    return {"nna_cd": nna[0], "cov": found.cov, "mmd": found.mmd, "nna_density": nna[1], "nna_normals": nna[2]}


def measures_of_codes(references: Tensor, samples: Tensor) -> dict[str, float]:
    return {"nna_codes": one_nna_of_points(references, samples)}


def measures_of_shapes(values: Matrix) -> dict[str, float]:
    """Means of unsettled share, loose pieces and length of open border over shapes (S, 3)."""
    return dict(zip(OF_SHAPES, values.mean(axis=0).tolist(), strict=True))


def spread_by_chance(
    measure: Callable[[NDArray[np.int64]], dict[str, float]], pool: int, size: int
) -> dict[str, float]:
    """Standard deviation of measures from one set of `size` good shapes to the next; measure: of such a set.

    From 40 random sets out of a pool of good shapes. These share shapes, and so scatter less than independent ones: as
    means do that are drawn without replacement.
    """
    rng = np.random.default_rng(0)
    found = [measure(rng.permutation(pool)[:size]) for _ in range(40)]
    shared = (1 - size / pool) ** 0.5
    return {name: float(np.std([one[name] for one in found], ddof=1)) / shared for name in found[0]}


def is_seen(name: str, without: float, found: float, by_chance: float) -> bool:
    """Whether a defect makes a measure worse, by more than 3 of the standard deviations that it has by chance."""
    return WORSE[name] * (found - without) > 3 * by_chance + 1e-9
