"""A whitening and a flow, combined into a density over one kind of shape code."""

import torch
from torch import Tensor

from models.real_nvp.base import NormalBase, NormalFlow
from models.real_nvp.bijections import Bijection, Rescale
from models.real_nvp.gaussian import ShrunkGaussian
from models.real_nvp.whitening import LogitStandardise, Whitening, dequantize

AT_A_TIME = 1024  # codes through the new flow


class CodeFlow(Bijection):
    """codes (B, *code_shape) <-> whitened codes w (B, *code_shape) <-> z (B, D), z by the density of the base.

    The whitening is fitted once (`fit_whitening`); the body is trained on noisy w (`whiten_noised`) by maximising
    `log_prob_whitened`. A fixed scale between the two brings noisy w to variance 1, so that training starts from a
    Gaussian fitted to the codes, or from a mixture (`fit_base`). The inverse needs eval mode: dropout cannot be
    inverted.

    Attributes: code_kind, code_shape, dim (D, the product of code_shape), whitening, rescale, body, base.

    >>> from models.real_nvp.vector_flow import VectorFlow
    >>> from models.real_nvp.whitening import PCAWhitening
    >>> flow = CodeFlow("vector", (4,), PCAWhitening(4), VectorFlow(4, couplings=2, hidden=8, blocks=1)).eval()
    >>> codes = torch.randn(50, 4)
    >>> flow.fit_whitening(codes)
    >>> z, log_det = flow(codes)
    >>> torch.allclose(flow.inverse(z), codes, atol=1e-4), tuple(flow.log_prob(codes).shape)
    (True, (50,))
    """

    def __init__(
        self,
        code_kind: str,
        code_shape: tuple[int, ...],
        whitening: Whitening,
        body: NormalFlow,
        base: NormalBase | None = None,
    ):
        """base: of D dimensions; default: standard normal."""
        super().__init__()
        self.code_kind = code_kind
        self.code_shape = code_shape
        self.dim = body.dim
        self.whitening = whitening
        self.rescale = Rescale(code_shape)
        self.body = body
        self.base = base or NormalBase(self.dim)

    def fit_whitening(self, codes: Tensor, noise: float = 0.0) -> None:
        """Fit the untrained layers to the training codes (N, *code_shape); a few hundred fused codes are enough.

        noise: sd of the noise added in training, relative to the codes' spread.
        """
        self.whitening.fit(codes)
        w = self.whiten_noised(codes, 0.0, torch.Generator().manual_seed(0))
        self.rescale.fit(w, self.whitening.noise_sd(noise))

    @torch.no_grad()
    def fit_base(self, codes: Tensor, noise: float, seed: int) -> None:
        """Start the base from the training codes (N, *code_shape) with the noise of training, before the training."""
        generator = torch.Generator().manual_seed(seed)
        parts = [self.whitened_to_z(self.whiten_noised(part, noise, generator))[0] for part in codes.split(AT_A_TIME)]
        self.base.fit(torch.cat(parts), generator)

    def whiten(self, codes: Tensor) -> Tensor:
        """w, same shape as codes (B, *code_shape)."""
        return self.whitening(codes)[0]

    def unwhiten(self, w: Tensor) -> Tensor:
        """The inverse of `whiten`; fused codes are clipped to [0, 1]."""
        return self.whitening.inverse(w)

    def whiten_noised(self, codes: Tensor, noise: float, generator: torch.Generator | None = None) -> Tensor:
        """The body's training data: codes with Gaussian noise (fused ones dequantized first), whitened.

        noise: sd relative to the codes' spread, isotropic in code space. Noise isotropic in w instead would blur the
        few leading directions, which hold the shape, far more than the decoder was trained to tolerate.
        """
        if isinstance(self.whitening, LogitStandardise):
            codes = dequantize(codes, generator=generator)
        w = self.whiten(codes)
        if noise == 0:
            return w
        device = w.device if generator is None else generator.device
        e = torch.randn(w.shape, generator=generator, device=device, dtype=w.dtype).to(w.device)
        return w + self.whitening.noise_sd(noise) * e

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """codes (B, *code_shape) -> z (B, D), log_det (B,) nats, whitening included."""
        w, log_det_whitening = self.whitening(codes)  # (B, *code_shape)
        z, log_det = self.whitened_to_z(w)
        return z, log_det + log_det_whitening

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> codes (B, *code_shape)."""
        return self.unwhiten(self.rescale.inverse(self.body.inverse(z)))

    def whitened_to_z(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """w (B, *code_shape) -> z (B, D), log_det (B,) nats, without that of the whitening."""
        x, log_det_scale = self.rescale(w)  # (B, *code_shape)
        z, log_det = self.body(x)  # (B, D)
        return z, log_det + log_det_scale

    def log_prob(self, codes: Tensor) -> Tensor:
        """log p(codes) in the units of the codes, nats: (B, *code_shape) -> (B,)."""
        z, log_det = self(codes)
        return self.base.log_prob(z) + log_det

    def log_prob_whitened(self, w: Tensor) -> Tensor:
        """log p(w) of whitened codes, nats: (B, *code_shape) -> (B,)."""
        z, log_det = self.whitened_to_z(w)
        return self.base.log_prob(z) + log_det

    def nats_per_dim(self, codes: Tensor) -> Tensor:
        """-log p(w) / D of whitened codes without noise: (B, *code_shape) -> (B,)."""
        return -self.log_prob_whitened(self.whiten(codes)) / self.dim

    def gaussian_of(self, w: Tensor, noise: float) -> ShrunkGaussian:
        """A shrunk Gaussian fitted to whitened codes w (N, D) with the noise of `whiten_noised`."""
        return ShrunkGaussian(w, self.noise_sd(noise))

    def noise_sd(self, noise: float) -> Tensor:
        """(D,): sd of the noise of `whiten_noised` on each entry of w."""
        return self.whitening.noise_sd(noise).expand(self.code_shape).flatten()

    @torch.no_grad()
    def gaussian_nats_per_dim(self, codes_train: Tensor, codes_eval: Tensor, noise: float = 0.0) -> float:
        """Mean nats per dimension of `codes_eval`, whitened and noised, under a shrunk Gaussian of `codes_train`."""
        gaussian = self.gaussian_of(self.whiten_noised(codes_train, 0.0).flatten(1), noise)
        return gaussian.nats_per_dim(self.whiten_noised(codes_eval, 0.0).flatten(1)).mean().item()
