"""Which edges of a lattice the surface crosses: the only part of the mesher that knows how signs come about.

An unsigned field has no inside. But on the two sides of a sheet its gradient points in opposite directions, so that the
ends of an edge get signs relative to each other (MeshUDF, Guillard et al. 2022, sec. 3.2). Around the border of an open
surface these signs do not fit together to any sign of nodes; edges need not care.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from generation.meshing.lattice import Array, Field, Lattice
from generation.meshing.sides import directions_of

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

NEAR = 2.0  # cells: nodes farther from the surface are ends of no crossed edge
MAY_CROSS = 0.6  # cells: the mean distance of the ends of an edge that may become crossed; 0.5 if a sheet crosses it
BEYOND = 0.2  # cells: how far from a sheet, or beyond its border, an edge may still be crossed
MAY_BEYOND = 0.35
RAISED = 0.6  # cells: the same where the field only falls less deep, as where a decoder is unsure of a sheet
OPPOSITE = -0.9  # cosine there; beyond a border directions lean outwards on both sides
ALIKE = 0.1  # cosine: directions at right angles, but for so much, are as likely of one side as of two
LOOK_AGAIN = 0.1  # cells above the usual distance at a crossing


class Crossings(NamedTuple):
    """For the edges along x, y, z: whether the surface crosses them, and whether it may.

    crosses[a], allowed[a]: masks, one shorter than the lattice along axis a; edge i there goes from node i to i + 1.
    values: as the lattice's, whose absolute values fall to 0 at the crossing from both ends of an edge.
    floor: the distance that the field has at the surface, mesh units; a decoder's never is 0.
    may_cross: of edges (E, 3) along an axis, by their first nodes, which were `allowed`: whether it stays so, after a
    closer look.
    """

    crosses: list[Mask]
    allowed: list[Mask]
    values: Array
    floor: float = 0.0
    may_cross: Callable[[int, Ints], Mask] = lambda axis, edges: np.ones(len(edges), np.bool_)


def ends(array: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Views of a node array at the first and at the second end of each edge along an axis."""
    lead = (slice(None),) * axis
    return array[lead + (slice(None, -1),)], array[lead + (slice(1, None),)]


def crossings_of_unsigned(lattice: Lattice, field: Field) -> Crossings:
    """Crossings of an unsigned field: its directions at the ends of an edge are opposite, and between them it falls to
    what it is at a surface.

    What it is there, the floor, is an upper bound of the usual values at crossings, by their quartiles. An edge whose
    least value is `BEYOND` above it passes beyond a border, or between two sheets; or there is a valley still, but
    shallow (`RAISED`).
    """
    near = lattice.known & (lattice.values < NEAR * lattice.side)
    looks = Looks(lattice, field, near, directions_of(lattice, near, field))
    edges, least, cosine = zip(*(looks.crossed(axis) for axis in range(3)), strict=True)
    found = np.concatenate(least)
    middle, high = np.quantile(found, [0.5, 0.75]) if len(found) else (0.0, 0.0)
    floor = float(middle + 1.5 * (high - middle))
    crosses = [np.zeros(ends(near, axis)[0].shape, np.bool_) for axis in range(3)]
    for mask, edge, value, across in zip(crosses, edges, least, cosine, strict=True):
        most = floor + lattice.side * np.where(across < OPPOSITE, RAISED, BEYOND)
        mask[tuple(edge[value < most].T)] = True
    allowed = [np.mean(ends(lattice.values, axis), axis=0) < floor + MAY_CROSS * lattice.side for axis in range(3)]
    for may, (here, there) in zip(allowed, (ends(near, axis) for axis in range(3)), strict=True):
        may &= here & there

    def may_cross(axis: int, edges: Ints) -> Mask:
        few: Mask = looks.least(axis, edges, floor) < floor + MAY_BEYOND * lattice.side
        return few

    return Crossings(crosses, allowed, lattice.values, floor, may_cross)


class Looks:
    """The field, looked at on edges of a lattice, whose ends have directions (M, 3) where they are near the surface."""

    def __init__(self, lattice: Lattice, field: Field, near: Mask, direction: Array):
        self.lattice, self.field, self.direction = lattice, field, direction
        self.number = np.full(near.shape, -1, np.int32)
        self.number[near] = np.arange(len(direction))

    def crossed(self, axis: int) -> tuple[Ints, Array, Array]:
        """The edges (E, 3), by their first nodes, with ends on two sides of a sheet or its plane; `least` of them, and
        the cosines of the directions at their ends, (E,) each."""
        first, second = ends(self.number, axis)
        edge = np.argwhere((first >= 0) & (second >= 0))
        a, b = (self.direction[number[tuple(edge.T)]] for number in (first, second))
        values = np.stack([end[tuple(edge.T)] for end in ends(self.lattice.values, axis)])
        cosine, falls = np.einsum("ni,ni->n", a, b), a[:, axis] < b[:, axis]
        close = values.mean(axis=0) < MAY_CROSS * self.lattice.side  # else two sheets' fields meet where it rises
        some = ((cosine < ALIKE) & falls) | ((cosine < -ALIKE) & close)
        edge, clear, smaller = edge[some], ((cosine < -ALIKE) & falls)[some], values.min(axis=0)[some]
        least = self.least(axis, edge)
        usual = float(np.median(least)) if len(least) else 0.0
        sure = clear | (np.maximum(least - usual, 0) < np.maximum(smaller - usual, 0) / 2)
        return edge[sure], least[sure], cosine[some][sure]

    def least(self, axis: int, edges: Ints, usual: float | None = None) -> Array:
        """About the least distances (E,) on edges (E, 3) between nodes near the surface, mesh units.

        The field is looked at where it would be 0 if it fell alike from both ends. Where that is `LOOK_AGAIN` more than
        usual (default: their median), the surface is not alike on both sides, as at creases: it is looked at where the
        planes are to which either end is nearest.
        """
        lattice, at = self.lattice, tuple(edges.T)
        a, b = (end[at] / lattice.side for end in ends(lattice.values, axis))
        least = self._distance(axis, edges, a / np.maximum(a + b, 1e-12))
        if not len(edges):
            return least
        usual = float(np.median(least)) if usual is None else usual
        some = np.flatnonzero(least > usual + LOOK_AGAIN * lattice.side)
        slope_a, slope_b = (self.direction[end[at], axis][some] for end in ends(self.number, axis))
        for share in (-a[some] / np.minimum(slope_a, -1e-3), 1 - b[some] / np.maximum(slope_b, 1e-3)):
            least[some] = np.minimum(least[some], self._distance(axis, edges[some], share))
        return least

    def _distance(self, axis: int, edges: Ints, share: Array) -> Array:
        """At so much of the way along edges."""
        place = edges.astype(np.float32)
        place[:, axis] += share.clip(0, 1)
        return self.field.distance(self.lattice.places(place))
