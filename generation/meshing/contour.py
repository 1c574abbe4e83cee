"""From crossed edges to quads: dual contouring, with a vertex in each cell and a quad around each crossed edge.

An edge decides for itself, so that a sheet may end anywhere and several may meet in a line; marching cubes needs signs
for whole cells. Vertices are means of the crossings (surface nets, Gibson 1998); sharp creases are lost below the size
of a cell, where a decoder's field has none.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from generation.meshing.crossings import Crossings, ends
from generation.meshing.lattice import Array

MAX_PASSES = 12  # over all edges; the mending ends earlier
# What a lattice face costs by the number of its crossed edges: a border goes through it at 1, a line in which three
# sheets meet at 3.
FACE_COSTS = np.array([0, 4, 0, 3, 0])

Ints = NDArray[np.int64]


def mended(crosses: list[NDArray[np.bool_]], allowed: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Crossed edges, changed where that makes borders shorter: pinholes close, spikes go, sheets that meet are joined.

    A sheet that goes through a lattice face crosses two of its edges, or four. One wrong edge makes a small border
    through the four faces around it. An edge changes if that lowers the sum of `FACE_COSTS`; edges that share a face do
    not change at the same time. `allowed`: masks of the edges that may become crossed.
    """
    nodes = np.max([mask.shape for mask in crosses], axis=0)
    size = nodes + 2  # a margin, so that each edge has four faces
    steps = [int(size[1] * size[2]), int(size[2]), 1]  # from a node to the next along x, y, z
    volume = int(size.prod())
    edges = [np.argwhere(may | now) for may, now in zip(allowed, crosses, strict=True)]
    state = [now[tuple(edge.T)] for now, edge in zip(crosses, edges, strict=True)]
    faces = [_faces_around(edge, axis, steps, volume) for axis, edge in enumerate(edges)]  # (4, E)
    count = np.zeros(3 * volume, np.int8)  # crossed edges of the faces across x, y, z
    for face, crossed in zip(faces, state, strict=True):
        np.add.at(count, face[:, crossed], np.int8(1))
    gain = np.array([np.append(np.diff(FACE_COSTS), 9), np.append(9, -np.diff(FACE_COSTS))])  # of one more, one less
    colour = [(edge.sum(axis=1) - edge[:, axis]) % 2 for axis, edge in enumerate(edges)]
    for _ in range(MAX_PASSES):
        changed = 0
        for axis, one in np.ndindex(3, 2):
            # Where all faces have an even number, sheets go through: a change costs.
            odd = (count[faces[axis]] & 1).any(axis=0)
            some = np.flatnonzero(odd & (colour[axis] == one))
            now = state[axis][some]
            turn = gain[now.astype(int), count[faces[axis][:, some]]].sum(axis=0) < 0
            some, now = some[turn], now[turn]
            state[axis][some] = ~now
            count[faces[axis][:, some]] += np.where(now, -1, 1).astype(np.int8)
            changed += len(some)
        if not changed:
            break
    result = [np.zeros_like(mask) for mask in crosses]
    for mask, edge, crossed in zip(result, edges, state, strict=True):
        mask[tuple(edge[crossed].T)] = True
    return result


def _faces_around(edges: Ints, axis: int, steps: list[int], volume: int) -> Ints:
    """Flat numbers (4, E) of the lattice faces around edges along an axis, given by their first nodes (E, 3).

    A face is named by the axis that it lies across and its first node: it is spanned from there by the other axes.
    volume: how many nodes there are.
    """
    node = (edges + 1) @ np.array(steps)
    one, other = (i for i in range(3) if i != axis)
    across_one, across_other = one * volume + node, other * volume + node
    return np.stack([across_one, across_one - steps[other], across_other, across_other - steps[one]])


def quads_of(crossings: Crossings) -> tuple[Array, Ints]:
    """Vertices in lattice coordinates (V, 3) and quads (Q, 4), which turn the same way around their edges.

    Sheets that only share a cell do not share its vertex: quads around a vertex are one fan only where they meet in
    edges.
    """
    corners, places = [], []
    nodes = np.array(crossings.values.shape)
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        edge = np.argwhere(crossings.crosses[axis])
        edge = edge[((edge[:, [one, other]] > 0) & (edge[:, [one, other]] < nodes[[one, other]] - 1)).all(axis=1)]
        place = edge.astype(np.float32)
        first, second = (np.abs(end[tuple(edge.T)]) for end in ends(crossings.values, axis))
        place[:, axis] += first / np.maximum(first + second, 1e-12)
        cells = np.repeat(edge[:, None], 4, axis=1)
        cells[:, [0, 3], one] -= 1
        cells[:, [0, 1], other] -= 1
        corners.append((cells[..., 0] * nodes[1] + cells[..., 1]) * nodes[2] + cells[..., 2])
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
    fan: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return fan.reshape(polygons.shape)
