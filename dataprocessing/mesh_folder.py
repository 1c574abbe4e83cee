"""All meshes of a folder, in any layout, each with a name of its own."""

import hashlib
import os
import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dataprocessing.file_walk import walk
from dataprocessing.formats import BESIDE_SHAPES, SUFFIXES, why_not_read
from dataprocessing.formats.points import looks_like_points
from dataprocessing.point_io import POINTS_ALONE
from runtime.errors import UserError, one_line
from runtime.layout import DENSE_POINT_CLOUD, GAP_SAMPLES, SCALED_MESH, SHARP_SAMPLES, UNIFORM_SAMPLES

MADE_HERE = (  # of a shape, beside its mesh or instead of it
    SCALED_MESH,
    DENSE_POINT_CLOUD,
    Path(DENSE_POINT_CLOUD).with_suffix(".ply").name,
    "boundary_*_samples.npz",
    UNIFORM_SAMPLES,
    GAP_SAMPLES,
    SHARP_SAMPLES,
)
SCALED = "_scaled"  # of `model_scaled.off`, which NDF's scripts make of `model.obj`
LONGEST_NAME = 200  # bytes; file systems take 255
SHAPENET = ("models", "model_normalized.obj")  # where ShapeNet keeps the mesh of a shape, below the folder of its ID
OTHER_ENDINGS = (".json", ".html", ".png", ".gif", ".webp", ".npz", ".lock", ".part")  # of files beside those of shapes
TABLES = (".txt", ".csv")  # of anything, also of points
_HASHED = re.compile("~[0-9a-f]{8}$")
GENERIC = ("models", "model", "model_normalized")  # names that data sets give to every mesh and its folder


class Listing(NamedTuple):
    """The files of a folder: shapes, sorted; others that may be shapes and cannot be read, with the reason; the number
    of those that are none, by what they are; and of unknown ones, by their path."""

    shapes: list[Path]
    left_out: dict[Path, str]
    no_shapes: Counter[str]
    unknown: list[Path]


def shapes_below(folder: Path, left_out: Path | None = None, clouds: bool = False) -> Listing:
    """The mesh files at any depth below a folder, links followed, and with `clouds` the point clouds too.

    Those that are hidden, made by this project, or below `left_out` are none. A file stands for itself.
    Raises UserError, with the endings found, if there are none.
    """
    try:
        is_file, is_folder = folder.is_file(), folder.is_dir()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read: {error.strerror}; give the folder of your meshes, or one mesh"
        ) from error
    if is_file:
        return Listing([folder], {}, Counter(), [])
    if not is_folder:
        raise UserError(f"no folder or file {folder}; give the folder of your meshes, or one mesh")
    found = walk(folder, left_out)
    listing = Listing([], found.left_out, Counter(), [])
    meshes = {path.with_suffix("") for path in found.files if is_mesh(path)}
    folders = {path.parent for path in meshes}
    for path in sorted(found.files):
        of_one_beside = path.with_name(path.stem.removesuffix(SCALED) or path.stem) in meshes
        _sort_in(path, listing, clouds, of_one_beside if path.stem.endswith(SCALED) else path.parent in folders)
    if found.hidden:
        listing.no_shapes["hidden"] += found.hidden
    if not listing.shapes:
        endings = ", ".join(sorted({path.suffix.lower() or "no ending" for path in found.files})[:8])
        told = f"{len(found.files)} files ({endings})" if found.files else "nothing"
        expected = (*SUFFIXES, *POINTS_ALONE) if clouds else SUFFIXES
        what = "mesh or point cloud" if clouds else "mesh"
        reasons = [f"{path_below(path, folder)}: {reason}" for path, reason in listing.left_out.items()][:3]
        because = f" ({'; '.join(reasons)})" if reasons else ""
        raise UserError(
            f"no {what} in {folder}: {told} found{because}, {', '.join(expected)} expected; put such files there"
        )
    return listing


def _sort_in(path: Path, listing: Listing, clouds: bool, beside_mesh: bool) -> None:
    """Put a file where it belongs in a listing. beside_mesh: whether the mesh that it may be of lies in its folder."""
    suffix = path.suffix.lower()
    reason = why_not_read(suffix)
    if _made_here(path, beside_mesh):
        listing.no_shapes["made by preprocessing or generation"] += 1
    elif suffix in SUFFIXES or (clouds and suffix in POINTS_ALONE):
        listing.shapes.append(path)
    elif suffix in POINTS_ALONE:
        listing.left_out[path] = "points alone, a surface expected"
    elif reason:
        listing.left_out[path] = reason
    elif suffix in BESIDE_SHAPES:
        points = suffix in TABLES and looks_like_points(path)
        listing.no_shapes[f"{suffix} of three or more numbers a line (points? name it .xyz)" if points else suffix] += 1
    else:
        listing.unknown.append(path)


def _made_here(path: Path, beside_mesh: bool) -> bool:
    """Whether a file was made of a shape, by this project or by NDF's scripts.

    The voxelized cloud, and NDF's scaled mesh, of a shape whose mesh is not at hand stand for it.
    """
    stands_for_mesh = fnmatchcase(path.name, "voxelized_point_cloud_*.npz") or path.name.endswith(f"{SCALED}.off")
    return any(fnmatchcase(path.name, pattern) for pattern in MADE_HERE) or (stands_for_mesh and beside_mesh)


def tell_others(listing: Listing, folder: Path) -> None:
    """A line for each file of a folder that may be a shape and is none of those read, and one for all others."""
    for path, reason in listing.left_out.items():
        print(f"  left out: {one_line(str(path_below(path, folder)))}: {one_line(reason)}")
    for path in listing.unknown:
        print(f"  not known: {one_line(str(path_below(path, folder)))}")
    if listing.no_shapes:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(listing.no_shapes.items()))
        print(f"  no shapes: {counts}")


def is_mesh(path: Path) -> bool:
    """Whether a file is a mesh by its ending, and none that this project made."""
    return path.suffix.lower() in SUFFIXES and not _made_here(path, beside_mesh=False) and path.is_file()


def path_below(mesh: Path, folder: Path) -> PurePosixPath:
    """The path of a mesh below a folder; its name alone if it is not in it, or the folder is the mesh itself."""
    inside = mesh != folder and mesh.is_relative_to(folder)
    return PurePosixPath(mesh.relative_to(folder).as_posix() if inside else mesh.name)


def mesh_name(below: PurePosixPath) -> str:
    """A plain file name for the mesh at a path below its folder: no other path has the same, whatever lies beside it.

    It is the path with `__` for a slash: sedans/red car.obj is "sedans__red car.obj"; ID/models/model_normalized.obj is
    "ID". Where another path could be meant, or the name is too long, `~` and 8 digits of the path's SHA-256 follow.
    """
    if len(below.parts) == 3 and below.parts[1:] == SHAPENET and _is_plain_id(below.parts[0]):
        return below.parts[0]
    name = "__".join(below.parts)
    if tuple(name.split("__")) == below.parts and len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    end = os.fsencode(name)[-LONGEST_NAME // 2 :].decode(errors="ignore").lstrip(" ._~")
    return f"{end}~{_sha256(str(below))}"


def stream_name(below: PurePosixPath) -> str:
    """What the random numbers of a mesh belong to: its path without ending and without generic last folders.

    Meshes that differ in these alone share them. It is the name that earlier versions gave to the files of a mesh.
    """
    parts = below.with_suffix("").parts
    while len(parts) > 1 and parts[-1] in GENERIC:
        parts = parts[:-1]
    name = "__".join(parts)
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f"{_sha256(name)}__{name[-LONGEST_NAME // 4 :]}"  # of very deep folders: the end, and what tells it apart


def _is_plain_id(name: str) -> bool:
    """Whether a folder's name can be that of its mesh: not if a file of results, or another mesh, may have it too."""
    return not (name == SHAPENET[0] or name.lower().endswith((*SUFFIXES, *OTHER_ENDINGS)) or _HASHED.search(name))


def _sha256(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
