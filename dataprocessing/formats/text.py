"""Numbers of text files, read at once."""

import warnings

import numpy as np


def numbers(rows: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of the rows, (T,) float64, and how many each row has, (len(rows),). Raises ValueError."""
    counts = np.fromiter((len(row.split()) for row in rows), dtype=np.int64, count=len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that it stopped at a wrong word
        try:
            flat = np.fromstring(b"\n".join(rows).decode("ascii"), sep=" ") if rows else np.zeros(0)
        except (DeprecationWarning, ValueError) as error:
            raise ValueError("not a mesh, or damaged: words where numbers are expected") from error
    if len(flat) != counts.sum():
        raise ValueError("not a mesh, or damaged: words where numbers are expected")
    return flat, counts


def whole(values: np.ndarray, what: str) -> np.ndarray:
    """Numbers as int64. Raises ValueError where one is no whole number that a file could mean."""
    good = (np.abs(values) < 2**53) & (values == np.floor(values))
    if not good.all():
        raise ValueError(f"damaged: {what} is {values[~good][0]:g}")
    return values.astype(np.int64)


def vertex_rows(rows: list[bytes]) -> np.ndarray:
    """The first three numbers of each row, (V, 3). Raises ValueError."""
    flat, counts = numbers(rows)
    if len(rows) == 0:
        return np.zeros((0, 3))
    if counts.min() < 3:
        raise ValueError(f"truncated or damaged: vertex {int(np.argmin(counts)) + 1} has fewer than three coordinates")
    starts = np.cumsum(counts) - counts
    return flat[starts[:, None] + np.arange(3)]
