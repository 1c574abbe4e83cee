"""Point clouds, and sets of them with the data structures that comparisons need, built once."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.metrics.cells import cell_centroids

Cloud = NDArray[np.floating]
Matrix = NDArray[np.float64]

LEAF_SIZE = 40  # points per leaf of a tree; 40 to 48 were fastest for 2,048 points


class CloudSet(Sequence[Matrix]):
    """Clouds, each with a search tree or the centroids of its cells, built once on first use.

    clouds: (N, 3) each, at least one; N may differ. Raises ValueError for another shape, for a cloud without points
    and for coordinates that are not finite.
    """

    def __init__(self, clouds: Sequence[Cloud]):
        if not len(clouds):
            raise ValueError("a set needs at least one cloud")
        self.clouds = [checked(cloud) for cloud in clouds]
        self.counts = np.array([len(cloud) for cloud in self.clouds])

    def __len__(self) -> int:
        return len(self.clouds)

    def __getitem__(self, index: int) -> Matrix:  # type: ignore[override]  # a set is never sliced
        return self.clouds[index]

    def prepare(self, name: str) -> None:
        """Build the property of this name now, so that threads sharing the set do not each build it."""
        getattr(self, name)

    @cached_property
    def trees(self) -> list[cKDTree]:
        return [cKDTree(cloud, leafsize=LEAF_SIZE) for cloud in self.clouds]

    @cached_property
    def points(self) -> Matrix:
        """The points of all clouds, concatenated, (sum of N, 3); cloud i begins at `starts[i]`.

        Each is in the order of its tree, where spatial neighbours follow each other: searches are up to three times
        faster.
        """
        return np.concatenate([tree.data[tree.indices] for tree in self.trees])

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(A + 1,): where each cloud begins in `points`, and the total."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def centroids(self) -> list[Matrix]:
        """The centroids of each cloud's cells, see `cell_centroids`."""
        return [cell_centroids(cloud) for cloud in self.clouds]


def checked(cloud: Cloud) -> Matrix:
    """The cloud as (N, 3) float64. Raises ValueError for another shape, no points, or NaN and infinite coordinates."""
    points = np.asarray(cloud, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"a cloud must have shape (N, 3) with N > 0, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("a cloud has coordinates that are not finite")
    return points


def nearest_points(source: cKDTree, target: cKDTree, workers: int = 1) -> tuple[Matrix, NDArray[np.int64]]:
    """Distance from each point of a tree to the nearest of another, not squared, and its index: (N,), (N,).

    workers: threads; the values do not depend on it.
    """
    distances, nearest = np.empty(source.n), np.empty(source.n, np.int64)
    order = source.indices  # neighbours follow each other: the search is up to three times faster
    distances[order], nearest[order] = target.query(source.data[order], workers=workers)
    return distances, nearest
