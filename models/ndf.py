"""NDF: a voxelized point cloud in, unsigned distances at query points out (Chibane et al., NeurIPS 2020, sec. 3).

`NDF()` without arguments is the published network: parameter names and shapes match the released checkpoints.
Letters: B batch, N points, C channels, R nodes per axis, K places at which features are sampled for each point.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.distance_heads import beyond_border, distance_to_sheet, first_bias, num_outputs
from models.interpolation import at_places, nodes_around, sum_of_rows
from models.occupancy import INPUT_CHANNELS, folded
from models.products import linear
from models.sparse_pyramid import Layer, SparsePyramid
from runtime.errors import UserError

Code = Tensor | list[Tensor]  # what `encode` gives: (B, *code_shape); of a plain NDF its pyramid

NDF_CHANNELS = (16, 32, 64, 128, 128, 128)
PLACES_AT_A_TIME = 2**15  # looked up on a CPU: what this takes stays in its cache
DISPLACEMENT = 0.0722  # offset of the neighbouring places from the point, in grid coordinates


def place_offsets(num_places: int = 7, displacement: float = DISPLACEMENT) -> Tensor:
    """Offsets (K, 3) of the places: the point itself, then (K = 7) - and + along each of its coordinates."""
    offsets = torch.zeros(7, 3)
    for axis in range(3):
        offsets[1 + 2 * axis, axis] = -displacement
        offsets[2 + 2 * axis, axis] = displacement
    return offsets[:num_places]


def pointwise(layer: nn.Conv1d, h: Tensor) -> Tensor:
    """A kernel-1 convolution with channels last, several times faster on a CPU: (..., C) -> (..., C')."""
    return linear(h, layer.weight.squeeze(-1), layer.bias)


def look_up(grids: list[Tensor], p: Tensor, offsets: Tensor) -> Tensor:
    """Interpolate feature grids trilinearly at the places around each point.

    grids: [(B, C_i, R_i, R_i, R_i)], axes x y z; p: (B, N, 3) grid coordinates, order z y x; offsets: (K, 3).
    Returns (B, N, sum C_i * K), channel by channel, with the place varying fastest.
    """
    if p.device.type == "cpu" and len(offsets) == 1:
        return torch.cat([_look_up_rows(grid.to(p.dtype), p + offsets) for grid in grids], dim=2)
    if p.device.type == "cpu" and not any(grid.requires_grad for grid in grids):
        places = p[:, :, None] + offsets  # (B, N, K, 3)
        rows = [_look_up_rows(grid.to(p.dtype), places.flatten(1, 2)) for grid in grids]  # each (B, N K, C_i)
        return torch.cat([found.view(*places.shape[:3], -1).mT for found in rows], dim=2).flatten(2)
    places = p[:, None] + offsets[:, None]  # (B, K, N, 3)
    found = [
        F.grid_sample(grid, places[:, :, None].to(grid.dtype), padding_mode="border", align_corners=True)[:, :, :, 0]
        for grid in grids
    ]  # each (B, C_i, K, N)
    return torch.cat(found, dim=1).flatten(1, 2).transpose(1, 2)


def _look_up_rows(grid: Tensor, p: Tensor) -> Tensor:
    """(B, C, R, R, R) at (B, N, 3) -> (B, N, C)."""
    if grid.stride(0) == 0:  # one shape, expanded
        grid = grid[:1]
    resolution = grid.shape[-1]
    axis = torch.arange(resolution, dtype=torch.int32)
    # Of one shape, reshape would give a view with the channels far apart: ten times as slow to read.
    table = grid.permute(0, 2, 3, 4, 1).reshape(-1, grid.shape[1]).contiguous()
    starts = [axis, resolution * axis, resolution**2 * axis]
    if len(grid) == 1 and not grid.requires_grad:
        parts = [at_places(table, part.unbind(1), starts) for part in p.reshape(-1, 3).split(PLACES_AT_A_TIME)]
        return torch.cat(parts).view(*p.shape[:2], -1)
    rows, weights = nodes_around(p.permute(2, 0, 1).unbind(), starts)
    rows = rows + resolution**3 * torch.arange(len(grid), dtype=torch.int32)[:, None]  # (8, B, N)
    return sum_of_rows(table, rows.view(8, -1), weights.view(8, -1)).view(*p.shape[:2], -1)


def sides(raw: Tensor) -> tuple[Tensor, Tensor]:
    """(B, N, 2) -> the side s and the distance beyond the border, (B, N) each."""
    raw = raw.float()
    return raw[..., 0], beyond_border(raw[..., 1])


class NDF(nn.Module):
    """Neural unsigned distance field.

    channels: channels of the pyramid's levels f1, f2, ...; level i has R / 2^(i-1) nodes per axis.
    hidden_dim: width of fc_1 and fc_2, half that of fc_0.
    feature_channels: channels sampled at each place; default: those of f0, f1, ...
    num_places: 7 as in NDF, or 1: the point itself only.
    input_features: occupancy as in NDF, or offsets (`occupancy_and_offsets`), 4 channels.
    distance_head: value as in NDF, or sheet (`distance_heads.py`).
    input_fold: blocks of so many nodes per axis are the channels that the first convolution sees; 1 as in NDF.

    The network runs in three stages, so that a shape is encoded, and its grids are computed, only once:
    `encode(x)` gives the code, `features(code)` the grids, `query(p, grids)` the distances. Here the code is the
    list of grids itself; networks with a bottleneck (`shape_codes.py`) override the first two.
    """

    code_kind = "none"
    code_shape: tuple[int, ...]  # of one shape; a plain NDF has none
    offsets: Tensor  # (K, 3)
    sparse: SparsePyramid | None = None  # of a frozen network

    def __init__(
        self,
        channels: tuple[int, ...] = NDF_CHANNELS,
        hidden_dim: int = 256,
        feature_channels: int | None = None,
        num_places: int = 7,
        input_features: str = "occupancy",
        distance_head: str = "value",
        input_fold: int = 1,
    ):
        super().__init__()
        self.input_fold = input_fold
        self.distance_head = distance_head
        self.num_levels = len(channels)
        input_channels = INPUT_CHANNELS[input_features]
        self._add_pyramid(input_channels * input_fold**3, channels)
        self.pyramid_channels = input_channels + sum(channels)
        self.feature_channels = self.pyramid_channels if feature_channels is None else feature_channels
        self.register_buffer("offsets", place_offsets(num_places), persistent=False)
        point_numbers = self.feature_channels * len(self.offsets) + 3
        self.fc_0 = nn.Conv1d(point_numbers, 2 * hidden_dim, 1)
        self.fc_1 = nn.Conv1d(2 * hidden_dim, hidden_dim, 1)
        self.fc_2 = nn.Conv1d(hidden_dim, hidden_dim, 1)
        self.fc_out = nn.Conv1d(hidden_dim, num_outputs(distance_head), 1)
        with torch.no_grad():
            self.fc_out.get_parameter("bias").copy_(first_bias(distance_head))

    def _add_pyramid(self, input_channels: int, channels: tuple[int, ...]) -> None:
        """Create the encoder's layers under the names used by the published weights; without channels, none."""
        if not channels:
            return
        self.conv_in = nn.Conv3d(input_channels, channels[0], 3, padding=1, padding_mode="zeros")
        self.conv_in_bn = nn.BatchNorm3d(channels[0])
        for i, (c_in, c_out) in enumerate(zip(channels, channels[1:], strict=False)):
            self.add_module(f"conv_{i}", nn.Conv3d(c_in, c_out, 3, padding=1, padding_mode="zeros"))
            self.add_module(f"conv_{i}_1", nn.Conv3d(c_out, c_out, 3, padding=1, padding_mode="zeros"))
            self.add_module(f"conv{i}_1_bn", nn.BatchNorm3d(c_out))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """x: (B, R, R, R) or (B, 4, R, R, R), axes x y z. Returns f0 = x, f1, ...: [(B, C_i, R_i, R_i, R_i)]."""
        x = folded(x.unsqueeze(1) if x.dim() == 4 else x, self.input_fold)
        levels = [x]
        x = self.conv_in_bn(F.relu(self.conv_in(x)))
        levels.append(x)
        for i in range(self.num_levels - 1):
            x = F.max_pool3d(x, 2)
            x = F.relu(self.get_submodule(f"conv_{i}")(x))
            x = F.relu(self.get_submodule(f"conv_{i}_1")(x))
            x = self.get_submodule(f"conv{i}_1_bn")(x)
            levels.append(x)
        return levels

    def layers(self) -> list[Layer]:
        """The pyramid's layers, of which each continues the one before."""
        modules: dict[str, Any] = dict(self.named_children())
        last = self.num_levels - 2
        found = [Layer(modules["conv_in"], modules["conv_in_bn"], pooled=last >= 0)]
        for i in range(last + 1):
            found.append(Layer(modules[f"conv_{i}"], None, pooled=False))
            found.append(Layer(modules[f"conv_{i}_1"], modules[f"conv{i}_1_bn"], pooled=i < last))
        return found

    def coarsest(self, x: Tensor) -> Tensor:
        """The pyramid's last level alone, (B, C, r, r, r): on a CPU, of a frozen network, only where the shape is."""
        if self.sparse is None or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return self.pyramid(x)[-1]
        return self.sparse.coarsest(x.unsqueeze(1) if x.dim() == 4 else x)

    def freeze(self) -> "NDF":
        """Eval mode, with weights that stay: encoding on a CPU then computes what an empty input gives once for all."""
        self.eval().requires_grad_(False)
        self.sparse = SparsePyramid(self.layers(), self.input_fold) if self.num_levels else None
        return self

    def train(self, mode: bool = True) -> "NDF":
        if mode:
            self.sparse = None
        return super().train(mode)

    def encode(self, x: Tensor) -> Code:
        return self.pyramid(x)

    def training_code(self, x: Tensor) -> tuple[Code, Tensor]:
        """The code that the decoder is trained on, and its KL penalty: (B,) nats, 0 here."""
        return self.encode(x), x.new_zeros(len(x))

    def features(self, code: Any) -> list[Tensor]:
        return code

    def query(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """p: (B, N, 3) grid coordinates (z, y, x in [-1, 1]). Returns (B, N) unsigned distances in mesh units."""
        raw = self.raw(p, grids)
        if self.distance_head == "sheet":
            return distance_to_sheet(*sides(raw))
        return self.activate(raw.squeeze(2))

    def sheets(self, p: Tensor, grids: list[Tensor]) -> tuple[Tensor, Tensor]:
        """p as in `query`. Returns (B, N) each, mesh units: the side of the sheet, s, and the distance beyond its
        border, 0 on it. Raises UserError for a network that gives distances alone."""
        if self.distance_head != "sheet":
            raise UserError(f"distance_head {self.distance_head} found, sheet expected: this network gives no sides")
        return sides(self.raw(p, grids))

    def raw(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """The last layer's numbers, (B, N, 1), or (B, N, 2) of a sheet."""
        return self.point_network(torch.cat([self.look_up(p, grids), p], dim=2))  # of (B, N, K C + 3)

    def channels_last(self, grids: list[Tensor]) -> list[Tensor]:
        """The same grids (and planes), the grids in the layout in which a CPU looks them up fastest."""
        return [grid.contiguous(memory_format=torch.channels_last_3d) for grid in grids]

    def look_up(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """The features sampled for each point, (B, N, K C)."""
        return look_up(grids, p, self.offsets)

    def point_network(self, found: Tensor) -> Tensor:
        h = F.relu_(pointwise(self.fc_0, found.flatten(0, 1)))  # (B N, 512)
        h = F.relu_(pointwise(self.fc_1, h))  # (B N, 256)
        h = F.relu_(pointwise(self.fc_2, h))  # (B N, 256)
        return pointwise(self.fc_out, h).unflatten(0, found.shape[:2])

    def activate(self, raw: Tensor) -> Tensor:
        """Map the last layer's number, of head value, to a distance."""
        return F.relu(raw)

    def forward(self, p: Tensor, x: Tensor) -> Tensor:
        """p: (B, N, 3) grid coordinates; x: (B, R, R, R) occupancy. Returns (B, N) distances in mesh units."""
        return self.query(p, self.features(self.encode(x)))
