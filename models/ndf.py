"""NDF: a voxelized point cloud in, unsigned distances at query points out (Chibane et al., NeurIPS 2020, sec. 3).

`NDF()` without arguments is the published network: parameter names and shapes match the released checkpoints.
Letters: B batch, N points, C channels, R nodes per axis, K places at which features are sampled for each point.
"""

from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.distance_heads import OUTPUTS, first_bias
from models.distance_network import Code, DistanceNetwork
from models.kernels import Layer, Nodes, SparsePyramid, first_convolution, grid_nodes, linear, trilinear
from models.occupancy import INPUT_CHANNELS, folded
from models.point_query import PointQuery

NDF_CHANNELS = (16, 32, 64, 128, 128, 128)
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


class NDF(DistanceNetwork):
    """Neural unsigned distance field.

    channels: channels of the pyramid's levels f1, f2, ...; level i has R / 2^(i-1) nodes per axis.
    hidden_dim: width of fc_1 and fc_2, half that of fc_0.
    feature_channels: channels sampled at each place; default: those of f0, f1, ...
    num_places: 7 as in NDF, or 1: the point itself only.
    input_features: occupancy as in NDF, or offsets (`occupancy_and_offsets`), 4 channels.
    distance_head: value as in NDF, or sheet (`distance_heads.py`).
    input_fold: blocks of so many nodes per axis are the channels that the first convolution sees; 1 as in NDF.

    Here the code is the list of grids itself; networks with a bottleneck (`shape_codes.py`) override `encode` and
    `features`.

    >>> ndf, x, p = NDF(channels=(4, 8), hidden_dim=16), torch.zeros(1, 8, 8, 8), torch.rand(1, 5, 3) - 0.5
    >>> x[:, 2:6, 2:6, 4] = 1  # a plate; x is the occupancy
    >>> tuple(ndf(p, x).shape)  # a distance for each point
    (1, 5)
    """

    code_kind = "none"
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
        self.fc_out = nn.Conv1d(hidden_dim, OUTPUTS[distance_head], 1)
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

    # Stage 1: a shape to its code.

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """x: (B, R, R, R) or (B, 4, R, R, R), axes x y z. Returns f0 = x, f1, ...: [(B, C_i, R_i, R_i, R_i)]."""
        x = x.unsqueeze(1) if x.dim() == 4 else x  # (B, 1 or 4, R, R, R)
        levels = [folded(x, self.input_fold)]  # (B, C_0, R, R, R), R of the blocks
        x = first_convolution(self.conv_in, x, levels[0], self.input_fold)
        x = self.conv_in_bn(F.relu(x))  # (B, C_1, R, R, R)
        levels.append(x)
        for i in range(self.num_levels - 1):
            x = F.max_pool3d(x, 2)  # (B, C_i, R / 2, R / 2, R / 2)
            x = F.relu(self.get_submodule(f"conv_{i}")(x))  # (B, C_i+1, R / 2, R / 2, R / 2)
            x = F.relu(self.get_submodule(f"conv_{i}_1")(x))
            x = self.get_submodule(f"conv{i}_1_bn")(x)
            levels.append(x)
        return levels

    def encode(self, x: Tensor) -> Code:
        """x as in `pyramid`. Returns the code, (B, *code_shape); here the pyramid itself."""
        return self.pyramid(x)

    # Stage 3: points and feature grids to distances.

    def raw(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """The last layer's numbers, (B, N, 1), or (B, N, 2) of a sheet."""
        sampled = torch.cat([self.look_up(p, grids), p], dim=2)  # (B, N, K C + 3)
        return self.point_network(sampled)

    def look_up(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """The features sampled for each point, (B, N, K C)."""
        return trilinear(grids, p, self.offsets)

    def point_network(self, sampled: Tensor) -> Tensor:
        """(B, N, K C + 3) -> (B, N, 1 or 2); H = hidden_dim."""
        h = F.relu_(pointwise(self.fc_0, sampled.flatten(0, 1)))  # (B N, 2 H)
        return self.after_first(h).unflatten(0, sampled.shape[:2])  # (B, N, 1 or 2)

    def after_first(self, h: Tensor) -> Tensor:
        """The first layer's output (N, 2 H) -> (N, 1 or 2)."""
        h = F.relu_(pointwise(self.fc_1, h))  # (N, H)
        h = F.relu_(pointwise(self.fc_2, h))  # (N, H)
        return pointwise(self.fc_out, h)

    # The same, faster: a network whose weights no longer change, and grids as a CPU likes them.

    def freeze(self) -> "NDF":
        """Eval mode, with weights that stay: encoding on a CPU then computes what an empty input gives once for all."""
        self.eval().requires_grad_(False)
        self.sparse = SparsePyramid(self.layers(), self.input_fold) if self.num_levels else None
        return self

    def train(self, mode: bool = True) -> "NDF":
        if mode:
            self.sparse = None
        return super().train(mode)

    def coarsest(self, x: Tensor) -> Tensor:
        """The pyramid's last level alone, (B, C, r, r, r): on a CPU, of a frozen network, only where the shape is."""
        if self.sparse is None or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return self.pyramid(x)[-1]
        return self.sparse.coarsest(x.unsqueeze(1) if x.dim() == 4 else x)

    def layers(self) -> list[Layer]:
        """The pyramid's layers, of which each continues the one before."""
        modules: dict[str, Any] = dict(self.named_children())
        last = self.num_levels - 2
        layers = [Layer(modules["conv_in"], modules["conv_in_bn"], pooled=last >= 0)]
        for i in range(last + 1):
            layers.append(Layer(modules[f"conv_{i}"], None, pooled=False))
            layers.append(Layer(modules[f"conv_{i}_1"], modules[f"conv{i}_1_bn"], pooled=i < last))
        return layers

    def fixed(self, grids: list[Tensor]) -> PointQuery:
        return PointQuery(self, grids)

    def nodes(self, grids: list[Tensor]) -> list[Nodes]:
        """One shape's grids as `PointQuery` reads them."""
        return [grid_nodes([[grids[i] for i in same] for same in of_one_size(grids)], self.offsets)]

    def reading_order(self, grids: list[Tensor]) -> Tensor:
        """Of each number that a point looks up from `nodes`, and of its coordinates, the place in `look_up`'s."""
        places = torch.arange(self.fc_0.in_channels)
        starts = [0, *accumulate(grid.shape[1] * len(self.offsets) for grid in grids)]
        order = []
        for same in of_one_size(grids):
            channels = [places[starts[i] : starts[i + 1]].view(-1, len(self.offsets)) for i in same]  # (C_i, K)
            order.append(torch.cat(channels).t().flatten())
        return torch.cat([*order, places[starts[-1] :]])


def of_one_size(grids: list[Tensor]) -> list[list[int]]:
    """The numbers of the grids, those of one size together."""
    sizes = [grid.shape[-1] for grid in grids]
    return [[i for i, other in enumerate(sizes) if other == size] for size in dict.fromkeys(sizes)]
