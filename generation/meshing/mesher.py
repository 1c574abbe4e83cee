"""An open triangle mesh from a shape's unsigned distance field, with its interior and its open borders."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from generation.distance_fields import DistanceField
from generation.meshing.contour import mended, quads_of
from generation.meshing.crossings import Crossings, crossings_of_unsigned, ends
from generation.meshing.lattice import Array, Lattice, distances_at, lattice_of
from generation.meshing.refine import (
    SMALLEST_PIECE,
    centred,
    compact,
    triangles_of,
    with_borders_at_the_end,
    without_specks,
)
from generation.meshing.topology import Ints, oriented, vertex_normals

CENTRINGS = 2
MAY_CROSS = 0.6  # cells: the mean distance of the ends of an edge that may become crossed; 0.5 if a sheet crosses it


class OpenMesh(NamedTuple):
    """Vertices (V, 3) float32, mesh units, all of them used; triangles (F, 3); unit normals (V, 3) at the vertices.

    A sheet has one skin, seen from both sides. Neighbouring triangles turn the same way, fronts outside as far as an
    open surface has an outside (`oriented`). Without a surface V and F are 0.
    """

    vertices: Array
    faces: Ints
    normals: Array


def mesh_of(
    field: DistanceField,
    resolution: int,
    chunk: int = 50_000,
    find_crossings: Callable[[Lattice], Crossings] = crossings_of_unsigned,
    smallest_piece: float | None = None,
) -> OpenMesh:
    """The mesh of the field's surface in the box, on a lattice of `resolution` cells per axis.

    Sheets that are closer than 2 cells to each other may grow together, and holes of less than a cell are closed.
    chunk: points asked of the field at a time. find_crossings: which edges of the lattice the surface crosses; another
    one serves fields that know signs. smallest_piece: pieces of less area, square mesh units, are left out; default:
    `SMALLEST_PIECE` faces of a cell.
    """

    def distance(points: Array) -> Array:
        return distances_at(field.plain_distance, points, chunk, field.device)

    lattice = lattice_of(field.plain_distance, resolution, chunk, field.device)
    crossings = find_crossings(lattice)
    floor, side = crossings.floor, lattice.side
    allowed = [np.mean(ends(lattice.values, axis), axis=0) < floor + MAY_CROSS * side for axis in range(3)]
    vertices, quads = quads_of(crossings._replace(crosses=mended(crossings.crosses, allowed)))
    vertices = lattice.places(vertices)
    smallest = SMALLEST_PIECE * side**2 if smallest_piece is None else smallest_piece
    vertices, quads = compact(vertices, without_specks(vertices, quads, smallest))
    if not len(quads):
        return OpenMesh(vertices, np.zeros((0, 3), np.int64), np.zeros_like(vertices))
    quads = oriented(vertices, quads)
    for _ in range(CENTRINGS):
        vertices = centred(distance, vertices, quads, side)
    vertices = with_borders_at_the_end(distance, vertices, quads, side, floor)
    faces = triangles_of(vertices, quads)
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))
