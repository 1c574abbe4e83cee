"""All meshes of a folder, in any layout, each with a name of its own."""

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

from dataprocessing.formats import SUFFIXES
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD, SCALED_MESH

MADE_HERE = (SCALED_MESH, Path(DENSE_POINT_CLOUD).with_suffix(".ply").name)  # by this project, beside meshes
LONGEST_NAME = 200  # bytes; file systems take 255
SHAPENET = ("models", "model_normalized.obj")  # where ShapeNet keeps the mesh of a shape, below the folder of its ID
OTHER_ENDINGS = (".json", ".html", ".png", ".gif", ".webp", ".npz", ".lock", ".part")  # of files beside those of shapes
_HASHED = re.compile("~[0-9a-f]{8}$")
GENERIC = ("models", "model", "model_normalized")  # names that data sets give to every mesh and its folder


def meshes_below(folder: Path, left_out: Path | None = None) -> list[Path]:
    """The mesh files at any depth below a folder, sorted; those that are hidden, made by this project, or below
    `left_out` are none. A file stands for itself.

    Raises UserError, with the endings found, if there are none.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"no folder or file {folder}; give the folder of your meshes, or one mesh")
    files = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder))]
    meshes = sorted(path for path in files if is_mesh(path) and not (left_out and path.is_relative_to(left_out)))
    if not meshes:
        endings = ", ".join(sorted({path.suffix.lower() or "no ending" for path in files})[:8])
        found = f"{len(files)} files ({endings})" if files else "nothing"
        raise UserError(f"no mesh in {folder}: {found} found, {', '.join(SUFFIXES)} expected; put such files there")
    return meshes


def is_mesh(path: Path) -> bool:
    """Whether a file is a mesh by its ending, and none that this project made."""
    return path.suffix.lower() in SUFFIXES and path.name not in MADE_HERE and path.is_file()


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


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
