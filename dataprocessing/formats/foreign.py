"""Meshes of formats that have no reader of their own, through trimesh, kept from what a file could make it do."""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import NO_FACES, Polygons, of_triangles
from runtime.errors import raise_if_interrupted
from runtime.reading import read_bytes

MOST_BESIDE = 2**29  # bytes of a file that a .gltf names


def read(data: bytes, path: Path) -> Polygons:
    """PLY, STL, GLB and glTF, all parts placed as the scene says.

    data: the content of the file at `path`. A .gltf finds its buffers in files of its own folder only.
    Raises ValueError for a file that is not whole.
    """
    import trimesh

    suffix = path.suffix.lower()
    check_announced(data, suffix)
    beside = Beside(path) if suffix == ".gltf" else None
    try:
        scene = trimesh.load_scene(
            io.BytesIO(data), file_type=suffix[1:], resolver=beside, process=False, skip_materials=True
        )
        mesh = scene.to_mesh()  # its point clouds and lines are dropped
        vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    except Exception as error:  # a parser given a broken file may raise anything
        raise_if_interrupted()
        raise ValueError(f"not a mesh that can be read: {type(error).__name__}: {error}") from error
    if not len(faces) and any(len(getattr(part, "vertices", ())) for part in scene.geometry.values()):
        raise ValueError(NO_FACES)
    if suffix == ".ply":  # trimesh takes what is there of a text PLY
        announced = re.search(rb"^element face (\d+)", data[:100_000], re.M)
        if announced and len(faces) < int(announced[1]):
            raise ValueError(f"truncated: {int(announced[1])} faces are announced, {len(faces)} are there")
    return of_triangles(vertices, faces)


def check_announced(data: bytes, suffix: str) -> None:
    """Raise ValueError for a file that announces more than it can hold: memory would be taken for it."""
    if suffix == ".ply":
        numbers = [int(number) for number in re.findall(rb"^element \S+ (\d+)", data[:100_000], re.M)]
    elif suffix in (".glb", ".gltf"):
        numbers = [int(number) for number in re.findall(rb'"(?:count|byteLength)"\s*:\s*(\d+)', data)]
        numbers = [] if suffix == ".gltf" else numbers  # its buffers are elsewhere
    else:
        numbers = []
    if numbers and max(numbers) > len(data):
        raise ValueError(f"truncated or damaged: {max(numbers)} are announced, {len(data)} bytes are there")


class Beside(Mapping[str, bytes]):
    """The content of the files that lie in the folder of `path`, by name, for a parser; of no others."""

    def __init__(self, path: Path):
        self.folder = path.parent

    def __getitem__(self, name: str) -> bytes:
        if Path(name).name != name or (self.folder / name).is_symlink():
            raise ValueError(f"it names {name!r}, which is no file of its own folder")
        return read_bytes(self.folder / name, MOST_BESIDE)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
