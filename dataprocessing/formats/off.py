"""Object File Format."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import flat_numbers, numbers, plain, vertex_rows, whole, without_comments

_HEADER = re.compile(rb"\s*((?:ST|C|N|4|n)*)OFF(?![A-Za-z])")
_WIDTHS = {b"ST": 2, b"C": 4, b"N": 3}  # numbers of a vertex beyond its place, where rows do not tell
_COLOURS = (0, 1, 3, 4)  # numbers that may follow the corners of a face


def read(data: bytes, path: Path) -> Polygons:
    """Object File Format: header, numbers of vertices and faces, then a row each, or all numbers one after another.

    Colours, normals and textures are passed over. Raises ValueError for binary files and other than 3 dimensions.
    """
    if found := re.match(rb"\s*\w*OFF[ \t]+BINARY", data[:100]):
        raise ValueError(f"a binary OFF file ({found[0].decode('latin-1').strip()}) is not read: save it as text")
    data = without_comments(plain(data, padded=True))
    header = _HEADER.match(data) or _HEADER.match(data[:20].upper())
    if not header:
        raise ValueError("not a mesh, or not in text form: an OFF file starts with the word OFF")
    if b"4" in header[1] or b"n" in header[1]:
        raise ValueError(f"{header[1].decode()}OFF is of another dimension than 3: save it as OFF")
    lines = [line for line in data[header.end() :].split(b"\n") if line.strip()]
    counts = flat_numbers(lines[0]) if lines else np.zeros(0)
    if len(counts) == 1:  # a line each
        counts = flat_numbers(b" ".join(lines[:3]))[:3]
    if len(counts) < 2 or (counts[:2] < 0).any():
        raise ValueError("truncated or damaged: the numbers of vertices and faces are missing")
    num_vertices, num_faces = whole(counts[:2], "the number of vertices or faces").tolist()
    try:
        return _of_rows(lines[1:], num_vertices, num_faces)
    except ValueError:
        width = 3 + sum(more for name, more in _WIDTHS.items() if name in header[1])
        after = 2 if len(counts) == 2 else 3  # the number of edges may lack
        flat = _stream(b"\n".join(lines))
        polygons = _of_stream(flat[after:], num_vertices, num_faces, width)
        if polygons is None:
            raise
        return polygons


def _of_rows(lines: list[bytes], num_vertices: int, num_faces: int) -> Polygons:
    """Polygons of a row for each vertex and each face."""
    if len(lines) != num_vertices + num_faces:
        kind = "truncated" if len(lines) < num_vertices + num_faces else "damaged"
        raise ValueError(
            f"{kind}: {num_vertices} vertices and {num_faces} faces are announced, {len(lines)} lines follow"
        )
    vertices = vertex_rows(b"\n".join(lines[:num_vertices])) if num_vertices else np.zeros((0, 3))
    if not num_faces:
        return Polygons(vertices, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    flat, counts = numbers(b"\n".join(lines[num_vertices:]))
    starts = np.cumsum(counts) - counts
    sizes = whole(flat[starts], "the number of corners of a face")
    more = counts - 1 - sizes
    if (sizes < 0).any() or (more < 0).any():
        face = int(np.argmax((sizes < 0) | (more < 0)))
        raise ValueError(f"truncated or damaged: face {face + 1} lacks corners")
    if not np.isin(more, _COLOURS).all():
        face = int(np.argmin(np.isin(more, _COLOURS)))
        raise ValueError(f"damaged: {more[face]} numbers follow the corners of face {face + 1}, at most 4 expected")
    return Polygons(vertices, whole(flat[_places(starts + 1, sizes)], "a corner of a face"), sizes)


def _stream(text: bytes) -> np.ndarray:
    """All numbers of a text, none if it has words."""
    try:
        return flat_numbers(text)
    except ValueError:
        return np.zeros(0)


def _of_stream(flat: np.ndarray, num_vertices: int, num_faces: int, width: int) -> Polygons | None:
    """Polygons of numbers that lines do not part; None where they are not all used up by what is announced.

    Faces have 3 corners at least: the numbers of a colour are not to be taken for faces of none.
    """
    rows = num_vertices * width
    if rows + 4 * num_faces > len(flat):
        return None
    faces, place = flat[rows:], 0
    starts = np.zeros(num_faces, dtype=np.int64)
    for face in range(num_faces):
        if place >= len(faces) or not 3 <= faces[place] < len(faces):
            return None
        starts[face] = place
        place += int(faces[place]) + 1
    if place != len(faces):
        return None
    sizes = whole(faces[starts], "the number of corners of a face")
    corners = whole(faces[_places(starts + 1, sizes)], "a corner of a face")
    return Polygons(flat[:rows].reshape(num_vertices, width)[:, :3], corners, sizes)


def _places(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Places of the corners of all faces, (C,), each face from its start on."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
