"""The first convolution of a pyramid in training: its input is empty almost everywhere, and its gradient is not asked.

An empty node adds nothing, so the convolution is one product of the occupied nodes' values with all 27 matrices of the
kernel, whose rows are added up where they belong; and the kernel's gradient is one product of these values with what
came back to their 27 neighbours. Of a frozen network: `sparse_pyramid.py`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.kernels.sparse_pyramid import ROWS_AT_A_TIME, active_blocks, kernel_rows, neighbours

MOST_OCCUPIED = 0.1  # share of the nodes up to which it pays
LEAST_NODES = 16**3  # in smaller grids nothing is won
LEAST_CHANNELS = 8  # of the input: with fewer, as without a fold, the sums are the work


def first_convolution(convolution: nn.Conv3d, x: Tensor, folded: Tensor, fold: int) -> Tensor:
    """convolution(folded), (B, C', r, r, r), where x (B, C, R, R, R) is the input and `folded` its blocks as channels.

    Computed sparsely where that pays: on a CPU in float32, for inputs that need no gradient.
    """
    if x.device.type != "cpu" or x.requires_grad or torch.is_autocast_enabled("cpu") or x.dtype != torch.float32:
        return convolution(folded)
    size, nodes = folded.shape[-1], folded[:, 0].numel()
    if folded.shape[1] < LEAST_CHANNELS or nodes < LEAST_NODES * len(x):
        return convolution(folded)
    active = active_blocks(x, fold)
    if len(active.places) > MOST_OCCUPIED * nodes:
        return convolution(folded)
    targets = active.places[:, None] + neighbours(size)  # (n, 27)
    sums = SparseSums.apply(
        active.values, targets, kernel_rows(convolution), convolution.bias, len(x) * (size + 2) ** 3
    )
    inner = sums.view(len(x), *(size + 2,) * 3, -1)[:, 1:-1, 1:-1, 1:-1]
    return inner.permute(0, 4, 1, 2, 3).contiguous(memory_format=torch.channels_last_3d)


class SparseSums(torch.autograd.Function):
    """bias (C') in every row, and added to row targets[n, k] what node n adds to neighbour k: (rows, C').

    values (n, C); targets (n, 27); kernel (C, 27 C').
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, targets: Tensor, kernel: Tensor, bias: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(values, targets)
        sums = bias.repeat(rows, 1)
        for part, to in zip(values.split(ROWS_AT_A_TIME), targets.split(ROWS_AT_A_TIME), strict=True):
            sums.index_add_(0, to.flatten(), (part @ kernel).view(-1, len(bias)))
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor, Tensor, None]:
        values, targets = ctx.saved_tensors
        of_kernel = values.T @ gradient[targets].flatten(1)
        return None, None, of_kernel, gradient.sum(dim=0), None
