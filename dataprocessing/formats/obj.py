"""Wavefront OBJ."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import numbers, plain, vertex_rows, whole

_VERTEX = re.compile(rb"^[ \t]*[vV](?=[ \t\n]|\Z)([^\n#]*)", re.M)
_FACE = re.compile(rb"^[ \t]*(?:fo?|F)(?=[ \t\n]|\Z)([^\n#]*)", re.M)  # fo: as faces were called once
_REFUSED = re.compile(rb"^[ \t]*(?:(?:(call|csh)|(surf|bzp|bsp))(?=[ \t\n]|\Z)|[-+.]*\d)[^\n]*", re.M)
_GLUED = re.compile(rb"^[ \t]*(?:[vV]|fo?|F)[ \t][^\n#]*[^\s#]#[^\n]*", re.M)
_CONTINUED = re.compile(
    rb"^[ \t]*(?:[vV][tnpTN]?|fo?|F|[lp])(?:[ \t][^\n]*)?\\[ \t]*\n(?:[^\n]*\\[ \t]*\n)*[^\n]*", re.M
)
_WORDS = (b"usemtl", b"mtllib", b"usemap", b"maplib", b"bevel", b"c_interp", b"d_interp", b"shadow_obj", b"trace_obj")


def read(data: bytes, path: Path) -> Polygons:
    """Wavefront OBJ: `v` and `f` lines, indices from 1 or, if negative, from the end of the vertices so far.

    Points and lines are no surface and passed over, as colours, weights, textures, normals, names. Raises ValueError
    for free-form surfaces, which are not read, and for calls of other files and programs, which are not made.
    """
    data = _joined(plain(data))
    _check_statements(data)
    rows, face_rows = _VERTEX.findall(data), _FACE.findall(data)
    if not rows:
        raise ValueError("not a mesh: no vertices in it")
    vertices = vertex_rows(rows)
    words = re.sub(rb"(?<=\d)/[^ \t\n]*", b"", b"\n".join(face_rows)).split(b"\n")  # 1/2/3 means vertex 1
    flat, sizes = numbers(words if face_rows else [])
    ending = _check_end(data)
    if ending == b"f" and sizes[-1] < 3:
        raise ValueError("truncated: the file ends in the middle of a face")
    if len(sizes) and not sizes.all():
        raise ValueError(f"damaged: face {int(np.argmin(sizes)) + 1} has no corners")
    if (flat < 0).any():
        vertex_places = [line.start() for line in _VERTEX.finditer(data)]
        so_far = np.searchsorted(vertex_places, [line.start() for line in _FACE.finditer(data)])
        flat = np.where(flat < 0, flat + np.repeat(so_far, sizes) + 1, flat)
    corners = whole(flat, "a corner of a face") - 1
    if ending == b"v" and len(corners) and not data.endswith(b"\n") and corners.max() < len(vertices) - 1:
        raise ValueError("truncated: the file ends within a line, and no face uses its last vertices")
    return Polygons(vertices, corners, sizes)


def _check_statements(data: bytes) -> None:
    """Raise ValueError for lines that mean more than is read, or that are no statements."""
    if found := _REFUSED.search(data):
        line = _shown(found[0])
        if found[1]:
            raise ValueError(f"it calls other files or programs ({line}), which is not done")
        if found[2]:
            raise ValueError(f"free-form surfaces ({line}) are not read: save them as polygons")
        raise ValueError(f"damaged: a line of numbers without a statement ({line})")
    if re.search(rb"[\d.]#", data) and (found := _GLUED.search(data)):
        raise ValueError(f"damaged: words where numbers are expected ({_shown(found[0])})")


def _joined(data: bytes) -> bytes:
    """Lines of numbers that go on after a backslash, in one; a comment or a name that ends in one ends there."""
    if not re.search(rb"\\[ \t]*\n", data):
        return data
    data = re.sub(rb"(?:^|(?<=\s))#[^\n]*", b"", data)
    return _CONTINUED.sub(lambda lines: re.sub(rb"\\[ \t]*\n", b" ", lines[0]), data)


def _check_end(data: bytes) -> bytes:
    """What the last line is of: f, a face; v, a vertex, its normal or texture; b"", another.

    Raises ValueError if it is cut off. One that is cut within a number cannot be told from a whole one.
    """
    last = data.rstrip().rpartition(b"\n")[2].partition(b"#")[0].split() or [b""]
    part = len(last[0]) > 1 and last[0] not in _WORDS and any(word.startswith(last[0]) for word in _WORDS)
    if part and not data.endswith(b"\n"):
        raise ValueError(f"truncated: the file ends within a line ({_shown(last[0])})")
    if last[0] in (b"f", b"fo", b"F"):
        forms = [re.sub(rb"\d+", b"0", word.replace(b"-", b"")) for word in last[1:]]
        if not data.endswith(b"\n") and (len(set(forms)) > 1 or data.endswith((b"/", b"-"))):
            raise ValueError("truncated: the file ends within a line, in the middle of a face")
        return b"f"
    return b"v" if last[0].lower() in (b"v", b"vt", b"vn") else b""


def _shown(line: bytes) -> str:
    return ascii(line.strip()[:40].decode("latin-1"))[1:-1]
