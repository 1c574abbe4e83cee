"""What the NDFs with a learned code share: a normalised code, noise on it in training, a decoder to feature grids.

Codes are normalised to mean 0 and variance 1 over their own entries, so that `code_noise` is relative to their spread
(principal components have that spread over the training shapes). The noise makes the decoder robust to the codes that
a flow samples. (Batch norm instead gave a larger error, 0.00445 against 0.00428 after 750 steps: the statistics of 8
shapes are themselves noisy.)
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from models.batch_part import normal_like
from models.distance_heads import soft_positive
from models.ndf import NDF
from runtime.errors import UserError


class BottleneckNDF(NDF):
    """An NDF whose `features` come from a code alone. A subclass makes it (`project`) and decodes it (`features`).

    decoder_resolution, decoder_channels: nodes per axis and channels of the feature grids that points sample, coarse to
    fine; each resolution is twice the previous one. plane_channels: channels that points sample beside these.
    code_noise: sd of the noise on codes in training. The other arguments are those of `NDF`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        hidden_dim: int,
        decoder_resolution: Sequence[int],
        decoder_channels: Sequence[int],
        num_places: int,
        code_noise: float,
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
        self.upsamplers = nn.ModuleList(
            nn.ConvTranspose3d(c_in, c_out, 4, stride=2, padding=1)
            for c_in, c_out in zip(decoder_channels, decoder_channels[1:], strict=False)
        )

    def project(self, x: Tensor) -> Tensor:
        """x (B, R, R, R) -> the raw code (B, *code_shape), before normalisation."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """The normalised code, (B, *code_shape), float32 under autocast too."""
        raw = self.project(x).float()
        return F.layer_norm(raw, raw.shape[1:])

    def training_code(self, x: Tensor) -> Tensor:
        """The code with noise of sd code_noise, which mimics the error of sampled codes."""
        code = self.encode(x)
        return code + self.code_noise * normal_like(code)

    def upsampled(self, coarsest: Tensor) -> list[Tensor]:
        """The feature grids of the coarsest one (B, C_1, R_1, R_1, R_1), coarse to fine: [(B, C_i, R_i, R_i, R_i)]."""
        grids = [coarsest]
        for upsample in self.upsamplers:
            grids.append(upsample(F.silu(grids[-1])))
        return grids

    def activate(self, raw: Tensor) -> Tensor:
        return soft_positive(raw)
