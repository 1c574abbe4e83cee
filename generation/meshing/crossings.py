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

SMOOTHING = 0.7  # cells; a decoder's valley is flat and rough at its bottom
NEAR = 2.0  # cells: nodes farther from the surface are ends of no crossed edge
TIE = 1e-4  # of a cell's side
LIMIT = 0.5  # cells: how far beyond its border a sheet may still cross an edge


class Crossings(NamedTuple):
    """For the edges along x, y, z: whether the surface crosses them, and where.

    crosses[a]: mask, one shorter than the lattice along axis a; edge i there goes from node i to node i + 1.
    shares[a]: of the same shape, how far along the edge the surface is, in [0, 1].
    floor: the distance that the field has at the surface, mesh units; a decoder's never is 0.
    """

    crosses: list[NDArray[np.bool_]]
    shares: list[Array]
    floor: float = 0.0


def ends(array: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Views of a node array at the first and at the second end of each edge along an axis."""
    lead = (slice(None),) * axis
    return array[(*lead, slice(None, -1))], array[(*lead, slice(1, None))]


def shares_of(values: Array, axis: int) -> Array:
    """Where |values| that fall and rise linearly reach 0 on each edge along an axis, in [0, 1]."""
    first, second = (np.abs(end) for end in ends(values, axis))
    return (first / np.maximum(first + second, 1e-12)).astype(np.float32)


def crossings_of_signed(values: Array, covered: NDArray[np.bool_]) -> Crossings:
    """Crossings of a field with signs, (R + 1,) * 3, on the edges whose ends both are `covered`: of the same shape."""
    crosses = []
    for axis in range(3):
        (a, b), (here, there) = ends(values < 0, axis), ends(covered, axis)
        crosses.append((a != b) & here & there)
    return Crossings(crosses, [shares_of(values, axis) for axis in range(3)])


def crossings_of_unsigned(lattice: Lattice) -> Crossings:
    """Crossings of an unsigned field, by the sides on which the ends of an edge lie.

    Of a node: g, the gradient of the smoothed field, and N, the direction along which g varies around the node (the
    first eigenvector of the mean of g g^T over 27 nodes), which is the sheet's normal but for its sign. g . N tells the
    node's side, and N . N' whether the ends of an edge call the same side positive. Single gradients, as in MeshUDF,
    are mere noise at nodes that lie on the bottom of the valley.
    The mean distance of an edge's ends, less what the slope explains, is that at the surface. Its median
    and upper quartile give the floor. Where it is more than `LIMIT` above, the sheet has ended.
    """
    near = lattice.known & (lattice.values < NEAR * lattice.side)
    gradient = np.stack(np.gradient(gaussian_filter(lattice.values, SMOOTHING)), axis=-1).astype(np.float32)
    normals = np.zeros_like(gradient)
    normals[near] = _normals(gradient, near)
    # Where a sheet lies on nodes exactly the gradient is 0: call all of these nodes positive.
    node_side = np.einsum("...i,...i->...", gradient, normals) + TIE * lattice.side
    crosses, at_surface = [], []
    for axis in range(3):
        (near_a, near_b), (side_a, side_b), (n_a, n_b) = (ends(x, axis) for x in (near, node_side, normals))
        opposite = side_a * side_b * np.einsum("...i,...i->...", n_a, n_b) < 0
        g_a, g_b = ends(gradient[..., axis], axis)
        crosses.append(near_a & near_b & opposite & (g_b > g_a))
        slope = (np.abs(n_a[..., axis]) + np.abs(n_b[..., axis])) / 2
        at_surface.append(sum(ends(lattice.values, axis)) / 2 - slope * lattice.side / 2)
    found = np.concatenate([distance[mask] for distance, mask in zip(at_surface, crosses, strict=True)])
    middle, high = np.quantile(found, [0.5, 0.75]) if len(found) else (0.0, 0.0)
    floor = max(0.0, float(middle + 1.5 * (high - middle)))
    crosses = [
        mask & (distance < floor + LIMIT * lattice.side) for mask, distance in zip(crosses, at_surface, strict=True)
    ]
    return Crossings(crosses, [shares_of(lattice.values, axis) for axis in range(3)], floor)


def _normals(gradient: Array, near: NDArray[np.bool_]) -> Array:
    """The normals (M, 3) of the sheets at the nodes `near`, most of them with the same sign on a sheet."""
    tensor = np.empty((int(near.sum()), 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            product = uniform_filter(gradient[..., i] * gradient[..., j], 3)[near]
            tensor[:, i, j] = tensor[:, j, i] = product
    normals = np.linalg.eigh(tensor)[1][:, :, 2]
    return normals * np.where(normals @ np.array([1.0, 0.7, 0.4], np.float32) < 0, np.float32(-1), np.float32(1))[:, None]
