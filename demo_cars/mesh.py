"""Small mesh tools: sheets that can be cut along a level set, simple solids, and the list of a car's parts."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dataprocessing import mesh_io

Array = np.ndarray
SNAP = 0.002  # metres: a vertex this near to a cut lies on it, which avoids slivers


@dataclass(frozen=True)
class Sheet:
    """An open surface. data (V, 3 + A): x y z and attributes that cuts interpolate; faces (F, 3)."""

    data: Array
    faces: Array

    @property
    def points(self) -> Array:
        return self.data[:, :3]

    def area(self) -> float:
        return float(triangle_areas(self.points, self.faces).sum())

    def moved(self, offset: Array | tuple[float, float, float]) -> "Sheet":
        """Copy with `offset` (3,) or (V, 3) added to the points."""
        data = self.data.copy()
        data[:, :3] += offset
        return Sheet(data, self.faces)


def triangle_areas(points: Array, faces: Array) -> Array:
    return mesh_io.triangle_areas(mesh_io.Mesh(points, faces))


@lru_cache(maxsize=256)  # cars have the same grids
def grid_faces(rows: int, columns: int, closed: bool = False) -> Array:
    """Two triangles a cell for points laid out as (rows, columns); `closed` joins the last column to the first.

    They may not be written to.
    """
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    right = (c + 1) % columns
    a, b = (r * columns + c).ravel(), (r * columns + right).ravel()
    d, e = a + columns, b + columns
    faces = np.concatenate([np.stack([a, b, e], 1), np.stack([a, e, d], 1)])
    faces.flags.writeable = False
    return faces


def compact(vertices: Array, faces: Array) -> tuple[Array, Array]:
    """Drop the rows of `vertices` that no face uses, and renumber the faces."""
    used = np.zeros(len(vertices), dtype=bool)
    used[faces.ravel()] = True
    return vertices.take(np.flatnonzero(used), axis=0), (np.cumsum(used) - 1).take(faces)


def cut(sheet: Sheet, field: Array) -> tuple[Sheet, Sheet]:
    """Cut a sheet where `field` (V,) is zero; returns the part below and the part above."""
    field = np.where(np.abs(field) < SNAP, 0.0, field)
    below = (field <= 0).astype(np.int8)
    inside = below[sheet.faces.T]  # (3, F)
    count = inside[0] + inside[1] + inside[2]
    mixed = np.flatnonzero((count == 1) | (count == 2))
    lower, upper = (sheet.faces.take(np.flatnonzero(count == number), axis=0) for number in (3, 0))
    if not len(mixed):
        return Sheet(*compact(sheet.data, lower)), Sheet(*compact(sheet.data, upper))
    odd_below = count[mixed] == 1
    first = np.argmax(inside[:, mixed] == odd_below, axis=0)  # the corner that is alone on its side
    corners, number = sheet.faces[mixed].T, np.arange(len(mixed))
    a, b, c = (corners[(first + k) % 3, number] for k in range(3))
    low, high = (
        np.concatenate([np.minimum(a, b), np.minimum(a, c)]),
        np.concatenate([np.maximum(a, b), np.maximum(a, c)]),
    )
    keys, new = np.unique(low * len(field) + high, return_inverse=True)
    low, high = keys // len(field), keys % len(field)
    t = (field[low] / (field[low] - field[high]))[:, None]
    data = np.concatenate([sheet.data, sheet.data[low] * (1 - t) + sheet.data[high] * t])
    ab, ac = len(field) + new[: len(a)], len(field) + new[len(a) :]
    tip, rest = np.array([a, ab, ac]), np.array([[ab, ab], [b, c], [c, ac]]).reshape(3, -1)
    rest_below = np.concatenate([~odd_below, ~odd_below])
    lower = np.concatenate([lower, tip[:, odd_below].T, rest[:, rest_below].T])
    upper = np.concatenate([upper, tip[:, ~odd_below].T, rest[:, ~rest_below].T])
    return Sheet(*compact(data, lower)), Sheet(*compact(data, upper))


def smooth_max(a: Array | float, b: Array | float, radius: float) -> Array:
    """Maximum of two fields whose corner is rounded with about this radius."""
    gap = np.maximum(radius - np.abs(np.asarray(a) - b), 0.0)
    return np.maximum(a, b) + gap * gap / (4 * radius)


def smooth_step(x: Array | float, low: float, high: float) -> Array:
    t = np.clip((np.asarray(x) - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def box_field(u: Array, v: Array, centre: tuple[float, float], half: tuple[float, float], radius: float) -> Array:
    """Signed field of a rectangle with rounded corners in the plane (u, v): negative inside."""
    return smooth_max(np.abs(u - centre[0]) - half[0], np.abs(v - centre[1]) - half[1], radius)


def sheet_grid(points: Array, closed: bool = False) -> Sheet:
    """A sheet over points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    return Sheet(points.reshape(-1, 3), grid_faces(rows, columns, closed))


def patch(corners: list[tuple[float, float, float]]) -> Sheet:
    """A quadrilateral."""
    return Sheet(np.array(corners, dtype=float), np.array([[0, 1, 2], [0, 2, 3]]))


def extrude(outline: Array, x: Array, inset: Array | None = None) -> Sheet:
    """A closed outline (K, 2) of (y, z) drawn along `x` (X,), shrunk to `inset` (X,) of its size, ends closed.

    With the first and last inset below 1 the body has rounded shoulders: seats, headrests, dashboards.
    """
    inset = np.ones(len(x)) if inset is None else inset
    centre = outline.mean(axis=0)
    rings = centre + inset[:, None, None] * (outline - centre)  # (X, K, 2)
    points = np.concatenate([np.broadcast_to(x[:, None, None], (*rings.shape[:2], 1)), rings], axis=2)
    count = len(outline)
    side = grid_faces(len(x), count, closed=True)
    fan = np.stack([np.zeros(count - 2, int), np.arange(1, count - 1), np.arange(2, count)], 1)
    last = (len(x) - 1) * count
    return Sheet(points.reshape(-1, 3), np.concatenate([side, fan[:, ::-1], fan + last]))


def revolve(profile: Array, segments: int) -> Sheet:
    """Turn a profile (K, 2) of (x, radius) about the x axis."""
    angle = np.arange(segments) * (2 * np.pi / segments)
    ring = np.stack([np.zeros(segments), np.sin(angle), np.cos(angle)], 1)  # (T, 3)
    points = profile[:, None, 1:] * ring + profile[:, None, :1] * np.array([1.0, 0.0, 0.0])
    return sheet_grid(points, closed=True)


def tube(path: Array, radius: float, sides: int = 6) -> Sheet:
    """An open-ended pipe along a path (K, 3)."""
    along = np.gradient(path, axis=0)
    along /= np.sqrt((along**2).sum(axis=1, keepdims=True))
    helper = np.where(np.abs(along[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    u = np.cross(along, helper)
    u /= np.sqrt((u**2).sum(axis=1, keepdims=True))
    v = np.cross(along, u)
    angle = np.arange(sides) * (2 * np.pi / sides)
    ring = np.cos(angle)[:, None] * u[:, None] + np.sin(angle)[:, None] * v[:, None]
    return sheet_grid(path[:, None] + radius * ring, closed=True)


def ellipsoid(
    centre: Array | tuple[float, float, float], half: tuple[float, float, float], front: float = 1.0
) -> Sheet:
    """A low-polygon ellipsoid, cut off (open) where its z lies behind `front` times its half length."""
    v = np.linspace(-np.pi / 2, np.arcsin(min(front, 1.0)), 5)
    u = np.arange(8) * (np.pi / 4)
    z, r = np.sin(v), np.cos(v)
    unit = np.stack([r[:, None] * np.cos(u), r[:, None] * np.sin(u), np.broadcast_to(z[:, None], (5, 8))], axis=2)
    return sheet_grid(centre + unit * np.asarray(half), closed=True)


class Parts:
    """The parts of a car by name, in the order in which they were added."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sheets: list[Sheet] = []

    def add(self, name: str, sheet: Sheet) -> None:
        if len(sheet.faces):
            self.names.append(name)
            self.sheets.append(sheet)

    def add_pair(self, name: str, sheet: Sheet) -> None:
        """Add a part of the right side (x > 0) and its mirror image; halves that meet at x = 0 share their seam."""
        data = sheet.data.copy()
        data[:, 0] *= -1
        self.add(name + "_right", sheet)
        self.add(name + "_left", Sheet(data, sheet.faces[:, ::-1]))
