"""Shape codes: three bottlenecks behind the interface of `NDF` (encode, features, query).

| code_kind | code                      | made by                                                           |
|-----------|---------------------------|-------------------------------------------------------------------|
| none      | the pyramid itself        | plain NDF, no bottleneck                                          |
| fused     | (sum C_i, r, r, r) [0, 1) | every level resampled to r^3, concatenated, ReLU(tanh): the thesis |
| grid      | (D, r, r, r)              | every level pooled to r^3, a learned projection                   |
| vector    | (D,)                      | a learned projection of the coarsest level, principal components, or both |

Each learned code is normalised to mean 0 and variance 1 over its own entries, so that `code_noise` is relative to their
spread (principal components have that spread over the training shapes). The noise makes the decoder robust to the codes
that a flow samples. (Batch norm instead gave a larger error, 0.00445 against 0.00428 after 750 steps: the statistics of
8 shapes are themselves noisy.)
With `code_posterior = learned` codes are the means of a variational posterior instead, whose KL is part of the loss.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.batch_part import normal_like
from models.distance_heads import soft_positive
from models.feature_planes import PLANE_DECODERS, look_up_planes
from models.ndf import NDF, NDF_CHANNELS, look_up
from models.principal_components import PrincipalComponents
from runtime.errors import UserError

LOG_VARIANCE_BOUND = 10.0  # of a learned posterior: sds from 0.007 to 150


def resample(grid: Tensor, resolution: int) -> Tensor:
    """(B, C, R, R, R) -> (B, C, r, r, r), trilinear, with aligned corner nodes."""
    return F.interpolate(grid, size=(resolution,) * 3, mode="trilinear", align_corners=True)


class FusedNDF(NDF):
    """The thesis's code: plain NDF whose point network samples all channels from one r^3 grid."""

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
        levels = [resample(level, self.code_shape[-1]) for level in self.pyramid(x)]
        return F.relu(torch.tanh(torch.cat(levels, dim=1)))  # (B, 497, r, r, r) in [0, 1)

    def features(self, code: Tensor) -> list[Tensor]:
        return [code]


class BottleneckNDF(NDF):
    """What `grid` and `vector` share: a normalised code, noise on it during training, a decoder to feature grids.

    decoder_resolution, decoder_channels: nodes per axis and channels of the feature grids that points sample, coarse to
    fine; each resolution is twice the previous one.
    """

    def __init__(
        self,
        channels: Sequence[int],
        hidden_dim: int,
        decoder_resolution: Sequence[int],
        decoder_channels: Sequence[int],
        num_places: int,
        code_noise: float,
        code_posterior: str,
        input_features: str = "occupancy",
        plane_channels: Sequence[int] = (),
        distance_head: str = "value",
        input_fold: int = 1,
    ):
        point_channels = sum(decoder_channels) + sum(plane_channels)
        super().__init__(
            tuple(channels), hidden_dim, point_channels, num_places, input_features, distance_head, input_fold
        )
        for coarse, fine in zip(decoder_resolution, decoder_resolution[1:], strict=False):
            if fine != 2 * coarse:
                raise UserError(f"decoder_resolution {list(decoder_resolution)}: each must be twice the one before")
        self.code_noise = code_noise
        self.learned_posterior = code_posterior == "learned"
        self.upsamplers = nn.ModuleList(
            nn.ConvTranspose3d(c_in, c_out, 4, stride=2, padding=1)
            for c_in, c_out in zip(decoder_channels, decoder_channels[1:], strict=False)
        )

    def project(self, x: Tensor) -> Tensor:
        """x (B, R, R, R) -> the raw code (B, D, ...), before normalisation; with a learned posterior 2 D channels."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """The code, (B, *code_shape), float32 under autocast too: normalised, or the posterior's mean."""
        raw = self.project(x).float()
        return raw.chunk(2, dim=1)[0] if self.learned_posterior else F.layer_norm(raw, raw.shape[1:])

    def training_code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The code with noise of sd code_noise, which mimics the error of sampled codes; or a draw from the posterior.

        Also the posterior's KL to a standard normal, (B,) nats (Kingma, Welling 2014, appendix B), else 0.
        """
        if not self.learned_posterior:
            code = self.encode(x)
            return code + self.code_noise * normal_like(code), code.new_zeros(len(code))
        mean, log_variance = self.project(x).float().chunk(2, dim=1)
        log_variance = LOG_VARIANCE_BOUND * torch.tanh(log_variance / LOG_VARIANCE_BOUND)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return mean + (0.5 * log_variance).exp() * normal_like(mean), kl.flatten(1).sum(dim=1)

    def upsampled(self, coarsest: Tensor) -> list[Tensor]:
        """The feature grids, coarse to fine: [(B, C_i, R_i, R_i, R_i)]."""
        grids = [coarsest]
        for upsample in self.upsamplers:
            grids.append(upsample(F.silu(grids[-1])))
        return grids

    def activate(self, raw: Tensor) -> Tensor:
        return soft_positive(raw)


class VectorNDF(BottleneckNDF):
    """Code (D,): a linear map of the coarsest level, or of the occupancy itself (`PrincipalComponents`), or both: first
    principal components, which know the shape from the first step on, then learned numbers for what no linear map
    reads. Two linear layers widen the code; from their output one more linear layer makes the coarsest feature grid,
    and another the feature planes, if `plane_resolution` lists any."""

    code_kind = "vector"

    def __init__(
        self,
        latent_dim: int,
        input_res: int,
        decoder_hidden: int,
        plane_resolution: Sequence[int],
        plane_channels: Sequence[int],
        plane_decoder: str,
        code_encoder: str,
        pca_dims: int,
        pca_resolution: int,
        pca_view_weight: float,
        **sizes: Any,
    ):
        """code_encoder: pyramid; pca, with its pca_resolution and pca_view_weight; or both, with pca_dims components.
        sizes: of every bottleneck."""
        num_places = sizes["num_places"]
        num_components = {"pyramid": 0, "pca": latent_dim, "both": pca_dims}[code_encoder]
        num_learned = latent_dim - num_components
        if code_encoder == "both" and num_learned < 1:
            raise UserError(f"pca_dims {pca_dims} found, less than latent_dim, {latent_dim}, expected")
        if not num_learned:
            sizes["channels"] = ()
        channels = sizes["channels"]
        if plane_resolution and num_places != 1:
            raise UserError(
                f"num_places {num_places} with feature planes: 1 expected (or --plane_resolution alone: none)"
            )
        plane_channels = plane_channels if plane_resolution else ()
        super().__init__(**sizes, plane_channels=plane_channels)
        self.code_shape = (latent_dim,)
        self.components: PrincipalComponents | None = None
        if num_components:
            self.components = PrincipalComponents(num_components, pca_resolution, pca_view_weight)
        self.to_code: nn.Linear | None = None
        if num_learned:
            coarsest = input_res // sizes["input_fold"] // 2 ** (len(channels) - 1)
            if coarsest < 1:
                raise UserError(f"input_res {input_res} is too small for {len(channels)} levels of encoder_channels")
            if input_res % sizes["input_fold"]:
                raise UserError(f"input_res {input_res} found, a multiple of input_fold {sizes['input_fold']} expected")
            self.to_code = nn.Linear(channels[-1] * coarsest**3, (1 + self.learned_posterior) * num_learned)
        self.widen = nn.Sequential(
            nn.Linear(latent_dim, decoder_hidden), nn.SiLU(), nn.Linear(decoder_hidden, decoder_hidden), nn.SiLU()
        )
        self.grid_shape = (sizes["decoder_channels"][0],) + (sizes["decoder_resolution"][0],) * 3
        self.to_grid = nn.Linear(decoder_hidden, math.prod(self.grid_shape))
        self.num_grids = len(sizes["decoder_channels"])
        decoder = PLANE_DECODERS[plane_decoder]
        self.to_planes = decoder(decoder_hidden, plane_resolution, plane_channels) if plane_resolution else None

    def project(self, x: Tensor) -> Tensor:
        assert self.to_code is not None
        return self.to_code(self.coarsest(x).flatten(1))

    def encode(self, x: Tensor) -> Tensor:
        """(B, D): the principal components, if any, then the learned numbers, if any."""
        parts = [self.components(x)] if self.components is not None else []
        if self.to_code is not None:
            parts.append(super().encode(x))
        return torch.cat(parts, dim=1)

    def features(self, code: Tensor) -> list[Tensor]:
        if self.components is not None:  # its numbers to the spread of the learned ones
            num_components = len(self.components.sd)
            code = torch.cat([code[:, :num_components] / self.components.sd, code[:, num_components:]], dim=1)
        numbers = self.widen(code)
        grids = self.upsampled(self.to_grid(numbers).unflatten(1, self.grid_shape))
        return grids + (self.to_planes(numbers) if self.to_planes else [])

    def channels_last(self, grids: list[Tensor]) -> list[Tensor]:
        return super().channels_last(grids[: self.num_grids]) + grids[self.num_grids :]

    def look_up(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        found = look_up(grids[: self.num_grids], p, self.offsets)
        planes = grids[self.num_grids :]
        return torch.cat([found, look_up_planes(planes, p)], dim=2) if planes else found


class GridNDF(BottleneckNDF):
    """Code (D, r, r, r): all levels pooled to r^3 and projected; the decoder starts at r^3 too."""

    code_kind = "grid"

    def __init__(self, latent_dim: int, out_resolution: int, **sizes: Any):
        """sizes: those of every bottleneck."""
        super().__init__(**sizes)
        decoder_channels, decoder_resolution = sizes["decoder_channels"], sizes["decoder_resolution"]
        if decoder_resolution[0] != out_resolution:
            raise UserError(
                f"the first decoder_resolution is {decoder_resolution[0]} and a grid code's out_resolution"
                f" {out_resolution}; make them equal"
            )
        self.code_shape = (latent_dim,) + (out_resolution,) * 3
        self.to_code = nn.Conv3d(self.pyramid_channels, (1 + self.learned_posterior) * latent_dim, 1)
        self.from_code = nn.Sequential(
            nn.Conv3d(latent_dim, 2 * decoder_channels[0], 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(2 * decoder_channels[0], decoder_channels[0], 3, padding=1),
        )

    def project(self, x: Tensor) -> Tensor:
        r = self.code_shape[-1]
        pooled = [
            F.adaptive_avg_pool3d(level, r) if level.shape[-1] >= r else resample(level, r) for level in self.pyramid(x)
        ]
        return self.to_code(torch.cat(pooled, dim=1))

    def features(self, code: Tensor) -> list[Tensor]:
        return self.upsampled(self.from_code(code))


# The options that define an architecture: checkpoints store them, and a different value is a different network.
_PLAIN = ("encoder_channels", "hidden_dim", "input_features", "distance_head")
_BOTTLENECK = (*_PLAIN, "latent_dim", "decoder_resolution", "decoder_channels", "num_places", "code_posterior")
_PLANES = ("plane_resolution", "plane_channels", "plane_decoder")
_PCA = ("pca_dims", "pca_resolution", "pca_view_weight")
_VECTOR = ("decoder_hidden", "input_res", "input_fold", *_PLANES, "code_encoder", *_PCA)
ARCHITECTURE = {
    "none": _PLAIN,
    "fused": (*_PLAIN, "out_resolution"),
    "grid": (*_BOTTLENECK, "out_resolution"),
    "vector": (*_BOTTLENECK, *_VECTOR),
}


def build_ndf(options: Mapping[str, Any]) -> NDF:
    """The network described by the options (of a config, or stored in a checkpoint), with random weights."""
    kind = options["code_kind"]
    sizes = {name: options[name] for name in ARCHITECTURE[kind]}
    sizes["channels"] = tuple(sizes.pop("encoder_channels"))
    if kind == "none":
        return NDF(**sizes)
    if kind == "fused":
        return FusedNDF(**sizes)
    network: type[BottleneckNDF] = {"grid": GridNDF, "vector": VectorNDF}[kind]
    return network(**sizes, code_noise=options["code_noise"])
