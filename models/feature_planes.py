"""Feature planes: each point samples three feature images, each by two of its three coordinates.

A plane has R^2 nodes where a grid of the same resolution has R^3, so planes can be much finer than grids: a window or
a rim spans a few nodes of the side view. Source: EG3D (Chan et al. 2022, sec. 4); for cars with interiors NFD (Shue
et al. 2023). Looked up by `models.kernels.bilinear`.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.errors import UserError

VIEWS = ((0, 1), (0, 2), (1, 2))  # the two of a point's coordinates (z, y, x) that index each plane


class Split(nn.Module):
    """One node to 2 x 2 finer ones: (3, B, ..., C) -> (3, B, ..., 2, 2, C'), with weights for each view.

    A product for each shape: the weights' gradient, a sum over up to a million nodes, is then many short sums.
    """

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        # In place: without storage (`build_checked`), torch divides by Python code that takes long to import.
        self.weight = nn.Parameter(torch.empty(3, c_in, 4 * c_out).uniform_(-1, 1).div_(math.sqrt(c_in)))
        self.bias = nn.Parameter(torch.empty(3, 1, 4 * c_out).uniform_(-1, 1).div_(math.sqrt(c_in)))

    def of_each_child(self, parents: Tensor) -> Tensor:
        """The finer nodes one by one, (3 * 4, M, C'), from the nodes (3 * 4, M, C) that they are split from: by view,
        and within it by child, row digit first."""
        weight = self.weight.unflatten(2, (4, -1)).transpose(1, 2)  # (3, 4, C, C')
        bias = self.bias.unflatten(2, (4, -1)).transpose(1, 2)
        return torch.baddbmm(bias.flatten(0, 1), parents, weight.flatten(0, 1))

    def forward(self, nodes: Tensor) -> Tensor:
        batch = nodes.shape[1]
        weight, bias = (w.repeat_interleave(batch, dim=0) for w in (self.weight, self.bias))  # (3 B, C or 1, 4 C')
        split = torch.baddbmm(bias, nodes.flatten(0, 1).flatten(1, -2), weight)  # (3 B, nodes, 4 C')
        return split.view(*nodes.shape[:-1], 2, 2, -1)  # (3, B, ..., 2, 2, C')


class QuadtreePlanes(nn.Module):
    """A vector to planes, coarse to fine: each node is split into 2 x 2 finer ones by a linear layer.

    A layer's weights are the same for all nodes of a plane; the views share none. The coarsest nodes are a linear map
    of the vector. The first planes come from these by a transposed convolution, so that neighbouring trees have parents
    in common. The rest is products of matrices, and nothing is moved: nodes stay in the order of the tree, that is, the
    R = r 2^k rows and columns of a finer plane are split into digits, coarse to fine: (B, 3, r, r, 2, 2, ..., C).

    resolution, channels: nodes per side and channels of the planes, each resolution twice the previous one.
    Raises UserError for other resolutions or a mismatched number of channels.
    """

    def __init__(self, num_inputs: int, resolution: Sequence[int], channels: Sequence[int]):
        super().__init__()
        doubled = all(fine == 2 * coarse for coarse, fine in zip(resolution, resolution[1:], strict=False))
        if not resolution or len(resolution) != len(channels) or resolution[0] % 2 or not doubled:
            raise UserError(
                f"plane_resolution {list(resolution)} with plane_channels {list(channels)}: as many of one as of the"
                " other expected, the first resolution even and each of the others twice the one before"
            )
        self.coarsest = (3 * channels[0], resolution[0] // 2, resolution[0] // 2)
        self.from_numbers = nn.Linear(num_inputs, math.prod(self.coarsest))
        self.first = nn.ConvTranspose2d(3 * channels[0], 3 * channels[0], 4, stride=2, padding=1, groups=3)
        self.splits = nn.ModuleList(Split(c_in, c_out) for c_in, c_out in zip(channels, channels[1:], strict=False))

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """numbers: (B, num_inputs). Returns [(B, 3, R_1, R_1, C_1), (B, 3, R_1, R_1, 2, 2, C_2), ...].

        In memory the views come first, since each has its own weights, and the channels last.
        """
        levels = [self.coarse(numbers).contiguous()]
        for split in self.splits:
            levels.append(split(F.silu(levels[-1])))  # (3, B, R, R, 2, 2, C'), ...
        return [level.transpose(0, 1) for level in levels]

    def coarse(self, numbers: Tensor) -> Tensor:
        """The first planes, (3, B, R_1, R_1, C_1)."""
        coarsest = self.from_numbers(numbers).unflatten(1, self.coarsest)  # (B, 3 C, R / 2, R / 2)
        images = self.first(F.silu(coarsest)).unflatten(1, (3, -1))  # (B, 3, C, R, R)
        return images.permute(1, 0, 3, 4, 2)
