"""Points and meshes as few bytes: 16 bits for a coordinate, 8 for each of two numbers of a normal.

js/data.js and js/shaders.js undo it.
"""

import base64
import gzip
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

STEPS = 65535  # of a coordinate along the longest side: mesh units of a shape are kept to 1.5e-5
BYTE = 255


class Frame(NamedTuple):
    """The cube in which coordinates are counted: its lowest corner (3,), and its side; mesh units."""

    low: NDArray[np.float64]
    side: float


def frame_of(points: Array) -> Frame:
    """The smallest frame at the lowest corner of points (N, 3) that holds them."""
    low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
    return Frame(low, max(float((high - low).max()), 1e-9))


def packed(points: Array, normals: Array, frame: Frame) -> NDArray[np.uint16]:
    """(N, 4) little-endian: x, y, z as counts of 1/65535 of the frame, and both bytes of `octahedral`, first one high.

    points (N, 3) in mesh units, inside the frame; normals (N, 3), unit length.
    """
    counts = np.rint((points - frame.low) / frame.side * STEPS).clip(0, STEPS)
    first, second = octahedral(normals).T
    return np.column_stack([counts, first * 256 + second]).astype("<u2")


def octahedral(normals: Array) -> NDArray[np.int64]:
    """Unit vectors (N, 3) as two bytes (N, 2) each: the octahedron around the sphere, unfolded to a square.

    The lower half is folded over the upper one's corners. Meyer et al. 2010; Cigolle et al. 2014, sec. 3. Off by at
    most 0.95 degrees.
    """
    flat = normals / np.abs(normals).sum(1, keepdims=True).clip(1e-9)
    folded = (1 - np.abs(flat[:, 1::-1])) * np.where(flat[:, :2] < 0, -1, 1)
    square = np.where(flat[:, 2:] < 0, folded, flat[:, :2])
    return np.rint((square + 1) / 2 * BYTE).astype(np.int64)


def as_bytes(values: NDArray[np.floating], most: float) -> NDArray[np.uint8]:
    """Numbers of 0 to `most` as 0 to 255; larger ones are 255."""
    return np.rint(np.clip(values / max(most, 1e-12), 0, 1) * BYTE).astype(np.uint8)


def as_text(*arrays: NDArray[np.generic]) -> str:
    """The bytes of arrays one after the other, compressed, in base64: it holds no character that means markup."""
    raw = b"".join(array.tobytes() for array in arrays)
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")
