"""Polygons of a mesh file, and the triangles they are cut into."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

NO_FACES = "no faces: a point cloud, a mesh expected"
MOST_CORNERS = 2**16  # of a face
MOST_CONCAVE_CORNERS = 5_000  # of a concave one: time grows by more than their square where it crosses itself
MOST_CONCAVE_WORK = 10**9  # sum of the squares of their corners
FALSE_SHARE = 1e-3  # of the surface, which faces that cross themselves may cover wrongly
AT_ONCE = 2**19  # corners looked at in one go


class Polygons(NamedTuple):
    """What a mesh file says: vertices (V, 3) float64; the corners (C,) of all faces, one after another, each the number
    of a vertex, int64; and how many of them each face has, sizes (F,) int64, in order. sizes.sum() == C."""

    vertices: np.ndarray
    corners: np.ndarray
    sizes: np.ndarray


def of_triangles(vertices: np.ndarray, faces: np.ndarray) -> Polygons:
    """The polygons of triangles (F, 3)."""
    faces = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    return Polygons(np.asarray(vertices, dtype=np.float64), faces.ravel(), np.full(len(faces), 3))


def triangulated(polygons: Polygons) -> np.ndarray:
    """Triangles (F, 3) int64 of polygons; a face of fewer than 3 corners has none.

    A face whose fan of triangles covers it is cut into that fan; those of one size follow each other. A quad that
    needs it is cut along its other diagonal. All others, which are concave, come last, cut by their ears on the plane
    that fits them best. Raises ValueError for a corner that is no vertex, for faces of too many corners, and where
    more than FALSE_SHARE of the surface is of faces that cross themselves: they have no inside to be cut.
    """
    vertices, corners, sizes = polygons
    wrong = corners[(corners < 0) | (corners >= len(vertices))]
    if len(wrong):
        raise ValueError(f"truncated or damaged: a face uses vertex {wrong[0] + 1} of {len(vertices)}")
    starts = np.cumsum(sizes) - sizes
    if len(sizes) and sizes.max() > MOST_CORNERS:
        face = int(np.argmax(sizes))
        raise ValueError(f"face {face + 1} has {sizes[face]:,} corners, at most {MOST_CORNERS:,} expected")
    fans: list[np.ndarray] = [np.zeros((0, 3), dtype=np.int64)]
    concave: list[int] = []
    for size in np.unique(sizes[sizes >= 3]).tolist():
        faces = np.flatnonzero(sizes == size)
        of_size = corners[starts[faces][:, None] + np.arange(size)]
        if size > 3:
            covered = _covered(vertices, of_size)
            if size == 4 and not covered.all():
                turned = np.roll(of_size[~covered], 1, axis=1)
                right = _covered(vertices, turned)
                of_size[np.flatnonzero(~covered)[right]] = turned[right]
                covered[~covered] = right
            concave += faces[~covered].tolist()
            of_size = of_size[covered]
        fans.append(_fans(of_size))
    if concave:
        fans += _cut_concave(vertices, {face: corners[starts[face] :][: sizes[face]] for face in concave}, fans)
    return np.concatenate(fans)


def _fans(faces: np.ndarray) -> np.ndarray:
    """Triangles (F * (n - 2), 3) of faces (F, n): the first of each face, then the second, and so on."""
    first = np.broadcast_to(faces[:, :1], faces[:, 2:].shape)
    return np.stack([first, faces[:, 1:-1], faces[:, 2:]], axis=2).swapaxes(0, 1).reshape(-1, 3)


def _covered(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Whether the fan of each face (F, n) covers it and nothing else, (F,): no triangle of it is turned over."""
    result = np.ones(len(faces), dtype=bool)
    step = max(1, AT_ONCE // faces.shape[1])
    for start in range(0, len(faces), step):
        _, turns, normal = _turns(vertices, faces[start : start + step])
        with np.errstate(over="ignore", invalid="ignore"):
            length_sq = (normal**2).sum(axis=0)
            over = ((turns * normal[..., None]).sum(axis=0) < -1e-9 * length_sq[:, None]).any(axis=1)
            doubled = np.sqrt((turns**2).sum(axis=0)).sum(axis=1)  # of the fan; a bow tie has no normal, but area
            result[start : start + step] = ~(over | ((doubled > 1e-12) & (np.sqrt(length_sq) < 1e-9 * doubled)))
    return result


def _turns(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of faces (F, n): corners from the first one, of size 1, (3, F, n); twice the areas of the fan's triangles, as
    normals, (3, F, n - 2); and their sum (3, F), which is Newell's normal."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        x = np.stack([axis[faces] for axis in vertices.T])
        x = x - x[:, :, :1]
        x = x / np.maximum(np.abs(x).max(axis=(0, 2)), 1e-300)[:, None]
        (ax, ay, az), (bx, by, bz) = x[:, :, 1:-1], x[:, :, 2:]
        turns = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
        return x, turns, turns.sum(axis=2)


def _cut_concave(vertices: np.ndarray, faces: dict[int, np.ndarray], fans: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Triangles of each face: its corners (n,) by its number. fans: all other triangles of the surface."""
    sizes = np.array([len(face) for face in faces.values()])
    if sizes.max() > MOST_CONCAVE_CORNERS or (sizes**2).sum() > MOST_CONCAVE_WORK:
        number = list(faces)[int(np.argmax(sizes))] + 1
        raise ValueError(
            f"{len(faces):,} faces are concave, the largest, face {number}, has {sizes.max():,} corners; "
            f"at most {MOST_CONCAVE_CORNERS:,} expected, and fewer if there are many: cut them into triangles first"
        )
    surface = sum(_area(vertices, part) for part in fans)
    false_area, crossed = 0.0, 0
    for number, face in faces.items():
        cut = _ears(vertices, face)
        if cut is None:
            cut = _fans(face[None])
            false_area += _false_area(vertices, face)
            crossed = crossed or number + 1
        surface += _area(vertices, cut)
        yield cut
    if false_area > FALSE_SHARE * surface:
        raise ValueError(
            f"face {crossed} crosses itself or is folded, {false_area / surface:.1%} of the surface is of such faces: "
            "what they cover is not known; cut them into triangles first"
        )


def _ears(vertices: np.ndarray, face: np.ndarray) -> np.ndarray | None:
    """Triangles of a face (n,), on its plane; None where they do not have its area, as it has no inside."""
    import mapbox_earcut

    points, _, normal = _turns(vertices, face[None])
    length = float(np.linalg.norm(normal))
    if not length > 0:
        return None
    n = normal[:, 0] / length
    u = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
    u /= np.linalg.norm(u)
    flat = np.ascontiguousarray(points[:, 0].T @ np.stack([u, np.cross(n, u)]).T)
    ends = np.array([len(flat)], dtype=np.uint32)
    cut = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3).astype(np.int64)
    (ax, ay), (bx, by) = (flat[cut[:, 1]] - flat[cut[:, 0]]).T, (flat[cut[:, 2]] - flat[cut[:, 0]]).T
    covered = np.abs(ax * by - ay * bx).sum()
    return face[cut] if abs(covered - length) <= 1e-6 * length else None


def _false_area(vertices: np.ndarray, face: np.ndarray) -> float:
    """By how much the area of a face's fan differs from that of its outline."""
    points, turns, normal = _turns(vertices, face[None])
    size = np.abs(vertices[face] - vertices[face[0]]).max()
    return abs(float(np.linalg.norm(turns, axis=0).sum() - np.linalg.norm(normal))) / 2 * float(size) ** 2


def _area(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (vertices[corner] for corner in triangles.T)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
