"""Ridge regression of many targets at once: what can be read from features, linearly or with products of them.

Ridge regression does not change when the features are rotated, so it works on their principal coordinates: one
decomposition serves all targets and all strengths, and the error of leaving out each row has a closed form.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Array = NDArray[np.float64]
Features: TypeAlias = "NDArray[np.floating] | csr_matrix"  # (n, D)

STRENGTHS = np.geomspace(1e-6, 1e4, 31)  # of the penalty, relative to the mean squared norm of a coordinate
NEGLIGIBLE = 1e-10  # directions of less variance, relative to the largest, are rounding errors
COLUMNS_AT_A_TIME = 8192  # of wide features, so that they need not all be in memory as floats
LEADING = 32  # directions whose products are read
FLOOR = 0.1  # of their standard deviations when they are whitened, relative to all: as the flow's whitening


class Reading(NamedTuple):
    """What a regression reads. left_out: of each training row, see `Ridge` (n, t); others: of others, (m, t) each."""

    left_out: Array
    others: list[Array]


def principal_coordinates(train: Features, *others: Features) -> list[Array]:
    """Coordinates on the principal directions of the training rows, of these (n, K) and of other rows (m, K).

    Those of the training rows have mean 0 and orthogonal columns, largest first; K <= min(n - 1, D), 0 if all rows are
    the same. Features (n, D), dense or sparse, may be wider than long: the cost grows with the cube of the smaller
    side.
    """
    if train.shape[1] >= train.shape[0]:
        return _by_inner_products((train, *others))
    dense = [_dense(rows).astype(np.float64) for rows in (train, *others)]
    mean = dense[0].mean(axis=0)
    _, singular, directions = np.linalg.svd(dense[0] - mean, full_matrices=False)
    kept = singular**2 > NEGLIGIBLE * np.max(singular**2, initial=0)
    return [(rows - mean) @ directions[kept].T for rows in dense]


def _by_inner_products(parts: Sequence[Features]) -> list[Array]:
    """The same from the inner products with the training rows, the first part: features are read in blocks."""
    lengths = [rows.shape[0] for rows in parts]
    if isinstance(parts[0], csr_matrix):
        used = np.unique(parts[0].indices)  # a column without entries in the training rows adds nothing
        parts = [rows[:, used] for rows in parts]
    products = np.zeros((sum(lengths), lengths[0]))
    for start in range(0, parts[0].shape[1], COLUMNS_AT_A_TIME):
        block = np.concatenate([_dense(rows[:, start : start + COLUMNS_AT_A_TIME]) for rows in parts])
        products += block @ block[: lengths[0]].T
    of_mean = products[: lengths[0]].mean(axis=0)  # inner products of the training rows with their mean
    products += of_mean.mean() - of_mean - products.mean(axis=1, keepdims=True)  # those of centred rows
    values, vectors = np.linalg.eigh(products[: lengths[0]])
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > NEGLIGIBLE * values[0]
    found = products @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.split(found, np.cumsum(lengths)[:-1])


def _dense(rows: Features) -> NDArray[np.floating]:
    """Float64; sparse rows as they are, since inner products of zeros and ones are exact in float32 too."""
    return rows.toarray() if isinstance(rows, csr_matrix) else np.asarray(rows, np.float64)


class Ridge:
    """Linear maps from coordinates (n, K), as `principal_coordinates` gives them, to targets (n, t), and an intercept.

    groups: (t,) numbers 0, 1, ...; targets of one group share the strength of their penalty, that of `STRENGTHS` with
    the least mean squared error of rows left out one by one. That error is residual / (1 - leverage), exactly, since
    the penalty is fixed (Hastie, Tibshirani and Friedman 2009, section 7.10.1).
    Attributes: strengths (t,) in squared units of the coordinates; left_out (n, t): each row by the slopes of the fit
    to the others, but from the means of all rows. Leaving a row out moves the mean of the targets away from it, so that
    readings of a target that is hardly read would run against it.
    """

    def __init__(self, coordinates: Array, targets: Array, groups: NDArray[np.integer]):
        self.mean = targets.mean(axis=0)
        centred, squared = targets - self.mean, coordinates**2
        norms = squared.sum(axis=0)  # (K,)
        projected = coordinates.T @ centred  # (K, t)
        strengths = STRENGTHS * (norms.mean() if len(norms) else 1.0)
        errors = []
        for strength in strengths:
            residual = centred - coordinates @ (projected / (norms + strength)[:, None])
            leverage = 1 / len(targets) + squared @ (1 / (norms + strength))
            errors.append(np.bincount(groups, np.mean((residual / (1 - leverage)[:, None]) ** 2, axis=0)))
        self.strengths = strengths[np.argmin(errors, axis=0)][groups]
        penalised = norms[:, None] + self.strengths  # (K, t)
        self.weights = projected / penalised
        leverage = 1 / len(targets) + squared @ (1 / penalised)  # (n, t)
        error = (centred - coordinates @ self.weights) / (1 - leverage)
        self.left_out = targets - (1 - 1 / len(targets)) * error  # the factor turns the others' means into all rows'

    def __call__(self, coordinates: Array) -> Array:
        """Coordinates (m, K) -> targets (m, t)."""
        return coordinates @ self.weights + self.mean


def linear_reading(coordinates: Sequence[Array], targets: Array, groups: NDArray[np.integer]) -> Reading:
    """Targets (n, t) read by ridge regression. coordinates: of the training rows (n, K), and of others (m, K)."""
    ridge = Ridge(coordinates[0], targets, groups)
    return Reading(ridge.left_out, [ridge(rows) for rows in coordinates[1:]])


def quadratic_reading(
    coordinates: Sequence[Array], targets: Array, groups: NDArray[np.integer], linear: Reading
) -> Reading:
    """A linear reading, and what squares and products of the leading directions add to it.

    They are fitted to what the linear reading misses of the rows left out, with strengths of their own: where nothing
    is gained, the linear reading remains.
    """
    terms = principal_coordinates(*quadratic_terms(coordinates))
    more = linear_reading(terms, targets - linear.left_out, groups)
    both = [one + other for one, other in zip(linear.others, more.others, strict=True)]
    return Reading(linear.left_out + more.left_out, both)


def quadratic_terms(coordinates: Sequence[Array]) -> list[Array]:
    """The leading coordinates, whitened, with their squares and products.

    Of the training rows (n, K), the first, and of others: (n, k + k (k + 1) / 2) with k = min(K, LEADING). The
    coordinates themselves are among them since a product may have a linear part, which the linear reading has taken.
    Directions in which the training rows hardly vary are not blown up, since others may vary more in them.
    """
    count = min(coordinates[0].shape[1], LEADING)
    variances = np.mean(coordinates[0] ** 2, axis=0)
    sd = np.sqrt(np.maximum(variances[:count], FLOOR**2 * variances.mean() if count else 0))
    whitened = [rows[:, :count] / sd for rows in coordinates]
    i, j = np.triu_indices(count)
    return [np.concatenate([rows, rows[:, i] * rows[:, j]], axis=1) for rows in whitened]
