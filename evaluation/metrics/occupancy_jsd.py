"""Jensen-Shannon divergence between the spatial distributions of the points of two sets of clouds."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.metrics.clouds import Cloud, checked

RESOLUTION = 28
TOLERANCE = 1e-3  # no warning for points this little outside, as in PointFlow


def jsd(samples: Sequence[Cloud], references: Sequence[Cloud], resolution: int = RESOLUTION) -> float:
    """Base-2 Jensen-Shannon divergence of two sets' shares of points per grid node: 0 (equal) to 1 (disjoint).

    The grid has `resolution` nodes per axis from -0.5 to 0.5, restricted to the ball of radius 0.5; a point counts at
    its nearest node. It measures the average shape only. Clouds must be scaled to that ball; points outside count at
    their nearest node, with one warning per call.
    Source: Achlioptas et al. 2018, section 2; PointFlow, `jsd_between_point_cloud_sets` (28, in the unit sphere).
    """
    nodes = grid_nodes(resolution)
    counts, outside = [], 0
    for clouds in (samples, references):
        if not len(clouds):
            raise ValueError("a set needs at least one cloud")
        total = np.zeros(len(nodes), np.int64)
        for cloud in clouds:
            points = checked(cloud)
            total += np.bincount(nearest_nodes(points, resolution), minlength=len(nodes))
            outside += np.count_nonzero(np.square(points).sum(1) > (0.5 + TOLERANCE) ** 2)
        counts.append(total)
    if outside:
        share = outside / sum(int(total.sum()) for total in counts)
        warnings.warn(
            f"JSD: {share:.2%} of the points are outside the ball of radius 0.5 and count at the nearest cell of it;"
            " scale the clouds to it to compare with published values",
            stacklevel=2,
        )
    return jensen_shannon(*counts)


def jensen_shannon(p: NDArray, q: NDArray) -> float:
    """Jensen-Shannon divergence, bits, of two histograms (cells,), each scaled to sum 1: H((p + q) / 2) - mean H."""
    p, q = p / p.sum(), q / q.sum()
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def grid_nodes(resolution: int) -> NDArray[np.float64]:
    """(nodes, 3): the nodes of the cube's grid within the ball of radius 0.5, x slowest."""
    return np.argwhere(_inside(resolution)) / (resolution - 1) - 0.5


def nearest_nodes(points: NDArray[np.float64], resolution: int) -> NDArray[np.int64]:
    """Row of `grid_nodes` nearest to each point (N, 3). Returns (N,).

    By rounding, in O(N); by a search tree only if the rounded node is outside the ball.
    """
    inside = _inside(resolution)
    rows = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, -1)
    last = resolution - 1
    i, j, k = np.clip(np.ceil((points + 0.5) * last - 0.5), 0, last).astype(np.int64).T
    found = rows[i, j, k]
    lost = np.flatnonzero(found < 0)
    if len(lost):
        found[lost] = cKDTree(grid_nodes(resolution)).query(points[lost])[1]
    return found


def _inside(resolution: int) -> NDArray[np.bool_]:
    """(R, R, R): whether a node is within the ball. In integers, so that rounding plays no role."""
    if resolution < 2:
        raise ValueError(f"resolution is {resolution}, 2 or more expected")
    squares = (2 * np.arange(resolution) - (resolution - 1)) ** 2
    inside = squares[:, None, None] + squares[:, None] + squares <= (resolution - 1) ** 2
    if not inside.any():
        raise ValueError(f"resolution {resolution} has no node in the ball; give 3 or more")
    return inside


def _entropy(p: NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())
