"""All meshes of a folder, in any layout, each with a name of its own."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from configs.errors import UserError
from configs.layout import DENSE_POINT_CLOUD, SCALED_MESH

SUFFIXES = (".obj", ".ply", ".stl", ".glb", ".gltf", ".off")
MADE_HERE = (SCALED_MESH, Path(DENSE_POINT_CLOUD).with_suffix(".ply").name)  # by this project, beside meshes
LONGEST_NAME = 200  # bytes; file systems take 255
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
    meshes = [path for path in files if path.suffix.lower() in SUFFIXES and path.name not in MADE_HERE]
    meshes = sorted(path for path in meshes if left_out is None or not path.is_relative_to(left_out))
    if not meshes:
        endings = ", ".join(sorted({path.suffix.lower() or "no ending" for path in files})[:8])
        found = f"{len(files)} files ({endings})" if files else "nothing"
        raise UserError(f"no mesh in {folder}: {found} found, {', '.join(SUFFIXES)} expected; put such files there")
    return meshes


def names_of(meshes: Sequence[Path], folder: Path) -> dict[Path, str]:
    """A plain file name for each mesh, all different, also where upper and lower case are one.

    It is the path below the folder without ending, with `__` for a slash: sedans/red car.obj is "sedans__red car". A
    last models, model or model_normalized is left out, as in ID/models/model_normalized.obj. Where two would have one
    name, both keep their whole path with its ending.
    """
    folder = folder.parent if folder.is_file() else folder
    short = {mesh: _joined(_without_generic(mesh.relative_to(folder).with_suffix("").parts)) for mesh in meshes}
    seen: dict[str, int] = {}
    for name in short.values():
        seen[name.casefold()] = seen.get(name.casefold(), 0) + 1
    names: dict[Path, str] = {}
    taken = {name.casefold() for name in short.values() if seen[name.casefold()] == 1}
    for mesh, name in short.items():
        if seen[name.casefold()] > 1:
            whole = name = _joined(mesh.relative_to(folder).parts)
            number = 2
            while name.casefold() in taken:
                name, number = f"{whole}_{number}", number + 1
            taken.add(name.casefold())
        names[mesh] = name
    return names


def _joined(parts: Sequence[str]) -> str:
    name = "__".join(parts)
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # of very deep folders: the end, and what tells it apart
    return f"{digest}__{name[-LONGEST_NAME // 4 :]}"


def _without_generic(parts: tuple[str, ...]) -> tuple[str, ...]:
    while len(parts) > 1 and parts[-1] in GENERIC:
        parts = parts[:-1]
    return parts


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
