"""On which side of its sheet each node of a lattice lies, told by a direction away from the sheet.

On most of a surface the distances on the lattice tell it, without asking the field again. Where sheets end, meet or
run close to each other they do not: there the field is asked for its own direction.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from generation.meshing.lattice import Array, Field, Lattice

SMOOTHING = 0.55  # cells: more loses thin parts, less joins sheets at angles to the lattice with flaws
LEVEL = 1e-4  # a slope that is none
TIE = 0.01  # cells: nodes nearer than this lie on the sheet
TIES_GO = 0.05 * np.array([1.0, 0.7, 0.4])  # cells, from them to where they are taken to be: all to the same side
ASKED = 1.3  # cells: from nodes farther away hardly an edge is crossed
NOT_FLAT = 0.05  # of the squares of the gradients around, the share that is not along the normal
WEAK = 0.35  # mean square of the gradients around: near one flat sheet about half
GAP = 1.3  # cells
PAST = 0.15  # cells, past the middle
OTHER = -0.5  # cosine of the directions on both sides of a gap; in a corner they are at right angles
LEAST = 0.05  # cells, and share
BOTTOM = 1.5  # floors: the bottom of the valley, if the field has one
BESIDE = 0.5  # cells
SQUARINGS = 4  # of a matrix, whose largest eigenvalue's power then leads by 16


def directions_of(lattice: Lattice, near: NDArray[np.bool_], field: Field) -> Array:
    """Unit vectors (M, 3) at the nodes `near` a surface, away from it; at the bottom of the valley they are chosen.

    Of a node: g, the gradient of the slightly smoothed field, and N, the direction along which g varies around it (the
    first eigenvector of the mean of g g^T over 27 nodes), which is the sheet's normal but for its sign. g . N tells the
    sign: single gradients of a decoder, as in MeshUDF, are mere noise at nodes that lie on the bottom of the valley.
    Where g g^T has more than one direction, or hardly any, there is more than one flat sheet, and the field's own
    directions are better.
    """
    if not near.any():
        return np.empty((0, 3), np.float32)
    gradients = np.gradient(gaussian_filter(lattice.values, SMOOTHING) / lattice.side)  # of float32
    tensor = np.empty((int(near.sum()), 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            tensor[:, i, j] = tensor[:, j, i] = uniform_filter(gradients[i] * gradients[j], 3)[near]
    normal, strength = leading(tensor)
    # Most with the same sign on a sheet: where it lies on nodes exactly g is 0, and all of these are called positive.
    normal *= np.where(normal @ TIES_GO < 0, -1, 1).astype(np.float32)[:, None]
    g = np.stack([one[near] for one in gradients], axis=1)
    direction: Array = np.where((np.einsum("ni,ni->n", g, normal) + LEVEL < 0)[:, None], -normal, normal)
    rest = np.trace(tensor, axis1=1, axis2=2) - strength
    value = lattice.values[near] / lattice.side
    doubtful = ((rest > NOT_FLAT * strength) | (strength < WEAK)) & (value < ASKED)
    nodes = np.argwhere(near)[doubtful] + np.where(value[doubtful, None] < TIE, TIES_GO, 0.0)
    own = field.directions(lattice.places(nodes))
    own = np.where(own.any(axis=1, keepdims=True), own, direction[doubtful])
    low = value[doubtful] < BOTTOM * floor_of(value)
    own[low] = from_beside(field, lattice.places(nodes[low]), normal[doubtful][low], BESIDE * lattice.side)
    between = in_narrow_gaps(field, lattice.places(nodes), own, value[doubtful], lattice.side)
    away = lattice.places(nodes[between]) - lattice.places(np.argwhere(near)).mean(axis=0)
    outwards = (own[between] * away).sum(axis=1, keepdims=True) > 0
    own[between] = np.where(outwards, -own[between], own[between])
    direction[doubtful] = own
    return direction


def floor_of(value: Array) -> float:
    """About the least distance of a field, by its values (M,) at the nodes around its surface, in the same units.

    Of an exact field a twentieth of the values below 1 cell are below 0.05.
    """
    close = value[value < 1]
    return max(0.0, float(np.quantile(close, LEAST)) - LEAST) if len(close) else 0.0


def from_beside(field: Field, points: Array, normal: Array, step: float) -> Array:
    """The directions (N, 3) at points at the bottom of a valley, where a decoder's own is noise.

    It is that at the higher one of two places beside the point, a step, mesh units, along the sheet's normal (N, 3).
    """
    places = points + step * np.stack([normal, -normal])
    higher = field.distance(places.reshape(-1, 3)).reshape(2, -1).argmax(axis=0)
    return field.directions(places[higher, np.arange(len(points))])


def in_narrow_gaps(field: Field, points: Array, direction: Array, value: Array, side: float) -> NDArray[np.bool_]:
    """Whether points (N, 3) lie between two sheets less than `GAP` apart, which a lattice shows in some places only.

    direction (N, 3), value (N,): of the field there, the latter in cells. The field is looked at beyond the middle of
    such a gap: there it is less than in a wider one, and another sheet's, with the opposite direction.
    """
    found = value < GAP / 2
    some = np.flatnonzero(found)
    ahead = points[some] + side * (GAP / 2 + PAST - value[some])[:, None] * direction[some]
    less = field.distance(ahead) < side * GAP / 2
    found[some[~less]] = False
    turned = np.einsum("ni,ni->n", field.directions(ahead[less]), direction[some[less]]) < OTHER
    found[some[less][~turned]] = False
    return found


def leading(tensor: Array) -> tuple[Array, Array]:
    """Unit eigenvectors (M, 3) of the largest eigenvalues (M,) of symmetric matrices (M, 3, 3) without negative ones.

    By powers: near where two are alike, any vector between theirs.
    """
    power = tensor
    for _ in range(SQUARINGS):
        power = power / np.maximum(np.trace(power, axis1=1, axis2=2), 1e-20)[:, None, None]
        power = power @ power
    column = np.einsum("nii->ni", power).argmax(axis=1)
    vector = power[np.arange(len(power)), column]
    vector = vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-20)
    return vector, np.einsum("ni,nij,nj->n", vector, tensor, vector)
