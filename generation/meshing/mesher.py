"""An open triangle mesh from a shape's unsigned distance field, with its interior and its open borders."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from generation.distance_fields import DistanceField
from generation.meshing.contour import mended, quads_of
from generation.meshing.crossings import Crossings, Mask, crossings_of_unsigned
from generation.meshing.lattice import Array, Field, Lattice, asked_of, lattice_of
from generation.meshing.refine import (
    PROBE,
    SMALLEST_FLAP,
    SMALLEST_PIECE,
    centred,
    compact,
    triangles_of,
    with_borders_at_the_end,
    without_flaps,
    without_specks,
)
from generation.meshing.topology import Ints, oriented, vertex_normals

MESHED_BY = {"meshed_by": "directions and values at edges"}  # a fact of meshes: those of another way are made again
CHECKS = 4  # of edges that became crossed


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
    find_crossings: Callable[[Lattice, Field], Crossings] = crossings_of_unsigned,
    smallest_piece: float | None = None,
) -> OpenMesh:
    """The mesh of the field's surface in the box, on a lattice of `resolution` cells per axis.

    Sheets that are closer than 2 cells to each other may grow together, and holes of less than a cell are closed.
    chunk: points asked of the field at a time. find_crossings: which edges of the lattice the surface crosses; another
    one serves fields that know signs. smallest_piece: pieces of less area, square mesh units, are left out; default:
    `SMALLEST_PIECE` faces of a cell.
    """
    asked = asked_of(field, chunk)
    lattice = lattice_of(asked.distance, resolution)
    crossings = find_crossings(lattice, asked)
    floor, side = crossings.floor, lattice.side
    vertices, quads = quads_of(crossings._replace(crosses=mended_and_checked(crossings)))
    vertices = lattice.places(vertices)
    smallest = SMALLEST_PIECE * side**2 if smallest_piece is None else smallest_piece
    quads = without_flaps(vertices, quads, SMALLEST_FLAP * side**2)
    vertices, quads = compact(vertices, without_specks(vertices, quads, smallest))
    if not len(quads):
        return OpenMesh(vertices, np.zeros((0, 3), np.int64), np.zeros_like(vertices))
    quads = oriented(vertices, quads)
    vertices = centred(lattice.interpolated, vertices, quads, side, [PROBE])  # roughly, without asking the field
    vertices = centred(asked.distance, vertices, quads, side)
    vertices = with_borders_at_the_end(asked.distance, vertices, quads, side, floor)
    vertices, faces = compact(vertices, triangles_of(vertices, quads))
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))


def mended_and_checked(crossings: Crossings) -> list[Mask]:
    """`mended` crossings, of which none is new where the field says that there is no surface."""
    allowed, checked = [mask.copy() for mask in crossings.allowed], [mask.copy() for mask in crossings.crosses]
    for _ in range(CHECKS):
        crosses, wrong = mended(crossings.crosses, allowed), 0
        for axis in range(3):
            new = np.argwhere(crosses[axis] & ~checked[axis])
            checked[axis][tuple(new.T)] = True
            no = new[~crossings.may_cross(axis, new)]
            allowed[axis][tuple(no.T)] = False
            wrong += len(no)
        if not wrong:
            return crosses
    return [cross & (may | was) for cross, may, was in zip(crosses, allowed, crossings.crosses, strict=True)]
