"""A matrix saved to disk while it is filled, so that an interrupted run can resume."""

import hashlib
import time
from pathlib import Path

import numpy as np

from evaluation.metrics.clouds import CloudSet, Matrix
from runtime.files import write_npz
from runtime.reading import DamagedFile, open_npz

SECONDS_BETWEEN_SAVES = 20.0
VERSION = 2  # increase it when the values of a metric change


def content_key(metric: str, a: CloudSet, b: CloudSet | None, precision: str) -> str:
    """SHA-256 of everything the values depend on: points of both sets, metric, precision and `VERSION`."""
    digest = hashlib.sha256(f"{VERSION} {metric} {precision} {'own' if b is None else 'two'}".encode())
    for clouds in (a,) if b is None else (a, b):
        digest.update(f" {len(clouds)} {clouds.counts.tolist()} ".encode())
        for cloud in clouds.clouds:
            digest.update(np.ascontiguousarray(cloud).data)
    return digest.hexdigest()


class MatrixCache:
    """`matrix` (R, C) float64: the values stored at `path` under `key`, NaN elsewhere.

    A file that is damaged, or has another key or shape, is ignored and overwritten. Without a path nothing is saved.
    """

    def __init__(self, path: Path | None, key: str, shape: tuple[int, int]):
        self.path, self.key = path, key
        self.matrix = np.full(shape, np.nan) if path is None else _read(path, key, shape)
        self.saved_at, self.unsaved = time.monotonic(), False

    def put(self, row: int, columns: slice, values: Matrix) -> None:
        """Store finished values; written to disk from time to time, see `save`."""
        self.matrix[row, columns] = values
        self.changed()

    def changed(self) -> None:
        """The matrix has further values, stored by somebody else."""
        self.unsaved = True
        if time.monotonic() - self.saved_at >= SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Write the finished values under a temporary name, then rename."""
        if self.path is not None and self.unsaved:
            write_npz(self.path, matrix=self.matrix, key=np.array(self.key))
        self.saved_at, self.unsaved = time.monotonic(), False


def _read(path: Path, key: str, shape: tuple[int, int]) -> Matrix:
    try:
        with open_npz(path) as file:
            matrix = file["matrix"]
            if str(file["key"]) == key and matrix.shape == shape and matrix.dtype == np.float64:
                return matrix
    except DamagedFile:
        pass  # no file, or not one of ours: recomputed
    return np.full(shape, np.nan)
