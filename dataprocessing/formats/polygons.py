"""Polygons of a mesh file, and the triangles they are cut into."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dataprocessing.formats.ears import cut, unit_sized
from dataprocessing.formats.ears import fans as fans_of

NO_FACES = "no faces: a point cloud, a mesh expected"
MOST_CORNERS = 2**16  # of a face
MOST_CONCAVE_CORNERS = 5_000  # of a concave one: time grows by more than their square where it crosses itself
MOST_CONCAVE_WORK = 3 * 10**8  # sum of the squares of their corners
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
    flat faces that cross themselves, and so have no inside, could make more than FALSE_SHARE of the surface false.
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
    concave: dict[int, np.ndarray] = {}  # numbers of such faces, by their size
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
            if not covered.all():
                concave[size] = faces[~covered]
                of_size = of_size[covered]
        fans.append(fans_of(of_size))
    if concave:
        _check_work({size: len(faces) for size, faces in concave.items()})
        fans += _cut_concave(polygons, starts, concave, sum(_area(vertices, part) for part in fans))
    return np.concatenate(fans)


def _parts(faces: np.ndarray) -> Iterator[np.ndarray]:
    """Faces (F, n) in parts of not too many corners."""
    step = max(1, AT_ONCE // faces.shape[1])
    return (faces[start : start + step] for start in range(0, len(faces), step))


def _covered(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Whether the fan of each face (F, n) covers it and nothing else, (F,): no triangle of it is turned over."""
    result = [np.zeros(0, dtype=bool)]
    for part in _parts(faces):
        turns, normal = unit_sized(vertices, part)[1:3]
        with np.errstate(invalid="ignore"):
            length_sq = (normal**2).sum(axis=0)
            over = ((turns * normal[..., None]).sum(axis=0) < -1e-9 * length_sq[:, None]).any(axis=1)
            doubled = np.sqrt((turns**2).sum(axis=0)).sum(axis=1)  # of the fan; a bow tie has no normal, but area
            result.append(~(over | ((doubled > 1e-12) & (np.sqrt(length_sq) < 1e-9 * doubled))))
    return np.concatenate(result)


def _check_work(counts: dict[int, int]) -> None:
    """counts: of concave faces, by their size. Raises ValueError where cutting them could take minutes."""
    if max(counts) > MOST_CONCAVE_CORNERS or sum(size**2 * count for size, count in counts.items()) > MOST_CONCAVE_WORK:
        raise ValueError(
            f"{sum(counts.values()):,} faces are concave, the largest has {max(counts):,} corners; at most "
            f"{MOST_CONCAVE_CORNERS:,} expected, and fewer if there are many: cut them into triangles first"
        )


def _cut_concave(
    polygons: Polygons, starts: np.ndarray, concave: dict[int, np.ndarray], surface: float
) -> list[np.ndarray]:
    """Triangles of the faces with these numbers, by size. surface: area of all others."""
    vertices, corners, _ = polygons
    triangles, false_area, crossed = [], 0.0, 0
    for size, numbers in concave.items():
        faces = corners[starts[numbers][:, None] + np.arange(size)]
        found, wrong = zip(*(cut(vertices, part) for part in _parts(faces)), strict=True)
        triangles += found
        false = np.concatenate(wrong)
        false_area += float(false.sum())
        crossed = crossed or (int(numbers[np.argmax(false > 0)]) + 1 if false.any() else 0)
    surface += sum(_area(vertices, part) for part in triangles)
    if false_area > FALSE_SHARE * surface:
        raise ValueError(
            f"face {crossed} crosses itself, and such faces cover up to {false_area / surface:.1%} of the surface "
            "wrongly: they have no inside; cut them into triangles first"
        )
    return triangles


def _area(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = (vertices[corner] for corner in triangles.T)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
