"""NDF with a grid code: all levels of the pyramid pooled to one small grid and projected."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.bottleneck_ndf import BottleneckNDF
from models.fused_ndf import resample
from runtime.errors import UserError


class GridNDF(BottleneckNDF):
    """Code (D, r, r, r), D = latent_dim, r = out_resolution; the decoder's grids start at r^3 nodes too."""

    code_kind = "grid"

    def __init__(self, latent_dim: int, out_resolution: int, **sizes: Any):
        """sizes: those of every bottleneck."""
        super().__init__(**sizes)
        first_channels, first_resolution = sizes["decoder_channels"][0], sizes["decoder_resolution"][0]
        if first_resolution != out_resolution:
            raise UserError(
                f"the first decoder_resolution is {first_resolution} and a grid code's out_resolution"
                f" {out_resolution}; make them equal"
            )
        self.code_shape = (latent_dim,) + (out_resolution,) * 3
        self.to_code = nn.Conv3d(self.pyramid_channels, latent_dim, 1)
        self.from_code = nn.Sequential(
            nn.Conv3d(latent_dim, 2 * first_channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(2 * first_channels, first_channels, 3, padding=1),
        )

    def project(self, x: Tensor) -> Tensor:
        levels = [pooled(level, self.code_shape[-1]) for level in self.pyramid(x)]  # [(B, C_i, r, r, r)]
        return self.to_code(torch.cat(levels, dim=1))  # (B, D, r, r, r)

    def features(self, code: Tensor) -> list[Tensor]:
        coarsest = self.from_code(code)  # (B, C_1, r, r, r)
        return self.upsampled(coarsest)  # [(B, C_i, R_i, R_i, R_i)]


def pooled(level: Tensor, resolution: int) -> Tensor:
    """(B, C, R, R, R) -> (B, C, r, r, r): means of the nodes, or where there are fewer than r, values between them."""
    if level.shape[-1] < resolution:
        return resample(level, resolution)
    return F.adaptive_avg_pool3d(level, resolution)
