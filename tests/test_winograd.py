"""Winograd's convolution against a plain one in float64."""

import pytest
import torch
from torch import nn

from models.kernels import winograd
from models.kernels.winograd import WinogradConvolution, kernel_transform, pays


def example(c_in: int, c_out: int, size: int, batch: int = 2) -> tuple[nn.Conv3d, torch.Tensor]:
    torch.manual_seed(size)
    convolution = nn.Conv3d(c_in, c_out, 3, padding=1).requires_grad_(False)
    return convolution, torch.randn(batch, c_in, size, size, size)


@pytest.mark.parametrize("tiles_at_a_time", [1, 5, 64])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 7, 8, 11])
def test_it_is_the_convolution(size: int, tiles_at_a_time: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(winograd, "TILES_AT_A_TIME", tiles_at_a_time)
    convolution, x = example(3, 5, size, batch=3)
    expected = convolution(x)
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        found = WinogradConvolution(convolution)(x.to(memory_format=layout))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_rounding_is_a_few_times_that_of_a_plain_convolution():
    convolution, x = example(64, 48, 8)
    exact = nn.functional.conv3d(x.double(), convolution.weight.double(), convolution.bias.double(), padding=1)
    plain, found = (
        (y.double() - exact).square().mean().sqrt() for y in (convolution(x), WinogradConvolution(convolution)(x))
    )
    assert found < 6 * plain and found < 5e-6 * exact.std()


def test_the_transform_of_a_kernel_is_of_its_polynomial():
    """At each point the transform of 1 is the scale, and that of x and x^2 the scale times the point and its square."""
    scale, first, second = kernel_transform()[:5].T
    torch.testing.assert_close(
        first / scale, torch.tensor([0, 0.5, -0.5, 2, -2]).double().abs().sqrt() * torch.tensor([0, 1, -1, 1, -1])
    )
    torch.testing.assert_close(second * scale, first**2)


def test_it_pays_for_many_channels_on_more_nodes_than_a_tile():
    assert pays(nn.Conv3d(32, 64, 3), 8)
    assert not pays(nn.Conv3d(16, 64, 3), 8) and not pays(nn.Conv3d(32, 64, 3), 4)
