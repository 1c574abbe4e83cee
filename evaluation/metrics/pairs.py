"""Distances between all pairs of two sets of clouds: on all cores or a GPU, in bounded memory, resumable."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from evaluation.metrics.cell_emd import emd_cells_block, emd_sq_cells_block
from evaluation.metrics.chamfer import chamfer_block
from evaluation.metrics.clouds import Cloud, CloudSet, Matrix
from evaluation.metrics.exact_emd import check_counts, emd_block, emd_sq_block
from evaluation.metrics.matrix_cache import MatrixCache, content_key
from runtime.memory import PartSize

if TYPE_CHECKING:
    import torch

Block = Callable[[CloudSet, CloudSet, int, slice], Matrix]


class Metric(NamedTuple):
    """How a matrix of a metric is computed."""

    block: Block  # values of one cloud against several
    needs: str  # the property of a CloudSet that it uses
    block_size: int  # pairs at a time: about a second of work
    one_to_one: bool  # all clouds must have the same number of points


METRICS = {
    "cd": Metric(chamfer_block, "points", 64, False),  # chamfer_l2_sq
    "emd": Metric(emd_block, "clouds", 4, True),
    "emd_sq": Metric(emd_sq_block, "clouds", 4, True),
    "emd_cells": Metric(emd_cells_block, "centroids", 64, True),
    "emd_sq_cells": Metric(emd_sq_cells_block, "centroids", 64, True),
}


def pairwise(
    metric: str,
    a: CloudSet | Sequence[Cloud],
    b: CloudSet | Sequence[Cloud] | None = None,
    workers: int = 1,
    cache: Path | str | None = None,
    description: str | None = None,
    device: "torch.device | str | None" = None,
    block_size: int | None = None,
) -> Matrix:
    """A metric of every cloud of `a` with every cloud of `b` (default: `a` itself). Returns (A, B) float64.

    metric: a key of METRICS: "cd" is `chamfer_l2_sq`, the others are functions of the same name; units are theirs.
    Without `b` each pair is computed once, the matrix is symmetric and its diagonal 0.
    workers: threads. cache: an .npz file that stores finished values as the matrix fills, and serves later calls with
    the same points and metric; any other content is overwritten. description: shows a progress bar of that name.
    device: on a GPU, "cd" is computed there in single precision; otherwise `workers` threads are used. block_size:
    pairs at a time. Neither workers nor block_size affects the values. Memory: the clouds, the matrix, and for exact
    EMD about 130 MB per worker (2,048 points).
    Raises ValueError for an unknown metric and, for EMD, for clouds of different counts.
    """
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} found, one of {', '.join(METRICS)} expected")
    a = a if isinstance(a, CloudSet) else CloudSet(a)
    b = b if b is None or isinstance(b, CloudSet) else CloudSet(b)
    columns = a if b is None else b
    if METRICS[metric].one_to_one:
        different = np.concatenate([a.counts, columns.counts])
        check_counts(int(different.min()), int(different.max()))
    gpu = None if device is None or metric != "cd" or str(device).startswith("cpu") else device
    key = content_key(metric, a, b, "float64" if gpu is None else "float32") if cache is not None else ""
    kept = MatrixCache(None if cache is None else Path(cache), key, (len(a), len(columns)))
    if b is None:
        np.fill_diagonal(kept.matrix, 0)
    waiting = list(_blocks(kept.matrix, block_size or METRICS[metric].block_size, upper=b is None))
    if waiting:
        compute = _cpu_block(METRICS[metric], a, columns) if gpu is None else _gpu_block(a, columns, gpu)
        _fill(kept, waiting, _in_parts(compute), workers if gpu is None else 1, description)
    if b is None:
        above = np.triu(kept.matrix, 1)
        return above + above.T
    return kept.matrix


def pairwise_chamfer(
    a: CloudSet, b: CloudSet | None = None, workers: int = 1, description: str | None = None
) -> Matrix:
    """`pairwise` of "cd"."""
    return pairwise("cd", a, b, workers, description=description)


def _blocks(matrix: Matrix, size: int, upper: bool) -> Iterator[tuple[int, slice]]:
    """Rows and ranges of at most `size` unfinished columns; only above the diagonal if `upper`."""
    for i, row in enumerate(matrix):
        missing = np.flatnonzero(np.isnan(row))
        if upper:
            missing = missing[missing > i]
        runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1)
        for run in runs:
            for k in range(0, len(run), size):
                part = run[k : k + size]
                yield i, slice(int(part[0]), int(part[-1]) + 1)


def _cpu_block(metric: Metric, a: CloudSet, b: CloudSet) -> Callable[[int, slice], Matrix]:
    for clouds in (a, b):
        clouds.prepare(metric.needs)
    return lambda i, columns: metric.block(a, b, i, columns)


def _gpu_block(a: CloudSet, b: CloudSet, device: "torch.device | str") -> Callable[[int, slice], Matrix]:
    from evaluation.metrics.torch_chamfer import TorchChamfer

    return TorchChamfer(a, b, device).block


def _in_parts(compute: Callable[[int, slice], Matrix]) -> Callable[[int, slice], Matrix]:
    """`compute`, for fewer columns at a time where memory does not suffice."""
    size = PartSize("pairs of clouds")

    def compute_parts(i: int, columns: slice) -> Matrix:
        parts = size.map(
            lambda start, end: compute(i, slice(columns.start + start, columns.start + end)),
            columns.stop - columns.start,
        )
        return np.concatenate(parts)

    return compute_parts


def _fill(
    kept: MatrixCache,
    waiting: list[tuple[int, slice]],
    compute: Callable[[int, slice], Matrix],
    workers: int,
    description: str | None,
) -> None:
    """Compute the blocks `waiting` on threads: the slow parts of all metrics release the GIL."""
    total = sum(columns.stop - columns.start for _, columns in waiting)
    hidden = True if description is None else None
    try:
        with tqdm(total=total, desc=description, unit="pair", unit_scale=total > 9999, disable=hidden) as bar:
            for (i, columns), values in _finished(waiting, compute, workers):
                kept.put(i, columns, values)
                bar.update(len(values))
    finally:
        kept.save()


def _finished(
    waiting: list[tuple[int, slice]], compute: Callable[[int, slice], Matrix], workers: int
) -> Iterator[tuple[tuple[int, slice], Matrix]]:
    """Each block with its values, in order of completion; the first exception ends it."""
    if workers <= 1:
        yield from ((block, compute(*block)) for block in waiting)
        return
    queue, running = iter(waiting), {}
    with ThreadPoolExecutor(workers) as pool:

        def start() -> None:
            for block in queue:
                running[pool.submit(compute, *block)] = block
                return

        for _ in range(2 * workers):  # few at a time, so that an interrupted run stops quickly
            start()
        while running:
            done: set[Future] = wait(running, return_when=FIRST_COMPLETED).done
            for future in sorted(done, key=lambda one: one.exception() is not None):  # what is finished is kept first
                start()
                yield running.pop(future), future.result()
