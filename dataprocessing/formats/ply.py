"""PLY, the Stanford format: text and binary of both byte orders."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataprocessing.formats.ply_table import TYPES, Element, Property, Table
from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import flat_numbers, plain

ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
MOST_HEADER = 2**20  # bytes
_CORNERS = ("vertex_indices", "vertex_index")
_NO_FACES = ("range_grid",)  # which pixel of a scanner saw which vertex, by a list of this name too


def read(data: bytes, path: Path) -> Polygons:
    """PLY: the vertices and faces, also triangle strips; other elements and properties are passed over.

    Raises ValueError for a file that does not hold what its header announces, or more.
    """
    vertices: np.ndarray | None = None
    faces: list[tuple[np.ndarray, np.ndarray]] = []
    for table in _tables(data):
        if table.element.name == "vertex":
            vertices = _places(table)
        elif not table.element.rows:
            continue
        elif table.element.name == "face":
            faces.append(table.lists(_corners_name(table.element)))
        elif table.element.name == "tristrips":
            faces.append(_of_strips(*table.lists(_corners_name(table.element))))
        elif table.element.name not in _NO_FACES:
            _refuse_corners(table.element)
    if vertices is None:
        raise ValueError("no element vertex")
    corners = np.concatenate([np.zeros(0, dtype=np.int64), *(corners for corners, _ in faces)])
    sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(sizes for _, sizes in faces)])
    return Polygons(vertices, corners, sizes)


def points(data: bytes) -> np.ndarray:
    """The vertices of a PLY file, (N, 3) float64, whatever else it holds. Raises ValueError if they are not whole."""
    for table in _tables(data, last="vertex"):
        if table.element.name == "vertex":
            return _places(table)
    raise ValueError("no element vertex")


def _tables(data: bytes, last: str = "") -> Iterator[Table]:
    """The elements of a file one by one, up to the one called `last`, or all: then nothing may follow them."""
    order, elements, at = _header(data)
    rows: bytes | memoryview = data
    if not order:  # as if it were binary, of float64
        elements = [_in_doubles(element) for element in elements]
        rows, at = flat_numbers(plain(data[at:], padded=True)).view(np.uint8).data, 0
    for element in elements:
        table = Table(rows, at, element)
        yield table
        at = table.end
        if element.name == last:
            return
    left = len(rows) - at
    if left and (not order or data[at:].strip(b"\0\r\n\t ")):
        raise ValueError(
            f"damaged: {left if order else left // 8} {'bytes' if order else 'numbers'} follow the last row"
        )


def _in_doubles(element: Element) -> Element:
    properties = tuple(Property(p.name, "=f8", "=f8" if p.counted else None) for p in element.properties)
    return element._replace(properties=properties)


def _header(data: bytes) -> tuple[str, list[Element], int]:
    """Byte order ("" for text), elements, and where the data begin. Raises ValueError."""
    head = data[:MOST_HEADER]
    if not (start := re.match(rb"(?:\xef\xbb\xbf)?ply[ \t]*(\r\n|\n|\r)", head)):
        if re.match(rb"[\xff\xfe\0]*p\0?l\0?y", head) and b"\0" in head[:8]:
            plain(head)
        raise ValueError("not a mesh: the first line of a PLY file is ply")
    newline = rb"\r" if start[1] == b"\r" else rb"\r?\n"  # a byte of the data must not be taken for a line's end
    end = re.search(rb"[\r\n][ \t]*end_header[ \t]*" + newline, head)
    if not end:
        raise ValueError("the PLY header has no end, or lines that end in several ways")
    order: str | None = None
    elements: list[tuple[str, int, list[Property]]] = []
    for line in re.split(newline.decode(), head[start.end() : end.start()].decode("latin-1")):
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) > 1 and words[1] in ORDERS:
            order = ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and re.fullmatch("[0-9]{1,18}", words[2]):
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and order is not None:
            elements[-1][2].append(_property(words, order))
        else:
            raise ValueError(f"a line of the PLY header is not known: {ascii(line[:60])}")
    if order is None:
        raise ValueError("the PLY header names no format")
    names = [name for name, _, _ in elements]
    if len(set(names)) < len(names):
        raise ValueError("the PLY header names an element twice")
    return order, [Element(name, count, tuple(properties)) for name, count, properties in elements], end.end()


def _property(words: list[str], order: str) -> Property:
    order = order or "="
    if len(words) == 3 and words[1] in TYPES:
        return Property(words[2], order + TYPES[words[1]])
    if len(words) == 5 and words[1] == "list" and words[2] in TYPES and words[3] in TYPES:
        if "f" in TYPES[words[2]]:
            raise ValueError(f"lists of {words[4]} are counted by {words[2]} numbers, whole ones expected")
        return Property(words[4], order + TYPES[words[3]], order + TYPES[words[2]])
    raise ValueError(f"a property of the PLY header is not known: {ascii(' '.join(words)[:60])}")


def _places(table: Table) -> np.ndarray:
    return np.stack([table.column(axis).astype(np.float64) for axis in "xyz"], axis=1)


def _corners_name(element: Element) -> str:
    """The name of the list that holds the corners of a face. Raises ValueError later, if there is none."""
    names = [p.name for p in element.properties if p.counted]
    return next((name for name in _CORNERS if name in names), _CORNERS[0])


def _refuse_corners(element: Element) -> None:
    """Raise ValueError for an element that is not known and lists vertices, as faces do."""
    if found := [p.name for p in element.properties if p.counted and p.name in _CORNERS]:
        raise ValueError(
            f"element {ascii(element.name[:40])} lists {found[0]}: faces are read from elements face alone"
        )


def _of_strips(corners: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners and sizes of the triangles of strips: each next vertex makes one with the two before it, every second one
    turned; -1 ends a strip within a list."""
    flat = np.insert(corners, np.cumsum(sizes), -1)  # the end of a list ends its strip, too
    places = np.arange(len(flat))
    start = np.maximum.accumulate(np.where(flat == -1, places + 1, 0))  # of the strip that each place is in
    first = np.flatnonzero((flat[:-2] != -1) & (flat[1:-1] != -1) & (flat[2:] != -1)) if len(flat) > 2 else places[:0]
    triangles = flat[first[:, None] + np.arange(3)]
    odd = (first - start[first]) % 2 == 1
    triangles[odd] = triangles[odd][:, [1, 0, 2]]
    return triangles.ravel(), np.full(len(triangles), 3)
