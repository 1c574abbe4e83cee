"""The text of the page: shapes as data that nothing executes, sources as scripts that their hash allows."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from runtime.files import write_text
from runtime.layout import ROOT
from visualization.html_page.coarse_mesh import Triangles, coarsened
from visualization.html_page.packing import Frame, as_bytes, as_text, frame_of, packed
from visualization.local_planes import smooth_surface
from visualization.rendering import TINTS

Array = NDArray[np.float32]

SOURCES = ROOT / "viewer"
LIBRARY = SOURCES / "vendor" / "three" / "three.min.js"
MODULES = (  # in an order in which each needs only those before it
    "data", "colours", "shaders", "surfaces", "drawing", "pace", "camera", "gallery", "controls", "picture", "main",
)  # fmt: skip
MOST_POINTS_A_SHAPE = 100_000
MOST_POINTS = 1_600_000  # of all shapes together: a page of 16 clouds of 100,000 points has 17 MB
MOST_FACES = 1_000_000  # likewise
OVERLAP = 1.2  # of splats: the page fills no pinholes as render_cloud does
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {style}; img-src blob:; base-uri 'none'; form-action 'none'"
)


@dataclass
class PageShape:
    """What the page shows of one shape; lengths are in mesh units.

    points: (N, 3). facts: lines of (name, value) beside it, the first one also in the grid. mesh: its surface, if there
    is one. nearest: the cloud (M, 3) of the training shape that is closest to it, and its name.
    """

    name: str
    points: Array
    facts: Sequence[tuple[str, str]] = ()
    mesh: Triangles | None = None
    nearest: tuple[str, Array] | None = None


@dataclass
class _Packed:
    """One shape as numbers for the page: `about` goes into its list, `arrays` into its data."""

    about: dict[str, Any]
    arrays: list[NDArray[np.generic]] = field(default_factory=list)
    distances: list[Array] = field(default_factory=list)  # of points, and of the vertices of the mesh


def write_page(path: Path, title: str, shapes: Sequence[PageShape]) -> int:
    """Write the page of some shapes; returns its size in bytes.

    Of more than 1.6 million points in all, or 100,000 of one shape, a random part is shown, and the page says so.
    Meshes are coarsened to a million faces in all.
    Raises ValueError for no shapes, or for points or vertices that are not finite.
    """
    if not shapes:
        raise ValueError("a page needs at least one shape")
    for shape in shapes:
        for points in (shape.points, *([shape.mesh[0]] if shape.mesh else [])):
            if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
                raise ValueError(f"{shape.name}: points (N, 3) that are finite expected, got {points.shape}")
    most = max(1, min(MOST_POINTS_A_SHAPE, MOST_POINTS // len(shapes)))
    all_packed = [_pack(shape, most, MOST_FACES // len(shapes)) for shape in shapes]
    text = page_text(title, [one.about for one in all_packed], *_data_of(all_packed))
    write_text(path, text)
    return len(text.encode())


def _pack(shape: PageShape, most: int, most_faces: int) -> _Packed:
    """Points in random order, so that the first ones are a fair sample of all: the page draws those while it turns."""
    order = np.random.default_rng(0).permutation(len(shape.points))[:most]
    mesh = coarsened(shape.mesh, most_faces) if shape.mesh else None
    points = shape.points[order].astype(np.float32)
    vertices = mesh[0].astype(np.float32) if mesh else np.empty((0, 3), np.float32)
    drawn, normals, radius = smooth_surface(points)
    frame = frame_of(np.concatenate([drawn, vertices]))
    about = {
        "name": shape.name,
        "facts": [list(fact) for fact in shape.facts],
        "count": len(points),
        "countInFile": len(shape.points),
        "radius": OVERLAP * radius,
        **_frame_facts(frame, drawn),
        "vertices": len(vertices),
        "faces": len(mesh[1]) if mesh else 0,
        "facesInFile": len(shape.mesh[1]) if shape.mesh else 0,
        "nearest": shape.nearest[0] if shape.nearest else None,
    }
    one = _Packed(about, [packed(drawn, normals, frame)])
    if mesh:
        one.arrays += [packed(vertices, vertex_normals(vertices, mesh[1]), frame), mesh[1].astype("<u4")]
    if shape.nearest:
        tree = cKDTree(shape.nearest[1])
        one.distances = [tree.query(part)[0].astype(np.float32) for part in (points, vertices) if len(part)]
    return one


def _frame_facts(frame: Frame, points: Array) -> dict[str, Any]:
    return {
        "low": frame.low.tolist(),
        "side": frame.side,
        "box": [points.min(0).tolist(), points.max(0).tolist()],
    }


def vertex_normals(vertices: Array, faces: NDArray[np.integer]) -> Array:
    """Unit normals (V, 3) of a mesh: the mean of those of the faces around, weighted by area. Zero where none is."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    across = np.cross(b - a, c - a)
    sums = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(sums, faces[:, corner], across)
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-12)).astype(np.float32)


def _data_of(shapes: list[_Packed]) -> tuple[list[str], float | None]:
    """The data of each shape as text; and the distance that is shown as the largest, if all shapes have distances."""
    largest = None
    if all(one.distances for one in shapes):
        largest = float(np.quantile(np.concatenate([one.distances[0] for one in shapes]), 0.99))
        for one in shapes:
            one.arrays += [as_bytes(values, largest) for values in one.distances]
    return [as_text(*one.arrays) for one in shapes], largest


def page_text(title: str, about: list[dict[str, Any]], data: list[str], largest_distance: float | None) -> str:
    """The whole page. Names and numbers stand in it only as JSON without `<`, which no parser takes for markup."""
    facts = {"title": title, "tint": TINTS["blue"], "largestDistance": largest_distance, "shapes": about}
    library, program = LIBRARY.read_text(encoding="utf-8"), joined_modules()
    style = (SOURCES / "page.css").read_text(encoding="utf-8")
    blocks = "\n".join(f'<script type="text/plain" id="data-{n}">{text}</script>' for n, text in enumerate(data))
    parts = {
        "policy": POLICY.format(scripts=f"{_source(library)} {_source(program)}", style=_source(style)),
        "style": style,
        "facts": json.dumps(facts, allow_nan=False).replace("<", "\\u003c"),
        "data": blocks,
        "library": library,
        "program": program,
    }
    template = (SOURCES / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)  # in one pass: what is put in stays


def joined_modules() -> str:
    """The modules of js/ as one script: their imports dropped, since they share one scope; see js/README.md."""
    texts = [(SOURCES / "src" / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    plain = [re.sub(r"^export ", "", re.sub(r"^import .*;\n", "", text, flags=re.M), flags=re.M) for text in texts]
    return '(() => {\n"use strict";\n' + "\n".join(plain) + "})();\n"


def _source(text: str) -> str:
    """What a Content-Security-Policy calls a script or style with this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
