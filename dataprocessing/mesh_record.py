"""Which mesh the files of a shape were made from, as the record in their folder tells it."""

from pathlib import Path
from typing import Any

from configs.options.data import AXES, same_line
from dataprocessing.formats.beside import found_beside
from dataprocessing.mesh_io import MOST_BYTES
from runtime.artefacts import Facts, Records, digest, entry_of, file_sha256
from runtime.errors import DISK_AWAY
from runtime.reading import DamagedFile, damaged, read_json, reading, require_file

MESH = "mesh"  # the entry of it: of: its digest; found: path below data_dir, stream, marks of its files


def told_of_mesh(records: Records) -> dict[str, Any]:
    """`path` below data_dir, `stream` where random numbers belong to another name than the folder's, and `axes`, if
    they were looked for: what was said of up and front, and what was found. {} if nothing is told.
    """
    found = records.entries.get(MESH, {}).get("found")
    told = found if isinstance(found, dict) else {}  # anything may stand in a file
    return {key: value for key, value in told.items() if isinstance(value, list if key == "marks" else str)}


def mesh_entry(mesh: Path, path: str, stream: str, records: Records) -> Facts:
    """The entry of a mesh in the record of its folder; it is read only if it is another file than at the last time.

    path, stream: see `told_of_mesh`. Raises DamagedFile if it cannot be read.
    """
    with reading(mesh):
        marks = marks_of(mesh)
        former = records.made_of(MESH)
        if former is None or told_of_mesh(records).get("marks") != marks:
            former = {MESH: mesh_sha256(mesh)}
    return entry_of(former, found={"path": path, "stream": stream, "marks": marks})


def axes_found(records: Records, mesh: Facts, given: tuple[str, str]) -> tuple[str, str] | None:
    """up and front of the mesh of this entry, if they were found in it before with the same said of them."""
    told = str(told_of_mesh(records).get("axes", "")).split()
    if len(told) != 4 or tuple(told[:2]) != given or records.made_of(MESH) != mesh["of"]:
        return None
    return (told[2], told[3]) if {*told[2:]} <= {*AXES} and not same_line(*told[2:]) else None


def with_axes(mesh: Facts, given: tuple[str, str], found: tuple[str, str]) -> Facts:
    """The entry of a mesh that tells the axes that were found, too."""
    return mesh | {"found": mesh["found"] | {"axes": " ".join((*given, *found))}}


def mesh_sha256(mesh: Path) -> str:
    """SHA-256 of what the geometry of a mesh is read from: its file, and the buffers of a .gltf."""
    files = geometry_files(mesh)
    for file in files:
        if (size := require_file(file)) > MOST_BYTES:
            raise damaged(file, f"{size / 1e9:,.1f} GB, at most {MOST_BYTES / 1e9:.1f} GB expected")
    found = [file_sha256(file) for file in files]
    return found[0] if len(found) == 1 else digest(found)


def geometry_files(mesh: Path) -> list[Path]:
    """The file of a mesh and, of a .gltf, those of its buffers that are there, as `formats.beside` finds them."""
    if mesh.suffix.lower() != ".gltf":
        return [mesh]
    try:
        uris = [buffer.get("uri") for buffer in read_json(mesh)["buffers"]]
        places = [found_beside(mesh, uri) for uri in uris if isinstance(uri, str) and uri[:5].lower() != "data:"]
    except (DamagedFile, KeyError, TypeError, AttributeError, ValueError, OSError) as error:  # told where it is read
        if isinstance(error, OSError) and error.errno in DISK_AWAY:
            raise
        places = []
    return [mesh, *dict.fromkeys(place for place in places if place)]


def marks_of(mesh: Path) -> list[list[int]]:
    """What changes when one of the files of a mesh does, without reading it."""
    files = geometry_files(mesh)
    sizes = [require_file(file) for file in files]
    found = [file.stat() for file in files]
    return [[size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino] for size, one in zip(sizes, found, strict=True)]
