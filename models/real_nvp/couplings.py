"""Affine couplings and the fixed permutations between them, for vectors and for grids.

Every layer has the same contract: `forward(x) -> (z, log_det)` and `inverse(z) -> x`, where log_det (B,) is
log |det dz/dx| of each sample in nats, a sum over dimensions, not a mean. Dinh et al. 2017, "Density estimation using
Real NVP", sections 3.2 to 3.4.
"""

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

NORMALS_AT_A_TIME = 16  # that torch draws on a CPU, if there are so many


class Bijection(nn.Module):
    """Base of all layers: `forward` and its inverse."""

    def inverse(self, z: Tensor) -> Tensor:
        raise NotImplementedError


class AffineCoupling(Bijection):
    """Keeps the first `num_kept` entries of dim 1 (the last, if `keep_last`); scales and shifts the others.

    Works on vectors (B, D) and, channel-wise, on grids (B, C, r, r, r). `net` maps the kept part to raw s and t, each
    of the size of the other part. The scale is bounded, |s| <= s_max nats, so that no input can make it explode.
    """

    def __init__(self, net: nn.Module, num_kept: int, s_max: float, keep_last: bool = False):
        super().__init__()
        self.net = net
        self.num_kept = num_kept
        self.s_max = s_max
        self.keep_last = keep_last

    def scale_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
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
        """z = x on the kept part, x * exp(s) + t on the other."""
        kept, changed = self.split(x)
        s, t = self.scale_shift(kept)
        return self.join(kept, torch.addcmul(t, changed, s.exp())), s.flatten(1).sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        kept, changed = self.split(z)
        s, t = self.scale_shift(kept)
        return self.join(kept, (changed - t) * (-s).exp())


class CheckerboardCoupling(Bijection):
    """Keeps the nodes (i, j, k) of a grid (B, C, r, r, r) with i + j + k even (odd, if `odd`), in all channels.

    `net` sees the kept nodes, zeros elsewhere. Dinh et al. 2017, section 3.4, in 3-D.
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
        """z = x * exp(s) + t with s, t from b * x."""
        s, t = self.scale_shift(self.b * x)
        return torch.addcmul(t, x, s.exp()), s.flatten(1).sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        s, t = self.scale_shift(self.b * z)  # b * z = b * x
        return (z - t) * (-s).exp()


class Permutation(Bijection):
    """A fixed permutation of the entries of dim 1, drawn from `seed`; stored in the checkpoint.

    The first `num_fixed` entries stay where they are.
    """

    order: Tensor

    def __init__(self, size: int, seed: int, num_fixed: int = 0):
        super().__init__()
        moved = torch.randperm(size - num_fixed, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("order", torch.cat([torch.arange(num_fixed), num_fixed + moved]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.order), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return torch.empty_like(z).index_copy_(1, self.order, z)


class Rescale(Bijection):
    """z = (x - mean) / sd for each entry, not trained: a flow with it in front starts as a diagonal Gaussian."""

    mean: Tensor
    sd: Tensor

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("sd", torch.ones(shape))

    @torch.no_grad()
    def fit(self, x: Tensor, noise: float | Tensor) -> None:
        """x: (N, *shape). The sd is that of x plus independent noise of sd `noise`, a number or (*shape), maybe 0."""
        variance, mean = torch.var_mean(x, dim=0)
        sd = (variance + noise**2).sqrt()
        self.mean.copy_(mean)
        self.sd.copy_(sd.clamp_min(float(1e-3 * sd.max())))  # keeps entries that never vary finite

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - self.mean) / self.sd, -self.sd.log().sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z * self.sd + self.mean


class Chain(Bijection):
    """Invertible layers in sequence."""

    def __init__(self, layers: Iterable[Bijection]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total: Tensor | None = None
        for layer in self.layers:
            x, log_det = layer(x)
            total = log_det if total is None else total + log_det
        return x, x.new_zeros(x.shape[0]) if total is None else total

    def inverse(self, z: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            z = cast(Bijection, layer).inverse(z)  # to type checkers a ModuleList holds plain Modules
        return z


def bound(raw: Tensor, s_max: float) -> Tensor:
    """Squash to [-s_max, s_max] with slope 1 at 0."""
    if s_max == 1:  # the default; the same numbers without two passes over them
        return torch.tanh(raw)
    return s_max * torch.tanh(raw / s_max)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I), nats, summed over all but the first dimension: (B, ...) -> (B,)."""
    z = z.flatten(1)
    return -0.5 * (z.square().sum(dim=1) + z.shape[1] * math.log(2 * math.pi))


def draw_latents(num: int, dim: int, temperature: float, generator: torch.Generator | None, like: Tensor) -> Tensor:
    """z (num, dim) from a normal of sd `temperature`, with the device and dtype of `like`.

    Drawn on the CPU in float32, row by row, so that a seed gives the same shapes on every device, however many are
    requested. `generator` must be a CPU generator.
    """
    return temperature * _normal_rows(num, dim, generator).to(like)


def _normal_rows(num: int, dim: int, generator: torch.Generator | None) -> Tensor:
    """(num, dim) standard normal, row by row. torch draws 16 numbers at a time: whole rows of these come at once."""
    if num == 0 or dim % NORMALS_AT_A_TIME == 0:
        return torch.randn(num, dim, generator=generator, dtype=torch.float32)
    return torch.stack([torch.randn(dim, generator=generator, dtype=torch.float32) for _ in range(num)])
