"""Meshes with fewer faces, for pages that would be too large with all of them."""

import numpy as np
from numpy.typing import NDArray

Triangles = tuple[NDArray[np.floating], NDArray[np.integer]]  # vertices (V, 3), faces (F, 3)

FINEST = 512  # cells along the longest side that are tried first
SHRINK = 0.85  # of the cells after each try


def coarsened(mesh: Triangles, most_faces: int) -> Triangles:
    """The mesh itself if it has at most `most_faces`, else vertices merged within the cells of a lattice.

    Merged vertices lie at their mean; faces that become lines are dropped, doubled ones kept once. The lattice is the
    finest of a few that gives few enough faces. Rossignac and Borrel 1993.
    """
    cells = FINEST
    result = mesh
    while len(result[1]) > most_faces:
        result = clustered(mesh, cells)
        cells = int(SHRINK * cells)
    return result


def clustered(mesh: Triangles, cells: int) -> Triangles:
    """The mesh with one vertex for each of the occupied cells, `cells` along the longest side of its box."""
    vertices, faces = mesh
    low, high = vertices.min(0), vertices.max(0)
    side = max(float((high - low).max()), 1e-9) / cells
    _, cell, count = np.unique(
        ((vertices - low) / side).astype(np.int64), axis=0, return_inverse=True, return_counts=True
    )
    cell = cell.ravel()
    means = np.stack([np.bincount(cell, vertices[:, i]) for i in range(3)], axis=1) / count[:, None]
    merged = cell[faces]
    a, b, c = merged.T
    merged = merged[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)
    return means.astype(vertices.dtype), merged[np.sort(first)]
