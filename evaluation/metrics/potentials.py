"""Prices that speed up exact assignment: entropic transport, first between coarse cells, then between nearby points.

An assignment that is optimal for costs C is also optimal for C minus a price per column, since every full assignment
pays each price once. With near-optimal prices the cheapest column of almost every row is the one it gets, and each
search of the solver is short. Any prices are valid, so a poor estimate costs time, never exactness.

Overrelaxed Sinkhorn iterations (Cuturi 2013) at decreasing temperatures, from coarse to fine and on likely pairs
only (after Schmitzer 2019, "Stabilized sparse scaling algorithms for entropy regularized transport problems").
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from evaluation.metrics.cells import centroids, kd_cells

Array = NDArray[np.floating]
Cost = Callable[[Array, Array], Array]

# Temperatures in units of the mean cost of a matched pair, rounds at each, and overrelaxation: tuned on pairs of cars.
COARSE_TEMPERATURES, COARSE_ROUNDS = (8.0, 2.0, 0.5, 0.25), 10
COARSE_CELLS = 256
DENSE_TEMPERATURE = 0.3
SPARSE_TEMPERATURES, SPARSE_ROUNDS = (0.3, 0.1, 0.03, 0.01), 70
RELAXATION = 1.7
SMALL_TEMPERATURES, SMALL_ROUNDS, SMALL_RELAXATION = (1.0, 0.3, 0.1, 0.04), 12, 1.85
KEPT = 2.5  # pairs with a reduced cost above this many mean costs are dropped
TINY = 1e-30  # avoids division by zero
# Below -87 an exponential is subnormal in float32: with these, products take ten times as long on Intel's processors.
LEAST_EXPONENT = np.float32(-50)


def column_prices(a: Array, b: Array, costs: Array, cost: Cost) -> Array:
    """Near-optimal prices of the columns of `costs` (N, N) = cost(a, b), of points a and b (N, 3) each.

    Returns (N,) float64, all 0 if the estimate failed (equal clouds, extreme scales): still exact, only slower.
    """
    with np.errstate(all="ignore"):
        f, g, mean_cost = _coarse(a, b, cost)
        f, g, pairs = _dense(costs, f, g, mean_cost)
        f, g = _sparse(costs, f, g, mean_cost, pairs)
        rows = (costs - g).min(axis=1)
        prices = (costs - rows[:, None]).min(axis=0)
    return prices if np.isfinite(prices).all() else np.zeros(len(prices))


def small_prices(costs: Array) -> Array:
    """`column_prices` for up to about 1,000 points, from the costs alone: there all pairs at once cost least."""
    near = costs.astype(np.float32)
    f = near.min(axis=1)
    mean_cost = (f.mean() + near.min(axis=0).mean()) / 2
    g = (near - f[:, None]).min(axis=0)
    with np.errstate(all="ignore"):
        for factor in SMALL_TEMPERATURES:
            temperature = np.float32(factor * mean_cost)
            kernel = g - near
            kernel += f[:, None]
            kernel /= temperature
            np.exp(np.maximum(kernel, LEAST_EXPONENT, out=kernel), out=kernel)
            u, v = _sinkhorn(kernel, kernel.T, SMALL_ROUNDS, SMALL_RELAXATION)
            f, g = f + temperature * np.log(u), g + temperature * np.log(v)
        prices = (near - (near - g).min(axis=1)[:, None]).min(axis=0)
    return prices if np.isfinite(prices).all() else np.zeros(len(prices))


def _coarse(a: Array, b: Array, cost: Cost) -> tuple[Array, Array, float]:
    """Prices of the cells of both clouds, assigned to their points, (N,) each, and the mean cost of a matched pair."""
    count = min(COARSE_CELLS, len(a))
    cells_a, cells_b = kd_cells(a, count), kd_cells(b, count)
    costs = cost(centroids(a, cells_a), centroids(b, cells_b))
    mean_cost = (costs.min(0).mean() + costs.min(1).mean()) / 2
    f, g = np.zeros(count), np.zeros(count)
    for factor in COARSE_TEMPERATURES:
        temperature = factor * mean_cost
        f = (costs - g).min(axis=1)  # keeps the exponents from over- and underflowing
        kernel = np.exp((f[:, None] + g - costs) / temperature)
        u, v = _sinkhorn(kernel, kernel.T, COARSE_ROUNDS, 1.0)
        f, g = f + temperature * np.log(u), g + temperature * np.log(v)
    plan = kernel * u[:, None] * v
    return _to_points(f, *cells_a), _to_points(g, *cells_b), float((plan * costs).sum() / plan.sum())


def _to_points(values: Array, order: NDArray[np.int64], starts: NDArray[np.int64]) -> Array:
    points = np.empty(len(order))
    points[order] = np.repeat(values, np.diff(starts, append=len(order)))
    return points


def _dense(costs: Array, f: Array, g: Array, mean_cost: float) -> tuple[Array, Array, NDArray[np.int64]]:
    """Two rounds over all pairs in single precision: prices, and the pairs (flat indices) worth keeping."""
    temperature = DENSE_TEMPERATURE * mean_cost
    kernel = costs.astype(np.float32)
    kernel -= f.astype(np.float32)[:, None]
    kernel -= g.astype(np.float32)
    kernel *= np.float32(-1 / temperature)
    np.exp(np.maximum(kernel, LEAST_EXPONENT, out=kernel), out=kernel)
    u, v = _sinkhorn(kernel, kernel.T, 2, 1.0)
    kernel *= v
    kernel *= u[:, None]
    pairs = np.flatnonzero(kernel.ravel() > np.exp(-KEPT / DENSE_TEMPERATURE))
    return f + temperature * np.log(u), g + temperature * np.log(v), pairs


def _sparse(costs: Array, f: Array, g: Array, mean_cost: float, pairs: NDArray[np.int64]) -> tuple[Array, Array]:
    """Prices at a low temperature, from the given pairs only."""
    size = len(costs)
    rows, columns = np.divmod(pairs, size)
    pointers = np.searchsorted(rows, np.arange(size + 1))
    if np.diff(pointers).min() < 1:
        return f, g
    near = costs.ravel()[pairs]
    turned = csr_matrix((np.arange(len(pairs)), columns, pointers), shape=costs.shape).T.tocsr()
    for factor in SPARSE_TEMPERATURES:
        temperature = factor * mean_cost
        exponents = (f[rows] + g[columns] - near) / temperature
        highest = np.maximum.reduceat(exponents, pointers[:-1])
        f = f - temperature * highest
        values = np.exp(exponents - highest[rows])
        kernel = csr_matrix((values, columns, pointers), shape=costs.shape)
        transposed = csr_matrix((values[turned.data], turned.indices, turned.indptr), shape=costs.shape)
        u, v = _sinkhorn(kernel, transposed, SPARSE_ROUNDS, RELAXATION)
        f, g = f + temperature * np.log(u), g + temperature * np.log(v)
    return f, g


def _sinkhorn(kernel: Array, transposed: Array, rounds: int, relaxation: float) -> tuple[Array, Array]:
    """Factors u, v (N,) that make rows and columns of u kernel v sum to about 1; overrelaxed after four rounds."""
    u: Array = np.ones(kernel.shape[0], kernel.dtype)
    v = u
    for number in range(rounds):
        power = relaxation if number > 3 else 1.0
        v = v * (v * (transposed @ u) + TINY) ** -power
        u = u * (u * (kernel @ v) + TINY) ** -power
    return u, v
