"""Affine couplings, the layers of a flow that learn: for vectors and for grids.

Dinh et al. 2017, "Density estimation using Real NVP", sections 3.2 to 3.4: part of x is kept, and from it a net makes
the scale and the shift of the rest. So the inverse needs no inverse of the net.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.batch_part import dropped
from models.kernels import Coupling, Dropout, can_couple, couple, uncouple
from models.real_nvp.bijections import Bijection, Chain, Permutation
from models.real_nvp.nets import ResidualMLP


def bound(raw: Tensor, s_max: float) -> Tensor:
    """Squash to [-s_max, s_max] with slope 1 at 0."""
    if s_max == 1:  # the default; the same numbers without two passes over them
        return torch.tanh(raw)
    return s_max * torch.tanh(raw / s_max)


class AffineCoupling(Bijection):
    """z = x on the kept entries, z = x * exp(s) + t on the others, with s, t = net(kept). Dinh et al. 2017, eq. 4 to 8.

    Kept are the first `num_kept` entries of dim 1, or the last, if `keep_last`; log_det is the sum of s. The layer
    works on vectors (B, D) and, channel-wise, on grids (B, C, r, r, r). `net` maps the kept part to raw s and t, each
    of the size of the other part. The scale is bounded, |s| <= s_max nats, so that no input can make it explode.

    >>> layer = AffineCoupling(nn.Linear(2, 6), num_kept=2, s_max=1.0)
    >>> x = torch.randn(4, 5)
    >>> z, log_det = layer(x)
    >>> torch.allclose(layer.inverse(z), x, atol=1e-5), tuple(log_det.shape)
    (True, (4,))
    """

    def __init__(self, net: nn.Module, num_kept: int, s_max: float, keep_last: bool = False):
        super().__init__()
        self.net = net
        self.num_kept = num_kept
        self.s_max = s_max
        self.keep_last = keep_last

    def scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """s and t, of the size of the changed part, from the kept one."""
        raw_s, t = self.net(kept).to(kept.dtype).chunk(2, dim=1)  # the net may run in bf16, the flow itself does not
        return bound(raw_s, self.s_max), t

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The kept and the changed part of x along dim 1."""
        if self.keep_last:
            changed, kept = x.tensor_split([x.shape[1] - self.num_kept], dim=1)
        else:
            kept, changed = x.tensor_split([self.num_kept], dim=1)
        return kept, changed

    def join(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((changed, kept) if self.keep_last else (kept, changed), dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = self.split(x)  # (B, num_kept, ...), (B, D - num_kept, ...)
        s, t = self.scale_shift(kept)  # (B, D - num_kept, ...) both
        return self.join(kept, torch.addcmul(t, changed, s.exp())), s.flatten(1).sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        kept, changed = self.split(z)
        s, t = self.scale_shift(kept)
        return self.join(kept, (changed - t) * (-s).exp())


class CouplingChain(Chain):
    """A `Chain` of permutations, each before a coupling, and couplings of vectors by a `ResidualMLP`: on a CPU as one
    step (models/kernels/couplings.py), to be differentiated once.

    >>> layers = [Permutation(5, seed=0), AffineCoupling(ResidualMLP(2, 6, hidden=8, blocks=2), num_kept=2, s_max=1.0)]
    >>> chain, x = CouplingChain(layers), torch.randn(4, 5)
    >>> z, log_det = chain(x)
    >>> torch.allclose(z, Chain(layers)(x)[0], atol=1e-5), torch.allclose(chain.inverse(z), x, atol=1e-5)
    (True, True)
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        layers = list(self.layers)
        return run(layers, x) if layers and can_couple(x) else super().forward(x)

    def inverse(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled() or not can_couple(z):
            return super().inverse(z)
        return uncouple(z, [coupling for coupling, _ in in_one_step(list(self.layers))])


def run(layers: Sequence[nn.Module], x: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, D) through the layers of a `CouplingChain`: z (B, D), log_det (B,) nats."""
    pairs = in_one_step(layers)
    widths = [[net.first.out_features] * (len(net.residuals) + 1) for _, net in pairs]
    net = pairs[0][1]  # all have its dropout
    if net.training and net.dropout > 0:
        numbers = iter(dropped([len(x) * width for own in widths for width in own], net.dropout))
        dropouts = [Dropout([next(numbers) for _ in own], 1 / (1 - net.dropout)) for own in widths]
    else:
        dropouts = [Dropout([None] * len(own)) for own in widths]
    return couple(x, [coupling for coupling, _ in pairs], dropouts)


def in_one_step(layers: Sequence[nn.Module]) -> list[tuple[Coupling, ResidualMLP]]:
    """Couplings as models/kernels takes them, with the permutations before them, and their nets."""
    pairs, order = [], None
    for layer in layers:
        if isinstance(layer, Permutation):
            order = layer.order
            continue
        assert isinstance(layer, AffineCoupling) and isinstance(layer.net, ResidualMLP)
        pairs.append((Coupling(order, layer.num_kept, layer.keep_last, layer.s_max, layer.net.layers()), layer.net))
        order = None
    return pairs


class CheckerboardCoupling(Bijection):
    """z = b x + (1 - b) (x * exp(s) + t) with s, t = net(b x). Dinh et al. 2017, section 3.4, eq. 9, in 3-D.

    b is 1 at the nodes (i, j, k) of a grid (B, C, r, r, r) with i + j + k even (odd, if `odd`), in all channels, and 0
    elsewhere. |s| <= s_max nats.

    >>> layer = CheckerboardCoupling(nn.Conv3d(1, 2, 3, padding=1), resolution=3, s_max=1.0)
    >>> x = torch.randn(2, 1, 3, 3, 3)
    >>> z, log_det = layer(x)
    >>> torch.allclose(layer.inverse(z), x, atol=1e-5), torch.equal(layer.b * z, layer.b * x)
    (True, True)
    """

    b: Tensor  # (r, r, r), 1 where kept

    def __init__(self, net: nn.Module, resolution: int, s_max: float, odd: bool = False):
        super().__init__()
        self.net = net
        self.s_max = s_max
        axis = torch.arange(resolution)
        parity = (axis[:, None, None] + axis[:, None] + axis) % 2
        self.register_buffer("b", (parity == int(odd)).to(torch.get_default_dtype()), persistent=False)

    def scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        raw_s, t = self.net(kept).to(kept.dtype).chunk(2, dim=1)
        return (1 - self.b) * bound(raw_s, self.s_max), (1 - self.b) * t  # both 0 where b = 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self.scale_shift(self.b * x)  # (B, C, r, r, r) both, 0 where b = 1
        return torch.addcmul(t, x, s.exp()), s.flatten(1).sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        s, t = self.scale_shift(self.b * z)  # b * z = b * x
        return (z - t) * (-s).exp()
