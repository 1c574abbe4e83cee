"""Read a mesh file into plain arrays, or say in one line why it cannot be used.

OBJ and OFF, the formats of ShapeNet and of this project, are read here: fast, and without accepting a file that was
cut off. Every other format goes through trimesh.
"""

import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataprocessing.foreign_meshes import NO_FACES, read_other
from runtime.errors import UserError
from runtime.reading import DamagedFile, read_bytes, reading

MOST_BYTES = 2**29  # of a mesh file; text takes several times as much memory while it is read


class MeshError(UserError):
    """Why a file is no usable mesh, in one line, without the path."""


class Mesh(NamedTuple):
    """Triangles: vertices (V, 3) float64, all of them used; faces (F, 3) int64. Open, degenerate, doubled: all fine."""

    vertices: np.ndarray
    faces: np.ndarray


def load_mesh(path: Path | str) -> Mesh:
    """Read a mesh of any format, all its parts in one, polygons cut into triangle fans.

    Vertices at the same place are merged and unused ones dropped; no face is dropped. Materials are not read.
    Raises MeshError for a file that is empty, cut off or no mesh, and for a mesh without faces, with vertices that
    are not finite, or without extent or area.
    """
    path = Path(path)
    try:
        with reading(path):
            data, suffix = read_bytes(path, MOST_BYTES), path.suffix.lower()
            if not data.strip():
                raise MeshError("empty file")
            readers = {".obj": _read_obj, ".off": _read_off}
            vertices, faces = readers[suffix](data) if suffix in readers else read_other(data, path)
            return _checked(vertices, faces)
    except DamagedFile as error:
        raise MeshError(error.reason) from error


def triangle_areas(mesh: Mesh) -> np.ndarray:
    """Area of each face, (F,) float64, in squared units of the vertices."""
    x, y, z = np.ascontiguousarray(mesh.vertices.T)  # axis by axis: several times as fast as np.cross of rows
    a, b, c = np.ascontiguousarray(mesh.faces.T)
    ux, uy, uz = x[b] - x[a], y[b] - y[a], z[b] - z[a]
    vx, vy, vz = x[c] - x[a], y[c] - y[a], z[c] - z[a]
    return np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2 + (ux * vy - uy * vx) ** 2) / 2


def _checked(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    if len(faces) == 0:
        raise MeshError(NO_FACES if len(vertices) else "no faces")
    wrong = faces[(faces < 0) | (faces >= len(vertices))]
    if len(wrong):
        raise MeshError(f"truncated or damaged: a face uses vertex {wrong[0] + 1} of {len(vertices)}")
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
    used, corner = np.unique(faces, return_inverse=True)
    places = np.ascontiguousarray(vertices[used] + 0.0)  # + 0.0 turns -0.0 into 0.0, which has other bytes
    _, first, same = np.unique(places.view("V24").ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)  # of the bytes' order, which means nothing, back to the file's order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Mesh(places[first[order]], rank[same.ravel()][corner.ravel()].reshape(-1, 3))


def _numbers(rows: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of the rows, (T,) float64, and how many each row has, (len(rows),). Raises MeshError."""
    counts = np.fromiter((len(row.split()) for row in rows), dtype=np.int64, count=len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that it stopped at a wrong word
        try:
            flat = np.fromstring(b"\n".join(rows).decode("ascii"), sep=" ") if rows else np.zeros(0)
        except (DeprecationWarning, ValueError) as error:
            raise MeshError("not a mesh, or damaged: words where numbers are expected") from error
    if len(flat) != counts.sum():
        raise MeshError("not a mesh, or damaged: words where numbers are expected")
    return flat, counts


def _whole(numbers: np.ndarray, what: str) -> np.ndarray:
    """Numbers as int64. Raises MeshError where one is no whole number that a file could mean."""
    good = (np.abs(numbers) < 2**53) & (numbers == np.floor(numbers))
    if not good.all():
        raise MeshError(f"damaged: {what} is {numbers[~good][0]:g}")
    return numbers.astype(np.int64)


def _vertex_rows(rows: list[bytes]) -> np.ndarray:
    """The first three numbers of each row, (V, 3)."""
    flat, counts = _numbers(rows)
    if len(rows) == 0:
        return np.zeros((0, 3))
    if counts.min() < 3:
        raise MeshError(f"truncated or damaged: vertex {int(np.argmin(counts)) + 1} has fewer than three coordinates")
    starts = np.cumsum(counts) - counts
    return flat[starts[:, None] + np.arange(3)]


def _fans(flat: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Triangles (F, 3) of polygons: polygon i has the `sizes[i]` corners `flat[starts[i]:]`; below 3 it has none."""
    fans: list[np.ndarray] = [np.zeros((0, 3), dtype=np.int64)]
    for size in np.unique(sizes[sizes >= 3]):
        corners = _whole(flat[starts[sizes == size][:, None] + np.arange(size)], "a corner of a face")
        fans += [corners[:, [0, i, i + 1]] for i in range(1, size - 1)]
    return np.concatenate(fans).astype(np.int64)


_OBJ_VERTEX = re.compile(rb"^[ \t]*v(?=[ \t\n]|\Z)([^\n#]*)", re.M)
_OBJ_FACE = re.compile(rb"^[ \t]*f(?=[ \t\n]|\Z)([^\n#]*)", re.M)


def _read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Wavefront OBJ: `v` and `f` lines, indices from 1 or, if negative, from the end of the vertices so far."""
    if b"\0" in data:
        raise MeshError("not a mesh: zero bytes in a text file")
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\\\n", b" ")
    vertex_rows, face_rows = _OBJ_VERTEX.findall(data), _OBJ_FACE.findall(data)
    if not vertex_rows:
        raise MeshError("not a mesh: no vertices in it")
    vertices = _vertex_rows(vertex_rows)
    corners = re.sub(rb"/[^ \t\n]*", b"", b"\n".join(face_rows)).split(b"\n")  # 1/2/3 means vertex 1
    flat, sizes = _numbers(corners if face_rows else [])
    last_line = data.rstrip().rpartition(b"\n")[2]
    if _OBJ_FACE.match(last_line) and sizes[-1] < 3:
        raise MeshError("truncated: the file ends in the middle of a face")
    if (flat < 0).any():
        vertex_places = [line.start() for line in _OBJ_VERTEX.finditer(data)]
        so_far = np.searchsorted(vertex_places, [line.start() for line in _OBJ_FACE.finditer(data)])
        flat = np.where(flat < 0, flat + np.repeat(so_far, sizes) + 1, flat)
    faces = _fans(flat, np.cumsum(sizes) - sizes, sizes) - 1
    if not data.endswith(b"\n") and len(faces) and faces.max() < len(vertices) - 1:
        raise MeshError("truncated: the file ends within a line, and no face uses its last vertices")
    return vertices, faces


def _read_off(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Object File Format: header, numbers of vertices and faces, then a line each."""
    header = re.match(rb"\s*(?:ST)?C?N?OFF(?![A-Za-z])", data)
    if not header or b"\0" in data or re.match(rb"[ \t]*BINARY", data[header.end() :]):
        raise MeshError("not a mesh, or not in text form: an OFF file starts with the word OFF")
    body = re.sub(rb"#[^\n]*", b"", data[header.end() :].replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    lines = [line for line in body.split(b"\n") if line.strip()]
    counts, _ = _numbers(lines[:1])
    if len(counts) < 2 or (counts[:2] < 0).any():
        raise MeshError("truncated or damaged: the numbers of vertices and faces are missing")
    num_vertices, num_faces = _whole(counts[:2], "the number of vertices or faces").tolist()
    if len(lines) - 1 < num_vertices + num_faces:
        raise MeshError(
            f"truncated: {num_vertices} vertices and {num_faces} faces are announced, {len(lines) - 1} lines follow"
        )
    vertices = _vertex_rows(lines[1 : 1 + num_vertices])
    flat, counts = _numbers(lines[1 + num_vertices : 1 + num_vertices + num_faces])
    starts = np.cumsum(counts) - counts
    sizes = _whole(flat[starts], "the number of corners of a face")
    if (counts < sizes + 1).any():
        raise MeshError(f"truncated or damaged: face {int(np.argmax(counts < sizes + 1)) + 1} lacks corners")
    return vertices, _fans(flat, starts + 1, sizes)
