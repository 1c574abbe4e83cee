"""Feature planes: a point is looked up in three images, each by two of its three coordinates.

An image holds a node where a grid of the same resolution holds R, so that planes can be much finer than grids: a
window or a rim is a few nodes of the side view. Source: EG3D (Chan et al. 2022, sec. 4); for cars with interiors NFD
(Shue et al. 2023).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.errors import UserError

VIEWS = ((0, 1), (0, 2), (1, 2))  # the two of a point's coordinates (z, y, x) that a plane is looked up by


def look_up_planes(planes: Sequence[Tensor], p: Tensor) -> Tensor:
    """Interpolate bilinearly in each plane and add the three values.

    planes: [(B, 3, C_i, R_i, R_i)], nodes of a plane in the order of VIEWS reversed (second coordinate first);
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
    """Numbers of a shape to its planes: a linear map to coarse planes, then upsampling; no weights are shared by views.

    resolution, channels: nodes per side and channels of the planes that are looked up, coarse to fine, each resolution
    twice the one before. The linear map gives planes of half the first resolution.
    Raises UserError for other resolutions or another number of channels.
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
