"""Polygons of a mesh file, and the triangles they are cut into."""

from typing import NamedTuple

import numpy as np

NO_FACES = "no faces: a point cloud, a mesh expected"


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
    """Triangles (F, 3) int64 of polygons, cut into fans; a face of fewer than 3 corners has none.

    Raises ValueError for a corner that is no vertex.
    """
    vertices, corners, sizes = polygons
    wrong = corners[(corners < 0) | (corners >= len(vertices))]
    if len(wrong):
        raise ValueError(f"truncated or damaged: a face uses vertex {wrong[0] + 1} of {len(vertices)}")
    starts = np.cumsum(sizes) - sizes
    fans: list[np.ndarray] = [np.zeros((0, 3), dtype=np.int64)]
    for size in np.unique(sizes[sizes >= 3]):
        of_size = corners[starts[sizes == size][:, None] + np.arange(size)]
        fans += [of_size[:, [0, i, i + 1]] for i in range(1, size - 1)]
    return np.concatenate(fans)
