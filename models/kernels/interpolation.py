"""Linear interpolation between the nodes of feature grids and planes.

On a GPU that is `grid_sample`. On a CPU it gathers channel by channel, and its gradient scatters number by number.
There, with the channels last in memory, the same sum is one `embedding_bag` over the nodes around a point, a table row
for each node, and its gradient for the table one product with a sparse matrix: together half of the time. Many points
of one shape, whose nodes are fixed, are looked up faster yet by `fixed_nodes`.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csc_array
from torch import Tensor
from torch.autograd.function import once_differentiable

Views = Sequence[tuple[int, int]]  # the two of a point's coordinates that index each plane


def trilinear(grids: Sequence[Tensor], p: Tensor, offsets: Tensor) -> Tensor:
    """Feature grids at the places around each point; beyond the border its value counts.

    grids: [(B, C_i, R_i, R_i, R_i)], axes x y z; p: (B, N, 3) grid coordinates, order z y x, -1 at the first node of an
    axis and 1 at the last; offsets: (K, 3), of the places from the point.
    Returns (B, N, sum C_i * K), channel by channel, with the place varying fastest.
    """
    fixed = not any(grid.requires_grad for grid in grids)
    if p.device.type == "cpu" and (fixed or len(offsets) == 1):
        return _trilinear_by_rows(grids, p, offsets)
    places = (p[:, None] + offsets[:, None])[:, :, None]  # (B, K, 1, N, 3)
    values = [
        F.grid_sample(grid, places.to(grid.dtype), padding_mode="border", align_corners=True)[:, :, :, 0]
        for grid in grids
    ]  # each (B, C_i, K, N)
    return torch.cat(values, dim=1).flatten(1, 2).transpose(1, 2)  # (B, N, sum C_i * K)


def bilinear(planes: Sequence[Tensor], p: Tensor, views: Views) -> Tensor:
    """Feature planes at points, summed over the views.

    planes: [(B, V, R_i, R_i, C_i)], or with digits (`joined`); the rows of plane v are indexed by the second of the
    coordinates in views[v], the columns by the first. p: (B, N, 3) grid coordinates in [-1, 1].
    Returns (B, N, sum C_i), in the dtype of p: bfloat16 coordinates would be off by an eighth of a node.
    """
    interpolate = _plane_rows if p.device.type == "cpu" else _plane_sampled
    return torch.cat([interpolate(plane.to(p.dtype), p, views) for plane in planes], dim=2)


def joined(plane: Tensor) -> Tensor:
    """A plane whose rows and columns are split into digits, (B, V, r, r, 2, 2, ..., C), coarse to fine, as
    (B, V, R, R, C)."""
    last = plane.ndim - 1
    rows, columns = range(2, last, 2), range(3, last, 2)
    size = math.isqrt(math.prod(plane.shape[2:last]))
    return plane.permute(0, 1, *rows, *columns, last).reshape(*plane.shape[:2], size, size, -1)


def _plane_sampled(plane: Tensor, p: Tensor, views: Views) -> Tensor:
    """(B, V, ..., C) at (B, N, 3) -> (B, N, C)."""
    images = joined(plane).flatten(0, 1).permute(0, 3, 1, 2)  # (B V, C, R, R)
    points = torch.stack([p[..., view] for view in views], dim=1).flatten(0, 1)[:, :, None]  # (B V, N, 1, 2)
    sampled = F.grid_sample(images, points, padding_mode="border", align_corners=True)  # (B V, C, N, 1)
    return sampled.unflatten(0, (-1, len(views))).sum(dim=1)[..., 0].transpose(1, 2)  # (B, N, C)


def _trilinear_by_rows(grids: Sequence[Tensor], p: Tensor, offsets: Tensor) -> Tensor:
    if len(offsets) == 1:
        return torch.cat([_grid_rows(grid.to(p.dtype), p + offsets) for grid in grids], dim=2)
    places = p[:, :, None] + offsets  # (B, N, K, 3)
    values = [_grid_rows(grid.to(p.dtype), places.flatten(1, 2)) for grid in grids]  # each (B, N K, C_i)
    return torch.cat([value.view(*places.shape[:3], -1).mT for value in values], dim=2).flatten(2)


def _grid_rows(grid: Tensor, p: Tensor) -> Tensor:
    """(B, C, R, R, R) at (B, N, 3) -> (B, N, C)."""
    if grid.stride(0) == 0:  # one shape, expanded
        grid = grid[:1]
    resolution = grid.shape[-1]
    axis = torch.arange(resolution, dtype=torch.int32)
    # Of one shape, reshape would give a view with the channels far apart: ten times as slow to read.
    table = grid.permute(0, 2, 3, 4, 1).reshape(-1, grid.shape[1]).contiguous()
    starts = [axis, resolution * axis, resolution**2 * axis]
    rows, weights = nodes_around(p.permute(2, 0, 1).unbind(), starts)
    rows = rows + resolution**3 * torch.arange(len(grid), dtype=torch.int32)[:, None]  # (8, B, N)
    return sum_of_rows(table, rows.view(8, -1), weights.view(8, -1)).view(*p.shape[:2], -1)


def _plane_rows(plane: Tensor, p: Tensor, views: Views) -> Tensor:
    """The same, as weighted sums of rows."""
    if plane.stride(0) == 0:  # one shape, expanded
        plane = plane[:1]
    count = len(views)
    first, second = (p.permute(2, 0, 1)[list(axis)] for axis in zip(*views, strict=True))  # (V, B, N)
    columns, rows = node_starts(plane.shape[2:-1])
    places, weights = nodes_around([first, second], [columns, rows])  # (4, V, B, N)
    images = torch.arange(count * len(plane), dtype=torch.int32).view(count, -1)  # (V, B), (V, 1) of one shape
    places = places + (len(columns) * len(rows) * images)[..., None]
    table = plane.transpose(0, 1).reshape(-1, plane.shape[-1])  # (V B R^2, C)
    return sum_of_rows(table, places.view(4 * count, -1), weights.view(4 * count, -1)).view(*p.shape[:2], -1)


@functools.cache
def node_starts(sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Where columns and rows start in a plane whose node axes have these sizes: two tensors (R,) int32.

    A node's place among the R^2 of its plane is the sum of its column's and its row's start.
    """
    nodes = torch.arange(math.prod(sizes), dtype=torch.int32).view(1, 1, *sizes, 1)
    square = joined(nodes)[0, 0, ..., 0]
    return square[0].contiguous(), square[:, 0].contiguous()


def nodes_around(coordinates: Sequence[Tensor], starts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The 2^D nodes around each place of a D-dimensional grid, and their weights.

    coordinates: one tensor for each axis, all of one shape (...), in [-1, 1] from the first node to the last; beyond
    them the border's value counts. starts: for each axis (R,) int32; a node's row is the sum of its axes' starts.
    Returns rows, int32, and weights, both (2^D, ...).
    """
    rows: list[Tensor] = []
    shares = []
    for coordinate, start in zip(coordinates, starts, strict=True):
        place = (coordinate.clamp(-1, 1) + 1) * ((len(start) - 1) / 2)
        low = place.detach().int().clamp_(0, len(start) - 1)  # a row even where the coordinate is not a number
        high = (low + 1).clamp_(max=len(start) - 1)
        share = place - low
        pair = [start.index_select(0, node.flatten()).view(node.shape) for node in (low, high)]
        rows = [i + j for j in pair for i in rows] if rows else pair
        shares.append((1 - share, share))
    return torch.stack(rows), _products(shares)


def _products(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """One factor of each axis's pair (...), in the order of `nodes_around`: (2^D, ...)."""
    weights = list(pairs[0])
    for pair in pairs[1:]:
        weights = [u * v for v in pair for u in weights]
    return torch.stack(weights)


def sum_of_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows: table (V, C), rows (K, P) int32, weights (K, P) -> (P, C), on the CPU only.

    Differentiable in the table and the weights.
    """
    rows, weights = rows.t().contiguous(), weights.t().contiguous()
    if table.requires_grad and torch.is_grad_enabled():
        sums: Tensor = _SumOfRows.apply(table, rows, weights)
        return sums
    return F.embedding_bag(rows, table.detach(), mode="sum", per_sample_weights=weights)


class _SumOfRows(torch.autograd.Function):
    """`embedding_bag` with a faster gradient for the table: its own one sorts all rows first."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows, weights)
        # Detached, it does not prepare for its own gradient.
        return F.embedding_bag(rows, table.detach(), mode="sum", per_sample_weights=weights.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        table, rows, weights = ctx.saved_tensors
        to_table = to_weights = None
        if ctx.needs_input_grad[0]:
            ends = np.arange(0, rows.numel() + 1, rows.shape[1], dtype=np.int32)
            entries = weights.detach().flatten().numpy(), rows.flatten().numpy(), ends
            to_table = torch.from_numpy(csc_array(entries, (len(table), len(rows))) @ gradient.numpy())
        if ctx.needs_input_grad[2]:
            to_weights = torch.stack([(table[i] * gradient).sum(dim=1) for i in rows.unbind(1)], dim=1)
        return to_table, None, to_weights
