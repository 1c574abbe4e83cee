"""Exponential moving average of a network's weights: what a flow is validated and used with."""

import copy
from typing import Generic

import torch
from torch import Tensor, nn

from runtime.devices import Model


class AveragedWeights(Generic[Model]):
    """The average, in a copy of the model: in eval mode, without gradients."""

    def __init__(self, model: Model, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # early on the average forgets its random start quickly
        pairs = list(zip(tensors_of(self.model), tensors_of(model), strict=True))  # state_dict takes far longer
        of_floats = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        averages, values = (list(column) for column in zip(*of_floats, strict=True))
        torch._foreach_lerp_(averages, values, 1 - decay)  # in one call, with the numbers of one lerp_ each
        for average, value in pairs:
            if not average.dtype.is_floating_point:
                average.copy_(value)


def tensors_of(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
