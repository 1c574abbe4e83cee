"""NDF with a vector code: the network of the demo and of the weights that come with the project."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.bottleneck_ndf import BottleneckNDF
from models.feature_planes import VIEWS, QuadtreePlanes
from models.kernels import Nodes, bilinear, plane_nodes
from models.planes_at_places import GridsAtPlaces, PlanesAtPlaces
from models.principal_components import PrincipalComponents
from runtime.errors import UserError


class VectorNDF(BottleneckNDF):
    """Code (D,), D = latent_dim: principal components of the occupancy, or learned numbers, or first the ones, which
    know the shape from the first training step on, then the others, for what no linear map reads.

    The learned numbers are a linear map of the pyramid's coarsest level. Two linear layers widen the code; from their
    output one more linear layer makes the coarsest feature grid, and another the feature planes.

    input_res: nodes per axis of the input. decoder_hidden: width of the layers from the code to grids and planes.
    plane_resolution, plane_channels: of `QuadtreePlanes`; no resolutions: no planes. code_encoder: pyramid; pca, with
    its pca_resolution and pca_view_weight (`PrincipalComponents`); or both, with pca_dims components.
    sizes: those of every bottleneck.
    """

    code_kind = "vector"

    def __init__(
        self,
        latent_dim: int,
        input_res: int,
        decoder_hidden: int,
        plane_resolution: Sequence[int],
        plane_channels: Sequence[int],
        code_encoder: str,
        pca_dims: int,
        pca_resolution: int,
        pca_view_weight: float,
        **sizes: Any,
    ):
        num_components = {"pyramid": 0, "pca": latent_dim, "both": pca_dims}[code_encoder]
        num_learned = latent_dim - num_components
        check_sizes(num_learned, latent_dim, input_res, plane_resolution, code_encoder, sizes)
        if not num_learned:
            sizes["channels"] = ()
        super().__init__(**sizes, plane_channels=plane_channels if plane_resolution else ())
        self.code_shape = (latent_dim,)
        self.components: PrincipalComponents | None = None
        if num_components:
            self.components = PrincipalComponents(num_components, pca_resolution, pca_view_weight)
        self.to_code: nn.Linear | None = None
        if num_learned:
            coarsest = coarsest_resolution(input_res, sizes)
            self.to_code = nn.Linear(sizes["channels"][-1] * coarsest**3, num_learned)
        self.widen = nn.Sequential(
            nn.Linear(latent_dim, decoder_hidden), nn.SiLU(), nn.Linear(decoder_hidden, decoder_hidden), nn.SiLU()
        )
        self.grid_shape = (sizes["decoder_channels"][0],) + (sizes["decoder_resolution"][0],) * 3
        self.to_grid = nn.Linear(decoder_hidden, math.prod(self.grid_shape))
        self.num_grids = len(sizes["decoder_channels"])
        self.to_planes: QuadtreePlanes | None = None
        if plane_resolution:
            self.to_planes = QuadtreePlanes(decoder_hidden, plane_resolution, plane_channels)

    def project(self, x: Tensor) -> Tensor:
        assert self.to_code is not None
        coarsest = self.coarsest(x)  # (B, C, r, r, r)
        return self.to_code(coarsest.flatten(1))  # (B, number of learned ones)

    def encode(self, x: Tensor) -> Tensor:
        """(B, D): the principal components, if any, then the learned numbers, if any."""
        parts = [self.components(x)] if self.components is not None else []
        if self.to_code is not None:
            parts.append(super().encode(x))
        return torch.cat(parts, dim=1)

    def features(self, code: Tensor) -> list[Tensor]:
        """(B, D) -> the grids [(B, C_i, R_i, R_i, R_i)], then the planes (`QuadtreePlanes`)."""
        numbers = self.widened(code)
        return self.grids(numbers) + (self.to_planes(numbers) if self.to_planes else [])

    def widened(self, code: Tensor) -> Tensor:
        """The numbers (B, decoder_hidden) that grids and planes are made of."""
        if self.components is not None:  # its numbers to the spread of the learned ones
            num_components = len(self.components.sd)
            code = torch.cat([code[:, :num_components] / self.components.sd, code[:, num_components:]], dim=1)
        numbers: Tensor = self.widen(code)
        return numbers

    def grids(self, numbers: Tensor) -> list[Tensor]:
        """[(B, C_i, R_i, R_i, R_i)]"""
        return self.upsampled(self.to_grid(numbers).unflatten(1, self.grid_shape))

    def distances_at(self, p: Tensor) -> Callable[[Any], Tensor]:
        if self.to_planes is None or p.device.type != "cpu":
            return super().distances_at(p)
        planes = PlanesAtPlaces(self.to_planes, p)
        grids = GridsAtPlaces(p + self.offsets[0])

        def distances(code: Tensor) -> Tensor:
            numbers = self.widened(code)
            parts = [grids(self.grids(numbers)), planes(numbers), p[:, None].expand(-1, len(code), -1)]
            return self.to_distances(self.point_network(torch.cat(parts, dim=2))).T  # of (N, B, 1 or 2)

        return distances

    def look_up(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        grids, planes = grids[: self.num_grids], grids[self.num_grids :]
        sampled = super().look_up(p, grids)  # (B, N, K sum C_i) of the grids
        return torch.cat([sampled, bilinear(planes, p, VIEWS)], dim=2) if planes else sampled  # + sum C_i of the planes

    def nodes(self, grids: list[Tensor]) -> list[Nodes]:
        grids, planes = grids[: self.num_grids], grids[self.num_grids :]
        return super().nodes(grids) + ([plane_nodes(planes, VIEWS, self.offsets)] if planes else [])

    def reading_order(self, grids: list[Tensor]) -> Tensor:
        return super().reading_order(grids[: self.num_grids])  # planes stay last


def coarsest_resolution(input_res: int, sizes: dict[str, Any]) -> int:
    """Nodes per axis of the pyramid's last level; 0 if there are more levels than the input can be halved."""
    return input_res // sizes["input_fold"] // 2 ** (len(sizes["channels"]) - 1)


def check_sizes(
    num_learned: int,
    latent_dim: int,
    input_res: int,
    plane_resolution: Sequence[int],
    code_encoder: str,
    sizes: dict[str, Any],
) -> None:
    """Raise UserError for sizes that do not fit together."""
    if code_encoder == "both" and num_learned < 1:
        raise UserError(f"pca_dims {latent_dim - num_learned} found, less than latent_dim, {latent_dim}, expected")
    if plane_resolution and sizes["num_places"] != 1:
        raise UserError(
            f"num_places {sizes['num_places']} with feature planes: 1 expected (or --plane_resolution alone: none)"
        )
    if num_learned and coarsest_resolution(input_res, sizes) < 1:
        raise UserError(f"input_res {input_res} is too small for {len(sizes['channels'])} levels of encoder_channels")
    if num_learned and input_res % sizes["input_fold"]:
        raise UserError(f"input_res {input_res} found, a multiple of input_fold {sizes['input_fold']} expected")
