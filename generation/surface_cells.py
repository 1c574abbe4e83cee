"""Where the surface of a distance field can be: cells of a lattice, coarse to fine.

A distance field is 1-Lipschitz, so its value at the centre of a cell bounds where the surface can be. A network's is so
only roughly: half as much again is allowed.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

HALF_EXTENT = 0.55  # meshes lie in [-0.5, 0.5]^3; predicted surfaces may protrude a little
COARSEST = 12  # cells per axis; half a cell's diagonal, by STEEPEST, is then about what fields are clamped at
STEEPEST = 1.5  # how much a field changes along a way, at most, by the length of the way

Distance = Callable[[Tensor], Tensor]  # (N, 3) mesh units -> (N,) mesh units


class Cells(NamedTuple):
    """Centres (M, 3), the distances there (M,), and the side of the cells, mesh units."""

    centres: Tensor
    distances: Tensor
    side: float

    def area(self) -> float:
        """About the area of the surface, square mesh units: the volume of the cells, by the thickness of their layer.

        Within a quarter, more or less, for whole planes of cells are in the layer or not; and sheets that share cells
        count as one.
        """
        return len(self.centres) * self.side**3 / (2 * reach(self.side))

    def halved(self, distance: Distance, chunk: int) -> "Cells":
        """Of the eighths of the cells those that can contain surface; `chunk` points are asked for at a time."""
        return near_cells(distance, subdivided(self.centres, self.side), self.side / 2, chunk)

    def may_hold(self, cell: Tensor, offset: Tensor, slab: float) -> Tensor:
        """Whether places, at offsets (N, 3) from the centres of cells (N,), can be closer than `slab` to the surface:
        (N,)."""
        least: Tensor = self.distances[cell] - STEEPEST * offset.norm(dim=1)
        return least < slab


@torch.no_grad()
def cells_near_surface(distance: Distance, chunk: int, device: torch.device, halvings: int = 1) -> Cells:
    """The cells, of those of `COARSEST` a side halved so many times, that can contain surface."""
    side = 2 * HALF_EXTENT / COARSEST
    axis = (torch.arange(COARSEST, device=device) + 0.5) * side - HALF_EXTENT
    cells = near_cells(distance, torch.cartesian_prod(axis, axis, axis), side, chunk)
    for _ in range(halvings):
        cells = cells.halved(distance, chunk)
    return cells


def near_cells(distance: Distance, centres: Tensor, side: float, chunk: int) -> Cells:
    """Of the cells with these centres (M, 3) those that can contain surface."""
    if not len(centres):
        return Cells(centres, centres[:, 0], side)
    values = torch.cat([distance(part) for part in centres.split(chunk)])
    near = values < reach(side)
    return Cells(centres[near], values[near], side)


def reach(side: float) -> float:
    """How much a field is at the centre of a cell with surface in it, at most, mesh units."""
    return STEEPEST * side * 3**0.5 / 2


def subdivided(centres: Tensor, side: float) -> Tensor:
    """The centres (8 M, 3) of the eighths of cells (M, 3)."""
    corner = torch.tensor([-side / 4, side / 4], device=centres.device)
    return (centres[:, None] + torch.cartesian_prod(corner, corner, corner)).flatten(0, 1)
