"""LAS and LAZ, the files of laser scans, by laspy."""

import struct
from pathlib import Path

import numpy as np

from runtime.reading import MOST_ARRAY, check_unpacked, require_file

PART = 1_000_000  # points at a time
LAST_WITHOUT_MORE = 2  # of LAS 1: from the next on, waveforms and records may follow the points
LEAST_HEADER = 227  # bytes, of LAS 1.2
RECORD, LONG_RECORD = 54, 60  # bytes of the header of a variable length record, and of an extended one


def read(path: Path) -> np.ndarray:
    """The points (N, 3) float64, in the units of the file. Raises ValueError for a file that is not whole."""
    import laspy

    size = require_file(path)
    _check_announced(path, size)
    with laspy.open(path) as file:
        header = file.header
        count, width = int(header.point_count), int(header.point_format.size)
        if path.suffix.lower() == ".laz" or header.are_points_compressed:
            check_unpacked(count * width, size)
        elif int(header.offset_to_point_data) + count * width > size:
            raise ValueError(f"truncated: {count} points of {width} bytes announced, the file has {size} bytes")
        elif header.version.minor <= LAST_WITHOUT_MORE and (left := size - header.offset_to_point_data - count * width):
            _check_left(path, left, width, count)
        if count * 24 > MOST_ARRAY:
            raise ValueError(f"{count:,} points, at most {MOST_ARRAY // 24:,} expected")
        parts = [np.stack([part.x, part.y, part.z], axis=1).astype(np.float64) for part in file.chunk_iterator(PART)]
    points = np.concatenate(parts) if parts else np.zeros((0, 3))
    if len(points) != count:
        raise ValueError(f"truncated: {count} points announced, {len(points)} follow")
    return points


def _check_left(path: Path, left: int, width: int, count: int) -> None:
    """Raise ValueError if the last `left` bytes of a file are more points than its header says."""
    with open(path, "rb") as file:
        file.seek(-left, 2)
        if left >= width and file.read(width).strip(b"\0"):
            raise ValueError(f"damaged: {count} points of {width} bytes announced, {left} bytes follow them")


def _check_announced(path: Path, size: int) -> None:
    """Raise ValueError for a header that announces more records than fit: each would be looked for."""
    with open(path, "rb") as file:
        head = file.read(375)
    if len(head) < LEAST_HEADER or head[:4] != b"LASF":
        raise ValueError("no LAS file, or truncated")
    offset, records = struct.unpack_from("<II", head, 96)
    extended = struct.unpack_from("<I", head, 243)[0] if head[25] >= 4 and len(head) >= 247 else 0
    if offset > size or records * RECORD > size or extended * LONG_RECORD > size:
        raise ValueError(f"damaged: {records} and {extended} records announced in {size} bytes")
