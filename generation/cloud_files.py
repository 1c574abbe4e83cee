"""Reading and writing point clouds: .npz, .npy, .ply, and the vertices of .off."""

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataprocessing.frames import Frame, frame_of_matrix
from dataprocessing.mesh_io import MOST_BYTES
from runtime.artefacts import RECORDS
from runtime.errors import UserError
from runtime.files import atomic_path
from runtime.layout import DENSE_POINT_CLOUD, INDEX
from runtime.reading import DamagedFile, open_npz, read_json, read_npy, read_text, reading

Cloud = NDArray[np.float32]

# Keys of a cloud of somebody's own mesh: the way from the unit box to the mesh's frame (4, 4), and where the cloud is.
OWN_FROM_UNIT, IN_OWN_FRAME = "own_from_unit", "in_own_frame"
PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
PLY_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


def write_cloud(folder: Path | str, points: ArrayLike, **arrays: Any) -> Path:
    """Write `dense_point_cloud.npz` (key `point_cloud`, and `arrays`) and a .ply into a folder, created if missing.

    points: (N, 3), stored as float32 in their own units. Returns the path of the .npz, which is written last: if it
    exists, both are complete. Raises ValueError for points of another shape, or not finite.
    """
    points = _as_points(points)
    return write_cloud_parts(folder, [points], len(points), **arrays)


def write_cloud_parts(folder: Path | str, parts: Iterable[ArrayLike], count: int, **arrays: Any) -> Path:
    """`write_cloud` of a cloud that comes in parts (N, 3), `count` points in all, each written as it comes.

    Memory does not depend on `count`. The files have the same bytes as those of `write_cloud`. Raises ValueError for
    another number of points, too.
    """
    path = Path(folder) / DENSE_POINT_CLOUD
    with ExitStack() as files:
        spare = files.enter_context(atomic_path(path, durable=True))  # renamed last
        spare_ply = files.enter_context(atomic_path(path.with_suffix(".ply"), durable=True))
        ply = files.enter_context(open(spare_ply, "wb"))
        archive = files.enter_context(zipfile.ZipFile(spare, "w"))
        ply.write(_ply_header("xyz", count))
        with _npy_member(archive, "point_cloud") as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (count, 3)})
            written = 0
            for part in parts:
                content = np.ascontiguousarray(_as_points(part), "<f4").tobytes()
                ply.write(content)
                member.write(content)
                written += len(content) // 12
        if written != count:
            raise ValueError(f"{written} points, {count} expected")
        for name, array in arrays.items():
            with _npy_member(archive, name) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return path


def _npy_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A new array of an .npz, opened as numpy.savez does: of a fixed date, and of any size."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _ply_header(names: Iterable[str], count: int) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [f"property float {name}" for name in names] + ["end_header\n"]
    return "\n".join(lines).encode("ascii")


def write_ply(path: Path | str, points: ArrayLike, properties: Mapping[str, ArrayLike] | None = None) -> None:
    """Write points (N, 3), with named per-point numbers (N,), as binary little-endian float32 PLY.

    Raises ValueError for another shape, points that are not finite, or a property of another length.
    """
    columns = dict(zip("xyz", _as_points(points).T, strict=True))
    columns.update({name: np.asarray(values, np.float32) for name, values in (properties or {}).items()})
    count = len(columns["x"])
    for name, values in columns.items():
        if values.shape != (count,):
            raise ValueError(f"property {name} must have shape ({count},), got {values.shape}")
    vertices = np.empty(count, dtype=[(name, "<f4") for name in columns])
    for name, values in columns.items():
        vertices[name] = values
    with atomic_path(path, durable=True) as spare:
        spare.write_bytes(_ply_header(columns, count) + vertices.tobytes())


def read_index(path: Path) -> dict[str, Any]:
    """The index of a folder of clouds. Raises DamagedFile, also if its shapes are no plain names of folders."""
    with reading(path, "delete it, and make the clouds again with generate.py"):
        index = read_json(path)
        edited = [fact["shape"] for fact in index.get("facts", ()) if "shape" in fact]
        for name in [*index["shapes"], *edited]:
            if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
                raise ValueError(f"{name!r} is no name of a shape")
        return index


def listed_clouds(folder: Path) -> list[Path] | None:
    """The clouds that the index of a folder lists: what else lies there is of earlier runs. None without such an index.

    Raises UserError if one of them is gone, and for a folder whose run was stopped: what lies there may be of two.
    """
    path = folder / INDEX
    if (folder / RECORDS).is_file() and not path.is_file():
        raise UserError(f"{folder} is not finished: it has no {path.name}; run the command that makes it again")
    try:
        if not isinstance(read_json(path)["shapes"], list):
            return None
    except (DamagedFile, KeyError):
        return None  # there is none, or it is no index of ours
    clouds = [folder / name / DENSE_POINT_CLOUD for name in read_index(path)["shapes"]]
    if missing := [cloud for cloud in clouds if not cloud.is_file()]:
        raise UserError(f"{path} lists {missing[0]}, which is gone; run the command that made the clouds again")
    return clouds


def read_cloud(path: Path | str, most: int | None = None) -> NDArray[np.float32]:
    """Read the points of a .npz (key `point_cloud`, else `points`), .npy, .ply or .off file.

    PLY: binary or ascii; other properties and elements are ignored. OFF: the vertices.
    most: of an .npz, read no more than the first ones, which are a fair sample of a cloud that generate.py made.
    Returns (N, 3) float32, in the file's units. Raises UserError, naming the file, if it is missing, broken, of an
    unknown type, or holds no finite (N, 3) numbers.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], NDArray[Any]]]
    readers = {".npz": partial(_read_npz, most=most), ".npy": read_npy, ".ply": _read_ply, ".off": _read_off}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: a point cloud file ends in {', '.join(readers)}")
    if not path.is_file():
        raise UserError(f"no point cloud at {path}")
    with reading(path, "expected (N, 3) finite points"):
        return _as_points(readers[path.suffix.lower()](path))


def read_unit_cloud(path: Path | str, most: int | None = None) -> NDArray[np.float32]:
    """`read_cloud`, brought back into the unit box if `write_shapes` put it in its own frame."""
    points, frame = read_cloud(path, most), own_frame(path)
    return points if frame is None else frame.to_unit(points).astype(np.float32)


def read_numbers(path: Path, names: Iterable[str]) -> dict[str, float]:
    """The numbers of these names beside the points of an .npz, of those that are there. Raises UserError if broken."""
    with reading(path, "delete it, and run the same command again"), open_npz(path) as arrays:
        return {name: float(arrays[name]) for name in names if name in arrays}


def own_frame(path: Path | str) -> Frame | None:
    """The frame in which `write_shapes` put a cloud, and its mesh; None if they are in the unit box."""
    if Path(path).suffix != ".npz":
        return None
    with open_npz(path) as arrays:
        if IN_OWN_FRAME not in arrays or not arrays[IN_OWN_FRAME]:
            return None
        return frame_of_matrix(arrays[OWN_FROM_UNIT])


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key for natural order: 2 before 10."""
    words = re.split(r"(\d+)", path.as_posix())
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in words]


def _as_points(points: ArrayLike) -> NDArray[np.float32]:
    points = np.asarray(points)
    if points.dtype.kind not in "fiu":
        raise ValueError(f"points are of type {points.dtype}, not numbers")
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"points have shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{int((~np.isfinite(points).all(1)).sum())} of {len(points)} points are NaN or infinite")
    return points.astype(np.float32)


def _read_npz(path: Path, most: int | None) -> NDArray[Any]:
    with open_npz(path) as arrays:
        for key in ("point_cloud", "points"):
            if key in arrays:
                return arrays[key] if most is None else arrays.first(key, most)
        raise ValueError(f"no key point_cloud or points among {', '.join(arrays) or 'none'}")


def _read_ply(path: Path) -> NDArray[Any]:
    with open(path, "rb") as file:
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


def _read_off(path: Path) -> NDArray[Any]:
    lines = (line.split("#")[0].split() for line in read_text(path, MOST_BYTES).splitlines())
    rows = [words for words in lines if words]
    if not rows or not rows[0][0].upper().endswith("OFF"):
        raise ValueError("not an OFF file")
    counts, start = (rows[0][1:], 1) if len(rows[0]) > 1 else (rows[1], 2)  # counts may be on the first line
    vertices = [row[:3] for row in rows[start : start + int(counts[0])]]
    if len(vertices) < int(counts[0]):
        raise ValueError("OFF ends early")
    return np.array(vertices, dtype=np.float64)
