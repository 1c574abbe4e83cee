"""Exactly invertible first layers, fitted to the training codes: whitened codes have mean 0 and variance 1.

Not trained: `fit` sets buffers, which the checkpoint stores. A direction in which the codes hardly vary is not blown
up to variance 1: its scale is at least `floor` times the codes' spread (the root mean square of all scales), so that
noise of sd 1 on a whitened code is noise of at least `floor` times the spread on the code.
"""

import math

import torch
from torch import Tensor

from models.real_nvp.bijections import Bijection
from runtime.errors import UserError

DEFAULT_FLOOR = 0.1


class Whitening(Bijection):
    """codes (B, *shape) <-> w (B, *shape), fitted to codes. A linear one has `mean` and the standard deviations `sd`,
    both in the code's own units."""

    mean: Tensor
    sd: Tensor

    def fit(self, codes: Tensor) -> None:
        """codes: (N, *shape), N >= 2. Raises UserError if they are not finite, too few or all identical."""
        raise NotImplementedError

    def noise_sd(self, noise: float) -> Tensor:
        """sd on each entry of w of isotropic noise on the code, whose sd is `noise` times the codes' spread."""
        return noise * self.sd.square().mean().sqrt() / self.sd


class PCAWhitening(Whitening):
    """Vectors: w = (x - mean) R / sd, with R the principal directions. A bijection of all D dimensions.

    Works with fewer codes than dimensions: directions that the codes do not span get the floor.

    >>> layer, codes = PCAWhitening(3), torch.randn(50, 3) @ torch.randn(3, 3)
    >>> layer.fit(codes)
    >>> w, log_det = layer(codes)
    >>> torch.allclose(layer.inverse(w), codes, atol=1e-4), torch.allclose(log_det, -layer.sd.log().sum())
    (True, True)
    """

    rotation: Tensor

    def __init__(self, dim: int, floor: float = DEFAULT_FLOOR):
        super().__init__()
        self.floor = floor
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("rotation", torch.zeros(dim, dim).fill_diagonal_(1))  # columns: directions
        self.register_buffer("sd", torch.ones(dim))

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """codes: (N, D), N >= 2. Raises UserError if they are not finite, too few or all identical."""
        check_codes(codes, tuple(self.mean.shape))
        codes = codes.to("cpu", torch.float64)
        mean = codes.mean(dim=0)
        # Not the singular values of all codes, whose left vectors are (N, N): tens of thousands of codes are usual.
        variance, directions = torch.linalg.eigh((codes - mean).T @ (codes - mean) / (len(codes) - 1))  # ascending
        self.mean.copy_(mean)
        self.rotation.copy_(directions.flip(1))
        self.sd.copy_(raise_to_floor(variance.flip(0).clamp_min(0).sqrt(), self.floor))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> w (B, D), log_det (B,) nats, the same for every x."""
        with torch.autocast(x.device.type, enabled=False):  # bf16 would keep only 3 digits of the code
            w = (x - self.mean) @ self.rotation / self.sd
        return w, -self.sd.log().sum().expand(len(x))

    def inverse(self, w: Tensor) -> Tensor:
        with torch.autocast(w.device.type, enabled=False):
            return (w * self.sd) @ self.rotation.T + self.mean


class Standardise(Whitening):
    """Grids (B, C, r, r, r): w = (x - mean) / sd, for each channel and node.

    >>> layer, codes = Standardise((2, 3, 3, 3)), 5 * torch.randn(50, 2, 3, 3, 3) + 1
    >>> layer.fit(codes)
    >>> w, log_det = layer(codes)
    >>> torch.allclose(layer.inverse(w), codes, atol=1e-4), tuple(log_det.shape)
    (True, (50,))
    """

    def __init__(self, shape: tuple[int, ...], floor: float = DEFAULT_FLOOR):
        super().__init__()
        self.shape = shape
        self.floor = floor
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("sd", torch.ones(shape))

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """codes: (N, *shape), N >= 2. Raises UserError if they are not finite, too few or all identical."""
        check_codes(codes, self.shape)
        sd, mean = torch.std_mean(codes, dim=0)
        self.mean.copy_(mean)
        self.sd.copy_(raise_to_floor(sd, self.floor))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, *shape) -> w (B, *shape), log_det (B,) nats, the same for every x."""
        return (x - self.mean) / self.sd, -self.sd.log().sum().expand(len(x))

    def inverse(self, w: Tensor) -> Tensor:
        return w * self.sd + self.mean


class Logit(Bijection):
    """Codes in [0, 1] to the real line: y = logit(alpha + (1 - 2 alpha) x). Dinh et al. 2017, section 4.1.

    >>> layer, x = Logit(), torch.rand(3, 2)
    >>> y, log_det = layer(x)
    >>> torch.allclose(layer.inverse(y), x, atol=1e-5), tuple(log_det.shape)
    (True, (3,))
    """

    def __init__(self, alpha: float = 0.05):
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) in [0, 1] -> y (B, ...), log_det (B,) nats."""
        p = self.alpha + (1 - 2 * self.alpha) * x
        log_slope = math.log(1 - 2 * self.alpha) - p.log() - torch.log1p(-p)
        return torch.logit(p), log_slope.flatten(1).sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """Back to [0, 1]; y beyond the image of [0, 1] is clipped."""
        return ((torch.sigmoid(y) - self.alpha) / (1 - 2 * self.alpha)).clamp(0, 1)


class LogitStandardise(Whitening):
    """For the thesis's fused codes (B, C, r, r, r) in [0, 1]: logit, then standardisation.

    >>> layer, codes = LogitStandardise((2, 2, 2, 2)), torch.rand(50, 2, 2, 2, 2)
    >>> layer.fit(codes)
    >>> w, log_det = layer(codes)
    >>> torch.allclose(layer.inverse(w), codes, atol=1e-4)
    True
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.logit = Logit()
        self.standardise = Standardise(shape)

    def noise_sd(self, noise: float) -> Tensor:
        """As `Whitening.noise_sd`, for noise on the logits."""
        return self.standardise.noise_sd(noise)

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """codes: (N, C, r, r, r) in [0, 1], N >= 2, not yet dequantized."""
        spread = dequantize(codes, generator=torch.Generator().manual_seed(0))
        self.standardise.fit(self.logit(spread)[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, r, r, r) -> w, same shape, log_det (B,) nats."""
        y, log_det_logit = self.logit(x)
        w, log_det = self.standardise(y)
        return w, log_det_logit + log_det

    def inverse(self, w: Tensor) -> Tensor:
        """Back to [0, 1], clipped."""
        return self.logit.inverse(self.standardise.inverse(w))


def dequantize(codes: Tensor, levels: int = 256, generator: torch.Generator | None = None) -> Tensor:
    """(x (levels - 1) + u) / levels with u uniform in [0, 1): spreads the exact zeros that a ReLU leaves.

    codes in [0, 1], any shape; returns the same shape, in [0, 1). Dinh et al. 2017, section 4.1, as in the thesis.
    """
    device = codes.device if generator is None else generator.device
    u = torch.rand(codes.shape, generator=generator, device=device, dtype=codes.dtype).to(codes.device)
    return (codes * (levels - 1) + u) / levels


def raise_to_floor(sd: Tensor, floor: float) -> Tensor:
    """Raise standard deviations to at least `floor` times their root mean square. UserError if all are 0."""
    spread = sd.square().mean().sqrt()
    if not spread > 0:
        raise UserError(
            "the training codes are all the same, different ones expected;"
            " is the NDF trained? look at its validation error, then encode again"
        )
    return sd.clamp_min(float(floor * spread))


def check_codes(codes: Tensor, shape: tuple[int, ...]) -> None:
    """Raise UserError unless codes are (N, *shape), N >= 2, and finite."""
    if tuple(codes.shape[1:]) != shape or len(codes) < 2:
        raise UserError(
            f"codes of shape {tuple(codes.shape)} found, (2 or more, {', '.join(map(str, shape))}) expected;"
            " encode the training split with the same code_kind, latent_dim and out_resolution"
        )
    if not torch.isfinite(codes).all():
        raise UserError("the training codes hold NaN or infinite numbers; train the NDF again, with a smaller lr")
