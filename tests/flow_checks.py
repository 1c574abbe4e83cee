"""What every invertible layer has to keep, checked in float64 by several test files."""

import torch
from torch import Tensor, nn
from torch.testing import assert_close


def randomise(module: nn.Module, seed: int = 0, scale: float = 0.25) -> nn.Module:
    """Give every parameter random values, in float64 and eval mode: a zero-initialised head tests only the identity."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_abs_det(layer: nn.Module, x: Tensor) -> Tensor:
    """log |det J| of each sample of x (B, ...) by autograd, one whole Jacobian a sample: (B,)."""
    size = x[0].numel()

    def flat(v: Tensor) -> Tensor:
        return layer(v.reshape(1, *x.shape[1:]))[0].flatten()

    jacobians = [torch.autograd.functional.jacobian(flat, sample.flatten()) for sample in x]
    assert jacobians[0].shape == (size, size)
    return torch.stack([torch.linalg.slogdet(jacobian).logabsdet for jacobian in jacobians])


def check_bijection(layer: nn.Module, x: Tensor, z: Tensor, least_log_det: float = 1e-2) -> None:
    """Both round trips, log_det against autograd, and that the map is not volume preserving by accident."""
    with torch.no_grad():
        there, log_det = layer(x)
        assert log_det.shape == (len(x),)
        assert_close(layer.inverse(there), x, rtol=1e-7, atol=1e-7)
        assert_close(layer(layer.inverse(z))[0], z, rtol=1e-7, atol=1e-7)
    assert_close(log_det, log_abs_det(layer, x), rtol=1e-6, atol=1e-7)
    assert log_det.abs().mean() >= least_log_det


def check_every_gradient(module: nn.Module, loss: Tensor) -> None:
    """Every parameter gets a gradient that is finite and not all zeros."""
    loss.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
