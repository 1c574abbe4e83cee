"""The first convolution from occupied nodes alone, against the convolution itself: values and gradients."""

import pytest
import torch
from torch import Tensor

from lab.small.network_weights import random_weights
from models.kernels import occupied_nodes as module
from models.kernels.occupied_nodes import SparseSums, first_convolution
from models.ndf import NDF
from models.occupancy import folded, input_grid


def example(features: str, resolution: int) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    clouds = torch.stack(
        [0.1 * torch.randn(50, 3, generator=draw), torch.full((50, 3), 0.5)]
    )  # one of them in a corner
    return input_grid(clouds, resolution, -0.5, 0.5, features)


@pytest.mark.parametrize("features", ["occupancy", "offsets"])
@pytest.mark.parametrize(("fold", "resolution"), [(1, 17), (2, 34), (3, 51)])
def test_it_is_the_convolution(features: str, fold: int, resolution: int, monkeypatch: pytest.MonkeyPatch):
    network = random_weights(NDF((5, 3), 8, input_features=features, input_fold=fold), 3)
    x = example(features, resolution)
    x = x[:, None] if x.dim() == 4 else x
    blocks = folded(x, fold)
    weights = torch.randn(2, 5, *blocks.shape[2:], generator=torch.Generator().manual_seed(2))
    taken = []
    monkeypatch.setattr(module, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(module, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(SparseSums, "apply", lambda *inputs: taken.append(1) or apply(*inputs))
    found, expected = (
        (value, *torch.autograd.grad((value * weights).sum(), [network.conv_in.weight, network.conv_in.bias]))
        for value in (first_convolution(network.conv_in, x, blocks, fold), network.conv_in(blocks))
    )
    assert taken
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


apply = SparseSums.apply


def test_inputs_that_need_gradients_or_are_full_are_convolved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SparseSums, "apply", lambda *inputs: pytest.fail("computed sparsely"))
    network = random_weights(NDF((5, 3), 8), 3)
    needed = example("occupancy", 17)[:, None].requires_grad_()
    first_convolution(network.conv_in, needed, needed, 1).sum().backward()
    assert needed.grad is not None and needed.grad.abs().sum() > 0
    full = torch.ones(1, 1, 17, 17, 17)
    torch.testing.assert_close(first_convolution(network.conv_in, full, full, 1), network.conv_in(full))
