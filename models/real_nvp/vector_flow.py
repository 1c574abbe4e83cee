"""RealNVP for vector codes: MLP couplings on permuted halves."""

import torch
from torch import Tensor

from models.real_nvp.base import NormalFlow
from models.real_nvp.bijections import Bijection, Permutation
from models.real_nvp.couplings import AffineCoupling, CouplingChain
from models.real_nvp.nets import ResidualMLP


class VectorFlow(NormalFlow):
    """Vectors x (B, D) <-> z (B, D), z standard normal. Dinh et al. 2017, sections 3.2 to 3.5.

    Couplings come in pairs, the second changing what the first kept, and a fixed random permutation precedes each
    pair, so every pair changes every entry. A new flow is a permutation: log_det 0.

    With `leading` = K < D the couplings act on the first K entries only, so that they are not diluted among the other
    D - K, the minor principal directions of a whitened code. Those have a flow of their own, given the first K: one
    coupling that scales and shifts them all, a conditional Gaussian, or `tail_couplings` that each change a half of
    them given the other half too. Trained on a few hundred codes, a flow on all directions memorises the noise of the
    minor ones.

    dim: D, at least 2, odd or even. couplings: number of coupling layers. hidden, blocks, dropout: width, hidden
    layers and dropout of their nets. s_max: bound on |s|, nats per dimension and coupling. leading: K, at least 2;
    clipped to D; None means D. tail_couplings: at least 1.

    >>> flow = VectorFlow(7, couplings=4, hidden=16, blocks=2, leading=5).eval()
    >>> x = torch.randn(3, 7)
    >>> z, log_det = flow(x)
    >>> torch.allclose(flow.inverse(z), x, atol=1e-5), tuple(flow.log_prob(x).shape)
    (True, (3,))
    """

    def __init__(
        self,
        dim: int,
        couplings: int,
        hidden: int,
        blocks: int,
        s_max: float = 2.0,
        dropout: float = 0.0,
        leading: int | None = None,
        tail_couplings: int = 1,
    ):
        super().__init__()
        leading = dim if leading is None else min(leading, dim)
        if leading < 2:
            raise ValueError(f"a coupling flow needs at least 2 dimensions, got {leading}")
        self.dim = dim
        self.leading = leading
        self.tail: Bijection | None = None
        if leading < dim and (tail_couplings == 1 or leading == dim - 1):
            self.tail = AffineCoupling(ResidualMLP(leading, 2 * (dim - leading), hidden, 1, dropout), leading, s_max)
        elif leading < dim:
            self.tail = CouplingChain(self._tail_layers(tail_couplings, hidden, blocks, s_max, dropout))
        layers: list[Bijection] = []
        for i in range(couplings):
            keep_last = i % 2 == 1
            num_kept = leading - leading // 2 if keep_last else leading // 2  # odd: the halves differ in size
            if not keep_last:
                layers.append(Permutation(leading, seed=i))
            net = ResidualMLP(num_kept, 2 * (leading - num_kept), hidden, blocks, dropout)
            layers.append(AffineCoupling(net, num_kept, s_max, keep_last))
        self.chain = CouplingChain(layers)

    def _tail_layers(self, couplings: int, hidden: int, blocks: int, s_max: float, dropout: float) -> list[Bijection]:
        """Couplings that change a random half of the last D - K entries, given all others."""
        layers: list[Bijection] = []
        kept = (self.dim + self.leading) // 2
        for i in range(couplings):
            net = ResidualMLP(kept, 2 * (self.dim - kept), hidden, blocks, dropout)
            layers += [Permutation(self.dim, i, num_fixed=self.leading), AffineCoupling(net, kept, s_max)]
        return layers

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> z (B, D), log_det (B,) nats."""
        if self.tail is None:
            return self.chain(x)
        x, log_det_tail = self.tail(x)  # (B, D), the first K as they were
        z, log_det = self.chain(x[:, : self.leading])  # (B, K)
        return torch.cat((z, x[:, self.leading :]), dim=1), log_det + log_det_tail

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, D)."""
        if self.tail is None:
            return self.chain.inverse(z)
        x = self.chain.inverse(z[:, : self.leading])  # (B, K)
        return self.tail.inverse(torch.cat((x, z[:, self.leading :]), dim=1))
