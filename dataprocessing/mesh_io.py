"""Read a mesh file into plain arrays, or say in one line why it cannot be used."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataprocessing.formats import READERS
from dataprocessing.formats.other_content import HEAD, check_content
from dataprocessing.formats.polygons import NO_FACES, triangulated
from runtime.errors import UserError
from runtime.reading import DamagedFile, read_bytes, reading

CHUNK = 2**20  # vertices or faces at a time
MIXER = np.uint64(0x9E3779B97F4A7C15)  # odd: a multiplication by it loses nothing
MOST_BYTES = 2**29  # of a mesh file; text takes several times as much memory while it is read


class MeshError(UserError):
    """Why a file is no usable mesh, in one line, without the path."""


class Mesh(NamedTuple):
    """Triangles: vertices (V, 3) float64, all of them used; faces (F, 3) int64. Open, degenerate, doubled: all fine."""

    vertices: np.ndarray
    faces: np.ndarray


def load_mesh(path: Path | str) -> Mesh:
    """Read a mesh of any format, all its parts in one, polygons cut into triangles (`formats.polygons`).

    Vertices at the same place are merged and unused ones dropped; no face is dropped. Materials are not read.
    Raises MeshError for a file that is empty, cut off or no mesh, and for a mesh without faces, with vertices that
    are not finite, or without extent or area; OSError if the disk is out of reach.
    """
    path = Path(path)
    try:
        with reading(path):
            data, suffix = read_bytes(path, MOST_BYTES), path.suffix.lower()
            if not data.strip():
                raise MeshError("empty file")
            if suffix not in READERS:
                raise MeshError(f"not a mesh that can be read: one ends in {', '.join(READERS)}")
            check_content(data[:HEAD], suffix)
            polygons = READERS[suffix](data, path)
            return _checked(polygons.vertices, triangulated(polygons))
    except DamagedFile as error:
        raise MeshError(error.reason) from error


def triangle_areas(mesh: Mesh) -> np.ndarray:
    """Area of each face, (F,) float64, in squared units of the vertices."""
    axes = np.ascontiguousarray(mesh.vertices.T)
    areas = np.empty(len(mesh.faces))
    for start in range(0, len(areas), CHUNK):
        areas[start : start + CHUNK] = _areas(axes, mesh.faces[start : start + CHUNK])
    return areas


def _areas(axes: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Areas of faces (F, 3) between vertices (3, V)."""
    x, y, z = axes  # axis by axis: several times as fast as np.cross of rows
    a, b, c = np.ascontiguousarray(faces.T)
    ux, uy, uz = x[b] - x[a], y[b] - y[a], z[b] - z[a]
    vx, vy, vz = x[c] - x[a], y[c] - y[a], z[c] - z[a]
    return np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2 + (ux * vy - uy * vx) ** 2) / 2


def _checked(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    if len(faces) == 0:
        raise MeshError(NO_FACES if len(vertices) else "no faces")
    if not np.isfinite(vertices).all():
        row = int(np.argmin(np.isfinite(vertices).all(axis=1)))
        raise MeshError(f"vertex {row + 1} is not finite: {vertices[row].tolist()}")
    mesh = _compact(vertices, faces)
    with np.errstate(over="ignore", invalid="ignore"):
        extent = np.ptp(mesh.vertices, axis=0).max()
    if extent == 0:
        raise MeshError("zero extent: all vertices are at one place")
    if not np.isfinite(extent):
        raise MeshError(f"vertices up to {np.abs(mesh.vertices).max():g} are too far apart for float64")
    if not triangle_areas(Mesh(mesh.vertices / extent, mesh.faces)).any():
        raise MeshError("zero area: every face is a line or a point")
    return mesh


def _compact(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Keep the vertices that faces use, each place once; faces keep their number and order."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.ravel()] = True
    places = np.ascontiguousarray(vertices[used] + 0.0)  # + 0.0 turns -0.0 into 0.0, which has other bytes
    first, same = _distinct(places)
    order = np.argsort(first)  # of the keys' order, which means nothing, back to the file's order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    number = np.cumsum(used) - 1  # of a vertex among those that are used
    number[used] = rank[same]
    return Mesh(places[first[order]], number[faces])


def _distinct(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each place (V, 3) is first, (U,), and which of these each one is, (V,)."""
    bits = places.view(np.uint64)
    key = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        key ^= column
        key ^= key >> np.uint64(32)
        key *= MIXER
        key ^= key >> np.uint64(29)
    _, first, same = np.unique(key, return_index=True, return_inverse=True)  # a third of the time of whole rows
    same = same.ravel()
    del key
    parts = (slice(start, start + CHUNK) for start in range(0, len(bits), CHUNK))
    if not all(np.array_equal(bits[first[same[part]]], bits[part]) for part in parts):  # two places with one key
        _, first, same = np.unique(places.view("V24").ravel(), return_index=True, return_inverse=True)
    return first, same.ravel()
