"""Heads of the point network: a distance, or a sheet given by its side and what is beyond its border."""

import pytest
import torch
from torch.testing import assert_close

from lab.small.network_weights import random_weights
from models.distance_heads import OUTPUTS, RESTING, beyond_border, distance_to_sheet, first_bias
from models.ndf import NDF
from runtime.errors import UserError

CHANNELS = (3, 5)


def network(head: str) -> NDF:
    return random_weights(NDF(CHANNELS, hidden_dim=7, distance_head=head), seed=1).eval()


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = (torch.rand(2, 9, 9, 9, generator=generator) > 0.7).float()
    return torch.rand(2, 31, 3, generator=generator) * 2 - 1, x


def test_a_half_plane_is_exact():
    """The sheet z = 0, x <= 0: its side is z, its border the y axis."""
    x, z = torch.randn(2, 501, generator=torch.Generator().manual_seed(0)) / 10
    true = torch.where(x > 0, torch.hypot(x, z), z.abs())
    assert_close(distance_to_sheet(z, x.clamp(min=0)), true, atol=2e-5, rtol=0)
    assert_close(distance_to_sheet(z, beyond_border(x)), true, atol=4e-3, rtol=0)


def test_its_gradient_is_finite_on_the_sheet_and_across_it_has_no_kink():
    side = torch.tensor([0.0, 1e-3, -1e-3], requires_grad=True)
    distance_to_sheet(side, torch.zeros(3)).sum().backward()
    assert_close(side.grad, torch.tensor([0.0, 1.0, -1.0]), atol=1e-3, rtol=0)


def test_r_rests_where_it_can_grow_again():
    """Far below 0 a softplus would have no gradient left."""
    raw = torch.tensor([-5.0, RESTING, 0.3], requires_grad=True)
    beyond = beyond_border(raw)
    assert_close(beyond, torch.tensor([9.08e-5, 9.08e-5, 0.3]), atol=1e-6, rtol=0)
    beyond.sum().backward()
    assert raw.grad[0] > 0.01
    assert_close(raw.grad[0], raw.grad[1])


@pytest.mark.parametrize("head", OUTPUTS)
def test_networks_start_near_a_mean_distance(head: str):
    bias = first_bias(head)
    assert len(bias) == OUTPUTS[head]
    assert torch.equal(NDF(CHANNELS, hidden_dim=7, distance_head=head).fc_out.bias, bias)
    assert bias[0] == 0.05


def test_a_network_of_sheets_gives_their_distance():
    model, (p, x) = network("sheet"), example()
    grids = model.features(model.encode(x))
    side, beyond = model.sheets(p, grids)
    assert side.shape == beyond.shape == p.shape[:2]
    assert (side < 0).any() and (side > 0).any() and (beyond >= 0).all()
    assert_close(model(p, x), (side**2 + beyond**2 + 1e-10).sqrt())


def test_every_parameter_of_it_gets_a_gradient():
    model, (p, x) = network("sheet").train(), example()
    model(p, x).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_network_of_distances_has_no_sheets():
    model, (p, x) = network("value"), example()
    with pytest.raises(UserError, match="distance_head value found, sheet expected: this network gives no sides"):
        model.sheets(p, model.features(model.encode(x)))
