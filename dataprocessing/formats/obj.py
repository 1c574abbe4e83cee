"""Wavefront OBJ."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import numbers, vertex_rows, whole

_VERTEX = re.compile(rb"^[ \t]*v(?=[ \t\n]|\Z)([^\n#]*)", re.M)
_FACE = re.compile(rb"^[ \t]*f(?=[ \t\n]|\Z)([^\n#]*)", re.M)


def read(data: bytes, path: Path) -> Polygons:
    """Wavefront OBJ: `v` and `f` lines, indices from 1 or, if negative, from the end of the vertices so far."""
    if b"\0" in data:
        raise ValueError("not a mesh: zero bytes in a text file")
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\\\n", b" ")
    rows, face_rows = _VERTEX.findall(data), _FACE.findall(data)
    if not rows:
        raise ValueError("not a mesh: no vertices in it")
    vertices = vertex_rows(rows)
    words = re.sub(rb"/[^ \t\n]*", b"", b"\n".join(face_rows)).split(b"\n")  # 1/2/3 means vertex 1
    flat, sizes = numbers(words if face_rows else [])
    last_line = data.rstrip().rpartition(b"\n")[2]
    if _FACE.match(last_line) and sizes[-1] < 3:
        raise ValueError("truncated: the file ends in the middle of a face")
    if (flat < 0).any():
        vertex_places = [line.start() for line in _VERTEX.finditer(data)]
        so_far = np.searchsorted(vertex_places, [line.start() for line in _FACE.finditer(data)])
        flat = np.where(flat < 0, flat + np.repeat(so_far, sizes) + 1, flat)
    corners = whole(flat, "a corner of a face") - 1
    if not data.endswith(b"\n") and len(corners) and corners.max() < len(vertices) - 1:
        raise ValueError("truncated: the file ends within a line, and no face uses its last vertices")
    return Polygons(vertices, corners, sizes)
