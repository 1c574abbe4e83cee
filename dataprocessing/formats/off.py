"""Object File Format."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import numbers, vertex_rows, whole


def read(data: bytes, path: Path) -> Polygons:
    """Object File Format: header, numbers of vertices and faces, then a line each."""
    header = re.match(rb"\s*(?:ST)?C?N?OFF(?![A-Za-z])", data)
    if not header or b"\0" in data or re.match(rb"[ \t]*BINARY", data[header.end() :]):
        raise ValueError("not a mesh, or not in text form: an OFF file starts with the word OFF")
    body = re.sub(rb"#[^\n]*", b"", data[header.end() :].replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    lines = [line for line in body.split(b"\n") if line.strip()]
    counts, _ = numbers(lines[:1])
    if len(counts) < 2 or (counts[:2] < 0).any():
        raise ValueError("truncated or damaged: the numbers of vertices and faces are missing")
    num_vertices, num_faces = whole(counts[:2], "the number of vertices or faces").tolist()
    if len(lines) - 1 < num_vertices + num_faces:
        raise ValueError(
            f"truncated: {num_vertices} vertices and {num_faces} faces are announced, {len(lines) - 1} lines follow"
        )
    vertices = vertex_rows(lines[1 : 1 + num_vertices])
    flat, counts = numbers(lines[1 + num_vertices : 1 + num_vertices + num_faces])
    starts = np.cumsum(counts) - counts
    sizes = whole(flat[starts], "the number of corners of a face")
    if (counts < sizes + 1).any():
        raise ValueError(f"truncated or damaged: face {int(np.argmax(counts < sizes + 1)) + 1} lacks corners")
    places = np.repeat(starts + 1 - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    return Polygons(vertices, whole(flat[places], "a corner of a face"), sizes)
