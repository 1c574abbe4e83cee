"""Lower bounds of the mean squared distance from the points of a cloud to another cloud, without a search for each.

The squared distance of p to a cloud is |p|^2 + min over its points q of (|q|^2 - 2 p.q): |p|^2 and a concave function.
A concave function is never below its interpolation from the corners of a cell. With the trilinear weights w of a grid's
nodes v around p, therefore, d(p)^2 >= sum w d(v)^2 - sum w |v - p|^2, with equality where one point is nearest to the
whole cell. So d^2 is needed at nodes alone, and sums over points become a product of matrices.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from evaluation.metrics.clouds import Matrix

SHRINK = 0.95  # of a step, until there are as many nodes as wanted


class Grid(NamedTuple):
    """Nodes low + step * (i, j, k) that cover a box; shape: their numbers along the axes, at least 2."""

    low: Matrix
    step: float
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def nodes(self) -> Matrix:
        """(size, 3), the last coordinate running fastest."""
        return self.low + self.step * np.stack(np.unravel_index(np.arange(self.size), self.shape), axis=1)


class Weights(NamedTuple):
    """Of a sum over nodes in place of the mean over the points of clouds. nodes: (clouds, size); slack: (clouds,), the
    mean of sum w |v - p|^2."""

    nodes: csr_matrix
    slack: Matrix

    def bounds(self, squared: Matrix) -> Matrix:
        """(clouds, T): at most the mean squared distance to each of T clouds, whose squared distances from the nodes
        are (size, T)."""
        return self.nodes @ squared - self.slack[:, None]


def grid_over(points: Matrix, most: int) -> Grid:
    """The finest grid over the box of the points (N, 3) with at most `most` nodes, or 8."""
    low, sides = points.min(axis=0), np.ptp(points, axis=0)
    finer = step = float(sides.max()) or 1.0
    while np.prod(np.maximum(2, np.ceil(sides / finer) + 1)) <= most:
        step, finer = finer, finer * SHRINK
    return Grid(low, step, tuple(int(n) for n in np.maximum(2, np.ceil(sides / step) + 1)))


def weights_on(grid: Grid, points: Matrix, counts: NDArray[np.int64]) -> Weights:
    """The weights of clouds, concatenated in `points` (N, 3), with `counts` (clouds,) points each.

    Points outside the grid are moved to its side, where they are no farther from any cloud inside it: for these the
    bounds hold, too.
    """
    last = np.array(grid.shape) - 1
    places = np.clip((points - grid.low) / grid.step, 0, last)
    cell = np.minimum(places.astype(np.int64), last - 1)
    share = places - cell
    first = np.ravel_multi_index(tuple(cell.T), grid.shape)
    strides = (grid.shape[1] * grid.shape[2], grid.shape[2], 1)
    weights, columns = np.empty((len(points), 8)), np.empty((len(points), 8), np.int64)
    for n, corner in enumerate(product((0, 1), repeat=3)):
        along = [share[:, axis] if up else 1 - share[:, axis] for axis, up in enumerate(corner)]
        weights[:, n] = along[0] * along[1] * along[2]
        columns[:, n] = first + np.dot(corner, strides)
    starts = np.concatenate([[0], np.cumsum(counts)])
    weights /= np.repeat(counts, counts)[:, None]
    matrix = csr_matrix((weights.ravel(), columns.ravel(), 8 * starts), shape=(len(counts), grid.size))
    matrix.sum_duplicates()
    slack = grid.step**2 * (share * (1 - share)).sum(axis=1)
    return Weights(matrix, np.add.reduceat(slack, starts[:-1]) / counts)
