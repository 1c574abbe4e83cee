"""Distances on the nodes of a fine lattice, worked out only in a narrow band around the surface, coarse to fine."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generation.surface_cells import HALF_EXTENT

Array = NDArray[np.floating]

COARSEST = 16  # cells per axis, at least, of the lattice that is worked out everywhere
SAFETY = 1.5  # a cell is kept up to this many half diagonals: a network's field is only roughly 1-Lipschitz


@dataclass
class Lattice:
    """The box of half side `HALF_EXTENT`, cut into R^3 cells.

    values: (R + 1, R + 1, R + 1) distances at the nodes, axes x y z, mesh units; outside the band, where `known` is
    False, interpolated from a coarser lattice. side: of a cell, mesh units.
    """

    values: Array
    known: NDArray[np.bool_]
    side: float

    def places(self, nodes: NDArray[np.integer] | Array) -> Array:
        """Lattice coordinates (N, 3), fractions too, in mesh units."""
        return (nodes * self.side - HALF_EXTENT).astype(np.float32)


def distances_at(
    distance: Callable[[Tensor], Tensor], points: NDArray[np.floating], chunk: int, device: torch.device
) -> Array:
    """The field at points (N, 3) mesh units, `chunk` at a time. Returns (N,) mesh units."""
    found = np.empty(len(points), np.float32)
    with torch.no_grad():
        for start in range(0, len(points), chunk):
            part = torch.from_numpy(np.ascontiguousarray(points[start : start + chunk], np.float32)).to(device)
            found[start : start + chunk] = distance(part).float().cpu().numpy()
    return found


def lattice_of(
    distance: Callable[[Tensor], Tensor], resolution: int, chunk: int = 50_000, device: torch.device | None = None
) -> Lattice:
    """Work out the distances around the surface on a lattice of `resolution` cells per axis.

    From one lattice to the next, of half the side, only cells are cut in which the surface can be: any place in a cell
    is at most half a diagonal away from its nearest corner, so that the least distance at the corners of a cell with
    surface is below that. Values of coarser nodes are used again.
    """
    device = device or torch.device("cpu")
    sizes = [resolution]
    while sizes[0] % 2 == 0 and sizes[0] // 2 >= COARSEST:
        sizes.insert(0, sizes[0] // 2)
    values: Array = np.zeros((sizes[0] + 1,) * 3, np.float32)
    wanted: NDArray[np.bool_] = np.ones(values.shape, np.bool_)
    known = ~wanted
    for size in sizes:
        lattice = Lattice(values, wanted | known, 2 * HALF_EXTENT / size)
        new = np.argwhere(wanted & ~known)
        values[tuple(new.T)] = distances_at(distance, lattice.places(new), chunk, device)
        if size == resolution:
            return lattice
        wanted = _nodes_of_halves(_can_hold_surface(lattice))
        values, known = _halved(values), _placed_at_even(lattice.known)
    raise AssertionError("unreachable: the last size is the resolution")


def _can_hold_surface(lattice: Lattice) -> NDArray[np.bool_]:
    """Mask (R, R, R) of the cells that can; cells with a corner outside the band cannot."""
    least, inside = lattice.values, lattice.known
    for axis in range(3):
        low, high = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
        least, inside = np.minimum(least[low], least[high]), inside[low] & inside[high]
    return inside & (least < SAFETY * lattice.side * 3**0.5 / 2)


def _nodes_of_halves(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask (2 R + 1,) * 3 of the nodes of the halved cells of a mask (R,) * 3."""
    nodes = cells.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for axis in range(3):
        before, after = ([(0, 0)] * axis + [pad] + [(0, 0)] * (2 - axis) for pad in ((1, 0), (0, 1)))
        nodes = np.pad(nodes, before) | np.pad(nodes, after)
    return nodes


def _halved(values: Array) -> Array:
    """(R + 1,) * 3 -> (2 R + 1,) * 3, the new nodes by linear interpolation."""
    for axis in range(3):
        values = np.moveaxis(values, axis, 0)
        finer = np.empty((2 * len(values) - 1, *values.shape[1:]), np.float32)
        finer[::2], finer[1::2] = values, (values[1:] + values[:-1]) / 2
        values = np.moveaxis(finer, 0, axis)
    return np.ascontiguousarray(values)


def _placed_at_even(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    placed = np.zeros([2 * size - 1 for size in mask.shape], np.bool_)
    placed[::2, ::2, ::2] = mask
    return placed
