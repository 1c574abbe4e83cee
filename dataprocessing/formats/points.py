"""Points without faces: arrays of numpy, and lines of numbers."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from runtime.reading import open_npz, read_npy, require_file

KEYS = ("point_cloud", "points")  # tried first in a file of several arrays
MOST_TEXT = 2**29  # bytes of a text file
SEPARATORS = {",": ",", ";": ";"}  # else white space


def choose_array(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The key of the array that holds points, by its name, or else the first (N, 3) or (S, N, 3). Raises ValueError.

    shapes: of each key.
    """
    for key in KEYS:
        if key in shapes:
            return key
    for key, shape in shapes.items():
        if len(shape) in (2, 3) and shape[-1] == 3:
            return key
    found = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
    raise ValueError(f"no array {' or '.join(KEYS)}, and no other one of points, among {found or 'none'}")


def read_arrays(path: Path) -> np.ndarray:
    """The points of an .npz or .npy file, as they are in it: unchecked, of any type."""
    if path.suffix.lower() == ".npy":
        points = read_npy(path)
    else:
        with open_npz(path) as arrays:
            points = arrays[choose_array({key: arrays.shape(key) for key in arrays})]
    return points[0] if points.ndim == 3 and len(points) == 1 else points


def read_lines(path: Path) -> np.ndarray:
    """The first three numbers of each line, (N, 3) float64; separated by white space, commas or semicolons.

    What follows `#` or `//` is a comment. A first line of one number alone is the count of the others. Raises
    ValueError for a line with fewer numbers, for other words, and another count.
    """
    if require_file(path) > MOST_TEXT:
        raise ValueError(f"more than {MOST_TEXT / 1e9:.1f} GB of text; save the points as .npy or .ply")
    with open(path, encoding="utf-8-sig") as file:
        first = file.readline(10_000)
        count = int(first) if first.strip().isdecimal() else None
        if count is None:
            file.seek(0)
        separator = next((mark for mark in SEPARATORS if mark in first.partition("#")[0]), None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without numbers, which has 0 points
            try:
                rows = np.loadtxt(
                    file, dtype=np.float64, usecols=(0, 1, 2), ndmin=2, delimiter=separator, comments=("#", "//")
                )
            except ValueError as error:
                raise ValueError(f"lines of three numbers expected ({error})") from error
    if count is not None and count != len(rows):
        raise ValueError(f"truncated or damaged: {count} points are announced, {len(rows)} follow")
    return rows
