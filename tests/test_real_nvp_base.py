"""The densities of a flow's z: sums written out, draws, and what rests on z being in a Gaussian."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.testing import assert_close

from generation.latents import draw_latents, normal_numbers, path_between
from models.real_nvp import build_flow
from models.real_nvp.base import (
    CODES_A_COMPONENT,
    LEAST_SD,
    MixtureBase,
    NormalBase,
    k_means,
    standard_normal_log_prob,
)
from models.real_nvp.couplings import AffineCoupling

FLOW = {
    "flow_couplings": 4,
    "flow_hidden": 16,
    "flow_blocks": 2,
    "flow_scales": 1,
    "flow_s_max": 1.0,
    "flow_dropout": 0,
}


def random_mixture(dim: int = 5, components: int = 7, seed: int = 0) -> MixtureBase:
    base, generator = MixtureBase(dim, components), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter, size in ((base.log_weights, 1.0), (base.means, 2.0), (base.log_sds, 0.4)):
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return base.double()


def random_z(num: int, dim: int = 5, seed: int = 1) -> torch.Tensor:
    return 3 * torch.randn(num, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_code_flow(base: str, dim: int = 5, components: int = 7) -> torch.nn.Module:
    torch.manual_seed(0)
    flow = build_flow("vector", (dim,), flow_dims=3, flow_tail_couplings=1, flow_base=base, flow_components=components,
                      **FLOW)  # fmt: skip
    flow.fit_whitening(torch.randn(40, dim), 0.1)
    with torch.no_grad():
        for module in flow.modules():
            if isinstance(module, AffineCoupling):
                for parameter in module.parameters():
                    parameter.copy_(0.3 * torch.randn(parameter.shape))
        if base == "mixture":
            flow.base.load_state_dict(random_mixture(dim, components).state_dict())
    return flow.eval()


def test_log_prob_is_the_sum_over_all_gaussians():
    base, z = random_mixture(), random_z(9)
    total = torch.zeros(9, dtype=torch.float64)
    for weight, mean, log_sd in zip(base.weights, base.means, base.log_sds, strict=True):
        normal = torch.distributions.Normal(mean, log_sd.exp())
        total += weight * normal.log_prob(z).sum(dim=1).exp()
    assert_close(base.log_prob(z), total.log())
    assert_close(-base.energy(z) - 5 / 2 * math.log(2 * math.pi), base.log_prob(z))


def test_a_mixture_integrates_to_one():
    base = random_mixture(2, 3)
    axis = torch.linspace(-15, 15, 601, dtype=torch.float64)
    density = base.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert density.item() == pytest.approx(1, abs=1e-6)


def test_float32_products_are_as_exact_as_the_sum():
    base, z = random_mixture(48, 200), random_z(30, 48)
    assert_close(base.float().log_prob(z.float()).double(), base.double().log_prob(z), atol=2e-3, rtol=0)


@pytest.mark.parametrize("base", ["normal", "mixture"])
def test_a_flow_on_it_is_exact(base: str):
    """log p(code) = log p_base(z) + log |det dz/dcode|, the latter by autograd."""
    flow, codes = random_code_flow(base).double(), random_z(4)
    matrices = torch.stack([jacobian(lambda code: flow(code[None])[0][0], code) for code in codes])
    z = flow(codes)[0]
    assert_close(flow.log_prob(codes), flow.base.log_prob(z) + torch.linalg.slogdet(matrices).logabsdet)
    assert (flow.base.log_prob(z) - standard_normal_log_prob(z)).abs().max() > 1e-3 or base == "normal"
    assert_close(flow.inverse(z), codes)


def test_draws_have_the_density():
    """Mean, covariance and shares of the components; and the mean energy is the entropy that the density has."""
    base = random_mixture(3, 4)
    noise = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(0)).double()
    drawn, weights = base.place(noise), base.weights
    shares = torch.bincount(base.component(noise), minlength=4) / len(noise)
    assert_close(shares.double(), weights.detach(), atol=5e-3, rtol=0)
    mean = weights @ base.means
    second = torch.einsum("k,ki,kj->ij", weights, base.means, base.means) + torch.diag(
        weights @ (2 * base.log_sds).exp()
    )
    assert_close(drawn.mean(dim=0), mean, atol=0.03, rtol=0)
    assert_close(drawn.T.cov(), second - torch.outer(mean, mean), atol=0.1, rtol=0.03)


def test_temperature_shrinks_each_component_and_keeps_its_share():
    base, noise = random_mixture(), torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double()
    k = base.component(noise)
    assert len(k.unique()) > 3
    assert_close(base.place(noise, 0.5) - base.means[k], 0.5 * (base.place(noise) - base.means[k]))


def test_draws_depend_on_seed_and_number_alone_and_keep_their_component():
    flow = random_code_flow("mixture")
    z = draw_latents(flow, 6, seed=3)
    assert torch.equal(draw_latents(flow, 2, seed=3, first=4), z[4:])
    assert not torch.equal(draw_latents(flow, 6, seed=4), z)
    numbers = [normal_numbers(6, 1, torch.Generator().manual_seed(0), draw) for draw in range(3)]
    components = {int(flow.base.component(row[None])) for row in numbers}
    assert len(components) == 1
    assert not torch.equal(numbers[1][1:], numbers[2][1:])


def test_draws_of_a_normal_base_are_those_that_they_were():
    flow, stream = random_code_flow("normal"), torch.Generator().manual_seed(0)
    expected = [torch.randn(5, generator=stream) for _ in range(3)]
    for draw, row in enumerate(expected):
        assert torch.equal(normal_numbers(5, 0, torch.Generator().manual_seed(0), draw), row)
    assert torch.equal(flow.base.place(expected[0][None], 0.8), 0.8 * expected[0][None])
    assert flow.base.state_dict() == {}


def test_the_nearest_component_is_the_nearest_in_its_sds():
    base, z = random_mixture(), random_z(20)
    all_distances = ((z[:, None] - base.means) / base.log_sds.exp()).norm(dim=2)
    assert_close(base.distance(z), all_distances.min(dim=1).values)
    assert_close(NormalBase(5).distance(z), z.norm(dim=1))


@pytest.mark.parametrize("base", [NormalBase(5), random_mixture()])
def test_a_ball_keeps_what_is_inside_and_shortens_the_rest_to_its_radius(base: NormalBase):
    z = random_z(40)
    radius = base.distance(z).median().item()
    found, inside = base.into_ball(z, radius), base.distance(z) <= radius
    assert torch.equal(found[inside], z[inside])
    assert 0 < inside.sum() < 40
    assert (base.distance(found) <= radius * (1 + 1e-9)).all()
    mean, _ = base.nearest(z[~inside])
    before, after = (z[~inside] - mean), (found[~inside] - mean)
    assert_close(torch.cosine_similarity(before, after), torch.ones(len(before), dtype=torch.float64))


def test_only_latents_outside_the_ball_are_shortened():
    z = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    short = NormalBase(2).into_ball(z, 2.5)
    assert_close(short[0], torch.tensor([1.5, 2.0]))
    assert torch.equal(short[1:], z[1:])


def test_paths_stay_near_the_base_and_end_where_they_should():
    normal, mixture = random_code_flow("normal"), random_code_flow("mixture")
    ends, share = mixture.base.means[:2].detach() + 0.1, torch.linspace(0, 1, 9)[:, None]
    line = (1 - share) * ends[0] + share * ends[1]
    assert torch.equal(path_between(normal, ends[:1], ends[1:], share), line)
    path, base = path_between(mixture, ends[:1], ends[1:], share), mixture.base
    assert torch.equal(path[[0, -1]], ends)
    limit = torch.lerp(*base.distance(ends), share[:, 0])
    assert (base.distance(path) <= limit * (1 + 1e-4)).all()
    assert (base.distance(line) > limit * 1.01).any()


def test_a_mixture_starts_at_the_clusters():
    """Three clusters, far apart and of different sizes: their means, widths and shares, whatever k-means starts at."""
    generator = torch.Generator().manual_seed(0)
    centres, sds, sizes = torch.tensor([[0.0, 0], [40, 0], [0, 40]]), (1.0, 0.5, 0.001), (600, 300, 100)
    z = torch.cat([c + s * torch.randn(n, 2, generator=generator) for c, s, n in zip(centres, sds, sizes, strict=True)])
    base = MixtureBase(2, 24)  # enough to start in each
    base.fit(z, torch.Generator().manual_seed(1))
    of = torch.cdist(base.means, centres).argmin(dim=1)
    assert len(of.unique()) == 3
    shares = torch.zeros(3).index_add_(0, of, base.weights.detach())
    assert_close(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.03, rtol=0)
    assert base.log_sds.exp().min().item() == pytest.approx(LEAST_SD)
    assert -base.log_prob(z).mean() < -MixtureBase(2, 1).log_prob(z).mean() - 10


def test_k_means_stops_where_each_z_is_with_the_nearest_mean():
    z = random_z(300)
    means, members = k_means(z, z[:11], rounds=60)
    assert torch.equal(members, torch.cdist(z, means).argmin(dim=1))
    assert_close(means, torch.stack([z[members == k].mean(dim=0) for k in range(11)]))


def test_more_components_than_codes_can_be_fitted():
    base = MixtureBase(3, 40)
    base.fit(random_z(6, 3).float(), torch.Generator().manual_seed(0))
    assert all(torch.isfinite(value).all() for value in base.state_dict().values())
    assert CODES_A_COMPONENT > 1


def test_every_parameter_of_the_base_gets_a_gradient():
    base = random_mixture()
    (-base.log_prob(random_z(50)).mean()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in base.parameters())
