"""A fast approximation of the EMD for large sets, and its measured error against the exact one.

Each cloud is split into at most 342 cells with equal numbers of points, and the centroids of the cells are matched
exactly. Deterministic, symmetric, invariant to the order of the points, exact for clouds of up to 342 points; 0 for
equal clouds.

The cells of two clouds do not coincide, which adds a little to each distance: the value is above the exact one, more so
for close clouds. Pairs of cars are ordered almost as by the exact EMD (correlation 0.999); a second draw of 2,048
points from the same cars changes more (0.88).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.metrics.cells import cell_centroids
from evaluation.metrics.clouds import Cloud, CloudSet, Matrix, checked
from evaluation.metrics.exact_emd import check_counts, emd, emd_sq, pair_costs


class ApproximationError(NamedTuple):
    """Approximate against exact EMD, see `approximation_error`.

    pairs: number compared; mean: of the relative error approximate / exact - 1, signed; spread: its standard deviation
    over the pairs; worst: its largest absolute value; correlation: Pearson's, of approximate and exact values.
    """

    pairs: int
    mean: float
    spread: float
    worst: float
    correlation: float


def emd_cells(a: Cloud, b: Cloud) -> float:
    """Approximation of `emd` (mean distance, unit of the clouds) by the centroids of cells; a, b: (N, 3) each.

    2,048 points: 8 ms a pair on one core. On 367 pairs of 38 demo cars 10 % (3 to 23 %) above the exact value,
    correlation 0.999, of ranks 0.998; `approximation_error` measures other sets.
    Raises ValueError for different counts.
    """
    return _approximate(a, b, squared=False)


def emd_sq_cells(a: Cloud, b: Cloud) -> float:
    """Approximation of `emd_sq` (mean squared distance, squared unit) by the centroids of cells; a, b: (N, 3) each.

    2,048 points: 8 ms a pair on one core. On 239 pairs of 38 demo cars 18 % (5 to 44 %) above the exact value,
    correlation 0.999, of ranks 0.998; `approximation_error` measures other sets.
    Raises ValueError for different counts.
    """
    return _approximate(a, b, squared=True)


def emd_cells_block(a: CloudSet, b: CloudSet, i: int, columns: slice) -> Matrix:
    """`emd_cells` of cloud i of `a` with the clouds `columns` of `b`, (J,)."""
    return np.array([_matched(a.centroids[i], other, squared=False) for other in b.centroids[columns]])


def emd_sq_cells_block(a: CloudSet, b: CloudSet, i: int, columns: slice) -> Matrix:
    """`emd_sq_cells` of cloud i of `a` with the clouds `columns` of `b`, (J,)."""
    return np.array([_matched(a.centroids[i], other, squared=True) for other in b.centroids[columns]])


def approximation_error(
    squared: bool, a: CloudSet, b: CloudSet, pairs: int = 16, seed: int = 0, workers: int = 1
) -> ApproximationError:
    """Error of `emd_cells` (`squared`: `emd_sq_cells`) on random pairs of a cloud of `a` and another one of `b`.

    pairs: how many, capped at the number available; each takes about 0.4 s on one core for 2,048 points. Equal clouds
    are skipped, so a set can be compared with itself. The correlation is NaN for fewer than 3 pairs.
    """
    exact_of, rng = (emd_sq if squared else emd), np.random.default_rng(seed)
    chosen = [divmod(int(k), len(b)) for k in rng.permutation(len(a) * len(b))]
    chosen = [(i, j) for i, j in chosen if not np.array_equal(a[i], b[j])][:pairs]
    if not chosen:
        raise ValueError("the sets have no pair of different clouds to measure the error on")
    with ThreadPoolExecutor(max(1, workers)) as pool:
        exact = np.array(list(pool.map(lambda pair: exact_of(a[pair[0]], b[pair[1]]), chosen)))
    near = np.array([_matched(a.centroids[i], b.centroids[j], squared) for i, j in chosen])
    errors = near / exact - 1
    correlation = float(np.corrcoef(near, exact)[0, 1]) if len(chosen) > 2 else float("nan")
    return ApproximationError(
        len(chosen), float(errors.mean()), float(errors.std()), float(np.abs(errors).max()), correlation
    )


def _approximate(a: Cloud, b: Cloud, squared: bool) -> float:
    a, b = checked(a), checked(b)
    check_counts(len(a), len(b))
    return _matched(cell_centroids(a), cell_centroids(b), squared)


def _matched(a: Matrix, b: Matrix, squared: bool) -> float:
    """Mean cost of the optimal matching of the centroids (cells, 3) of both clouds."""
    costs = pair_costs(a, b, squared)
    return float(costs[linear_sum_assignment(costs)].mean())
