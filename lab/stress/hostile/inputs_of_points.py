"""Files of points, and of attributes, that announce more than they hold, or mean nothing."""

import json
import struct

import numpy as np

from lab.stress.hostile.damage import npy, zipped

_ROW = "1.5 2.5 3.5\n"
XYZ: dict[str, bytes | str] = {
    "a trillion points": f"{10**12}\n" + _ROW * 30,
    "two numbers a line": "1 2\n" * 30,
    "words": "x y z\n" * 30,
    "a line of a megabyte": "1 " * 500_000 + "x\n",
    "a number of 100,000 digits": "1 2 " + "9" * 100_000 + "\n",
    "NaN": _ROW * 30 + "nan 0 0\n",
    "1e300": _ROW * 30 + "1e300 0 0\n",
    "UTF-16": (_ROW * 30).encode("utf-16"),
    "all at one place": _ROW * 30,
    "colours of a terminal": "\x1b[31m 2 3\n",
}


def _pcd(body: bytes, form: str = "binary", count: int = 3, **changes: str) -> bytes:
    lines = {"VERSION": "0.7", "FIELDS": "x y z", "SIZE": "4 4 4", "TYPE": "F F F", "COUNT": "1 1 1",
             "WIDTH": str(count), "HEIGHT": "1", "POINTS": str(count)} | changes  # fmt: skip
    return "".join(f"{name} {value}\n" for name, value in lines.items()).encode() + f"DATA {form}\n".encode() + body


_THREE = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
_BOMB = struct.pack("<II", 3000, 3 << 30) + bytes(3000)
PCD: dict[str, bytes | str] = {
    "a trillion points": _pcd(_THREE, count=10**12),
    "minus 3 points": _pcd(_THREE, count=-3),
    "a trillion values a point": _pcd(_THREE, COUNT=f"1 1 {10**12}"),
    "points of 1e9 bytes": _pcd(_THREE, SIZE="4 4 1000000000"),
    "words for numbers": _pcd(_THREE, SIZE="a b c"),
    "no z": _pcd(_THREE, FIELDS="x y w"),
    "infinite": _pcd(struct.pack("<9f", *[float("inf")] * 9)),
    "NaN alone": _pcd(struct.pack("<9f", *[float("nan")] * 9)),
    "3 GB of 3,000 bytes": _pcd(_BOMB, "binary_compressed", count=(3 << 30) // 12),
    "packed: nothing": _pcd(b"", "binary_compressed"),
    "packed: refers to before the start": _pcd(struct.pack("<II", 3, 36) + b"\x40\xff\xff", "binary_compressed"),
    "packed: ends within": _pcd(struct.pack("<II", 2, 36) + b"\x1f\x00", "binary_compressed"),
    "text that ends early": _pcd(b"0 0 0\n1 0\n", "ascii"),
    "text of words": _pcd(b"a b c\n" * 3, "ascii"),
    "a header without end": b"VERSION 0.7\n" * 9000,
}


def las_with(data: bytes, place: int, kind: str, value: float) -> bytes:
    """A LAS file whose header says another number at a place."""
    content = bytearray(data)
    struct.pack_into(kind, content, place, value)
    return bytes(content)


LAS_HEADER = {  # what is wrong -> place, type and value of a number in the header of LAS 1.2
    "four billion points": (107, "<I", 0xFFFFFFFF),
    "four billion records": (100, "<I", 0xFFFFFFFF),
    "points that start beyond the end": (96, "<I", 0xFFFFFFF0),
    "points of one byte": (105, "<H", 1),
    "an unknown kind of points": (104, "<B", 77),
    "a scale that is NaN": (131, "<d", float("nan")),
    "a scale of 1e300": (131, "<d", 1e300),
    "version 9.9": (24, "<H", 0x0909),
}

_ONE = {"name": "size", "first": 0, "width": 1, "r2": 0.9, "mean": 1.0, "sd": 0.5, "readings": {}}
_CHOICE = {"name": "kind", "first": 1, "width": 1, "r2": 0.9, "mean": 0.0, "sd": 1.0,
           "readings": {"open": [0.0], "closed": [1.0]}}  # fmt: skip


def attributes(
    ndf_sha256: str, changed: object = None, about: object = None, columns: int = 2, codes: int = 5
) -> bytes:
    """A file of two attributes, the first changed. about: what it says instead."""
    facts = {"ndf_sha256": ndf_sha256}
    first = _ONE | changed if isinstance(changed, dict) else changed or _ONE
    text = json.dumps({"attributes": [first, _CHOICE], "facts": facts} if about is None else about)
    rng = np.random.default_rng(5)
    arrays = {"weights": rng.normal(size=(codes, columns)), "offsets": np.zeros(columns), "scales": np.ones(columns)}
    members = {f"{name}.npy": npy(array.astype(np.float32)) for name, array in arrays.items()}
    return zipped(members | {"about.npy": npy(np.array(text))})


ATTRIBUTES: dict[str, dict[str, object]] = {
    "a name that leads out": {"changed": {"name": "../../x"}},
    "no name": {"changed": {"name": ""}},
    "a number for a name": {"changed": {"name": 7}},
    "a name that colours a terminal": {"changed": {"name": "\x1b[31msize"}},
    "a name of a megabyte": {"changed": {"name": "x" * (1 << 20)}},
    "values that lead out": {"changed": {"readings": {"../../x": [0.0], "b": [1.0]}}},
    "values of words": {"changed": {"readings": {"a": ["x"], "b": [1.0]}}},
    "values that are a number": {"changed": {"readings": 5}},
    "r2 a word": {"changed": {"r2": "high"}},
    "sd null": {"changed": {"sd": None}},
    "sd 0": {"changed": {"sd": 0}},
    "mean infinite": {"changed": {"mean": float("inf")}},
    "column 1e9": {"changed": {"first": 10**9}},
    "column -1": {"changed": {"first": -1}},
    "half a column": {"changed": {"width": 0.5}},
    "an attribute that is a list": {"changed": [1, 2]},
    "an attribute without keys": {"about": {"attributes": [{}], "facts": {"ndf_sha256": ""}}},
    "no attributes": {"about": {"attributes": [], "facts": {"ndf_sha256": ""}}},
    "no facts": {"about": {"attributes": [_ONE]}},
    "a list": {"about": [1]},
    "of other codes": {"codes": 9},
}
