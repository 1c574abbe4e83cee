"""Couplings and the vector flow: exact both ways, a true density, bounded, repeatable."""

import math

import pytest
import torch
import zuko
from flow_checks import check_bijection, check_every_gradient, log_abs_det, normal, randomise
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

from models.real_nvp.bijections import Chain, Permutation
from models.real_nvp.couplings import AffineCoupling
from models.real_nvp.nets import ResidualMLP
from models.real_nvp.vector_flow import VectorFlow


def random_flow(dim: int, couplings: int = 4, seed: int = 0, **options: float) -> VectorFlow:
    return randomise(VectorFlow(dim, couplings, hidden=16, blocks=2, **options), seed)


@pytest.mark.parametrize("dim", [2, 5, 8])
@pytest.mark.parametrize("keep_last", [False, True])
def test_coupling_inverts_and_log_det_matches_autograd(dim, keep_last):
    num_kept = dim // 2
    net = ResidualMLP(num_kept, 2 * (dim - num_kept), hidden=16, blocks=3)
    coupling = randomise(AffineCoupling(net, num_kept, s_max=1.5, keep_last=keep_last))
    x = normal(4, dim)
    check_bijection(coupling, x, normal(4, dim, seed=2))
    same = (coupling(x)[0] == x).all(dim=0)
    kept = torch.arange(dim) >= dim - num_kept if keep_last else torch.arange(dim) < num_kept
    assert torch.equal(same, kept)


@pytest.mark.parametrize("size", [2, 7])
def test_permutation(size):
    layer = Permutation(size, seed=3)
    x = normal(3, size)
    z, log_det = layer(x)
    assert torch.equal(layer.inverse(z), x)
    assert torch.equal(z.sort(dim=1).values, x.sort(dim=1).values)
    assert not log_det.any() and not log_abs_det(layer, x).any()


def test_a_chain_without_layers_is_the_identity_and_a_flow_takes_no_rows_at_all():
    x = normal(3, 5)
    z, log_det = Chain([])(x)
    assert torch.equal(z, x) and log_det.tolist() == [0, 0, 0]
    flow, none = random_flow(5), normal(0, 5)
    assert flow(none)[0].shape == flow.inverse(none).shape == (0, 5) and flow(none)[1].shape == (0,)


@pytest.mark.parametrize("dim", [2, 3, 9, 16])
@pytest.mark.parametrize("couplings", [1, 5])
def test_flow_inverts_and_log_det_matches_autograd(dim, couplings):
    check_bijection(random_flow(dim, couplings), normal(4, dim), normal(4, dim, seed=2))


@pytest.mark.parametrize(("dim", "leading"), [(3, 2), (9, 4), (8, 7), (5, 5), (5, 50)])
def test_flow_on_the_leading_entries_is_exact_on_all(dim, leading):
    flow, x = random_flow(dim, leading=leading), normal(4, dim)
    check_bijection(flow, x, normal(4, dim, seed=2))
    check_every_gradient(flow, -flow.log_prob(x).mean())
    moved = x + torch.eye(dim).double()[-1]  # the last entry says nothing about the leading ones
    unchanged = torch.isclose(flow(moved)[0], flow(x)[0]).all(dim=0)
    assert unchanged[: dim - 1].all() == (leading < dim) and not unchanged[-1]


@pytest.mark.parametrize(("dim", "leading", "couplings"), [(9, 4, 3), (6, 2, 4), (5, 3, 2), (5, 4, 3), (5, 5, 3)])
def test_flow_with_couplings_in_the_tail_is_exact_and_leaves_the_leading_entries_alone(dim, leading, couplings):
    flow, x = random_flow(dim, leading=leading, tail_couplings=couplings), normal(4, dim)
    check_bijection(flow, x, normal(4, dim, seed=2))
    check_every_gradient(flow, -flow.log_prob(x).mean())
    if leading < dim:
        moved = x + torch.eye(dim).double()[-1]
        assert torch.equal(flow(moved)[0][:, :leading], flow(x)[0][:, :leading])
    if leading < dim - 1:  # entries of the tail depend on each other, which one coupling alone cannot give
        changed = ~torch.isclose(flow(moved)[0], flow(x)[0]).all(dim=0)
        assert changed[leading:].sum() > 1


def test_a_new_flow_keeps_volume_and_every_pair_changes_every_entry():
    new = VectorFlow(9, 4, hidden=16, blocks=2).double()
    assert not new(normal(3, 9))[1].any()
    pair, x = random_flow(9, couplings=2), normal(3, 9)
    assert not torch.isclose(pair(x)[0].sort(dim=1).values, x.sort(dim=1).values).any()


def test_every_parameter_gets_a_gradient():
    flow = random_flow(7)
    check_every_gradient(flow, -flow.log_prob(normal(8, 7)).mean())


def test_density_integrates_to_one():
    flow = random_flow(2, couplings=4)
    axis = torch.linspace(-20, 20, 401, dtype=torch.float64)
    with torch.no_grad():
        mass = flow.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(mass - 1) < 0.005
    assert flow(normal(9, 2))[1].abs().mean() > 0.05  # and it is not a normal density left as it was


def test_log_prob_is_the_base_density_plus_the_log_det_of_autograd():
    flow, x = random_flow(6), normal(5, 6)
    base = MultivariateNormal(torch.zeros(6).double(), torch.eye(6).double())
    assert_close(flow.log_prob(x), base.log_prob(flow(x)[0]) + log_abs_det(flow, x))


def test_log_prob_agrees_with_zukos_transformed_density():
    flow, x = random_flow(6), normal(5, 6)
    coupling = flow.chain.layers[1]

    def meta(kept: torch.Tensor) -> zuko.transforms.Transform:
        s, t = coupling.scale_shift(kept)
        return zuko.transforms.DependentTransform(torch.distributions.AffineTransform(t, s.exp()), 1)

    mask = torch.arange(6) < 3
    peer = zuko.transforms.CouplingTransform(meta, mask)
    z, log_det = peer.call_and_ladj(x)
    assert_close(coupling(x)[0], z)
    assert_close(coupling(x)[1], log_det)


@pytest.mark.parametrize("sigmas", [50, 1e3])
def test_far_inputs_stay_finite(sigmas):
    flow = random_flow(16, couplings=8, s_max=2.0).float()
    x = sigmas * normal(20, 16).float()
    z, log_det = flow(x)
    assert torch.isfinite(z).all() and torch.isfinite(flow.log_prob(x)).all()
    assert log_det.abs().max() <= 8 * 8 * 2.0
    assert torch.isfinite(flow.inverse(x)).all()


def test_s_is_bounded():
    flow = random_flow(8, couplings=1, s_max=0.5)
    assert flow(1e6 * normal(10, 8))[1].abs().max() <= 4 * 0.5 + 1e-12


def test_sampling_repeats_by_seed_and_scales_by_temperature():
    flow = random_flow(5)

    def draw(num: int, seed: int, temperature: float = 1.0) -> torch.Tensor:
        return flow.sample(num, temperature, torch.Generator().manual_seed(seed))

    assert draw(6, seed=0).shape == (6, 5)
    assert torch.equal(draw(6, seed=0), draw(6, seed=0))
    assert not torch.isclose(draw(6, seed=0), draw(6, seed=1)).any()
    assert_close(flow(draw(6, seed=0, temperature=0.3))[0], 0.3 * flow(draw(6, seed=0))[0])
    assert flow.sample(0).shape == (0, 5)


@pytest.mark.parametrize("s_max", [1.0, 1.7])
def test_a_flow_is_what_its_formulas_say_written_out(s_max: float):
    """Layer after layer by Dinh et al. 2017, eq. 7 and 8: log-likelihoods and samples to 1e-6."""
    flow, x = random_flow(16, couplings=6, s_max=s_max), normal(9, 16)
    z, log_det = x, torch.zeros(9, dtype=x.dtype)
    for layer in flow.chain.layers:
        if isinstance(layer, Permutation):
            z = z[:, layer.order]
            continue
        kept = torch.arange(16) >= 16 - layer.num_kept if layer.keep_last else torch.arange(16) < layer.num_kept
        raw, t = layer.net(z[:, kept]).chunk(2, dim=1)
        s = s_max * torch.tanh(raw / s_max)
        log_det = log_det + s.sum(dim=1)
        z = z.clone()
        z[:, ~kept] = z[:, ~kept] * torch.exp(s) + t
    right = -0.5 * (z**2).sum(dim=1) - 8 * math.log(2 * math.pi) + log_det
    assert_close(flow.log_prob(x), right, rtol=1e-6, atol=1e-6)
    assert_close(flow.inverse(z), x, rtol=1e-6, atol=1e-6)


def test_samples_have_the_density_of_log_prob():
    """Importance weights: the mean over samples of q(x)/p(x) is 1 for a normalised q inside p's support."""
    flow = random_flow(2, couplings=4)
    x = flow.sample(20_000, generator=torch.Generator().manual_seed(0))
    mean, covariance = x.mean(dim=0), x.T.cov()
    q = MultivariateNormal(mean, 0.1 * covariance)
    with torch.no_grad():
        ratio = (q.log_prob(x) - flow.log_prob(x)).exp()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(len(x)) < 0.4


def test_dropout_acts_in_training_only():
    flow = random_flow(6, dropout=0.5)
    x = normal(4, 6)
    assert torch.equal(flow.log_prob(x), flow.log_prob(x))
    flow.train()
    assert not torch.equal(flow.log_prob(x), flow.log_prob(x))


@pytest.mark.parametrize("back", [False, True])
def test_a_permutation_can_be_differentiated_twice(back: bool):
    layer, x = Permutation(7, seed=3, num_fixed=2), normal(4, 7).double().requires_grad_()

    def cubes(value: torch.Tensor) -> torch.Tensor:
        return (layer.inverse(value) if back else layer(value)[0]) ** 3

    assert torch.autograd.gradcheck(cubes, x) and torch.autograd.gradgradcheck(cubes, x)


def banana(num: int, seed: int) -> torch.Tensor:
    e = torch.randn(num, 2, generator=torch.Generator().manual_seed(seed))
    return torch.stack((e[:, 0], e[:, 0].square() + 0.3 * e[:, 1] - 1), dim=1)


def test_a_trained_flow_beats_a_fitted_gaussian_on_a_banana():
    torch.manual_seed(0)
    train, held_out = banana(2000, seed=0), banana(2000, seed=1)
    flow = VectorFlow(2, couplings=6, hidden=32, blocks=2)
    optimiser = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for step in range(200):
        batch = train[torch.randint(len(train), (256,), generator=torch.Generator().manual_seed(step))]
        loss = -flow.log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    gaussian = MultivariateNormal(train.mean(dim=0), train.T.cov())
    with torch.no_grad():
        gain = (flow.log_prob(held_out) - gaussian.log_prob(held_out)).mean()
    assert gain > 1.0  # the true density gains about 1.5 nats


def test_dimension_one_is_refused():
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        VectorFlow(1, 2, 8, 1)
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        VectorFlow(9, 2, 8, 1, leading=1)
