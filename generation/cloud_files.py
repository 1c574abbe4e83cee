"""Writing point clouds, and reading those of folders of shapes."""

import re
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dataprocessing.formats.points import choose_array
from dataprocessing.frames import Frame, frame_of_matrix
from dataprocessing.point_io import EXPECTED, checked_points, load_points, near_points
from runtime.artefacts import RECORDS
from runtime.errors import UserError
from runtime.files import atomic_path
from runtime.layout import DENSE_POINT_CLOUD, INDEX
from runtime.reading import DamagedFile, open_npz, read_json, reading

Cloud = NDArray[np.float32]

# Keys of a cloud of somebody's own mesh: the way from the unit box to the mesh's frame (4, 4), and where the cloud is.
OWN_FROM_UNIT, IN_OWN_FRAME = "own_from_unit", "in_own_frame"


def write_cloud(folder: Path | str, points: ArrayLike, **arrays: Any) -> Path:
    """Write `dense_point_cloud.npz` (key `point_cloud`, and `arrays`) and a .ply into a folder, created if missing.

    points: (N, 3), stored as float32 in their own units. Returns the path of the .npz, which is written last: if it
    exists, both are complete. Raises ValueError for points of another shape, or not finite.
    """
    points = _as_points(points)
    return write_cloud_parts(folder, [points], len(points), **arrays)


def write_cloud_parts(
    folder: Path | str, parts: Iterable[ArrayLike], count: int, far: bool = False, **arrays: Any
) -> Path:
    """`write_cloud` of a cloud that comes in parts (N, 3), `count` points in all, each written as it comes.

    Memory does not depend on `count`. The files have the same bytes as those of `write_cloud`, but for points `far`
    from the origin, which float32 would move: they are stored as float64. Raises ValueError for another number of
    points, too.
    """
    kind = np.dtype("<f8" if far else "<f4")
    path = Path(folder) / DENSE_POINT_CLOUD
    with ExitStack() as files:
        spare = files.enter_context(atomic_path(path, durable=True))  # renamed last
        spare_ply = files.enter_context(atomic_path(path.with_suffix(".ply"), durable=True))
        ply = files.enter_context(open(spare_ply, "wb"))
        archive = files.enter_context(zipfile.ZipFile(spare, "w"))
        ply.write(_ply_header(count, "double" if far else "float"))
        with _npy_member(archive, "point_cloud") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": kind.str, "fortran_order": False, "shape": (count, 3)}
            )
            written = 0
            for part in parts:
                content = np.ascontiguousarray(checked_points(np.asarray(part)), kind).tobytes()
                ply.write(content)
                member.write(content)
                written += len(content) // (3 * kind.itemsize)
        if written != count:
            raise ValueError(f"{written} points, {count} expected")
        for name, array in arrays.items():
            with _npy_member(archive, name) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return path


def _npy_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A new array of an .npz, opened as numpy.savez does: of a fixed date, and of any size."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _ply_header(count: int, kind: str) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [f"property {kind} {name}" for name in "xyz"] + ["end_header\n"]
    return "\n".join(lines).encode("ascii")


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
    """Read the points of a file of any format that `load_points` knows.

    most: of an .npz, read no more than the first ones, which are a fair sample of a cloud that generate.py made.
    Returns (N, 3) float32, in the file's units. Raises UserError, naming the file, if it is missing, broken, of an
    unknown type, or holds no finite (N, 3) numbers.
    """
    return _stored_points(path, most).astype(np.float32)


def read_unit_cloud(path: Path | str, most: int | None = None) -> NDArray[np.float32]:
    """`read_cloud`, brought back into the unit box if `write_shapes` put it in its own frame.

    Other points that lie far from the origin are moved there.
    """
    points, frame = _stored_points(path, most), own_frame(path)
    return near_points(points) if frame is None else frame.to_unit(points).astype(np.float32)


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
    return checked_points(np.asarray(points)).astype(np.float32)


def _stored_points(path: Path | str, most: int | None) -> NDArray[Any]:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no point cloud at {path}")
    if most is None or path.suffix.lower() != ".npz":
        return load_points(path)
    with open_npz(path, EXPECTED) as arrays:
        key = choose_array({key: arrays.shape(key) for key in arrays})
        return checked_points(arrays.first(key, most))
