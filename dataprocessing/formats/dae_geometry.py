"""Geometries of COLLADA files: vertices, and polygons of any number of corners."""

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from dataprocessing.formats.dae_xml import References, children, numbers, whole_attribute, whole_numbers

LINES = ("lines", "linestrips")
SURFACES = ("triangles", "polylist", "polygons", "tristrips", "trifans")


class Shape(NamedTuple):
    """A geometry: vertices (V, 3) float64; the corners (C,) of all faces and how many each has (F,), int64; how many
    sets of lines were left out."""

    vertices: np.ndarray
    corners: np.ndarray
    sizes: np.ndarray
    num_left_out: int


def shape_of(geometry: Element, references: References) -> Shape:
    """All faces of a geometry. Raises ValueError."""
    name = f"geometry {str(geometry.get('id'))[:60]!r}"
    if geometry.find("spline") is not None:
        return Shape(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64), 1)
    mesh = geometry.find("mesh")
    if mesh is None:
        found = ", ".join(str(child.tag)[:40] for child in geometry if child.tag not in ("asset", "extra"))
        raise ValueError(f"{name} is a {found or 'nothing'}, which is not read; a mesh expected")
    vertices_of: dict[str, np.ndarray] = {}
    for element in children(mesh, "vertices"):
        position = [each for each in children(element, "input") if each.get("semantic") == "POSITION"]
        if len(position) != 1 or element.get("id") is None:
            raise ValueError(f"damaged: the vertices of {name} have {len(position)} positions, one expected")
        source = _source(mesh, position[0].get("source"), references)
        vertices_of["#" + element.get("id", "")] = values_of(source, ("X", "Y", "Z"), references)
    known = ("source", "vertices", "extra", "asset", *LINES, *SURFACES)
    if unknown := [child.tag for child in mesh if child.tag not in known]:
        raise ValueError(f"{str(unknown[0])[:60]!r} in {name} is not known here")
    vertices, first, at = list(vertices_of.values()), {}, 0
    for key, values in vertices_of.items():
        first[key], at = (at, len(values)), at + len(values)
    faces = [
        _faces(element, first, np.concatenate(vertices or [np.zeros((0, 3))]), name)
        for element in children(mesh, *SURFACES)
    ]
    corners = np.concatenate([np.zeros(0, np.int64), *(each[0] for each in faces)])
    sizes = np.concatenate([np.zeros(0, np.int64), *(each[1] for each in faces)])
    num_lines = sum(1 for _ in children(mesh, *LINES))
    return Shape(np.concatenate([np.zeros((0, 3)), *vertices]), corners, sizes, num_lines)


def values_of(source: Element, names: tuple[str, ...], references: References) -> np.ndarray:
    """The named numbers of each row of a source, (count, len(names)) float64, or all of each for no names.

    Raises ValueError for fewer numbers than its accessor announces.
    """
    name = f"source {str(source.get('id'))[:60]!r}"
    accessor = source.find("technique_common/accessor")
    if accessor is None:
        raise ValueError(f"damaged: {name} has no accessor")
    arrays = [each for each in source if each.get("id") == (accessor.get("source") or "#")[1:]]
    array = arrays[0] if arrays else references.find(accessor.get("source"), "float_array")
    values = numbers(array, name)
    if len(values) != whole_attribute(array, "count", len(values)):
        raise ValueError(
            f"truncated or damaged: {name} announces {array.get('count')} numbers, {len(values)} are there"
        )
    count, stride = whole_attribute(accessor, "count"), whole_attribute(accessor, "stride", 1)
    offset, params = whole_attribute(accessor, "offset", 0), [each.get("name") for each in children(accessor, "param")]
    if names and len(params) == len(names) and not set(names) <= set(params):
        columns = list(range(len(names)))  # by their order, where they are called otherwise
    elif names and not set(names) <= set(params):
        raise ValueError(f"damaged: {name} has columns {params[:5]}, {', '.join(names)} expected")
    else:
        columns = [params.index(each) for each in names] or list(range(stride))
    if count and (not stride or max(columns) >= stride or offset + stride * count > len(values)):
        raise ValueError(f"truncated or damaged: {name} announces {count} rows of {stride}, of {len(values)} numbers")
    return (
        values[offset : offset + stride * count].reshape(count, stride)[:, columns]
        if count
        else np.zeros((0, len(columns)))
    )


def _source(mesh: Element, url: str | None, references: References) -> Element:
    own = [each for each in children(mesh, "source") if "#" + each.get("id", "") == url]
    return own[0] if len(own) == 1 else references.find(url, "source")


def _faces(
    element: Element, first: dict[str, tuple[int, int]], vertices: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Corners and sizes of the faces of one element of a mesh. first: where the vertices of each set start, and how
    many there are."""
    inputs = [(each.get("semantic"), whole_attribute(each, "offset"), each) for each in children(element, "input")]
    own = [(offset, each.get("source")) for semantic, offset, each in inputs if semantic == "VERTEX"]
    name = f"{element.tag} of {name}"
    if len(own) != 1 or own[0][1] not in first:
        raise ValueError(f"damaged: {name} do not say which vertices are theirs")
    stride, (offset, source) = max(each[1] for each in inputs) + 1, own[0]
    start, num_vertices = first[source]  # type: ignore[index]

    def rings(elements: Iterable[Element]) -> tuple[np.ndarray, np.ndarray]:
        flat, counts = whole_numbers(list(elements), name)
        if (counts % stride).any():
            raise ValueError(f"truncated or damaged: {counts.max()} numbers in {name}, {stride} a corner expected")
        corners = flat[offset::stride]
        if len(corners) and corners.max() >= num_vertices:
            raise ValueError(f"damaged: {name} use vertex {corners.max()} of {num_vertices}")
        return corners + start, counts // stride

    corners, sizes = rings(children(element, "p"))
    num_faces, kind = len(sizes), element.tag
    if kind == "polylist":
        sizes, _ = whole_numbers(list(children(element, "vcount")), name)
        num_faces = len(sizes)
    elif kind == "triangles":
        sizes = np.full(len(corners) // 3, 3)
        num_faces = len(sizes)
    elif kind == "polygons":
        holed = [_without_holes(*rings(children(ph, "p", "h")), vertices) for ph in children(element, "ph")]
        num_faces += len(holed)
        corners = np.concatenate([corners, *holed])
        sizes = np.concatenate([sizes, np.full(sum(map(len, holed)) // 3, 3)])
    else:
        each_strip = np.split(corners, np.cumsum(sizes)[:-1]) if num_faces else []
        corners = np.concatenate([corners[:0], *(_strip(each, kind == "trifans") for each in each_strip)])
        sizes = np.full(len(corners) // 3, 3)
    count = whole_attribute(element, "count")
    if num_faces != count or sizes.sum() != len(corners):
        raise ValueError(
            f"truncated or damaged: {count} {name} announced, {num_faces} are there;"
            f" {sizes.sum()} corners announced, {len(corners)} are there"
        )
    return corners, sizes


def _strip(corners: np.ndarray, fan: bool) -> np.ndarray:
    """The triangles of a strip or fan, one after another."""
    if fan:
        return np.stack([np.full(max(len(corners) - 2, 0), corners[:1]), corners[1:-1], corners[2:]], axis=1).ravel()
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip.ravel()


def _without_holes(corners: np.ndarray, sizes: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The triangles, one after another, of a polygon: its outline, then holes, each of so many of the corners, on the
    plane that fits the outline."""
    import mapbox_earcut

    if not len(sizes) or sizes.min() < 3:
        raise ValueError("damaged: a polygon with holes, and fewer than 3 corners of its outline or a hole")
    points = vertices[corners] - vertices[corners[0]]
    outline = points[: sizes[0]]
    normal = np.cross(outline, np.roll(outline, -1, axis=0)).sum(axis=0)
    flat = np.delete(points, int(np.abs(normal).argmax()), axis=1)
    ends = np.cumsum(sizes).astype(np.uint32)
    found = mapbox_earcut.triangulate_float64(flat, ends).astype(np.int64)
    # An outline that crosses itself is not looked for: all triangles together must cover what the rings say.
    areas = [abs(_doubled(ring)) for ring in np.split(flat, ends[:-1])]
    (ax, ay), (bx, by), (cx, cy) = flat[found.reshape(-1, 3)].transpose(1, 2, 0)
    covered = float(np.abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)).sum())
    if abs(covered - (areas[0] - sum(areas[1:]))) > 1e-6 * areas[0]:
        raise ValueError(
            "a polygon whose holes meet each other, or lie across its outline; cut it into triangles first"
        )
    return corners[found]


def _doubled(ring: np.ndarray) -> float:
    """Twice the area of a ring (n, 2)."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
