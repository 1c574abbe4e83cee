"""Read a point cloud, or whatever a file holds, a mesh or a cloud."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataprocessing.formats import READERS as MESHES
from dataprocessing.formats import las, off, pcd, ply, points
from dataprocessing.formats.other_content import HEAD, check_content
from dataprocessing.formats.polygons import NO_FACES
from dataprocessing.mesh_io import MOST_BYTES, Mesh, MeshError, load_mesh
from runtime.reading import DamagedFile, read_bytes, reading, require_file

FARTHEST = 1e30  # float32 ends at 3.4e38, and distances are squared
FAR = 16  # times its own extent: from there float32 would move a cloud's points by a millionth of it

POINTS_ALONE: dict[str, Callable[[Path], np.ndarray]] = {
    ".npz": points.read_arrays,
    ".npy": points.read_arrays,
    **dict.fromkeys((".xyz", ".xyzn", ".xyzrgb"), points.read_lines),
    ".pts": points.read_lines,
    ".asc": points.read_lines,
    ".pcd": pcd.read,
    ".las": las.read,
    ".laz": las.read,
}
OF_MESHES: dict[str, Callable[[Path], np.ndarray]] = {
    ".ply": lambda path: ply.points(read_bytes(path, MOST_BYTES)),
    ".off": lambda path: off.read(read_bytes(path, MOST_BYTES), path).vertices,
}
READERS = {**POINTS_ALONE, **OF_MESHES}
EXPECTED = "expected (N, 3) finite points"


def load_points(path: Path | str) -> np.ndarray:
    """The points (N, 3) of a cloud file, or the vertices of a .ply or .off: numbers as the file has them, finite.

    float64 may be map coordinates: bring them near the origin before they are rounded (`is_far`). Raises DamagedFile,
    also for a file of an unknown type.
    """
    path = Path(path)
    with reading(path, EXPECTED):
        if path.suffix.lower() not in READERS:
            raise ValueError(f"a point cloud file ends in {', '.join(READERS)}")
        require_file(path)
        with open(path, "rb") as file:
            check_content(file.read(HEAD), path.suffix.lower())
        return checked_points(READERS[path.suffix.lower()](path))


def load_shape(path: Path | str) -> Mesh | np.ndarray:
    """A mesh, or the points (N, 3) of a file without faces. Raises MeshError for a file that is neither, or not whole.

    An .obj without faces is no cloud, since one that was cut off looks the same.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESHES and suffix not in POINTS_ALONE:
        raise MeshError(
            f"not a mesh or a point cloud that can be read: one ends in {', '.join([*MESHES, *POINTS_ALONE])}"
        )
    if suffix not in POINTS_ALONE:
        try:
            return load_mesh(path)
        except MeshError as error:
            if suffix not in OF_MESHES or str(error) != NO_FACES:
                raise
    try:
        return load_points(path)
    except DamagedFile as error:
        raise MeshError(error.reason) from error


def checked_points(array: np.ndarray) -> np.ndarray:
    """The array, if it holds points (N, 3) that can be used: as they are, but whole numbers and others of more than 4
    bytes as float64 of this machine, so that map coordinates are known by their type. Raises ValueError."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"points are of type {array.dtype}, not numbers")
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ValueError(f"points have shape {array.shape}, not (N, 3)")
    if array.dtype.kind != "f" or array.dtype.itemsize > 4:
        array = array.astype(np.float64, copy=False)
    farthest = float(max(array.max(), -array.min()))  # NaN if one is
    if not np.isfinite(farthest):
        raise ValueError(f"{int((~np.isfinite(array).all(1)).sum())} of {len(array)} points are NaN or infinite")
    if farthest > FARTHEST:
        raise ValueError(f"points are up to {farthest:g} from the origin, at most {FARTHEST:g} can be computed with")
    return array


def is_far(cloud: np.ndarray) -> bool:
    """Whether points lie so far from the origin, as map coordinates do, that float32 would move them."""
    return is_far_box(cloud.min(axis=0).astype(np.float64), cloud.max(axis=0).astype(np.float64))


def is_far_box(low: np.ndarray, high: np.ndarray) -> bool:
    """`is_far` of points in a box with these corners, (3,) each."""
    return bool(max(high.max(), -low.min()) > FAR * (high - low).max())


def near_points(cloud: np.ndarray) -> np.ndarray:
    """Points (N, 3) as float32; such that are far from the origin with the centre of their box at it."""
    if cloud.dtype == np.float64 and is_far(cloud):
        cloud = cloud - (cloud.min(axis=0) + cloud.max(axis=0)) / 2
    return cloud.astype(np.float32)
