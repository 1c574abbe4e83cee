"""PLY."""

import io
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
PLY_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


def points(data: bytes) -> np.ndarray:
    """The vertices (N, 3) float64 of a PLY file, with or without faces. Raises ValueError."""
    return _read_ply(io.BytesIO(data)).astype(np.float64)


def _read_ply(file: BinaryIO) -> NDArray[Any]:
    if True:
        order, elements = _read_ply_header(file)
        for name, count, properties in elements:
            if name == "vertex":
                missing = [axis for axis in "xyz" if axis not in dict(properties)]
                if missing:
                    raise ValueError(f"vertices have no property {', '.join(missing)}")
            if any(kind == "list" for _, kind in properties):
                raise ValueError(f"element {name} holds lists before the end of the vertices")
            table = _read_ply_table(file, order, count, properties)
            if name == "vertex":
                return np.stack([table[axis] for axis in "xyz"], axis=1)
    raise ValueError("no element vertex")


def _read_ply_header(file: BinaryIO) -> tuple[str, list[tuple[str, int, list[tuple[str, str]]]]]:
    """Returns the byte order ("" for ascii) and (name, count, [(property, numpy type or "list")]) per element."""
    if file.readline().strip() != b"ply":
        raise ValueError("not a PLY file")
    order: str | None = None
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    for line in iter(file.readline, b""):
        words = line.decode("ascii").split()
        if words[:1] == ["end_header"]:
            break
        if words[:1] == ["format"]:
            if words[1] not in PLY_ORDERS:
                raise ValueError(f"PLY format {words[1]} is not known")
            order = PLY_ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append((words[-1], "list" if words[1] == "list" else PLY_TYPES[words[1]]))
    else:
        raise ValueError("PLY header has no end")
    if order is None:
        raise ValueError("PLY header names no format")
    return order, elements


def _read_ply_table(file: BinaryIO, order: str, count: int, properties: list[tuple[str, str]]) -> NDArray[Any]:
    """The rows of one element without lists, as a structured array. Raises ValueError if the file is too short."""
    kind = np.dtype([(name, (order or "<") + code) for name, code in properties])
    here = file.tell()
    left = file.seek(0, 2) - here
    file.seek(here)
    least = count * (kind.itemsize if order else 2 * len(properties))  # ascii: a digit and a space or newline
    if count < 0 or least > left + (0 if order else 1):
        raise ValueError(f"PLY ends early: its header says {count} rows, at least {least} bytes; {left} bytes are left")
    if not order:
        rows = [tuple(float(word) for word in file.readline().split()) for _ in range(count)]
        if any(len(row) != len(properties) for row in rows):
            raise ValueError("PLY ends early")
        return np.array(rows, dtype=[(name, "f8") for name, _ in properties])
    return np.frombuffer(file.read(least), dtype=kind)
