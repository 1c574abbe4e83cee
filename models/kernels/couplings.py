"""Affine couplings of vectors by residual MLPs, in sequence, as one step of autograd with a written-out gradient.

A coupling is some thirty small steps forwards and backwards, which at a few hundred codes take as long as its products
of matrices. Dropout is given as the numbers of the entries that are dropped: far fewer than there are entries.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.batch_part import drop
from models.kernels.products import linear

threshold_backward = torch.ops.aten.threshold_backward.default  # of ReLU: the gradient where its result is above 0


class Coupling(NamedTuple):
    """z = x exp(s) + t on some columns of x (B, D), s and t from an MLP of the others, which are kept.

    order: (D,) of the columns before all else, None: as they are. num_kept, keep_last: so many are kept, the last ones
    or the first. s_max: bound on |s|, nats. layers: weight and bias of each layer of the MLP, that of `ResidualMLP`.
    """

    order: Tensor | None
    num_kept: int
    keep_last: bool
    s_max: float
    layers: Sequence[Tensor]

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The kept and the changed columns, views of x."""
        if self.keep_last:
            return x[:, x.shape[1] - self.num_kept :], x[:, : x.shape[1] - self.num_kept]
        return x[:, : self.num_kept], x[:, self.num_kept :]


class Dropout(NamedTuple):
    """Flat numbers of the entries that are dropped before each layer but the first; others are multiplied by `scale`.
    None: nothing is dropped."""

    numbers: Sequence[Tensor | None]
    scale: float = 1.0


def can_couple(x: Tensor) -> bool:
    """Whether `couple` and `uncouple` are for this x: on a CPU, without autocast."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def couple(x: Tensor, couplings: Sequence[Coupling], dropouts: Sequence[Dropout]) -> tuple[Tensor, Tensor]:
    """x (B, D) through the couplings -> z (B, D), log_det (B,) nats. Can be differentiated once."""
    if torch.is_grad_enabled():
        layers = [tensor for coupling in couplings for tensor in coupling.layers]
        z, log_det = _Couplings.apply(x, couplings, dropouts, *layers)
        return z, log_det
    total = x.new_zeros(len(x))
    for coupling, dropout in zip(couplings, dropouts, strict=True):
        x, s = _coupled(x, coupling, dropout, [])
        total += s.sum(dim=1)
    return x, total


def uncouple(z: Tensor, couplings: Sequence[Coupling]) -> Tensor:
    """The inverse of `couple` without dropout, which cannot be differentiated."""
    for coupling in reversed(couplings):
        kept, changed = coupling.split(z)
        s, t = _scale_shift(kept, coupling, Dropout([None] * len(coupling.layers)), [])
        x = torch.empty_like(z, memory_format=torch.contiguous_format)
        x_kept, x_changed = coupling.split(x)
        x_kept.copy_(kept)
        torch.mul(changed - t, s.neg().exp_(), out=x_changed)
        z = x if coupling.order is None else _put_back(x, coupling.order)
    return z


def _put_back(x: Tensor, order: Tensor) -> Tensor:
    """What `x.index_select(1, order)` takes apart."""
    return torch.empty_like(x).index_copy_(1, order, x)


def _coupled(x: Tensor, coupling: Coupling, dropout: Dropout, saved: list[Tensor]) -> tuple[Tensor, Tensor]:
    """z, and s of the changed columns. `saved` gets what `_gradients` needs."""
    if coupling.order is not None:
        x = x.index_select(1, coupling.order)
    saved.append(x)
    kept, changed = coupling.split(x)
    s, t = _scale_shift(kept, coupling, dropout, saved)
    factor = s.exp()
    z = torch.empty_like(x, memory_format=torch.contiguous_format)
    z_kept, z_changed = coupling.split(z)
    z_kept.copy_(kept)
    torch.addcmul(t, changed, factor, out=z_changed)
    saved += [s, factor]
    return z, s


def _scale_shift(kept: Tensor, coupling: Coupling, dropout: Dropout, saved: list[Tensor]) -> tuple[Tensor, Tensor]:
    raw, t = _mlp(kept, coupling.layers, dropout, saved).chunk(2, dim=1)
    s = raw.contiguous()  # as a part of a larger matrix it takes 5 times as long
    return (s.tanh_() if coupling.s_max == 1 else s.div_(coupling.s_max).tanh_().mul_(coupling.s_max)), t


def _mlp(x: Tensor, layers: Sequence[Tensor], dropout: Dropout, saved: list[Tensor]) -> Tensor:
    """`ResidualMLP` of x (B, I). `saved` gets the first layer's output, input and output of each other but the head,
    and the head's input."""
    h = linear(x, layers[0], layers[1]).relu_()
    saved.append(h)
    for n in range(2, len(layers) - 2, 2):
        numbers = dropout.numbers[n // 2 - 1]
        into = h if numbers is None else drop(h * dropout.scale, numbers)
        out = linear(into, layers[n], layers[n + 1]).relu_()
        saved += [into, out]
        h = h + out
    numbers = dropout.numbers[-1]
    if numbers is not None:  # nothing else needs it undropped; the head's weights are scaled, which are fewer
        h = drop(h, numbers)
    saved.append(h)
    return linear(h, _scaled(layers[-2], dropout), layers[-1])


def _scaled(weight: Tensor, dropout: Dropout) -> Tensor:
    return weight if dropout.scale == 1 else weight * dropout.scale


def _gradients(
    coupling: Coupling, dropout: Dropout, saved: Sequence[Tensor], to_z: Tensor, to_log_det: Tensor, of_layers: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient of x (B, D), and that of each layer's weight and bias (None unless `of_layers`), from those of z and
    of log_det (B, 1)."""
    x, *of_mlp, s, factor = saved
    (kept, changed), (to_kept, to_changed) = coupling.split(x), coupling.split(to_z)
    to_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    into_kept, into_changed = coupling.split(to_x)
    torch.mul(to_changed, factor, out=into_changed)
    to_s = torch.addcmul(to_log_det, into_changed, changed)
    scaled = s if coupling.s_max == 1 else s / coupling.s_max
    to_raw = torch.addcmul(to_s, to_s * scaled, scaled, value=-1)  # tanh' = 1 - tanh^2
    out = torch.cat((to_raw, to_changed), dim=1)
    of_kept, found = _mlp_gradients(kept, coupling.layers, dropout, of_mlp, out, of_layers)
    torch.add(to_kept, of_kept, out=into_kept)
    return to_x if coupling.order is None else _put_back(to_x, coupling.order), found


def _mlp_gradients(
    x: Tensor, layers: Sequence[Tensor], dropout: Dropout, saved: Sequence[Tensor], out: Tensor, of_layers: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient of x (B, I), and that of each of `layers`, from that of the output (B, O)."""
    first, *inner, last = saved
    found: list[Tensor | None] = []  # from the last layer on

    def add(gradient: Tensor, into: Tensor, scale: float = 1.0) -> None:
        of_weight = linear(gradient.t(), into.t()) if of_layers else None
        found.append(gradient.sum(dim=0) if of_layers else None)
        found.append(of_weight if of_weight is None or scale == 1 else of_weight.mul_(scale))

    add(out, last, dropout.scale)
    g = _dropped(linear(out, _scaled(layers[-2], dropout).t()), dropout.numbers[-1])
    for n in range(len(layers) - 4, 0, -2):
        into, after = inner[n - 2 : n]
        inside = threshold_backward(g, after, 0)
        add(inside, into)
        g = g.add_(_dropped(linear(inside, layers[n].t()), dropout.numbers[n // 2 - 1]), alpha=dropout.scale)
    g = threshold_backward(g, first, 0)
    add(g, x)
    return linear(g, layers[0].t()), found[::-1]


def _dropped(gradient: Tensor, numbers: Tensor | None) -> Tensor:
    return gradient if numbers is None else drop(gradient, numbers)


class _Couplings(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, couplings: Sequence[Coupling], dropouts: Sequence[Dropout], *layers: Tensor
    ) -> tuple[Tensor, Tensor]:
        saved: list[Tensor] = []
        sizes, total = [], x.new_zeros(len(x))
        for coupling, dropout in zip(couplings, dropouts, strict=True):
            before = len(saved)
            x, s = _coupled(x, coupling, dropout, saved)
            total += s.sum(dim=1)
            sizes.append(len(saved) - before)
        ctx.couplings, ctx.dropouts, ctx.sizes = couplings, dropouts, sizes
        ctx.save_for_backward(*layers, *saved)
        return x, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, to_log_det: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # which says so if a weight has been changed meanwhile
        end, of_layers = len(saved), any(ctx.needs_input_grad[3:])
        found: list[Tensor | None] = []
        for coupling, dropout, size in reversed(list(zip(ctx.couplings, ctx.dropouts, ctx.sizes, strict=True))):
            own, end = saved[end - size : end], end - size
            gradient, of_own = _gradients(coupling, dropout, own, gradient, to_log_det[:, None], of_layers)
            found = of_own + found
        return gradient, None, None, *found
