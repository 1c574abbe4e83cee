"""The networks that predict s and t of a coupling: a residual MLP and a residual 3-D CNN.

Both end in a zero-initialised head, so that a new flow is the identity, and neither uses batch norm: RealNVP with
batch norm and unbounded scales is known to blow up on held-out data.
"""

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from models.batch_part import dropout
from models.kernels import linear


class ResidualMLP(nn.Module):
    """(B, num_in) -> (B, num_out): an input layer, `blocks` - 1 residual layers of width `hidden`, the head."""

    def __init__(self, num_in: int, num_out: int, hidden: int, blocks: int, dropout: float = 0.0):
        super().__init__()
        self.first = nn.Linear(num_in, hidden)
        self.residuals = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks - 1))
        self.head = zero_init(nn.Linear(hidden, num_out))
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(linear(x, self.first.weight, self.first.bias), inplace=True)
        for layer in cast(Iterable[nn.Linear], self.residuals):  # to type checkers it holds plain Modules
            added = linear(dropout(h, self.dropout, self.training), layer.weight, layer.bias)
            h = h + F.relu(added, inplace=True)
        return linear(dropout(h, self.dropout, self.training), self.head.weight, self.head.bias)

    def layers(self) -> list[Tensor]:
        """Weight and bias of each layer, the head's last: what `Coupling` of models/kernels takes."""
        linears = [self.first, *cast(Iterable[nn.Linear], self.residuals), self.head]
        return [tensor for layer in linears for tensor in (layer.weight, layer.get_parameter("bias"))]


class ResidualConv3d(nn.Module):
    """(B, num_in, r, r, r) -> (B, num_out, r, r, r) at a fixed width, whatever the number of channels.

    1x1x1 in, `blocks` residual blocks of a 3x3x3 and a 1x1x1 convolution, 1x1x1 out. Shapes are aligned in their box,
    so each node has a learned bias: the net can tell the roof from the wheels.
    """

    def __init__(self, num_in: int, num_out: int, resolution: int, hidden: int, blocks: int, dropout: float = 0.0):
        super().__init__()
        self.first = nn.Conv3d(num_in, hidden, 1)
        self.position = nn.Parameter(self.first.weight.new_zeros(hidden, resolution, resolution, resolution))
        self.neighbours = nn.ModuleList(
            nn.Conv3d(hidden, hidden, 3, padding=1, padding_mode="zeros") for _ in range(blocks)
        )
        self.mixers = nn.ModuleList(nn.Conv3d(hidden, hidden, 1) for _ in range(blocks))
        self.head = zero_init(nn.Conv3d(hidden, num_out, 1))
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x) + self.position
        for neighbours, mixer in zip(self.neighbours, self.mixers, strict=True):
            inner = F.silu(neighbours(F.silu(h)))
            h = h + mixer(dropout(inner, self.dropout, self.training))
        return self.head(F.silu(h))


def zero_init(layer: nn.Linear | nn.Conv3d) -> nn.Linear | nn.Conv3d:
    """Set weight and bias to 0 and return the layer."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
