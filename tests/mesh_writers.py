"""Scenes of flat polygons, drawn at random, and writers of them in text and binary formats.

Nothing of the project is used here: area, box and distances are worked out from the outlines, without triangles.
"""

import struct
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st


class Part(NamedTuple):
    """A flat polygon: outline (n, 2) in its plane, the same as triangles, pieces (m, 3, 2), and its frame (3, 3), of
    which the rows are the plane's axes and its normal, at a place (3,)."""

    outline: np.ndarray
    pieces: np.ndarray
    frame: np.ndarray
    place: np.ndarray

    def corners(self) -> np.ndarray:
        return self.outline @ self.frame[:2] + self.place

    def triangles(self) -> np.ndarray:
        return self.pieces @ self.frame[:2] + self.place


def star(radii: np.ndarray, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """A polygon around the origin, mostly concave, and its triangles."""
    count = len(radii)
    angles = 2 * np.pi * (np.arange(count) + 0.3 * np.sin(7.0 * np.arange(count))) / count
    outline = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = np.roll(outline, turn, axis=0)
    following = np.roll(outline, -1, axis=0)
    return outline, np.stack([np.zeros_like(outline), outline, following], axis=1)


def comb(depths: np.ndarray, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """A bar with teeth (at most 2: 12 corners), of these depths, seen from no point as a whole, and its triangles."""
    outline, boxes = [[0.0, 0.0], [2.0 * len(depths) + 1, 0.0]], [(0.0, 0.0, 2.0 * len(depths) + 1, 1.0)]
    for tooth in reversed(range(len(depths))):
        left = 2.0 * tooth + 0.5
        outline += [[left + 1, 1.0], [left + 1, 1 + depths[tooth]], [left, 1 + depths[tooth]], [left, 1.0]]
        boxes.append((left, 1.0, left + 1, 1 + depths[tooth]))
    outline[2:2] = [[2.0 * len(depths) + 1, 1.0]]
    outline.append([0.0, 1.0])
    pieces = [[[a, b], [c, b], [c, d]] for a, b, c, d in boxes] + [[[a, b], [c, d], [a, d]] for a, b, c, d in boxes]
    return np.roll(np.array(outline), turn, axis=0), np.array(pieces)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    turn = draw(st.integers(0, 11))
    if draw(st.booleans()):
        outline, pieces = star(rng.uniform(0.2, 1.5, draw(st.integers(3, 12))), turn)
    else:
        outline, pieces = comb(rng.uniform(0.3, 3, draw(st.integers(1, 2))), turn)
    if draw(st.booleans()):
        outline = outline[::-1]
    frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return Part(outline, pieces, frame, rng.uniform(-5, 5, 3))


scenes = st.lists(parts(), min_size=1, max_size=4)


def area(scene: list[Part]) -> float:
    """By the outlines (Gauss)."""
    total = 0.0
    for part in scene:
        x, y = part.outline.T
        total += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return total


def distances(scene: list[Part], points: np.ndarray) -> np.ndarray:
    """Of points (N, 3) to the nearest polygon, (N,): along its normal where the outline winds around it, else to the
    nearest side."""
    best = np.full(len(points), np.inf)
    for part in scene:
        local = (points - part.place) @ part.frame.T
        a, b = part.outline, np.roll(part.outline, -1, axis=0)
        to_a = local[:, None, :2] - a
        along = np.clip((to_a * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1), 0, 1)
        sides = np.linalg.norm(to_a - along[..., None] * (b - a), axis=-1).min(axis=1)
        to_b = local[:, None, :2] - b
        turned = np.arctan2(to_a[..., 0] * to_b[..., 1] - to_a[..., 1] * to_b[..., 0], (to_a * to_b).sum(-1)).sum(
            axis=1
        )
        flat = np.where(np.abs(turned) > np.pi, 0, sides)
        best = np.minimum(best, np.hypot(flat, local[:, 2]))
    return best


def obj_text(scene: list[Part], kind: dict[str, Any]) -> bytes:
    """Vertices before the faces of each part, or all of them first. kind: indices, interleaved, split, comments."""
    count, faces, lines = 0, [], ["# of C:\\cars\\", "mtllib C:\\a\\", "o car"] if kind["comments"] else []
    total = sum(len(part.outline) for part in scene)
    for number, part in enumerate(scene):
        corners = part.corners().tolist()
        colour = " 0.5 0.25 1" if kind["colours"] else ""
        lines += [f"v {x!r} {y!r} {z!r}{colour}" for x, y, z in corners]
        so_far = count + len(corners) if kind["interleaved"] else total
        places = [count + corner + 1 for corner in range(len(corners))]
        count += len(corners)
        if kind["negative"]:
            places = [place - so_far - 1 for place in places]
        words = [kind["word"].format(place) for place in places]
        if kind["split"]:  # over two lines
            words[2:2] = ["\\\n  "]
        face = [f"g part {number}", "vn 0 0 1", "vt 0 0", kind["face"] + " ".join(words) + kind["after"], "l 1 2"]
        lines, faces = (lines + face, faces) if kind["interleaved"] else (lines, faces + face)
    return _encoded("\n".join(lines + faces) + "\n" * kind["newline"], kind)


def off_text(scene: list[Part], kind: dict[str, Any]) -> bytes:
    vertices, faces = [], []
    for part in scene:
        faces.append([len(vertices) + corner for corner in range(len(part.outline))])
        vertices += part.corners().tolist()
    extra = {"OFF": "", "COFF": " 0.5 0.5 0.5 1", "NOFF": " 0 0 1", "STOFF": " 0 1"}[kind["header"]]
    rows = [f"{x!r} {y!r} {z!r}{extra}" for x, y, z in vertices]
    colour = "" if kind["stream"] else kind["colour"]
    rows += [f"{len(face)} {' '.join(map(str, face))}{colour}" for face in faces]
    head = ["# by hand"] * kind["comments"]
    if kind["stream"]:
        text = " ".join([kind["header"], f"{len(vertices)} {len(faces)} 0", *rows])
    else:
        counts = f"{len(vertices)} {len(faces)} 0" + " # counts" * kind["comments"]
        text = "\n".join([kind["header"], counts, *rows])
    return _encoded("\n".join([*head, text]) + "\n" * kind["newline"], kind)


def stl_text(scene: list[Part], kind: dict[str, Any]) -> bytes:
    """A solid for each part."""
    between = " " if kind["stream"] else "\n"
    text = ""
    for number, part in enumerate(scene):
        text += f"solid {kind['name']} {number}" + between
        for triangle in part.triangles().tolist():
            rows = between.join(f"vertex {x!r} {y!r} {z!r}" for x, y, z in triangle)
            text += f"facet normal {kind['normal']}{between} outer loop{between}{rows}{between}"
            text += f"endloop{between}endfacet{between}"
        text += f"{kind['end']} {kind['name']} {number}" + between
    return _encoded(text.upper() if kind["upper"] else text, kind)


def stl_binary(scene: list[Part], header: bytes, padding: int) -> bytes:
    triangles = np.concatenate([part.triangles() for part in scene])
    data = header.ljust(80)[:80] + struct.pack("<I", len(triangles))
    for number, triangle in enumerate(triangles):
        data += struct.pack("<12fH", 0, 0, 0, *triangle.ravel(), 32768 + number)
    return data + bytes(padding)


def ply(scene: list[Part], kind: dict[str, Any]) -> bytes:
    """kind: format, place (type of coordinates), length and corner (types of lists), name, before, after, lists."""
    vertices = np.concatenate([part.corners() for part in scene]).tolist()
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind["format"]]
    lines = ["ply", f"format {kind['format']} 1.0", "comment element face 7", "obj_info x"]
    rows: list[tuple[str, list[float]]] = []
    if kind["before"]:  # rows of uneven lists
        lines += ["element tag 2", "property list uchar short marks", "property uchar id"]
        rows += [("BhhB", [2, -1, 5, 9]), ("BB", [0, 9])]
    lines.append(f"element vertex {len(vertices)}")
    lines += ["property list uchar float weights"] * kind["lists"]
    lines += [f"property {kind['place']} {axis}" for axis in "xyz"] + ["property uchar red"]
    place = {"float": "f", "double": "d"}[kind["place"]]
    for number, vertex in enumerate(vertices):
        weights = [number % 3] + [0.5] * (number % 3) if kind["lists"] else []
        rows.append(("B" * bool(weights) + "f" * (len(weights) - 1) + 3 * place + "B", [*weights, *vertex, 7]))
    lines += [f"element face {len(scene)}", "property float quality"]
    lines += [f"property list {kind['length']} {kind['corner']} {kind['name']}", "property list uchar float texcoord"]
    letters = {"uchar": "B", "int": "i", "uint": "I", "ushort": "H", "short": "h"}
    first = 0
    for part in scene:
        count = len(part.outline)
        form = "f" + letters[kind["length"]] + count * letters[kind["corner"]] + "B" + "f" * (count % 2)
        rows.append((form, [0.5, count, *range(first, first + count), count % 2, *[0.25] * (count % 2)]))
        first += count
    if kind["after"]:
        lines += ["element edge 1", "property int vertex1", "property int vertex2"]
        rows.append(("ii", [0, 1]))
    head = kind["line"].join([*lines, "end_header", ""]).encode()
    if order:
        return head + b"".join(struct.pack(order + form, *values) for form, values in rows)
    return head + kind["line"].join(" ".join(repr(value) for value in values) for _, values in rows).encode()


def _encoded(text: str, kind: dict[str, Any]) -> bytes:
    return b"\xef\xbb\xbf" * kind["mark"] + text.replace("\n", kind["line"]).encode()
