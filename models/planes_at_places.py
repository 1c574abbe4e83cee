"""Feature planes only where fixed places look them up: the nodes around these, and those nodes' ancestors.

A code that is fitted, or sampled, is asked for distances at the same few hundred places thousands of times. Of the
256^2 nodes of a finest plane these see 2 %. The nodes of all shapes of a batch lie side by side in memory, so that one
sum of rows serves all of them.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.feature_planes import VIEWS, QuadtreePlanes, Split
from models.kernels.interpolation import nodes_around, sum_of_rows

CHILDREN = 4  # of a node: row digit, then column digit


class Level(NamedTuple):
    """The table of one resolution, whose rows are nodes by view, and within a view by child.

    parents: (3 * 4 * n,) rows of the table before, of the node that each node is split from. Of the first: nothing.
    rows, weights: (12, N), of the four nodes of each view around each place.
    """

    parents: Tensor
    rows: Tensor
    weights: Tensor


class PlanesAtPlaces:
    """What `bilinear` gives for the planes of `QuadtreePlanes` at p (N, 3), grid coordinates in [-1, 1], on a CPU."""

    def __init__(self, planes: QuadtreePlanes, p: Tensor):
        self.planes = planes
        sizes = [2 * planes.coarsest[-1] * 2**level for level in range(len(planes.splits) + 1)]
        around = [_around(p, size) for size in sizes]
        wanted: list[list[Tensor]] = [[]] * len(sizes)  # numbers of the nodes of each view, row by row
        for level in reversed(range(len(sizes))):
            own = [nodes.flatten() for nodes in around[level][0].unbind(1)]
            if level + 1 < len(sizes):
                above = [_parents(nodes, sizes[level + 1]) for nodes in wanted[level + 1]]
                own = [torch.cat(pair) for pair in zip(own, above, strict=True)]
            wanted[level] = [nodes.unique() for nodes in own]
        places = torch.arange(len(VIEWS) * sizes[0] ** 2).view(len(VIEWS), -1)  # of each node in its table
        self.levels = []
        for level, (size, (nodes, weights)) in enumerate(zip(sizes, around, strict=True)):
            parents = places.new_empty(0)
            if level:
                parents, places = _table(wanted[level], size, places)
            rows = torch.stack([place[of_view] for place, of_view in zip(places, nodes.unbind(1), strict=True)], dim=1)
            self.levels.append(Level(parents, rows.flatten(0, 1).int(), weights.flatten(0, 1)))

    def __call__(self, numbers: Tensor) -> Tensor:
        """numbers: (B, num_inputs) as of `QuadtreePlanes`. Returns (N, B, sum C_i)."""
        batch = len(numbers)
        table = self.planes.coarse(numbers).permute(0, 2, 3, 1, 4).flatten(0, 2).flatten(1)  # (3 R R, B C)
        found = [_looked_up(table, self.levels[0], batch)]
        for split, level in zip(self.planes.splits, self.levels[1:], strict=True):
            assert isinstance(split, Split)
            of_parents = F.silu(table).index_select(0, level.parents)  # (12 n, B C)
            of_parents = of_parents.view(len(VIEWS) * CHILDREN, -1, split.weight.shape[1])  # (12, n B, C)
            table = split.of_each_child(of_parents).view(len(level.parents), -1)  # (12 n, B C')
            found.append(_looked_up(table, level, batch))
        return torch.cat(found, dim=2)


class GridsAtPlaces:
    """What `trilinear` gives for grids at p (N, 3), grid coordinates, on a CPU."""

    def __init__(self, p: Tensor):
        self.p = p
        self.found: dict[int, tuple[Tensor, Tensor]] = {}  # by nodes per axis

    def __call__(self, grids: list[Tensor]) -> Tensor:
        """grids: [(B, C_i, R_i, R_i, R_i)]. Returns (N, B, sum C_i)."""
        values = []
        for grid in grids:
            rows, weights = self._around(grid.shape[-1])
            table = grid.permute(2, 3, 4, 0, 1).flatten(0, 2).flatten(1)  # (R^3, B C)
            values.append(sum_of_rows(table, rows, weights).unflatten(1, grid.shape[:2]))
        return torch.cat(values, dim=2)

    def _around(self, size: int) -> tuple[Tensor, Tensor]:
        if size not in self.found:
            starts = torch.arange(size, dtype=torch.int32)
            self.found[size] = nodes_around(self.p.unbind(1), [starts, size * starts, size**2 * starts])
        return self.found[size]


def _looked_up(table: Tensor, level: Level, batch: int) -> Tensor:
    """table (nodes, B C) -> (N, B, C)."""
    return sum_of_rows(table, level.rows, level.weights).unflatten(1, (batch, -1))


def _around(p: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Numbers (row * size + column) and weights, (4, 3, N) each, of the nodes around p (N, 3) in each view."""
    columns, rows = ([p[:, view[axis]] for view in VIEWS] for axis in (0, 1))
    starts = torch.arange(size, dtype=torch.int32)
    nodes, weights = nodes_around([torch.stack(columns), torch.stack(rows)], [starts, size * starts])
    return nodes.long(), weights


def _parents(nodes: Tensor, size: int) -> Tensor:
    """The numbers of the nodes, of a plane of half of the size, from which nodes of a plane of `size` are split."""
    return nodes // size // 2 * (size // 2) + nodes % size // 2


def _table(wanted: list[Tensor], size: int, places: Tensor) -> tuple[Tensor, Tensor]:
    """Parents of a level as in `Level`, and the rows (3, size^2) of its wanted nodes; places: rows of the level before.

    Every view and child has as many rows, filled up with nodes that nothing asks for.
    """
    children = [nodes // size % 2 * 2 + nodes % size % 2 for nodes in wanted]
    room = max(int(child.bincount().max()) for child in children)
    parents = torch.zeros(len(VIEWS), CHILDREN, room, dtype=torch.long)
    rows = torch.zeros(len(VIEWS), size * size, dtype=torch.long)
    for view, (nodes, child) in enumerate(zip(wanted, children, strict=True)):
        for which in range(CHILDREN):
            ours = nodes[child == which]
            parents[view, which] = places[view, 0]
            parents[view, which, : len(ours)] = places[view, _parents(ours, size)]
            rows[view, ours] = (view * CHILDREN + which) * room + torch.arange(len(ours))
    return parents.flatten(), rows
