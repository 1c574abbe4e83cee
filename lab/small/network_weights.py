"""Random weights for tests: never zero, never so small that a network is dead."""

import math

import torch


def random_weights(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Random weights of a size that keeps activations alive, random batch-norm statistics too."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            fan_in = max(1, value[0].numel()) if value.ndim > 1 else 25
            value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise * math.sqrt(2 / fan_in))
    return model.eval()
