"""What vector and grid flows share: densities and samples through an invertible map to a standard normal z."""

import torch
from torch import Tensor

from models.real_nvp.couplings import Bijection, draw_latents, standard_normal_log_prob


class NormalFlow(Bijection):
    """x (B, ...) <-> z (B, D). A subclass sets `dim` (D), `forward(x)` -> z, log_det (B,) nats, and `inverse(z)`."""

    dim: int

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), nats: (B, ...) -> (B,)."""
        z, log_det = self(x)
        return standard_normal_log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, num: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """x (num, ...) from z of sd `temperature`. Needs eval mode: dropout cannot be inverted."""
        like = next(self.parameters())
        return self.inverse(draw_latents(num, self.dim, temperature, generator, like))
