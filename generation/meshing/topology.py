"""What a mesh is made of: its edges and borders, pieces, and which way its faces turn.

Faces (F, K) are triangles or quads, K vertex numbers each.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

Array = NDArray[np.floating]
Ints = NDArray[np.int64]


class Edges(NamedTuple):
    """Edges of a mesh: ends (E, 2), lower vertex first; faces on each (E,); the edge of each face side (F, K).

    Side i of a face goes from its corner i to the next one.
    """

    ends: Ints
    num_faces: Ints
    of_side: Ints


def edges_of(faces: Ints) -> Edges:
    sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    low, high = sides.min(axis=1), sides.max(axis=1)
    base = int(faces.max(initial=0)) + 1
    key, of_side, count = np.unique(low * base + high, return_inverse=True, return_counts=True)
    return Edges(np.stack([key // base, key % base], axis=1), count, of_side.reshape(faces.shape))


def border_sides(faces: Ints) -> Ints:
    """The sides of faces that no other face has, (B, 2), as the face runs through them."""
    edges = edges_of(faces)
    alone = edges.num_faces[edges.of_side] == 1
    sides: Ints = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)[alone]
    return sides


def pieces_of(faces: Ints, most: int | None = None) -> Ints:
    """The number of the piece that each face is in, (F,): faces that share edges are in the same.

    most: only edges that have at most so many faces; 2 cuts the mesh along the lines in which sheets meet.
    """
    rows, columns, _ = _adjacent(faces, edges_of(faces), most)
    graph = coo_matrix((np.ones(len(rows), np.bool_), (rows, columns)), (len(faces),) * 2)
    piece: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return piece


def face_vectors(vertices: Array, faces: Ints) -> Array:
    """Normals of the faces, (F, 3), as long as twice their area."""
    corners = vertices[faces].astype(np.float64)
    return np.cross(corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1])  # of a quad, its diagonals


def vertex_normals(vertices: Array, faces: Ints) -> Array:
    """Unit normals (V, 3): sums of the normals of the faces around, by area; 0 where these cancel."""
    vectors = np.repeat(face_vectors(vertices, faces), faces.shape[1], axis=0)
    total = np.stack([np.bincount(faces.ravel(), vectors[:, i], len(vertices)) for i in range(3)], axis=1)
    length = np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)
    unit: Array = (total / length).astype(np.float32)
    return unit


def oriented(vertices: Array, faces: Ints) -> Ints:
    """The faces, turned so that neighbours turn the same way and the fronts are outside.

    Where three or more faces meet nothing can be the same on all: sheets between such lines are turned each for itself.
    The outside is where normals, by area, point away from the middle of all; for a closed sheet any point would do. A
    Moebius strip keeps one seam.
    """
    edges = edges_of(faces)
    rows, columns, differs = _adjacent(faces, edges, most=2)
    flip, sheet = _parities(len(faces), rows, columns, differs)
    faces = np.where(flip[:, None], faces[:, ::-1], faces)
    centre, normal = vertices[faces].mean(axis=1), face_vectors(vertices, faces)
    middle = (vertices.max(axis=0) + vertices.min(axis=0)) / 2
    away = ((centre - middle) * normal).sum(axis=1)
    inward = np.bincount(sheet, away) < 0
    return np.where(inward[sheet][:, None], faces[:, ::-1], faces)


def _adjacent(faces: Ints, edges: Edges, most: int | None = None) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Pairs of faces that share an edge, and whether they run through it in the same direction: one is to be turned.

    most: only edges that have at most so many faces.
    """
    side_edge = edges.of_side.ravel()
    ahead = (faces < np.roll(faces, -1, axis=1)).ravel()
    order = np.argsort(side_edge, kind="stable")
    same = np.diff(side_edge[order]) == 0
    if most is not None:
        same &= edges.num_faces[side_edge[order][1:]] <= most
    first, second = order[:-1][same], order[1:][same]
    sides = faces.shape[1]
    return first // sides, second // sides, ahead[first] == ahead[second]


def _parities(
    size: int, rows: Ints, columns: Ints, differs: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Labels (size,) that differ between the ends of each link of a spanning forest exactly if `differs` says so.

    Also the number of the tree that each node is in. A breadth-first search gives each node the one before it; labels
    then come from the root by pointer doubling.
    """
    once = np.unique(np.minimum(rows, columns) * size + np.maximum(rows, columns), return_index=True)[1]
    rows, columns, differs = rows[once], columns[once], differs[once]  # faces may share two edges
    # One more node is linked to one of each tree, so that one search reaches all.
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), (size, size))
    tree = connected_components(graph, directed=False)[1]
    roots = np.unique(tree, return_index=True)[1]
    all_rows, all_columns = np.append(rows, np.full(len(roots), size)), np.append(columns, roots)
    values = np.append(1 + differs.astype(np.int8), np.ones(len(roots), np.int8))
    links = coo_matrix((values, (all_rows, all_columns)), (size + 1, size + 1)).tocsr()
    links = links.maximum(links.T)
    before = breadth_first_order(links, size, directed=False)[1].astype(np.int64)
    before[size] = size
    odd = np.append(np.asarray(links[np.arange(size), before[:-1]]).ravel() == 2, False)
    for _ in range(size.bit_length()):
        odd, before = odd ^ odd[before], before[before]
    return odd[:-1], tree
