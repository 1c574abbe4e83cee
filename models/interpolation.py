"""Linear interpolation between nodes as weighted sums of table rows, one row for each node: the CPU's way.

`grid_sample` gathers channel by channel, and its gradient scatters number by number. With the channels last in memory
the same sum is one `embedding_bag` over the nodes around a point, and its gradient for the table one product with a
sparse matrix: together half of the time. On a GPU `grid_sample` remains in use.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csc_array
from torch import Tensor
from torch.autograd.function import once_differentiable


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


def at_places(table: Tensor, coordinates: Sequence[Tensor], starts: Sequence[Tensor]) -> Tensor:
    """Interpolation in a fixed table (V, C) at coordinates, (P,) for each axis as in `nodes_around`: (P, C), on a CPU.

    Differentiable in the coordinates, once: the gradient is a sum of rows itself, with the slopes of the weights.
    """
    found: Tensor = _AtPlaces.apply(table, starts, *coordinates)
    return found


class _AtPlaces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, starts: Sequence[Tensor], *coordinates: Tensor) -> Tensor:
        rows, weights = nodes_around(coordinates, starts)
        rows = rows.t().contiguous()
        if any(ctx.needs_input_grad[2:]):
            ctx.save_for_backward(table, rows, *coordinates)
            ctx.ends = [len(start) - 1 for start in starts]
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights.t().contiguous())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        table, rows, *coordinates = ctx.saved_tensors
        shares, slopes = [], []
        for coordinate, end in zip(coordinates, ctx.ends, strict=True):
            place = (coordinate.clamp(-1, 1) + 1) * (end / 2)
            share = place - place.int().clamp_(0, end)
            shares.append((1 - share, share))
            slope = (coordinate.abs() <= 1) * (end / 2)  # beyond the border nothing changes
            slopes.append((-slope, slope))
        to_coordinates = []
        for axis in range(len(shares)):
            weights = _products([*shares[:axis], slopes[axis], *shares[axis + 1 :]]).t().contiguous()
            change = F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
            to_coordinates.append(change.mul_(gradient).sum(dim=1))
        return None, None, *to_coordinates


def sum_of_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows: table (V, C), rows (K, P) int32, weights (K, P) -> (P, C), on the CPU only.

    Differentiable in the table and the weights.
    """
    rows, weights = rows.t().contiguous(), weights.t().contiguous()
    if table.requires_grad and torch.is_grad_enabled():
        found: Tensor = _SumOfRows.apply(table, rows, weights)
        return found
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
