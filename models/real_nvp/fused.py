"""Couplings with plain nets, one after the other, as a single step of autograd.

At the sizes of shape codes the many small steps between the products of matrices take longer than the products, and
longest the notes that autograd makes of each. A `FusedChain` computes the same by the same formulas, notes only what
its gradient needs, and has that gradient written out: Dinh et al. 2017, eq. 7 and 8, by the chain rule.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.products import linear, product
from models.real_nvp.couplings import AffineCoupling, Bijection, Chain, Permutation, bound
from models.real_nvp.nets import ResidualMLP


class FusedChain(Chain):
    """A `Chain` of permutations (B, D) and of couplings by `ResidualMLP`: same numbers but for rounding, in less time.

    Its gradient has no gradient of its own. With other layers, with dropout at work or under autocast it is a plain
    `Chain`, and so is its inverse where gradients are asked for.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        layers: Any = list(self.layers)
        if not can_be_fused(layers, x):
            return super().forward(x)
        parameters = [_parameters(layer) for layer in layers]
        if torch.is_grad_enabled():
            z, log_det = _Fused.apply(
                x, layers, list(map(len, parameters)), *(tensor for some in parameters for tensor in some)
            )
            return z, log_det
        scales = []
        for layer, some in zip(layers, parameters, strict=True):
            x, s, _ = _through(layer, x, some)
            scales += s
        return x, _sum(scales, x)

    def inverse(self, z: Tensor) -> Tensor:
        layers: Any = list(self.layers)
        if torch.is_grad_enabled() or not can_be_fused(layers, z):
            return super().inverse(z)
        for layer in reversed(layers):
            if isinstance(layer, Permutation):
                z = z.index_select(1, layer.order.argsort())
                continue
            kept, changed = layer.split(z)
            raw, t = _net(kept, _parameters(layer))[0]
            z = layer.join(kept, (changed - t).mul_(bound(raw, layer.s_max).neg_().exp_()))
        return z


def can_be_fused(layers: Sequence[Bijection], x: Tensor) -> bool:
    return x.dim() == 2 and not torch.is_autocast_enabled(x.device.type) and all(map(_plain, layers))


def _plain(layer: Bijection) -> bool:
    if isinstance(layer, AffineCoupling):
        net = layer.net
        return isinstance(net, ResidualMLP) and not (net.training and net.dropout)
    return isinstance(layer, Permutation)


def _parameters(layer: Bijection) -> list[Tensor]:
    """Weight and bias of each layer of a coupling's net, first to last; of a permutation none."""
    if not isinstance(layer, AffineCoupling):
        return []
    net: Any = layer.net
    return [tensor for each in (net.first, *net.residuals, net.head) for tensor in (each.weight, each.bias)]


class _Memory(NamedTuple):
    """What a coupling's gradient needs: the net's input; after each of its hidden layers the sum of all so far, and
    what the layer added; the changed part as it was; s, and exp(s)."""

    kept: Tensor
    sums: list[Tensor]
    added: list[Tensor]
    changed: Tensor
    s: Tensor
    factor: Tensor


def _net(kept: Tensor, parameters: list[Tensor]) -> tuple[Sequence[Tensor], list[Tensor], list[Tensor]]:
    """`ResidualMLP` without dropout. Returns raw s and t, and the hidden layers as `_Memory` has them."""
    h = torch.relu_(linear(kept, parameters[0], parameters[1]))
    sums, added = [h], [h]
    for n in range(2, len(parameters) - 2, 2):
        added.append(torch.relu_(linear(h, parameters[n], parameters[n + 1])))
        h = h + added[-1]
        sums.append(h)
    return linear(h, parameters[-2], parameters[-1]).chunk(2, dim=1), sums, added


def _through(layer: Any, x: Tensor, parameters: list[Tensor]) -> tuple[Tensor, list[Tensor], _Memory | None]:
    """One layer, without gradients: z, s of a coupling, and its memory."""
    if isinstance(layer, Permutation):
        return x.index_select(1, layer.order), [], None
    kept, changed = layer.split(x)
    (raw, t), sums, added = _net(kept, parameters)
    s = bound(raw, layer.s_max)
    factor = s.exp()
    z = layer.join(kept, torch.addcmul(t, changed, factor))
    return z, [s], _Memory(kept, sums, added, changed, s, factor)


def _sum(scales: list[Tensor], x: Tensor) -> Tensor:
    return torch.cat(scales, dim=1).sum(dim=1) if scales else x.new_zeros(len(x))


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layers: list[Any], counts: list[int], *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, *parameters)  # that they are unchanged is checked before the gradient
        ctx.layers, ctx.memories, scales = layers, [], []
        z, used = x, 0
        for layer, count in zip(layers, counts, strict=True):
            z, s, memory = _through(layer, z, list(parameters[used : used + count]))
            scales += s
            used += count
            ctx.memories.append(memory)
        return z if layers else x.clone(), _sum(scales, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_z: Tensor, to_log_det: Tensor) -> tuple[Tensor | None, ...]:
        _, *parameters = ctx.saved_tensors
        wanted = any(ctx.needs_input_grad[3:])
        gradients: list[list[Tensor | None]] = []
        gradient = to_z
        for layer, memory in zip(reversed(ctx.layers), reversed(ctx.memories), strict=True):
            if memory is None:
                gradient = gradient.index_select(1, layer.order.argsort())
                continue
            count = 2 * (1 + len(memory.sums))
            own, parameters = parameters[-count:], parameters[:-count]
            gradient, found = _back(layer, memory, own, gradient, to_log_det, wanted)
            gradients.append(found)
        return gradient, None, None, *(each for found in reversed(gradients) for each in found)


def _back(
    layer: AffineCoupling,
    memory: _Memory,
    parameters: list[Tensor],
    to_z: Tensor,
    to_log_det: Tensor,
    wanted: bool,
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient of a coupling's input, and those of its parameters, if wanted."""
    to_kept, to_t = layer.split(to_z)
    to_changed = to_t * memory.factor
    to_s = torch.addcmul(to_log_det[:, None], to_changed, memory.changed)
    to_raw = torch.ops.aten.tanh_backward(to_s, memory.s if layer.s_max == 1 else memory.s / layer.s_max)
    out = torch.cat((to_raw, to_t), dim=1)
    found: list[Tensor | None] = _of_layer(out, memory.sums[-1], wanted)
    to_sum = product(out, parameters[-2])
    for n in range(len(memory.sums) - 1, 0, -1):
        out = torch.ops.aten.threshold_backward(to_sum, memory.added[n], 0)
        found = _of_layer(out, memory.sums[n - 1], wanted) + found
        to_sum = product(out, parameters[2 * n]).add_(to_sum)
    out = torch.ops.aten.threshold_backward(to_sum, memory.added[0], 0)
    found = _of_layer(out, memory.kept, wanted) + found
    return layer.join(product(out, parameters[0]).add_(to_kept), to_changed), found


def _of_layer(out: Tensor, inputs: Tensor, wanted: bool) -> list[Tensor | None]:
    """The gradients of a linear layer's weight and bias, from that of its output (B, O) and its input (B, I)."""
    return [product(out.t(), inputs), out.sum(dim=0)] if wanted else [None, None]
