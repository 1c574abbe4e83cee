"""Marching tetrahedra: the zero level of values with signs, as triangles that leave no holes between cells."""

import itertools

import numpy as np

from generation.meshing.lattice import Array, Lattice
from generation.meshing.topology import Ints, face_vectors

CLOSEST = 0.01  # of an edge: vertices keep so far from nodes, or several would fall together there


def marched(lattice: Lattice, nodes: Ints, signed: Array) -> tuple[Array, Ints]:
    """Vertices (V, 3), mesh units, and triangles (F, 3) of the zero level in the six tetrahedra of cells (Kuhn's).

    nodes (M, 8, 3): corners of the cells, z running fastest; signed (M, 8): values there. Vertices on the edges are
    shared. Fronts are where the values are larger; without cells with surface V and F are 0.
    """
    paths = [
        np.cumsum([(0, 0, 0), *np.eye(3, dtype=int)[list(order)]], axis=0) for order in itertools.permutations(range(3))
    ]
    tetrahedra = [[int(place @ (4, 2, 1)) for place in path] for path in paths]
    number = nodes @ np.array([lattice.values[0].size, lattice.values.shape[2], 1])
    parts: list[np.ndarray] = [np.zeros((0, 3, 2, 2))]  # of edges, each two nodes and their values, the negative first
    for tetrahedron in tetrahedra:
        value, node = signed[:, tetrahedron], number[:, tetrahedron]
        negative = (value < 0) @ np.array([1, 2, 4, 8])
        for case in range(1, 15):
            some = negative == case
            for fan in _fans_of(case):
                ends = [np.stack([node[some][:, list(edge)], value[some][:, list(edge)]], axis=2) for edge in fan]
                parts.append(np.stack(ends, axis=1))
    found = np.concatenate(parts).reshape(-1, 2, 2)  # (3 F, ends, node and value)
    size = lattice.values.size
    low, high = found[:, 0, 0].astype(np.int64), found[:, 1, 0].astype(np.int64)
    _, first, same = np.unique(low * size + high, return_index=True, return_inverse=True)
    here, there = (np.stack(np.unravel_index(end, lattice.values.shape), axis=-1) for end in (low, high))
    values = np.abs(found[first][..., 1])
    share = (values[:, 0] / np.maximum(values.sum(axis=1), 1e-12)).clip(CLOSEST, 1 - CLOSEST)[:, None]
    vertices = lattice.places((1 - share) * here[first] + share * there[first])
    faces = same.reshape(-1, 3).astype(np.int64)
    rises = (there - here).reshape(-1, 3, 3).sum(axis=1)
    turned = (face_vectors(vertices, faces) * rises).sum(axis=1) < 0
    return vertices, np.where(turned[:, None], faces[:, ::-1], faces)


def _fans_of(case: int) -> list[list[tuple[int, int]]]:
    """The triangles of a tetrahedron, by the edges that their corners lie on; bits of `case`: its negative corners."""
    low, high = ([i for i in range(4) if case >> i & 1 == bit] for bit in (1, 0))
    edges = [(a, b) for a in low for b in high]
    return [edges] if len(edges) == 3 else [[edges[0], edges[1], edges[3]], [edges[0], edges[3], edges[2]]]
