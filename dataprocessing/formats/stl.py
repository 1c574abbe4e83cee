"""STL, binary and text."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons, of_triangles
from dataprocessing.formats.text import numbers, plain

HEADER, FACET = 84, 50  # bytes
_FACET = re.compile(
    rb"facet\s*(?:normal\s*)?(?:[^\so]\S*\s+){0,3}outer\s*loop\s*"  # the normal is not used, and may be NaN
    rb"((?:vertex\s*\S+\s+\S+\s+\S+\s+){1,64})"
    rb"end\s*loop\s*end\s*facet"
)
_REST = re.compile(rb"outer\s*loop|end\s*loop|end\s*facet|facet\s*normal")
_ENDING = re.compile(rb"end\s*solid(?![^\s])")
_COMMENT = re.compile(rb"^[ \t]*(?:#|//|;)[^\n]*", re.M)  # alone on a line
_COMMENT_AFTER = re.compile(rb"^([ \t]*(?:facet|outer|vertex|end)[^\n#;/]*)(?:#|//|;)[^\n]*", re.M)


def read(data: bytes, path: Path) -> Polygons:
    """STL: facets of a binary or a text file, all solids of it. Normals, names, colours are passed over.

    Raises ValueError for a file that is not whole, or holds anything else.
    """
    blocks = _blocks(data)
    start = _COMMENT.sub(b"", data[:1000].removeprefix(b"\xef\xbb\xbf"))
    if blocks is None and re.match(rb"\s*solid(?![^\s])", start, re.I):
        text = data.rstrip(b"\0")
        if b"\0" not in text:
            return _text(_without_comments(plain(text).lower()))
    if blocks is None:
        if re.match(rb"[\xff\xfe\0]*s\0?o\0?l\0?i\0?d", data[:20]) and b"facet" in data[:2000].replace(b"\0", b""):
            plain(data)  # names the encoding
        raise ValueError(_not_whole(data))
    return of_triangles(*_triangle_soup(np.concatenate(blocks)))


def _triangle_soup(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (3F, 3) and faces (F, 3) of triangles (F, 3, 3)."""
    vertices = corners.reshape(-1, 3).astype(np.float64)
    return vertices, np.arange(len(vertices)).reshape(-1, 3)


def _blocks(data: bytes) -> list[np.ndarray] | None:
    """Triangles (F, 3, 3) float32 of a binary file; of several, if they were put one after another.

    None unless the announced numbers of facets and nothing else are there; zeros at the end do not count.
    """
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    blocks: list[np.ndarray] = []
    at = 0
    while at < len(data):
        count = int.from_bytes(data[at + HEADER - 4 : at + HEADER], "little")
        if at and (not count or at + HEADER + FACET * count > len(data)):
            return blocks if not data[at:].strip(b"\0\r\n\t ") else None
        if at + HEADER + FACET * count > len(data):
            return None
        blocks.append(np.frombuffer(data, kind, count, at + HEADER)["corners"])
        at += HEADER + FACET * count
    return blocks


def _not_whole(data: bytes) -> str:
    if len(data) < HEADER or b"\0" not in data[:1000]:
        return f"not a mesh: neither text that starts with solid nor a binary STL, which has {HEADER} bytes at least"
    count, there = int.from_bytes(data[HEADER - 4 : HEADER], "little"), (len(data) - HEADER) / FACET
    if count > there:
        return f"truncated, or not a mesh: {count} facets are announced, {int(there)} are there"
    return f"damaged: {count} facets are announced, {len(data) - HEADER - FACET * count} bytes follow them"


def _without_comments(text: bytes) -> bytes:
    """The text without what some programs add to it, which the format does not know: comments."""
    if not any(mark in text for mark in (b"#", b"//", b";")):
        return text
    return _COMMENT_AFTER.sub(rb"\1", _COMMENT.sub(b"", text))


def _text(data: bytes) -> Polygons:
    """Polygons of a text in lower case: facets of 3 corners, or of more. Names are whatever stands on their line."""
    parts = _FACET.split(data)  # what is between facets, then the vertices of one, in turn
    between, vertex_rows = parts[::2], parts[1::2]
    _check_between([(count, text) for count, text in enumerate(between) if text.strip()], len(vertex_rows))
    if not vertex_rows:
        return of_triangles(np.zeros((0, 3)), np.zeros((0, 3)))
    flat, counts = numbers(b"\n".join(b" ".join(row.split()) for row in vertex_rows).replace(b"vertex", b" "))
    if (counts < 9).any():
        raise ValueError(f"damaged: facet {int(np.argmax(counts < 9)) + 1} has {counts.min() // 3} vertices")
    return Polygons(flat.reshape(-1, 3), np.arange(len(flat) // 3), counts // 3)


def _check_between(texts: list[tuple[int, bytes]], num_facets: int) -> None:
    """Raise ValueError unless solids begin and end where they should. texts: each after how many facets."""
    inside = False
    for facets, text in texts:
        if _REST.search(text):
            raise ValueError(f"truncated or damaged: facet {facets + 1} is not whole")
        lines = [line.strip() for line in text.split(b"\n") if line.strip()]
        for number, line in enumerate(lines, 1):
            words, ending = line.split(), _ENDING.match(line)
            if ending and inside:  # the next may begin on the same line, where facets follow
                inside = facets < num_facets and number == len(lines) and b"solid" in line[ending.end() :].split()
            elif words[0] == b"solid" and not inside:
                inside = True
            elif words[0] != b"color":
                shown = ascii(line.strip()[:40].decode("latin-1"))
                raise ValueError(f"damaged: {shown} after {facets} facets, the end or the start of a solid expected")
        if not inside and facets < num_facets:
            raise ValueError(f"damaged: facet {facets + 1} is in no solid")
    if inside:
        raise ValueError(f"truncated: the file ends after facet {num_facets}, within a solid: endsolid is missing")
