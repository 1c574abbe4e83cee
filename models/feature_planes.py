"""Feature planes: each point samples three feature images, each by two of its three coordinates.

A plane has R^2 nodes where a grid of the same resolution has R^3, so planes can be much finer than grids: a window or
a rim spans a few nodes of the side view. Source: EG3D (Chan et al. 2022, sec. 4); for cars with interiors NFD (Shue
et al. 2023).

A plane tensor has the channels last, and its R = r 2^k rows and columns of nodes may be split into digits, coarse to
fine: (B, 3, R, R, C) or (B, 3, r, r, 2, 2, ..., C). Rows are indexed by the second of a view's two coordinates. In
memory the views come first, since each has its own weights.
"""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.interpolation import nodes_around, sum_of_rows
from runtime.errors import UserError

VIEWS = ((0, 1), (0, 2), (1, 2))  # the two of a point's coordinates (z, y, x) that index each plane


def look_up_planes(planes: Sequence[Tensor], p: Tensor) -> Tensor:
    """Interpolate each plane bilinearly and sum the three values.

    planes: plane tensors with C_i channels; p: (B, N, 3) grid coordinates in [-1, 1], order z y x.
    Returns (B, N, sum C_i), in the dtype of p: bfloat16 coordinates would be off by an eighth of a node.
    """
    look_up = _look_up_rows if p.device.type == "cpu" else _look_up_images
    return torch.cat([look_up(plane.to(p.dtype), p) for plane in planes], dim=2)


def joined(plane: Tensor) -> Tensor:
    """A plane tensor with its digits joined, (B, 3, R, R, C)."""
    last = plane.ndim - 1
    rows, columns = range(2, last, 2), range(3, last, 2)
    size = math.isqrt(math.prod(plane.shape[2:last]))
    return plane.permute(0, 1, *rows, *columns, last).reshape(len(plane), 3, size, size, -1)


def _look_up_images(plane: Tensor, p: Tensor) -> Tensor:
    images = joined(plane).flatten(0, 1).permute(0, 3, 1, 2)  # (3 B, C, R, R)
    places = torch.stack([p[..., view] for view in VIEWS], dim=1).flatten(0, 1)[:, :, None]  # (3 B, N, 1, 2)
    found = F.grid_sample(images, places, padding_mode="border", align_corners=True)  # (3 B, C, N, 1)
    return found.unflatten(0, (-1, 3)).sum(dim=1)[..., 0].transpose(1, 2)


def _look_up_rows(plane: Tensor, p: Tensor) -> Tensor:
    if plane.stride(0) == 0:  # one shape, expanded
        plane = plane[:1]
    first, second = (p.permute(2, 0, 1)[list(axis)] for axis in zip(*VIEWS, strict=True))  # (3, B, N)
    columns, rows = node_starts(plane.shape[2:-1])
    places, weights = nodes_around([first, second], [columns, rows])  # (4, 3, B, N)
    images = torch.arange(3 * len(plane), dtype=torch.int32).view(3, -1)  # (3, B), or (3, 1) of an expanded shape
    places = places + (len(columns) * len(rows) * images)[..., None]
    found = sum_of_rows(plane.transpose(0, 1).reshape(-1, plane.shape[-1]), places.view(12, -1), weights.view(12, -1))
    return found.view(*p.shape[:2], -1)


@functools.cache
def node_starts(sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Where columns and rows start in a plane whose node axes have these sizes: two tensors (R,) int32.

    A node's place among the R^2 of its plane is the sum of its column's and its row's start.
    """
    nodes = torch.arange(math.prod(sizes), dtype=torch.int32).view(1, 1, *sizes, 1).expand(-1, 3, *sizes, -1)
    square = joined(nodes)[0, 0, ..., 0]
    return square[0].contiguous(), square[:, 0].contiguous()


class PlaneDecoder(nn.Module):
    """What the decoders share: a linear map from a vector to coarse planes, of half the first output resolution.

    resolution, channels: nodes per side and channels of the output planes, coarse to fine, each resolution twice the
    previous one. The views share no weights.
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

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """numbers: (B, num_inputs). Returns plane tensors."""
        raise NotImplementedError


def upsampling_convolution(c_in: int, c_out: int) -> nn.ConvTranspose2d:
    """Twice the nodes per side, for the three views apart: (B, 3 C, R, R) -> (B, 3 C', 2 R, 2 R)."""
    return nn.ConvTranspose2d(3 * c_in, 3 * c_out, 4, stride=2, padding=1, groups=3)


def views_first(images: Tensor) -> Tensor:
    """(B, 3 C, R, R) -> (3, B, R, R, C), in memory too."""
    return images.unflatten(1, (3, -1)).permute(1, 0, 3, 4, 2).contiguous()


class ConvolutionPlanes(PlaneDecoder):
    """Upsampling by transposed convolutions: the decoder of older checkpoints."""

    def __init__(self, num_inputs: int, resolution: Sequence[int], channels: Sequence[int]):
        super().__init__(num_inputs, resolution, channels)
        steps = zip([channels[0], *channels], channels, strict=False)
        self.upsamplers = nn.ModuleList(upsampling_convolution(c_in, c_out) for c_in, c_out in steps)

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """numbers: (B, num_inputs). Returns [(B, 3, R_i, R_i, C_i)]."""
        images, planes = self.from_numbers(numbers).unflatten(1, self.coarsest), []
        for level, upsample in enumerate(self.upsamplers):
            images = self.refined(level, upsample(F.silu(images)))
            planes.append(views_first(images).transpose(0, 1))
        return planes

    def refined(self, level: int, images: Tensor) -> Tensor:
        """The images (B, 3 C, R, R) of a level, as they are looked up and go on to the next level."""
        return images


class Split(nn.Module):
    """One node to 2 x 2 finer ones: (3, B, ..., C) -> (3, B, ..., 2, 2, C'), with weights for each view.

    A product for each shape: the weights' gradient, a sum over up to a million nodes, is then many short sums.
    """

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, c_in, 4 * c_out).uniform_(-1, 1) / math.sqrt(c_in))
        self.bias = nn.Parameter(torch.empty(3, 1, 4 * c_out).uniform_(-1, 1) / math.sqrt(c_in))

    def forward(self, nodes: Tensor) -> Tensor:
        batch = nodes.shape[1]
        weight, bias = (w.repeat_interleave(batch, dim=0) for w in (self.weight, self.bias))
        split = torch.baddbmm(bias, nodes.flatten(0, 1).flatten(1, -2), weight)  # (3 B, nodes, 4 C')
        return split.view(*nodes.shape[:-1], 2, 2, -1)


class QuadtreePlanes(PlaneDecoder):
    """Each node is split into 2 x 2 finer ones by a linear layer, the same for all nodes of a plane.

    Only the first planes come from a transposed convolution, so that neighbouring trees have parents in common. The
    rest is products of matrices, and nothing is moved: nodes stay in the order of the tree. As good per training step
    as convolutions alone (a validation loss of 0.0086 and 0.0087 after 400), which take twice as long on a CPU.
    """

    def __init__(self, num_inputs: int, resolution: Sequence[int], channels: Sequence[int]):
        super().__init__(num_inputs, resolution, channels)
        self.first = upsampling_convolution(channels[0], channels[0])
        steps = zip(channels, channels[1:], strict=False)
        self.splits = nn.ModuleList(Split(c_in, c_out) for c_in, c_out in steps)

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """numbers: (B, num_inputs). Returns [(B, 3, R_1, R_1, C_1), (B, 3, R_1, R_1, 2, 2, C_2), ...]."""
        coarsest = self.from_numbers(numbers).unflatten(1, self.coarsest)
        levels = [views_first(self.first(F.silu(coarsest)))]
        for split in self.splits:
            levels.append(split(F.silu(levels[-1])))
        return [level.transpose(0, 1) for level in levels]


class Refinement(nn.Module):
    """Two more convolutions of each view's image, added to it: (B, 3 C, R, R) -> the same."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3)
        self.second = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3)
        nn.init.zeros_(self.second.weight)  # at first the image passes as it is
        nn.init.zeros_(self.second.get_parameter("bias"))

    def forward(self, images: Tensor) -> Tensor:
        changed: Tensor = self.second(F.silu(self.first(F.silu(images))))
        return images + changed


class ResidualPlanes(ConvolutionPlanes):
    """Transposed convolutions, and a residual block at each resolution: details can depend on where they are."""

    def __init__(self, num_inputs: int, resolution: Sequence[int], channels: Sequence[int]):
        super().__init__(num_inputs, resolution, channels)
        self.refinements = nn.ModuleList(Refinement(count) for count in channels)

    def refined(self, level: int, images: Tensor) -> Tensor:
        return self.refinements[level](images)


PLANE_DECODERS: dict[str, type[PlaneDecoder]] = {
    "convolution": ConvolutionPlanes,
    "quadtree": QuadtreePlanes,
    "residual": ResidualPlanes,
}
