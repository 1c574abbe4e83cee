"""Which edges of a lattice the surface crosses: the only part of the mesher that knows how signs come about.

An unsigned field has no inside. But on the two sides of a sheet its gradient points in opposite directions, so that the
ends of an edge get signs relative to each other (MeshUDF, Guillard et al. 2022, sec. 3.2). Around the border of an open
surface these signs do not fit together to any sign of nodes; edges need not care.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from generation.meshing.lattice import Array, Lattice

SMOOTHING = 0.55  # cells: more loses thin parts, less joins sheets at angles to the lattice with flaws
NEAR = 2.0  # cells: nodes farther from the surface are ends of no crossed edge
TIE = 1e-4  # of a cell's side
LIMIT = 0.5  # cells: how far beyond its border a sheet may still cross an edge


class Crossings(NamedTuple):
    """For the edges along x, y, z: whether the surface crosses them.

    crosses[a]: mask, one shorter than the lattice along axis a; edge i there goes from node i to node i + 1.
    values: (R + 1,) * 3, whose absolute values fall to 0 at the crossing from both ends of an edge.
    floor: the distance that the field has at the surface, mesh units; a decoder's never is 0.
    """

    crosses: list[NDArray[np.bool_]]
    values: Array
    floor: float = 0.0


def ends(array: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Views of a node array at the first and at the second end of each edge along an axis."""
    lead = (slice(None),) * axis
    return array[lead + (slice(None, -1),)], array[lead + (slice(1, None),)]


def crossings_of_signed(values: Array, covered: NDArray[np.bool_]) -> Crossings:
    """Crossings of a field with signs, (R + 1,) * 3, on the edges whose ends both are `covered`: of the same shape."""
    crosses = []
    for axis in range(3):
        (a, b), (here, there) = ends(values < 0, axis), ends(covered, axis)
        crosses.append((a != b) & here & there)
    return Crossings(crosses, values)


def crossings_of_unsigned(lattice: Lattice) -> Crossings:
    """Crossings of an unsigned field, by the sides on which the ends of an edge lie.

    Of a node: g, the gradient of the slightly smoothed field, and N, the direction along which g varies around it (the
    first eigenvector of the mean of g g^T over 27 nodes), which is the sheet's normal but for its sign. g . N tells the
    node's side, and N . N' whether the ends of an edge call the same side positive. Single gradients, as in MeshUDF,
    are mere noise at nodes that lie on the bottom of the valley.
    The mean distance of an edge's ends, less what the slope explains, is that at the surface. Its median and upper
    quartile give the floor. Where it is more than `LIMIT` above, the sheet has ended.
    """
    near = lattice.known & (lattice.values < NEAR * lattice.side)
    gradients = np.gradient(gaussian_filter(lattice.values, SMOOTHING))  # of float32, per cell
    g, normals = np.stack([one[near] for one in gradients], axis=1), _normals(gradients, near)
    # Where a sheet lies on nodes exactly the gradient is 0: call all of these nodes positive.
    node_side = np.einsum("ni,ni->n", g, normals) + TIE * lattice.side
    number = np.full(near.shape, -1, np.int32)
    number[near] = np.arange(len(g))
    edges, crossed, at_surface = [], [], []
    for axis in range(3):
        first, second = ends(number, axis)
        edge = np.nonzero((first >= 0) & (second >= 0))
        a, b = first[edge], second[edge]
        opposite = node_side[a] * node_side[b] * np.einsum("ni,ni->n", normals[a], normals[b]) < 0
        slope = (np.abs(normals[a, axis]) + np.abs(normals[b, axis])) / 2
        value_a, value_b = (end[edge] for end in ends(lattice.values, axis))
        edges.append(edge)
        crossed.append(opposite & (g[b, axis] > g[a, axis]))  # less: where the fields of two sheets meet
        at_surface.append((value_a + value_b) / 2 - slope * lattice.side / 2)
    found = np.concatenate([distance[mask] for distance, mask in zip(at_surface, crossed, strict=True)])
    middle, high = np.quantile(found, [0.5, 0.75]) if len(found) else (0.0, 0.0)
    floor = max(0.0, float(middle + 1.5 * (high - middle)))
    crosses = [np.zeros(ends(near, axis)[0].shape, np.bool_) for axis in range(3)]
    for mask, edge, cross, distance in zip(crosses, edges, crossed, at_surface, strict=True):
        mask[edge] = cross & (distance < floor + LIMIT * lattice.side)
    return Crossings(crosses, lattice.values, floor)


def _normals(gradients: list[Array], near: NDArray[np.bool_]) -> Array:
    """The normals (M, 3) of the sheets at the nodes `near`, most of them with the same sign on a sheet."""
    tensor = np.empty((int(near.sum()), 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            tensor[:, i, j] = tensor[:, j, i] = uniform_filter(gradients[i] * gradients[j], 3)[near]
    normals = np.linalg.eigh(tensor)[1][:, :, 2]
    sign = np.where(normals @ np.array([1.0, 0.7, 0.4], np.float32) < 0, -1, 1).astype(np.float32)
    signed: Array = sign[:, None] * normals
    return signed
