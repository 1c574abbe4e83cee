"""From crossed edges to quads: dual contouring, with a vertex in each cell and a quad around each crossed edge.

An edge decides for itself, so that a sheet may end anywhere and several may meet in a line; marching cubes needs signs
for whole cells. Vertices are means of the crossings (surface nets, Gibson 1998); sharp creases are lost below the size
of a cell, where a decoder's field has none.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from generation.meshing.crossings import Crossings
from generation.meshing.lattice import Array

MAX_PASSES = 8  # over all edges; the mending ends earlier
MOST_ODD = 3  # of the four faces around an edge: from here on, one border gets shorter if the edge changes

Ints = NDArray[np.int64]


def odd_faces(crosses: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """For the lattice faces across x, y, z: whether an odd number of their four edges is crossed.

    A sheet that goes through a face crosses two of its edges (or four). The number is odd where a border goes through
    the face, or a line in which three sheets meet. Entry a has the shape of the nodes along axis a, and is one shorter
    along the two others.
    """
    odd = []
    for axis in range(3):
        one, other = (i for i in range(3) if i != axis)
        face = np.logical_xor(*_neighbours(crosses[one], other))
        odd.append(face ^ np.logical_xor(*_neighbours(crosses[other], one)))
    return odd


def mended(crosses: list[NDArray[np.bool_]], allowed: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Crossed edges, changed where that makes the borders shorter: pinholes close, spikes go.

    An edge changes if at least three of the four faces around it are odd, so that fewer are afterwards. `allowed`:
    masks of the edges that may be crossed. Edges that share a face do not change at the same time.
    """
    crosses = [mask.copy() for mask in crosses]
    for _ in range(MAX_PASSES):
        changed = 0
        for axis in range(3):
            one, other = (i for i in range(3) if i != axis)
            parity = np.add.outer(np.arange(crosses[axis].shape[one]), np.arange(crosses[axis].shape[other])) % 2
            for colour in (0, 1):
                count = _odd_around(odd_faces(crosses), axis)
                turn = (count >= MOST_ODD) & (crosses[axis] | allowed[axis])
                turn &= np.expand_dims(parity == colour, axis)
                crosses[axis] ^= turn
                changed += int(turn.sum())
        if not changed:
            break
    return crosses


def _odd_around(odd: list[NDArray[np.bool_]], axis: int) -> NDArray[np.uint8]:
    """How many of the four faces around each edge along an axis are odd; those outside the lattice are not."""
    one, other = (i for i in range(3) if i != axis)
    # A face across `one` is spanned by `axis` and `other`: the two around an edge lie on its sides along `other`.
    return _both_sides(odd[one], other) + _both_sides(odd[other], one)


def _both_sides(faces: NDArray[np.bool_], axis: int) -> NDArray[np.uint8]:
    before, after = ([(0, 0)] * axis + [pad] + [(0, 0)] * (2 - axis) for pad in ((1, 0), (0, 1)))
    return np.pad(faces, before).astype(np.uint8) + np.pad(faces, after)


def _neighbours(array: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    lead = (slice(None),) * axis
    return array[(*lead, slice(None, -1))], array[(*lead, slice(1, None))]


def quads_of(crossings: Crossings) -> tuple[Array, Ints]:
    """Vertices in lattice coordinates (V, 3) and quads (Q, 4), which turn the same way around their edges.

    Sheets that only share a cell do not share its vertex: quads around a vertex are one fan only where they meet in
    edges.
    """
    corners, places = [], []
    resolution = crossings.crosses[0].shape[0]
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        edge = np.argwhere(crossings.crosses[axis])
        edge = edge[((edge[:, [one, other]] > 0) & (edge[:, [one, other]] < resolution)).all(axis=1)]
        place = edge.astype(np.float32)
        place[:, axis] += crossings.shares[axis][tuple(edge.T)]
        cells = np.repeat(edge[:, None], 4, axis=1)
        cells[:, [0, 3], one] -= 1
        cells[:, [0, 1], other] -= 1
        corners.append((cells[..., 0] * resolution + cells[..., 1]) * resolution + cells[..., 2])
        places.append(place)
    cell, place = np.concatenate(corners), np.concatenate(places)
    vertex = _fans(cell)
    count = np.bincount(vertex.ravel())
    total = [np.bincount(vertex.ravel(), np.repeat(place[:, axis], 4)) for axis in range(3)]
    return np.stack([t / count for t in total], axis=1).astype(np.float32), vertex


def _fans(polygons: Ints) -> Ints:
    """Give each fan of polygons around a vertex a vertex of its own: (Q, K) -> (Q, K), numbers from 0."""
    if not len(polygons):
        return polygons
    size = polygons.shape[1]
    corner = np.arange(polygons.size).reshape(polygons.shape)  # a corner of one polygon
    ahead, corner_ahead = np.roll(polygons, -1, axis=1), np.roll(corner, -1, axis=1)
    low, high = np.minimum(polygons, ahead).ravel(), np.maximum(polygons, ahead).ravel()
    flip = (polygons > ahead).ravel()
    at_low = np.where(flip, corner_ahead.ravel(), corner.ravel())
    at_high = np.where(flip, corner.ravel(), corner_ahead.ravel())
    order = np.lexsort((high, low))
    same = (np.diff(low[order]) == 0) & (np.diff(high[order]) == 0)
    first, second = order[:-1][same], order[1:][same]  # sides of polygons that are the same mesh edge
    rows, columns = (np.concatenate([at[i] for at in (at_low, at_high)]) for i in (first, second))
    graph = coo_matrix((np.ones(len(rows), np.bool_), (rows, columns)), (size * len(polygons),) * 2)
    return connected_components(graph, directed=False)[1].astype(np.int64).reshape(polygons.shape)
