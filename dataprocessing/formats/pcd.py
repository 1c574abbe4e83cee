"""PCD, the Point Cloud Library's files: text, binary and compressed.

Source: the format's description, https://pointclouds.org/documentation/tutorials/pcd_file_format.html, version 0.7.
"""

import io
import re
import struct
from pathlib import Path

import numpy as np

from runtime.reading import check_unpacked, read_bytes

MOST_BYTES = 2**30
MOST_PACKED = 2**26  # bytes that are unpacked here, a few million a second
LONGEST_HEADER = 2**16
KINDS = {("F", 4), ("F", 8), ("I", 1), ("I", 2), ("I", 4), ("I", 8), ("U", 1), ("U", 2), ("U", 4), ("U", 8)}


def read(path: Path) -> np.ndarray:
    """The points (N, 3) float64; those that are NaN, pixels of a depth camera that saw nothing, are left out.

    Raises ValueError for a file that is not whole.
    """
    data = read_bytes(path, MOST_BYTES)
    header, start = _header(data)
    kind, names = _row(header)
    count = _count(header)
    form = header.get("DATA", ["nothing"])[0].lower()
    body = memoryview(data)[start:]
    if form == "ascii":
        columns = _text_columns(data[start:], kind, count)
    elif form == "binary":
        columns = _columns(body, kind, count)
    elif form == "binary_compressed":
        columns = _packed_columns(body, kind, count)
    else:
        raise ValueError(f"PCD data {form}; ascii, binary or binary_compressed expected")
    points = np.stack([np.asarray(columns[names[axis]], dtype=np.float64) for axis in "xyz"], axis=1)
    return points[~np.isnan(points).any(axis=1)]


def _header(data: bytes) -> tuple[dict[str, list[str]], int]:
    """The words of each line of the header, by the first; and where the data start."""
    header: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in header:
        end = data.find(b"\n", start, LONGEST_HEADER)
        if end < 0:
            raise ValueError("no PCD file: its header has no line DATA")
        words = data[start:end].decode("ascii", "replace").partition("#")[0].split()
        if words:
            header[words[0].upper()] = words[1:]
        start = end + 1
    return header, start


def _row(header: dict[str, list[str]]) -> tuple[np.dtype, dict[str, str]]:
    """The type of a row, its fields called f0, f1, ...; and which of them each name has."""
    header.setdefault("FIELDS", header.get("COLUMNS", []))  # as they were called before version 0.7
    fields, sizes, types = (header.get(name, []) for name in ("FIELDS", "SIZE", "TYPE"))
    counts = header.get("COUNT", ["1"] * len(fields))
    if len({len(fields), len(sizes), len(types), len(counts)}) != 1:
        raise ValueError(f"PCD header: {len(fields)} FIELDS, SIZE {sizes}, TYPE {types}, COUNT {counts}")
    kinds = [(kind.upper(), _whole(size)) for kind, size in zip(types, sizes, strict=True)]
    if strange := next((kind for kind in kinds if kind not in KINDS), None):
        raise ValueError(f"PCD type {strange[0]} of {strange[1]} bytes is not known")
    if missing := [axis for axis in "xyz" if axis not in fields]:
        raise ValueError(f"points have no field {', '.join(missing)}")
    if any(not 0 < _whole(count) < 2**16 for count in counts) or any(
        counts[fields.index(axis)] != "1" for axis in "xyz"
    ):
        raise ValueError(f"PCD counts {' '.join(counts)}; 1 for x, y and z expected")
    columns = [(f"f{n}", f"<{kind.lower()}{size}", (int(counts[n]),)) for n, (kind, size) in enumerate(kinds)]
    return np.dtype(columns), {name: f"f{n}" for n, name in reversed(list(enumerate(fields)))}


def _whole(word: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", word):
        raise ValueError(f"PCD header: {word[:20]!r} where a whole number is expected")
    return int(word)


def _count(header: dict[str, list[str]]) -> int:
    width, height = (_whole(header.get(name, ["1"])[0]) for name in ("WIDTH", "HEIGHT"))
    count = _whole(header["POINTS"][0]) if "POINTS" in header else width * height
    if count < 1 or ("WIDTH" in header and count != width * height):
        raise ValueError(f"PCD header: {count} points, width {width}, height {height}")
    return count


def _columns(body: memoryview, kind: np.dtype, count: int) -> dict[str, np.ndarray]:
    if len(body) < count * kind.itemsize:
        raise ValueError(f"truncated: {count} points of {kind.itemsize} bytes announced, {len(body)} bytes follow")
    _check_left(body[count * kind.itemsize :], count)
    rows = np.frombuffer(body, kind, count)
    return {name: rows[name][:, 0] for name in kind.names or ()}


def _check_left(left: memoryview, count: int) -> None:
    """Raise ValueError for data behind the last point; zeros fill the block of a disk."""
    if bytes(left).strip(b"\0\r\n"):
        raise ValueError(f"damaged: {count} points are announced, {len(left)} bytes follow them")


def _text_columns(body: bytes, kind: np.dtype, count: int) -> dict[str, np.ndarray]:
    width = sum(part[0].shape[0] for part in (kind.fields or {}).values())
    rows = np.loadtxt(io.BytesIO(body), dtype=np.float64, ndmin=2)
    if rows.shape != (count, width):
        raise ValueError(f"truncated or damaged: {count} rows of {width} numbers announced, {rows.shape} follow")
    columns, place = {}, 0
    for name, part in (kind.fields or {}).items():
        columns[name] = rows[:, place]
        place += part[0].shape[0]
    return columns


def _packed_columns(body: memoryview, kind: np.dtype, count: int) -> dict[str, np.ndarray]:
    """Compressed by LZF; all values of the first field come first, then those of the next."""
    packed, size = struct.unpack_from("<II", body)
    if size != count * kind.itemsize:
        raise ValueError(f"damaged: {count} points of {kind.itemsize} bytes announced, {size} bytes packed")
    if packed > min(len(body) - 8, MOST_PACKED):
        raise ValueError(f"{packed} packed bytes announced, {len(body) - 8} follow, at most {MOST_PACKED} are read")
    _check_left(body[8 + packed :], count)
    check_unpacked(size, packed)
    content = unpack_lzf(body[8 : 8 + packed], size)
    columns, place = {}, 0
    for name, part in (kind.fields or {}).items():
        rows = np.frombuffer(content, part[0].base, count * part[0].shape[0], place)
        columns[name] = rows.reshape(count, -1)[:, 0]
        place += rows.nbytes
    return columns


def unpack_lzf(packed: bytes | memoryview, size: int) -> bytes:
    """What LZF packed: runs of up to 32 plain bytes, and copies of what came up to 8,192 bytes before.

    Raises ValueError unless that is `size` bytes.
    """
    source, unpacked, place = bytes(packed), bytearray(), 0
    while place < len(source) and len(unpacked) <= size:
        control = source[place]
        place += 1
        if control < 32:
            unpacked += source[place : place + control + 1]
            place += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += source[place]
            place += 1
        start = len(unpacked) - ((control & 31) << 8) - source[place] - 1
        place += 1
        if start < 0:
            raise ValueError("damaged: compressed data that refer to what is not there")
        repeated = unpacked[start : start + length + 2]
        unpacked += (repeated * (-(-(length + 2) // len(repeated))))[: length + 2]
    if len(unpacked) != size or place != len(source):
        raise ValueError(f"damaged: {len(unpacked)} bytes unpacked, {size} announced")
    return bytes(unpacked)
