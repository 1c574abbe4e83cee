"""The distances of one shape on a CPU: what `NDF.query` says, from tables and weights in the order of reading."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from models.kernels import Nodes, linear, values_around

if TYPE_CHECKING:
    from models.ndf import NDF


class PointQuery:
    """One shape's grids, prepared for many points. The weights must not change afterwards.

    Grids of one size are one table; the first layer's weights are brought into the order in which values come out.
    """

    def __init__(self, model: "NDF", grids: list[Tensor]):
        """grids: those of one shape, [(1, ...)], without gradients."""
        self.model = model
        first = model.fc_0.weight.detach().squeeze(-1)
        self.nodes: list[Nodes] = model.nodes([grid.to(first.dtype) for grid in grids])  # bf16 from a mixed encoder
        self.first = first[:, model.reading_order(grids)].contiguous()

    def __call__(self, p: Tensor) -> Tensor:
        """p: (N, 3) grid coordinates. Returns (N,) mesh units; differentiable in the points, once."""
        values = [values_around(p, nodes) for nodes in self.nodes]
        h = F.relu_(linear(torch.cat([*values, p], dim=1), self.first, self.model.fc_0.bias))
        return self.model.to_distances(self.model.after_first(h)[None])[0]
