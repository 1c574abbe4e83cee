"""Vertices moved to where the field is least, borders to where it ends, and quads cut into triangles."""

from collections.abc import Callable, Sequence

import numpy as np

from generation.meshing.topology import Array, Ints, border_sides, edges_of, face_vectors, pieces_of, vertex_normals

Distance = Callable[[Array], Array]  # (N, 3) -> (N,), mesh units

PROBE = 1.25  # cells: how far from the sheet the field is looked at
CLOSE_PROBE = 0.5  # the same where another sheet is closer than that
ALONE = 0.85  # the sum of the distances on both sides of a sheet that is alone, at least, by what it would be
LARGEST_MOVE = 0.75  # cells, of a vertex in one step
BORDER_ROUNDS = 2
NO_AREA = 1e-9  # square mesh units, of a triangle, twice
SMALLEST_FLAP = 6  # faces of a cell: sheets of less area that hang on others are flaws of the edges
SMALLEST_PIECE = 24  # faces of a cell: pieces of less area are specks


def without_specks(vertices: Array, faces: Ints, smallest: float) -> Ints:
    """The faces of the pieces with an area of at least `smallest`, square mesh units."""
    piece = pieces_of(faces)
    area = np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1) / 2)
    return faces[(area >= smallest)[piece]]


def without_flaps(vertices: Array, faces: Ints, smallest: float) -> Ints:
    """The faces without sheets of less area than `smallest`, square mesh units, that hang on a line where others
    meet."""
    edges = edges_of(faces)
    sheet = pieces_of(faces, most=2)
    area = np.bincount(sheet, np.linalg.norm(face_vectors(vertices, faces), axis=1) / 2)
    hangs = np.bincount(sheet, (edges.num_faces[edges.of_side] > 2).any(axis=1)) > 0
    return faces[~(hangs & (area < smallest))[sheet]]


def centred(
    distance: Distance, vertices: Array, faces: Ints, side: float, probes: Sequence[float] = (PROBE, CLOSE_PROBE)
) -> Array:
    """Vertices moved along their normals to the middle of the field's valley.

    The field rises alike on both sides of a sheet, so that half the difference of two values is the way to its middle.
    A step along the gradient goes wrong there: a decoder's field is never 0, and its gradient at the bottom is noise.
    Where the two values together are too small, one may be another sheet's: there it is looked at from closer. probes:
    how far it is looked at, cells, from the first on; vertices that are not alone at the last one stay where they are,
    unless it is `CLOSE_PROBE`.
    """
    normals = vertex_normals(vertices, faces)
    some: Ints = np.arange(len(vertices))
    vertices = vertices.copy()
    for cells in probes:
        probe = cells * side
        place, reach = vertices[some], probe * normals[some]
        both = distance(np.concatenate([place + reach, place - reach]))
        ahead, behind = both[: len(some)], both[len(some) :]
        alone = (ahead + behind > ALONE * 2 * probe) | (cells == CLOSE_PROBE)
        move = ((ahead - behind) / 2)[alone].clip(-LARGEST_MOVE * side, LARGEST_MOVE * side)
        vertices[some[alone]] -= move[:, None] * normals[some[alone]]
        some = some[~alone]
    return vertices


def with_borders_at_the_end(distance: Distance, vertices: Array, faces: Ints, side: float, floor: float) -> Array:
    """Border vertices smoothed along the border, and moved in the sheet's plane to where the field says it ends.

    A cell beyond the border, the distance is that to the border. floor: what the field has at the surface.
    """
    sides = border_sides(faces)
    border, count = np.unique(sides, return_counts=True)
    smooth = border[count == 2]
    if not len(border):
        return vertices
    vertices = vertices.copy()
    for _ in range(BORDER_ROUNDS):
        vertices[smooth] = (vertices[smooth] + _neighbour_means(vertices, sides)[smooth]) / 2
        outward = _outward(vertices, faces, sides)[border]
        ends = distance(vertices[border] + side * outward)
        move = (side - (ends - floor)).clip(-LARGEST_MOVE * side, LARGEST_MOVE * side)
        vertices[border] += move[:, None] * outward
    vertices[smooth] = (vertices[smooth] + _neighbour_means(vertices, sides)[smooth]) / 2
    return vertices


def triangles_of(vertices: Array, quads: Ints) -> Ints:
    """(Q, 4) -> (2 Q, 3), along the shorter diagonal; without those that have no area, where vertices fell together."""
    corners = vertices[quads]
    first, second = (np.linalg.norm(corners[:, i] - corners[:, i + 2], axis=1) for i in (0, 1))
    quads = np.where((first <= second)[:, None], quads, np.roll(quads, -1, axis=1))
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    whole: Ints = faces[np.linalg.norm(face_vectors(vertices, faces), axis=1) > NO_AREA]
    return whole


def compact(vertices: Array, faces: Ints) -> tuple[Array, Ints]:
    """The vertices that faces use, and the faces with their new numbers."""
    used, numbers = np.unique(faces, return_inverse=True)
    return vertices[used], numbers.reshape(faces.shape).astype(np.int64)


def _neighbour_means(vertices: Array, sides: Ints) -> Array:
    """The mean of the neighbours along the border, (V, 3); only for vertices with two."""
    total = np.zeros_like(vertices)
    for here, there in (sides.T, sides.T[::-1]):
        np.add.at(total, here, vertices[there])
    return total / 2


def _outward(vertices: Array, faces: Ints, sides: Ints) -> Array:
    """Unit vectors (V, 3) in the sheet's plane, away from the faces, at the ends of border sides; 0 elsewhere."""
    normals = vertex_normals(vertices, faces)
    along = vertices[sides[:, 1]] - vertices[sides[:, 0]]
    out = np.cross(along, normals[sides].mean(axis=1))
    total = np.zeros_like(vertices)
    for end in sides.T:
        np.add.at(total, end, out)
    total -= (total * normals).sum(axis=1, keepdims=True) * normals
    unit: Array = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)
    return unit
