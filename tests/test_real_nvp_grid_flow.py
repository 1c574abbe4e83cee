"""The 3-D flow: the squeeze is a permutation, every coupling is exact, the multi-scale order round-trips."""

import pytest
import torch
from flow_checks import check_bijection, check_every_gradient, log_abs_det, normal, randomise
from torch.testing import assert_close

from models.real_nvp.bijections import Squeeze
from models.real_nvp.couplings import AffineCoupling, CheckerboardCoupling
from models.real_nvp.grid_flow import GridFlow
from models.real_nvp.nets import ResidualConv3d
from runtime.errors import UserError


def random_flow(shape: tuple[int, ...], scales: int, couplings: int = 4, **options: float) -> GridFlow:
    return randomise(GridFlow(shape, couplings, scales, hidden=6, blocks=1, **options), scale=0.15)


@pytest.mark.parametrize("shape", [(1, 2, 2, 2), (3, 4, 4, 4)])
def test_squeeze_is_a_permutation_of_all_entries(shape):
    """The predecessor's squeeze used 4 of the 8 places of a cell: its Jacobian had half the rank."""
    x = normal(2, *shape)
    z, log_det = Squeeze()(x)
    assert z.shape == (2, 8 * shape[0], *(r // 2 for r in shape[1:]))
    assert torch.equal(Squeeze().inverse(z), x)
    assert torch.equal(Squeeze()(Squeeze().inverse(z))[0], z)
    assert not log_det.any()

    def flat(v: torch.Tensor) -> torch.Tensor:
        return Squeeze()(v.reshape(1, *shape))[0].flatten()

    jacobian = torch.autograd.functional.jacobian(flat, x[0].flatten())
    assert torch.equal(jacobian.sum(dim=0), torch.ones(len(jacobian)).double())
    assert torch.equal(jacobian.sum(dim=1), torch.ones(len(jacobian)).double())
    assert set(jacobian.unique().tolist()) == {0.0, 1.0}


def test_squeeze_gathers_the_eight_places_of_a_cell():
    index = torch.arange(64).reshape(1, 1, 4, 4, 4)
    cells = Squeeze()(index)[0]
    assert cells[0, :, 0, 0, 0].tolist() == [0, 1, 4, 5, 16, 17, 20, 21]
    assert torch.equal(cells[0, :, 1, 0, 1], cells[0, :, 0, 0, 0] + 2 * 16 + 2)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(("channels", "r"), [(1, 2), (2, 3)])
def test_checkerboard_coupling(odd, channels, r):
    net = ResidualConv3d(channels, 2 * channels, r, hidden=6, blocks=1)
    coupling = randomise(CheckerboardCoupling(net, r, s_max=2.0, odd=odd))
    x = normal(2, channels, r, r, r)
    check_bijection(coupling, x, normal(*x.shape, seed=2))
    i, j, k = torch.meshgrid(*[torch.arange(r)] * 3, indexing="ij")
    kept = (i + j + k) % 2 == int(odd)
    assert torch.equal((coupling(x)[0] == x).all(dim=1).all(dim=0), kept)


@pytest.mark.parametrize("keep_last", [False, True])
def test_channel_coupling(keep_last):
    net = ResidualConv3d(2, 6, 2, hidden=6, blocks=2)
    coupling = randomise(AffineCoupling(net, 2, s_max=2.0, keep_last=keep_last))
    check_bijection(coupling, normal(2, 5, 2, 2, 2), normal(2, 5, 2, 2, 2, seed=2))


@pytest.mark.parametrize(
    ("shape", "scales"),
    [((1, 2, 2, 2), 1), ((2, 3, 3, 3), 1), ((3, 4, 4, 4), 2), ((1, 4, 4, 4), 1), ((1, 6, 6, 6), 2)],
)
def test_flow_inverts_and_log_det_matches_autograd(shape, scales):
    flow = random_flow(shape, scales)
    assert flow(normal(2, *shape))[0].shape == (2, flow.dim)
    check_bijection(flow, normal(2, *shape), normal(2, flow.dim, seed=2))


def test_three_scales_round_trip():
    flow = random_flow((1, 8, 8, 8), scales=3)
    x, z = normal(2, 1, 8, 8, 8), normal(2, 512, seed=2)
    assert_close(flow.inverse(flow(x)[0]), x, rtol=1e-7, atol=1e-7)
    assert_close(flow(flow.inverse(z))[0], z, rtol=1e-7, atol=1e-7)
    assert_close(flow(x[:1])[1], log_abs_det(flow, x[:1]), rtol=1e-6, atol=1e-7)


def test_every_parameter_gets_a_gradient_and_every_entry_changes():
    flow, x = random_flow((2, 4, 4, 4), scales=2, couplings=2), normal(3, 2, 4, 4, 4)
    check_every_gradient(flow, -flow.log_prob(x).mean())
    near = torch.isclose(flow(x)[0][:, :, None], x.flatten(1)[:, None, :], rtol=1e-9, atol=1e-9)
    assert not near.any()


@pytest.mark.parametrize("scales", [1, 2])
def test_far_inputs_stay_finite(scales):
    flow = random_flow((2, 4, 4, 4), scales, couplings=8).float()
    x = 50 * normal(4, 2, 4, 4, 4).float()
    assert torch.isfinite(flow(x)[0]).all() and torch.isfinite(flow.log_prob(x)).all()
    assert torch.isfinite(flow.inverse(x.flatten(1))).all()


def test_sampling_repeats_by_seed_and_scales_by_temperature():
    flow = random_flow((2, 4, 4, 4), scales=2)
    first, again, other = (flow.sample(3, 1.0, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == (3, 2, 4, 4, 4)
    assert torch.equal(first, again) and not torch.isclose(first, other).any()
    cold = flow.sample(3, 0.5, torch.Generator().manual_seed(0))
    assert_close(flow(cold)[0], 0.5 * flow(first)[0])


def test_the_nets_stay_narrow_for_the_thesiss_497_channels():
    with torch.device("meta"):
        flow = GridFlow((497, 8, 8, 8), couplings=8, scales=2, hidden=64, blocks=2)
    assert flow.dim == 254_464
    assert sum(parameter.numel() for parameter in flow.parameters()) < 10e6


@pytest.mark.parametrize(("r", "scales"), [(5, 2), (6, 3), (2, 2), (1, 1)])
def test_a_resolution_that_cannot_be_halved_so_often(r, scales):
    with pytest.raises(UserError, match=f"{r} nodes per axis found, a multiple of .* set a smaller flow_scales"):
        GridFlow((2, r, r, r), 4, scales, hidden=4, blocks=1)
