"""Feature planes: each point samples three feature images, each by two of its three coordinates.

A plane has R^2 nodes where a grid of the same resolution has R^3, so planes can be much finer than grids: a window or
a rim spans a few nodes of the side view. Source: EG3D (Chan et al. 2022, sec. 4); for cars with interiors NFD (Shue
et al. 2023).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.errors import UserError

VIEWS = ((0, 1), (0, 2), (1, 2))  # the two of a point's coordinates (z, y, x) that index each plane


def look_up_planes(planes: Sequence[Tensor], p: Tensor) -> Tensor:
    """Interpolate each plane bilinearly and sum the three values.

    planes: [(B, 3, C_i, R_i, R_i)], the axes of a plane in reverse order of VIEWS (second coordinate first);
    p: (B, N, 3) grid coordinates in [-1, 1], order z y x. Returns (B, N, sum C_i).
    """
    places = torch.stack([p[..., view] for view in VIEWS], dim=1).flatten(0, 1)[:, :, None]  # (3 B, N, 1, 2)
    found = [
        F.grid_sample(
            plane.flatten(0, 1), places.to(plane.dtype), padding_mode="border", align_corners=True
        ).view(len(plane), 3, plane.shape[2], -1).sum(dim=1)
        for plane in planes
    ]  # each (B, C_i, N)  # fmt: skip
    return torch.cat(found, dim=1).transpose(1, 2)


class PlaneDecoder(nn.Module):
    """A shape vector to its planes: a linear map to coarse planes, then upsampling; the views share no weights.

    resolution, channels: nodes per side and channels of the output planes, coarse to fine, each resolution twice the
    previous one. The linear map produces planes of half the first resolution.
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
        self.from_numbers = nn.Linear(num_inputs, 3 * channels[0] * (resolution[0] // 2) ** 2)
        self.upsamplers = nn.ModuleList(
            nn.ConvTranspose2d(3 * c_in, 3 * c_out, 4, stride=2, padding=1, groups=3)
            for c_in, c_out in zip([channels[0], *channels], channels, strict=False)
        )

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """numbers: (B, num_inputs). Returns [(B, 3, C_i, R_i, R_i)]."""
        level, planes = self.from_numbers(numbers).unflatten(1, self.coarsest), []
        for upsample in self.upsamplers:
            level = upsample(F.silu(level))
            planes.append(level.unflatten(1, (3, -1)))
        return planes
