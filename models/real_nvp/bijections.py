"""The contract of all layers of a flow, and the layers without parameters: permutation, squeeze, scale, chain.

`forward(x) -> (z, log_det)` and `inverse(z) -> x`, where log_det (B,) is log |det dz/dx| of each sample in nats, a sum
over dimensions, not a mean. Dinh, Sohl-Dickstein, Bengio 2017, "Density estimation using Real NVP", section 3.1.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn


class Bijection(nn.Module):
    """Base of all layers: `forward` and its inverse."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> z (B, ...), log_det (B,) nats."""
        raise NotImplementedError

    def inverse(self, z: Tensor) -> Tensor:
        """z -> x with forward(x)[0] = z."""
        raise NotImplementedError


class Chain(Bijection):
    """Layers in sequence, z = f_n(... f_1(x)): their log_dets add up. Dinh et al. 2017, section 3.5.

    >>> chain = Chain([Permutation(4, seed=0), Permutation(4, seed=1)])
    >>> x = torch.randn(3, 4)
    >>> z, log_det = chain(x)
    >>> torch.equal(chain.inverse(z), x)
    True
    """

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


class Permutation(Bijection):
    """z_i = x_order(i) along dim 1, log_det 0: between couplings, so that each changes other entries. Dinh et al. 2017,
    section 3.5, alternate two halves instead.

    size: of dim 1. The order is drawn from `seed`, and stored in the checkpoint; the first `num_fixed` entries stay
    where they are.

    >>> layer = Permutation(5, seed=0, num_fixed=2)
    >>> x = torch.randn(3, 5)
    >>> z, log_det = layer(x)
    >>> torch.equal(layer.inverse(z), x), torch.equal(z[:, :2], x[:, :2]), log_det.tolist()
    (True, True, [0.0, 0.0, 0.0])
    """

    order: Tensor

    def __init__(self, size: int, seed: int, num_fixed: int = 0):
        super().__init__()
        moved = torch.randperm(size - num_fixed, generator=torch.Generator().manual_seed(seed), device="cpu").tolist()
        # From a list: without storage (`build_checked`), torch adds by Python code that takes long to import.
        self.register_buffer("order", torch.tensor([*range(num_fixed), *(num_fixed + number for number in moved)]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _Reordered.apply(x, self.order), x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor) -> Tensor:
        return _Reordered.apply(z, self.order.argsort())


class _Reordered(torch.autograd.Function):
    """`index_select` along dim 1. Its own gradient adds up, in case an entry is taken twice, and takes far longer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return x.index_select(1, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return _Reordered.apply(gradient, order.argsort()), None


class Squeeze(Bijection):
    """(B, C, r, r, r) -> (B, 8 C, r/2, r/2, r/2): the 8 nodes of each 2x2x2 cell become channels, log_det 0.

    Dinh et al. 2017, section 3.6, in 3-D.

    >>> layer, x = Squeeze(), torch.randn(2, 3, 4, 4, 4)
    >>> z, log_det = layer(x)
    >>> tuple(z.shape), torch.equal(layer.inverse(z), x)
    ((2, 24, 2, 2, 2), True)
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, channels, r = x.shape[:3]
        x = x.reshape(batch, channels, r // 2, 2, r // 2, 2, r // 2, 2)
        x = x.permute(0, 1, 3, 5, 7, 2, 4, 6)  # (B, C, 2, 2, 2, r/2, r/2, r/2)
        return x.reshape(batch, channels * 8, r // 2, r // 2, r // 2), x.new_zeros(batch)

    def inverse(self, z: Tensor) -> Tensor:
        batch, channels, r = z.shape[:3]
        z = z.reshape(batch, channels // 8, 2, 2, 2, r, r, r).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return z.reshape(batch, channels // 8, 2 * r, 2 * r, 2 * r)


class Rescale(Bijection):
    """z = (x - mean) / sd for each entry, not trained: a flow with it in front starts as a diagonal Gaussian.

    >>> layer, x = Rescale((4,)), 3 * torch.randn(100, 4) + 1
    >>> layer.fit(x, noise=0.1)
    >>> z, log_det = layer(x)
    >>> torch.allclose(layer.inverse(z), x, atol=1e-5), torch.allclose(log_det, -layer.sd.log().sum())
    (True, True)
    """

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
