"""What the flows of all shapes of codes share: densities and samples by an invertible map to a standard normal z."""

import torch
from torch import Tensor, nn

from models.real_nvp.couplings import draw_latents, standard_normal_log_prob


class NormalFlow(nn.Module):
    """x (B, ...) <-> z (B, D). A subclass sets `dim` (D), `forward(x)` -> z, log_det (B,) nats, and `inverse(z)`."""

    dim: int

    def inverse(self, z: Tensor) -> Tensor:
        raise NotImplementedError

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), nats: (B, ...) -> (B,)."""
        z, log_det = self(x)
        return standard_normal_log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, num: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """x (num, ...) from z of sd `temperature`; in eval mode, since dropout has no inverse."""
        like = next(self.parameters())
        return self.inverse(draw_latents(num, self.dim, temperature, generator, like))
