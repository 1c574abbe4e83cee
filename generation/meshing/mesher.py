"""An open triangle mesh from a shape's unsigned distance field."""

from typing import NamedTuple

import numpy as np

from configs.errors import UserError
from generation.meshing.contour import mended, quads_of
from generation.meshing.crossings import LIMIT, crossings_of_unsigned, ends
from generation.meshing.lattice import Lattice, distances_at, lattice_of
from generation.meshing.refine import (
    centred,
    compact,
    triangles_of,
    with_borders_at_the_end,
    without_specks,
)
from generation.meshing.topology import Array, Ints, oriented, vertex_normals
from generation.projection import DistanceField


class OpenMesh(NamedTuple):
    """Vertices (V, 3) float32, mesh units, all used; triangles (F, 3); unit normals (V, 3) of the triangles around."""

    vertices: Array
    faces: Ints
    normals: Array


def mesh_of(field: DistanceField, resolution: int, chunk: int = 50_000) -> OpenMesh:
    lattice = lattice_of(field.distance, resolution, chunk, field.device)
    crossings, floor = crossings_of_unsigned(lattice)
    return contoured(field, lattice, crossings, floor, chunk)


def contoured(field, lattice, crossings, floor, chunk=50_000, mend=True):
    def distance(points: Array) -> Array:
        return distances_at(field.distance, points, chunk, field.device)
    highest = floor + LIMIT * lattice.side
    if mend:
        allowed = [np.maximum(*ends(lattice.values, axis)) < floor + lattice.side for axis in range(3)]
        crossings = crossings._replace(crosses=mended(crossings.crosses, allowed))
    vertices, quads = quads_of(crossings)
    if not len(quads):
        raise UserError("the decoder's field has no surface")
    vertices = lattice.places(vertices)
    quads = oriented(vertices, quads)
    for _ in range(2):
        vertices = centred(distance, vertices, quads, lattice.side)
    quads = without_specks(vertices, quads, lattice.side)
    vertices, quads = compact(vertices, quads)
    vertices = with_borders_at_the_end(distance, vertices, quads, lattice.side, floor)
    faces = triangles_of(vertices, quads)
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))
