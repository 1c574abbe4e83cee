"""The nearest cloud of another set, exactly: lower bounds for all pairs, then only the pairs that could be nearest."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.metrics.chamfer import mean_back, mean_forth
from evaluation.metrics.clouds import CloudSet, Matrix
from evaluation.metrics.distance_bounds import grid_over, weights_on
from evaluation.metrics.matrix_cache import MatrixCache, content_key

POINTS_A_NODE = 32  # searches that a node replaces: more nodes take longer than the pairs that they rule out
MOST_NUMBERS = 1 << 23  # of squared distances at nodes: 64 MB
AT_A_TIME = 32  # clouds whose weights are made
ROUNDING = 1e-9  # of a bound, by which it may be too high


def nearest_in_set(
    a: CloudSet, b: CloudSet, workers: int = 1, description: str | None = None, cache: Path | None = None
) -> tuple[Matrix, NDArray[np.int64]]:
    """The smallest `chamfer_l2_sq` of each cloud of `a` to the clouds of `b`: values (A,) and which (A,), the first of
    equals.

    Exact, as if all pairs were compared. Of 100 cars against 2,000, of 2,048 points each, 5 % of the pairs are, most
    of these in one direction alone.
    workers: threads; the values do not depend on it. description: shows a progress bar of that name. cache: an .npz
    file that serves later calls with the same points; any other content is overwritten.
    """
    key = "" if cache is None else content_key("nearest", a, b, "float64")
    kept = MatrixCache(cache, key, (len(a), 2))
    if np.isnan(kept.matrix).any():
        found = _find_nearest(a, b, workers, description)
        for i, pair in enumerate(found):
            kept.put(i, slice(0, 2), np.array(pair))
        kept.save()
    return kept.matrix[:, 0], kept.matrix[:, 1].astype(np.int64)


def _find_nearest(a: CloudSet, b: CloudSet, workers: int, description: str | None) -> list[tuple[float, int]]:
    for clouds in (a, b):
        clouds.prepare("points")
    hidden = True if description is None else None
    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        tqdm(total=2 * len(a) + len(b), desc=description, unit="cloud", disable=hidden) as bar,
    ):
        back = bounds_back(a, b, pool, bar)
        forth = bounds_forth(a, b, pool, bar)
        found = []
        for pair in pool.map(lambda i: _nearest(a, b, i, forth[i], back[i]), range(len(a))):
            found.append(pair)
            bar.update()
    return found


def _nearest(a: CloudSet, b: CloudSet, i: int, forth: Matrix, back: Matrix) -> tuple[float, int]:
    """The nearest of `b` to cloud i of `a`, and its number; forth, back (B,): bounds of both directions."""
    bounds, least = forth + back, (np.inf, len(b))
    for j in bounds.argsort(kind="stable").tolist():
        if bounds[j] > least[0]:
            break
        value = mean_forth(a, b, i, j)  # first, since its bounds are of a coarser grid
        if value + back[j] <= least[0]:
            least = min(least, (float(value + mean_back(a, b, i, slice(j, j + 1))[0]), j))
    return least


def bounds_back(
    a: CloudSet, b: CloudSet, pool: ThreadPoolExecutor, bar: tqdm, points_a_node: int = POINTS_A_NODE
) -> Matrix:
    """(A, B): of the mean squared distance from the points of cloud j of `b` to cloud i of `a`."""
    grid = grid_over(a.points, min(len(b.points) // points_a_node, MOST_NUMBERS // len(a)))
    nodes = grid.nodes()
    squared = np.empty((grid.size, len(a)))

    def search(i: int) -> None:
        squared[:, i] = np.square(a.trees[i].query(nodes)[0])
        bar.update()

    list(pool.map(search, range(len(a))))

    def bounds(start: int) -> Matrix:
        part = slice(start, min(start + AT_A_TIME, len(b)))
        points = b.points[b.starts[part.start] : b.starts[part.stop]]
        return weights_on(grid, points, b.counts[part]).bounds(squared)

    return _safe(np.concatenate(list(pool.map(bounds, range(0, len(b), AT_A_TIME)))).T)


def bounds_forth(
    a: CloudSet, b: CloudSet, pool: ThreadPoolExecutor, bar: tqdm, points_a_node: int = POINTS_A_NODE
) -> Matrix:
    """(A, B): of the mean squared distance from the points of cloud i of `a` to cloud j of `b`."""
    grid = grid_over(a.points, len(a.points) // points_a_node)
    weights = weights_on(grid, a.points, a.counts)
    used = np.unique(weights.nodes.indices)
    nodes, weights = grid.nodes()[used], weights._replace(nodes=weights.nodes[:, used])

    def bounds(j: int) -> Matrix:
        found = weights.bounds(np.square(b.trees[j].query(nodes)[0])[:, None])
        bar.update()
        return found

    return _safe(np.concatenate(list(pool.map(bounds, range(len(b)))), axis=1))


def _safe(bounds: Matrix) -> Matrix:
    """Lowered by what rounding may have added, and at least 0, in the order in which rows are read."""
    scale = ROUNDING * np.abs(bounds).max()
    return np.ascontiguousarray(np.maximum(bounds - scale, 0))
