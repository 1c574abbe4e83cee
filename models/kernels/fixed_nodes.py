"""Linear interpolation in fixed nodes of one shape, at several places around each point, on a CPU.

As in `interpolation`, a value is a weighted sum of rows of a table. Rows and weights of all places of a point, in grids
of all sizes at once, are sums and products of what few coordinates give (of NDF's seven places three along each axis),
and values come out in the order in which a point's network reads them, place by place: nothing is moved afterwards. The
gradient for the points, once differentiable, is a sum of rows for each axis, with the slopes of the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.kernels.interpolation import node_starts


class Nodes:
    """Values at the nodes of grids, or of planes that are summed, of several sizes R_i, and where points read them.

    tables: [(V_i, C_i)]. images: the coordinates of a point that index each image of a table, (0, 1, 2) of a grid.
    starts: of each table, for each axis of an image, (R_i,) int32; a node's row is the sum of its axes' starts and of
    its image's place in the table. offsets: (K, 3) of the places from a point, grid coordinates z y x.
    """

    def __init__(
        self,
        tables: Sequence[Tensor],
        images: Sequence[tuple[int, ...]],
        starts: Sequence[Sequence[Tensor]],
        offsets: Tensor,
    ):
        self.tables, self.images = tables, images
        self.starts = [torch.cat(axis) for axis in zip(*starts, strict=True)]
        sizes = torch.tensor([len(of_table[0]) for of_table in starts], dtype=torch.int32)
        self.first = (sizes.cumsum(0, dtype=torch.int32) - sizes).view(-1, 1, 1, 1)
        self.ends = (sizes - 1).view(-1, 1, 1, 1)  # (L, 1, 1, 1) of L tables
        self.image_rows = torch.tensor([len(table) // len(images) for table in tables], dtype=torch.int32)
        self.different, which = offsets.unique(return_inverse=True)  # (U,), (K, 3)
        self.which = which.t().contiguous() if len(offsets) > 1 else None  # of one place nothing is chosen


def grid_nodes(grids: Sequence[Sequence[Tensor]], offsets: Tensor) -> Nodes:
    """The nodes of grids (1, C_i, R, R, R), of which those of one size come together, as rows of sum C_i numbers."""
    tables, starts = [], []
    for same in grids:
        tables.append(torch.cat([grid[0].permute(1, 2, 3, 0).flatten(0, 2) for grid in same], dim=1).contiguous())
        axis = torch.arange(same[0].shape[-1], dtype=torch.int32)
        starts.append([axis, len(axis) * axis, len(axis) ** 2 * axis])
    return Nodes(tables, [(0, 1, 2)], starts, offsets)


def plane_nodes(planes: Sequence[Tensor], views: Sequence[tuple[int, int]], offsets: Tensor) -> Nodes:
    """The nodes of a shape's planes, (1, V, R, R, C), or with digits, as `interpolation.bilinear` reads them."""
    tables = [plane[0].reshape(-1, plane.shape[-1]) for plane in planes]
    return Nodes(tables, views, [node_starts(plane.shape[2:-1]) for plane in planes], offsets)


def values_around(p: Tensor, nodes: Nodes) -> Tensor:
    """p: (N, 3) grid coordinates z y x. Beyond the border its value counts.

    Returns (N, K sum C_i), table by table, in each place by place.
    """
    values: Tensor = _ValuesAround.apply(p, nodes)
    return values


class _ValuesAround(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, nodes: Nodes) -> Tensor:
        u = p.t()[:, None] + nodes.different[:, None]  # (3, U, N)
        place = (u.clamp(-1, 1) + 1) * (nodes.ends / 2)  # (L, 3, U, N)
        low = place.int().clamp_(min=0)  # a row even where the coordinate is not a number
        both = torch.stack([low, torch.minimum(low + 1, nodes.ends)], dim=3)  # (L, 3, U, 2, N)
        share = place - low
        shares = torch.stack([1 - share, share], dim=3)
        rows = _rows(nodes, both)
        weights = _weights(nodes, [shares] * 3, range(len(nodes.images)))
        if ctx.needs_input_grad[0]:
            ctx.nodes = nodes
            ctx.save_for_backward(u, shares, rows)
        return torch.cat(_sums(nodes, rows, weights), dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        nodes: Nodes = ctx.nodes
        u, shares, rows = ctx.saved_tensors
        slope = (u.abs() <= 1) * (nodes.ends / 2)  # (L, 3, U, N); beyond the border nothing changes
        slopes = torch.stack([-slope, slope], dim=3)
        by_image = rows.unflatten(2, (len(nodes.images), -1))
        to_points = []
        for axis in range(3):
            some = [n for n, image in enumerate(nodes.images) if axis in image]
            weights = _weights(nodes, [slopes if n == axis else shares for n in range(3)], some)
            of_axis = rows if len(some) == len(nodes.images) else by_image[:, :, some].flatten(2, 3)
            values = torch.cat(_sums(nodes, of_axis, weights), dim=1)
            to_points.append(values.mul_(gradient).sum(dim=1))
        return torch.stack(to_points, dim=1), None


def _rows(nodes: Nodes, both: Tensor) -> Tensor:
    """The nodes below and above each place along each axis, (L, 3, U, 2, N) -> rows (L, K, images 2^D, N) int32."""
    both = both + nodes.first[..., None]
    found = []
    for number, image in enumerate(nodes.images):
        pairs = []
        for axis, start in zip(image, nodes.starts, strict=True):
            chosen = both[:, axis]  # (L, U, 2, N)
            pairs.append(start.index_select(0, chosen.flatten()).view(chosen.shape))
        if number:
            pairs[0] += (number * nodes.image_rows)[:, None, None, None]
        found.append(_combined(nodes, pairs, image, torch.add))
    return torch.cat(found, dim=2) if len(found) > 1 else found[0]


def _weights(nodes: Nodes, pairs: Sequence[Tensor], some: Sequence[int]) -> Tensor:
    """Of some images; pairs: for each axis (L, 3, U, 2, N). Returns (L, K, images 2^D, N)."""
    found = [
        _combined(nodes, [pairs[axis][:, axis] for axis in nodes.images[n]], nodes.images[n], torch.mul) for n in some
    ]
    return torch.cat(found, dim=2) if len(found) > 1 else found[0]


def _combined(
    nodes: Nodes, pairs: Sequence[Tensor], image: Sequence[int], combine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """One of each axis's pair (L, U, 2, N): (L, K, 2^D, N)."""
    if nodes.which is not None:
        pairs = [pair.index_select(1, nodes.which[axis]) for pair, axis in zip(pairs, image, strict=True)]
    found = pairs[0]
    for pair in pairs[1:]:
        found = combine(pair[:, :, :, None], found[:, :, None]).flatten(2, 3)
    return found


def _sums(nodes: Nodes, rows: Tensor, weights: Tensor) -> list[Tensor]:
    """Rows and weights (L, K, images 2^D, N) -> [(N, K C_i)]."""
    num_points, size = rows.shape[3], rows.shape[2]
    rows, weights = (part.flatten(1, 2).mT.contiguous().view(len(part), -1, size) for part in (rows, weights))
    return [
        F.embedding_bag(row, table, mode="sum", per_sample_weights=weight).view(num_points, -1)
        for table, row, weight in zip(nodes.tables, rows, weights, strict=True)
    ]
