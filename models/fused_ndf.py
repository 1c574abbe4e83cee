"""The thesis's code: plain NDF whose point network samples all channels from one small grid."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.ndf import NDF, NDF_CHANNELS


def resample(grid: Tensor, resolution: int) -> Tensor:
    """(B, C, R, R, R) -> (B, C, r, r, r), trilinear, with aligned corner nodes."""
    return F.interpolate(grid, size=(resolution,) * 3, mode="trilinear", align_corners=True)


class FusedNDF(NDF):
    """Code (C, r, r, r), C the sum of all levels' channels: 497 of the published network, whose weights fit.

    out_resolution: r.
    """

    code_kind = "fused"

    def __init__(
        self,
        channels: Sequence[int] = NDF_CHANNELS,
        hidden_dim: int = 256,
        out_resolution: int = 8,
        input_features: str = "occupancy",
        distance_head: str = "value",
    ):
        super().__init__(tuple(channels), hidden_dim, input_features=input_features, distance_head=distance_head)
        self.code_shape = (self.feature_channels,) + (out_resolution,) * 3

    def encode(self, x: Tensor) -> Tensor:
        levels = [resample(level, self.code_shape[-1]) for level in self.pyramid(x)]  # [(B, C_i, r, r, r)]
        return F.relu(torch.tanh(torch.cat(levels, dim=1)))  # (B, sum C_i, r, r, r) in [0, 1)

    def features(self, code: Tensor) -> list[Tensor]:
        return [code]
