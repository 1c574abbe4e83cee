"""Readers of mesh files, one file a format: bytes in, polygons out.

What a file announces and a reader cannot apply is refused by its name: no reader ends with another surface than the
file means. Reasons are ValueErrors without the path, which `runtime.reading.reading` adds.
"""

from collections.abc import Callable
from pathlib import Path

from dataprocessing.formats import foreign, obj, off, ply, stl
from dataprocessing.formats.polygons import Polygons

READERS: dict[str, Callable[[bytes, Path], Polygons]] = {
    ".obj": obj.read,
    ".off": off.read,
    ".ply": ply.read,
    ".stl": stl.read,
    ".glb": foreign.read,
    ".gltf": foreign.read,
}
SUFFIXES = tuple(READERS)
