"""The sparse pyramid of a frozen network against the dense one: equal but for rounding, wherever the shape is."""

import copy
import pickle

import pytest
import torch
from torch import Tensor

from lab.small.network_weights import random_weights
from models.kernels import sparse_pyramid
from models.ndf import NDF
from models.occupancy import input_grid

FEATURES = ["occupancy", "offsets"]


def frozen(features: str = "offsets", fold: int = 1, channels: tuple[int, ...] = (5, 7, 6)) -> NDF:
    """Random weights, biases, and statistics and factors of the batch norms, of both signs."""
    network = random_weights(NDF(channels, 8, input_features=features, input_fold=fold), 3)
    with torch.no_grad():
        for layer in network.layers():
            if layer.norm is not None:
                layer.norm.weight.sign_()  # large enough that the coarsest level sees a small shape
    return network.freeze()


def grids(features: str, resolution: int, *clouds: Tensor) -> Tensor:
    return input_grid(torch.stack(clouds), resolution, -0.5, 0.5, features)


def small_cloud(seed: int, centre: tuple[float, float, float], spread: float = 0.05) -> Tensor:
    draw = torch.randn(60, 3, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(centre) + spread * draw


@pytest.fixture(params=[0.0, 0.1, 0.3, 1.0], autouse=True)
def most_active(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """None, some and all of the layers sparse."""
    monkeypatch.setattr(sparse_pyramid, "MOST_ACTIVE", request.param)
    monkeypatch.setattr(sparse_pyramid, "ROWS_AT_A_TIME", 7)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("fold, resolution", [(1, 8), (1, 13), (2, 16), (2, 22), (3, 15)])
def test_it_gives_what_the_dense_pyramid_gives(features: str, fold: int, resolution: int):
    network = frozen(features, fold)
    centre, corner, beyond = (0.1, 0.0, -0.2), (0.5, -0.5, 0.5), (-0.5, 0.1, 0.9)
    x = grids(features, resolution, *(small_cloud(k, place) for k, place in enumerate((centre, corner, beyond))))
    expected = network.pyramid(x)[-1]
    torch.testing.assert_close(network.coarsest(x), expected, rtol=1e-5, atol=1e-5)
    difference = expected - network.pyramid(torch.zeros_like(x))[-1]
    assert difference.abs().amax(dim=(1, 2, 3, 4)).min() > 1e-4  # each shape is seen


def test_full_and_empty_inputs_and_one_level(most_active: None):
    x = torch.stack([torch.zeros(4, 8, 8, 8), torch.randn(4, 8, 8, 8)])
    for channels in [(5,), (5, 7)]:
        network = frozen(channels=channels)
        torch.testing.assert_close(network.coarsest(x), network.pyramid(x)[-1], rtol=1e-5, atol=1e-5)


def test_it_does_not_depend_on_the_batch():
    network = frozen()
    x = grids("offsets", 12, *(small_cloud(k, (0.1 * k, 0, 0)) for k in range(4)))
    together = network.coarsest(x)
    alone = torch.cat([network.coarsest(one[None]) for one in x])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_weights_that_may_change_are_never_frozen():
    network = frozen()
    x = grids("offsets", 8, small_cloud(0, (0, 0, 0)))
    network.coarsest(x)
    for same in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(same.coarsest(x), network.coarsest(x))
    network.train()
    network.requires_grad_(True).coarsest(x).sum().backward()
    assert network.conv_in.weight.grad is not None and network.sparse is None
