"""Batch norms over the whole batch of several processes: on GPUs PyTorch's own, on CPUs, where it has none, these.

Ioffe & Szegedy 2015, Batch Normalization, ch. 3: the sums over a batch of Algorithm 1, and those of its gradient, are
summed over the processes.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from runtime.devices import Model
from runtime.ranks import alone, ranks
from training.distributed import summed


def with_common_statistics(model: Model, device: torch.device) -> Model:
    """The network, its batch norms over the whole batch in training, under the same names."""
    if alone():
        return model
    if device.type == "cuda":
        return cast(Model, nn.SyncBatchNorm.convert_sync_batchnorm(model))
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, CommonBatchNorm(child))
    return model


class CommonBatchNorm(_BatchNorm):
    """A batch norm (B, C, ...) in one of several processes, which have parts of the same size of a batch.

    It shares the weights and the running statistics of `norm`, which has a momentum. In eval mode it is that.
    """

    def __init__(self, norm: _BatchNorm):
        super().__init__(norm.num_features, norm.eps, norm.momentum, device="meta")
        for name, weight in norm.named_parameters():
            self.register_parameter(name, weight)
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes behind that of the channels."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, variance = common_moments(x.detach())
        self._note(mean, variance, x.numel() // self.num_features * ranks().count)
        return cast(Tensor, _Normed.apply(x, self.weight, self.bias, mean, variance, self.eps))

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics follow; count: of values of a channel in the whole batch."""
        assert self.momentum is not None
        cast(Tensor, self.running_mean).lerp_(mean, self.momentum)
        cast(Tensor, self.running_var).lerp_(variance * (count / (count - 1)), self.momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)


def common_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Of the whole batch, mean and (biased) variance of each channel, (C,) each; x: this process's part (b, C, ...)."""
    variance, mean = torch.var_mean(x.float(), axes_of(x), correction=0)
    own = torch.stack([mean.double(), variance.double() + mean.double() ** 2])  # float64: their difference is exact
    mean, square = summed(own) / ranks().count
    return mean.float(), (square - mean**2).clamp_(min=0).float()


def axes_of(x: Tensor) -> list[int]:
    """All but that of the channels."""
    return [0, *range(2, x.dim())]


class _Normed(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, whose moments depend on the x of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)  # by given moments, as in eval mode

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Of the sum of the losses of all processes by x; by weight and bias of this one's loss, which DDP averages."""
        x, weight, mean, scale = ctx.saved_tensors
        wide = (-1, *[1] * (x.dim() - 2))  # (C,) beside (b, C, ...)
        normed = (x - mean.view(wide)) * scale.view(wide)
        own = torch.stack([grad.float().sum(axes_of(x)), (grad * normed).float().sum(axes_of(x))])  # (2, C)
        by_bias, by_weight = summed(own.clone()) / (x.numel() // x.shape[1] * ranks().count)
        by_x = (grad - by_bias.view(wide) - normed * by_weight.view(wide)) * (weight * scale).view(wide)
        return by_x.to(x.dtype), own[1], own[0], None, None, None
