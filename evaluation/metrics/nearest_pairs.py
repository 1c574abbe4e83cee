"""Matrices of CD for measures that read nothing but the smallest of each row and column: MMD, COV, 1-NNA.

Lower bounds for all pairs (`distance_bounds.py`) rule out most of them. What is ruled out keeps its bound in the
matrix, which is larger than the smallest of its row and of its column: those, and where they are, are exact.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.metrics.chamfer import mean_back, mean_forth
from evaluation.metrics.clouds import CloudSet, Matrix
from evaluation.metrics.matrix_cache import MatrixCache, content_key
from evaluation.metrics.nearest import bounds_back, bounds_forth
from evaluation.metrics.pairs import pairwise

if TYPE_CHECKING:
    import torch

POINTS_A_NODE = 8  # finer than for one direction: of 40 + 40 cars a fifth of the pairs is compared
Line = tuple[NDArray[np.int64], NDArray[np.int64]]  # pairs: their rows and their columns


def pairwise_nearest(
    a: CloudSet,
    b: CloudSet | None = None,
    workers: int = 1,
    cache: Path | None = None,
    description: str | None = None,
    device: "torch.device | None" = None,
) -> Matrix:
    """`pairwise` of "cd", (A, B) float64, whose entries are exact where they are the smallest of their row or column,
    and else at most the distance, and larger than these.

    Without `b`: of `a` with itself, the diagonal 0, which is left out of what is smallest. workers: threads; the
    smallest do not depend on it. cache: as of `pairwise`. description: shows a progress bar of that name. On a GPU,
    `device`, all pairs are computed.
    """
    if device is not None and device.type != "cpu":
        return pairwise("cd", a, b, workers, cache, description, device)
    other = a if b is None else b
    key = content_key("cd of nearest pairs", a, b, "float64") if cache is not None else ""
    kept = MatrixCache(cache, key, (len(a), len(other)))
    if not np.isnan(kept.matrix).any():
        return kept.matrix
    for clouds in (a, other):
        clouds.prepare("points")
    hidden = True if description is None else None
    steps = 2 * len(a) if b is None else 2 * (len(a) + len(b))
    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        tqdm(total=steps, desc=description, unit="cloud", disable=hidden) as bar,
    ):
        back = bounds_back(a, other, pool, bar, POINTS_A_NODE)
        forth = back.T if b is None else bounds_forth(a, other, pool, bar, POINTS_A_NODE)
        pairs = Pairs(a, b, back, forth, kept.matrix)
        try:
            for _ in pool.map(pairs.settle, pairs.lines()):
                bar.update()
                kept.changed()
        finally:
            kept.save()
    pairs.finish()
    kept.changed()
    kept.save()
    return kept.matrix


class Pairs:
    """The distances of pairs, computed until no other can be the smallest of its row or column."""

    def __init__(self, a: CloudSet, b: CloudSet | None, back: Matrix, forth: Matrix, matrix: Matrix):
        """back, forth: bounds (A, B) of both directions; matrix: the distances, NaN where they are not known."""
        self.a, self.b, self.own = a, a if b is None else b, b is None
        self.back, self.matrix, self.bounds = back, matrix, back + forth
        self.forth = np.full(matrix.shape, np.nan)  # of that direction what is known
        if self.own:
            np.fill_diagonal(matrix, np.inf)

    def lines(self) -> Iterator[Line]:
        """The pairs of each row, and of each column where that is not the row again."""
        rows, columns = np.indices(self.matrix.shape)
        yield from zip(rows, columns, strict=True)
        if not self.own:
            yield from zip(rows.T, columns.T, strict=True)

    def settle(self, line: Line) -> None:
        """Compute the distances of a line, the least bound first, until no other can be as small as the smallest."""
        known, bounds = self.matrix[line], self.bounds[line]
        least = float(np.nanmin(known, initial=np.inf))
        for n in bounds.argsort(kind="stable"):
            if bounds[n] > least:
                return
            if np.isnan(known[n]):
                least = min(least, self.distance(int(line[0][n]), int(line[1][n]), least))

    def distance(self, i: int, j: int, least: float) -> float:
        """The distance of a pair, or, if it is larger than `least`, a better bound; both are kept.

        Of two threads that ask at once both find the same.
        """
        if self.own and i > j:  # as `pairwise` has it
            i, j = j, i
        if np.isnan(self.forth[i, j]):
            self.forth[i, j] = mean_forth(self.a, self.b, i, j)
        value = float(self.forth[i, j])
        if value + self.back[i, j] > least:
            self._keep(self.bounds, i, j, max(float(self.bounds[i, j]), value + float(self.back[i, j])))
            return np.inf
        value += float(mean_back(self.a, self.b, i, slice(j, j + 1))[0])
        self._keep(self.matrix, i, j, value)
        return value

    def _keep(self, values: Matrix, i: int, j: int, value: float) -> None:
        values[i, j] = value
        if self.own:
            values[j, i] = value

    def finish(self) -> None:
        """Bounds where nothing was computed."""
        unknown = np.isnan(self.matrix)
        self.matrix[unknown] = self.bounds[unknown]
        if self.own:
            np.fill_diagonal(self.matrix, 0)
