"""A surface made thick: a closed wall around it, which can be printed."""

import itertools

import numpy as np

from generation.distance_fields import DistanceField
from generation.meshing.lattice import asked_of, lattice_of
from generation.meshing.mesher import OpenMesh
from generation.meshing.refine import SMALLEST_PIECE, compact
from generation.meshing.tetrahedra import marched
from generation.meshing.topology import face_vectors, pieces_of, vertex_normals


def wall_of(field: DistanceField, resolution: int, thickness: float, chunk: int = 50_000) -> OpenMesh:
    """The surface of all places within half of `thickness` of the field's surface, mesh units: closed, fronts outside.

    A box of `resolution` cells per axis is marched, on tetrahedra, which leave no edge to one triangle or to three. The
    wall should be thicker than a cell and a half, or parts between the nodes are lost. Crumbs are left out.
    """
    lattice = lattice_of(asked_of(field, chunk).distance, resolution, thickness / 2)
    signed = lattice.values - np.float32(lattice.level)
    for axis, end in itertools.product(range(3), (0, -1)):  # what leaves the box is closed there
        slab = np.moveaxis(signed, axis, 0)[end]
        np.maximum(slab, np.float32(lattice.side), out=slab)
    # All cells, also those that the field was not asked for: what has no gap is closed.
    corners = np.lib.stride_tricks.sliding_window_view(signed < 0, (2, 2, 2))
    some = np.argwhere(corners.any(axis=(3, 4, 5)) & ~corners.all(axis=(3, 4, 5)))
    nodes = some[:, None] + np.array(list(itertools.product((0, 1), repeat=3)))  # (M, 8, 3)
    vertices, faces = marched(lattice, nodes, signed[tuple(np.moveaxis(nodes, 2, 0))])
    piece = pieces_of(faces)
    area = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1) / 2)
    vertices, faces = compact(vertices, faces[(area >= SMALLEST_PIECE * lattice.side**2)[piece]])
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))
