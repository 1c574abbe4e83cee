"""Distances on the nodes of a fine lattice, worked out only in a narrow band around the surface, coarse to fine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor

from generation.distance_fields import DistanceField
from generation.surface_cells import HALF_EXTENT

Array = NDArray[np.floating]

COARSEST = 16  # cells per axis, at least, of the lattice that is worked out everywhere
SAFETY = 1.5  # a cell is kept up to this many half diagonals: a network's field is only roughly 1-Lipschitz
STEEPEST = 1.25  # how much a field changes between a node and the nodes beside it, at most, by their distance
BAND = 2.25  # cells: nodes farther from the surface than this are not asked for
MARGIN = 3  # nodes around the band, for filters


class Field(NamedTuple):
    """What is asked of a field at points (N, 3) mesh units: distances (N,) mesh units, and unit directions (N, 3) away
    from the surface, 0 where it has none."""

    distance: Callable[[Array], Array]
    directions: Callable[[Array], Array]


def asked_of(field: DistanceField, chunk: int) -> Field:
    """A field that is asked for `chunk` points at a time."""

    def parts(points: Array) -> list[Tensor]:
        whole = torch.from_numpy(np.ascontiguousarray(points, np.float32))
        return [part.to(field.device) for part in whole.split(chunk)]  # of no points, one without any

    def distance(points: Array) -> Array:
        found = [field.plain_distance(part).float().cpu().numpy() for part in parts(points)]
        return np.concatenate(found)

    def directions(points: Array) -> Array:
        return np.concatenate([field(part)[1].float().cpu().numpy() for part in parts(points)])

    return Field(distance, directions)


@dataclass
class Lattice:
    """A part of the box of half side `HALF_EXTENT`, which is cut into R^3 cells: the part with the band in it.

    values: (X, Y, Z) distances at the nodes, axes x y z, mesh units; outside the band, where `known` is False,
    interpolated from a coarser lattice. side: of a cell, mesh units. first: the numbers (3,) of the first node in the
    whole box. level: the value of the field at the surface that is meant.
    """

    values: Array
    known: NDArray[np.bool_]
    side: float
    first: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    level: float = 0.0

    def from_surface(self) -> Array:
        """How far the nodes are from the surface, (X, Y, Z), mesh units."""
        return np.abs(self.values - np.float32(self.level)) if self.level else self.values

    def places(self, nodes: NDArray[np.integer] | Array) -> Array:
        """Lattice coordinates (N, 3), fractions too, in mesh units."""
        return ((nodes + self.first) * self.side - HALF_EXTENT).astype(np.float32)

    def interpolated(self, points: Array) -> Array:
        """The field (N,) at points (N, 3), mesh units, from the nodes around: wrong at the bottom of valleys only."""
        nodes = (points + HALF_EXTENT) / self.side - self.first
        found: Array = map_coordinates(self.values, nodes.T, order=1, mode="nearest")
        return found


def lattice_of(distance: Callable[[Array], Array], resolution: int, level: float = 0.0) -> Lattice:
    """Work out the distances around the surface, where they are `level`, on a lattice of `resolution` cells per axis.

    From one lattice to the next, of half the side, only cells are cut in which the surface can be: any place in a cell
    is at most half a diagonal away from its nearest corner, so that the least distance at the corners of a cell with
    surface is below that. Of the new nodes only those are asked for that can be in the band, by the distances at the
    corners around. Values of coarser nodes are used again.
    """
    sizes = [resolution]
    while sizes[0] % 2 == 0 and sizes[0] // 2 >= COARSEST:
        sizes.insert(0, sizes[0] // 2)
    values: Array = np.zeros((sizes[0] + 1,) * 3, np.float32)
    lattice = Lattice(values, np.ones(values.shape, np.bool_), 2 * HALF_EXTENT / sizes[0], level=level)
    new = lattice.known
    for size in sizes:
        nodes = np.argwhere(new)
        lattice.values[tuple(nodes.T)] = distance(lattice.places(nodes))
        if size != resolution:
            lattice, new = _finer(lattice)
    return lattice


def _finer(lattice: Lattice) -> tuple[Lattice, NDArray[np.bool_]]:
    """The lattice of half the side around the surface, and the mask of its nodes whose distances are still unknown."""
    cells = _can_hold_surface(lattice)
    part = _part_with(cells)
    cells, first = cells[part], lattice.first + [one.start for one in part]
    nodes = tuple(slice(one.start, one.stop + 1) for one in part)
    values, known, side = lattice.values[nodes], lattice.known[nodes], lattice.side / 2
    finer = Lattice(_halved(values), _placed_at_even(known), side, 2 * first, lattice.level)
    # What is interpolated is too much only where a sheet passes between the corners, and there it is small.
    least = _least(lattice.from_surface()[nodes], side)
    new = _nodes_of_halves(cells) & (np.maximum(least, finer.from_surface()) < BAND * side) & ~finer.known
    finer.known |= new
    return finer, new


def _part_with(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around what is True in a mask, with a margin where there is room; all if nothing is."""
    slices = []
    for axis, size in enumerate(mask.shape):
        used = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        low, high = (used[0], used[-1] + 1) if len(used) else (0, size)
        slices.append(slice(max(0, int(low) - MARGIN), min(size, int(high) + MARGIN)))
    return tuple(slices)


def _can_hold_surface(lattice: Lattice) -> NDArray[np.bool_]:
    """Mask (X - 1, Y - 1, Z - 1) of the cells that can; cells with a corner outside the band cannot."""
    least, inside = lattice.from_surface(), lattice.known
    for axis in range(3):
        low, high = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
        least, inside = np.minimum(least[low], least[high]), inside[low] & inside[high]
    return inside & (least < SAFETY * lattice.side * 3**0.5 / 2)


def _nodes_of_halves(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask (2 X + 1, 2 Y + 1, 2 Z + 1) of the nodes of the halved cells of a mask (X, Y, Z)."""
    nodes = cells.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for axis in range(3):
        before, after = ([(0, 0)] * axis + [pad] + [(0, 0)] * (2 - axis) for pad in ((1, 0), (0, 1)))
        nodes = np.pad(nodes, before) | np.pad(nodes, after)
    return nodes


def _between(values: Array, combined: Callable[[Array, Array], Array], axis: int) -> Array:
    """Twice the nodes, less one, along an axis: the new ones combined of those on both sides."""
    values = np.moveaxis(values, axis, 0)
    finer = np.empty((2 * len(values) - 1, *values.shape[1:]), np.float32)
    finer[::2], finer[1::2] = values, combined(values[1:], values[:-1])
    return np.moveaxis(finer, 0, axis)


def _halved(values: Array) -> Array:
    """(X, Y, Z) -> (2 X - 1, 2 Y - 1, 2 Z - 1), the new nodes by linear interpolation."""
    for axis in range(3):
        values = _between(values, lambda one, other: (one + other) / 2, axis)
    return np.ascontiguousarray(values)


def _least(values: Array, side: float) -> Array:
    """The least distances that the nodes of the halved cells, of this side, can have: shape as of `_halved`.

    That at a corner less what the field changes on the way from there: 1, 2^.5 or 3^.5 sides, by how many of the
    node's numbers are odd.
    """
    for axis in range(3):
        values = _between(values, np.maximum, axis)
    odd = sum(np.meshgrid(*(np.arange(size) % 2 for size in values.shape), indexing="ij", sparse=True))
    least: Array = values - (STEEPEST * side * np.sqrt(odd)).astype(np.float32)
    return least


def _placed_at_even(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    placed = np.zeros([2 * size - 1 for size in mask.shape], np.bool_)
    placed[::2, ::2, ::2] = mask
    return placed
