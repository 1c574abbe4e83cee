"""RealNVP for vector codes: MLP couplings on permuted halves."""

import torch
from torch import Tensor, nn

from models.real_nvp.couplings import (
    AffineCoupling,
    Chain,
    Permutation,
    draw_latents,
    standard_normal_log_prob,
)
from models.real_nvp.nets import ResidualMLP


class VectorFlow(nn.Module):
    """Vectors x (B, D) <-> z (B, D), z standard normal. Dinh et al. 2017, sections 3.2 to 3.5.

    Couplings come in pairs, the second changing what the first kept, and a fixed random permutation stands before
    each pair: so every entry is changed by every pair. A new flow is a permutation: log_det 0.

    dim: D, at least 2, odd or even. couplings: number of coupling layers. hidden, blocks, dropout: width, hidden
    layers and dropout of their nets. s_max: bound on |s|, nats per dimension and coupling.
    """

    def __init__(self, dim: int, couplings: int, hidden: int, blocks: int, s_max: float = 2.0, dropout: float = 0.0):
        super().__init__()
        if dim < 2:
            raise ValueError(f"a coupling flow needs at least 2 dimensions, got {dim}")
        self.dim = dim
        self.shape = (dim,)
        layers: list[nn.Module] = []
        for i in range(couplings):
            keep_last = i % 2 == 1
            num_kept = dim - dim // 2 if keep_last else dim // 2  # an odd dim: the halves differ in size
            if not keep_last:
                layers.append(Permutation(dim, seed=i))
            net = ResidualMLP(num_kept, 2 * (dim - num_kept), hidden, blocks, dropout)
            layers.append(AffineCoupling(net, num_kept, s_max, keep_last))
        self.chain = Chain(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> z (B, D), log_det (B,) nats."""
        return self.chain(x)

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, D)."""
        return self.chain.inverse(z)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), nats: (B, D) -> (B,)."""
        z, log_det = self(x)
        return standard_normal_log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, num: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """x (num, D) from z of sd `temperature`; in eval mode, since dropout has no inverse."""
        like = next(self.parameters())
        return self.inverse(draw_latents(num, self.dim, temperature, generator, like))
