"""The whole density of a code: one interface for three kinds, saved and loaded bit for bit, Gaussian."""

import math

import pytest
import torch
from flow_checks import check_every_gradient, log_abs_det, normal, randomise
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

from models.real_nvp import CodeFlow, build_flow, flow_options
from models.real_nvp.gaussian import ShrunkGaussian
from runtime.errors import UserError

KINDS = [("vector", (7,)), ("grid", (2, 4, 4, 4)), ("grid", (3, 3, 3, 3)), ("fused", (2, 4, 4, 4))]
SMALL = {
    "flow_couplings": 4,
    "flow_hidden": 8,
    "flow_blocks": 1,
    "flow_dims": 5,
    "flow_tail_couplings": 1,
    "flow_s_max": 2.0,
    "flow_dropout": 0.0,
}


def some_codes(code_kind: str, code_shape: tuple[int, ...], num: int = 40, seed: int = 5) -> torch.Tensor:
    codes = 3 * normal(num, *code_shape, seed=seed) + 1
    return torch.sigmoid(codes - 1) if code_kind == "fused" else codes


def fitted_flow(code_kind: str, code_shape: tuple[int, ...], seed: int = 0, scale: float = 0.2) -> CodeFlow:
    scales = 1 if code_shape[-1] == 3 else 2
    flow = randomise(build_flow(code_kind, code_shape, flow_scales=scales, **SMALL), seed, scale)
    flow.fit_whitening(some_codes(code_kind, code_shape))
    return flow


@pytest.mark.parametrize(("code_kind", "code_shape"), KINDS)
def test_codes_round_trip_and_log_det_matches_autograd(code_kind, code_shape):
    flow = fitted_flow(code_kind, code_shape)
    codes = some_codes(code_kind, code_shape, num=2)
    with torch.no_grad():
        z, log_det = flow(codes)
        assert z.shape == (2, flow.dim) and log_det.shape == (2,)
        assert_close(flow.inverse(z), codes, rtol=1e-6, atol=1e-6)
        assert_close(flow.unwhiten(flow.whiten(codes)), codes)
        middle = flow(0.5 * codes + 0.25)[0] + 0.01 * normal(2, flow.dim)  # fused codes: away from the clipping
        assert_close(flow(flow.inverse(middle))[0], middle, rtol=1e-6, atol=1e-6)
    assert_close(log_det, log_abs_det(flow, codes), rtol=1e-6, atol=1e-6)
    assert log_det.abs().min() > 0.1


@pytest.mark.parametrize(("code_kind", "code_shape"), KINDS)
def test_densities_before_and_after_whitening_differ_by_its_log_det(code_kind, code_shape):
    flow = fitted_flow(code_kind, code_shape)
    codes = some_codes(code_kind, code_shape, num=3)
    w, log_det = flow.whitening(codes)
    assert_close(flow.log_prob(codes), flow.log_prob_whitened(w) + log_det)
    assert_close(flow.nats_per_dim(codes), -flow.log_prob_whitened(w) / math.prod(code_shape))
    assert flow.nats_per_dim(codes).shape == (3,)


@pytest.mark.parametrize(("code_kind", "code_shape"), KINDS)
def test_a_saved_flow_gives_the_same_bits(code_kind, code_shape, tmp_path):
    flow, other = fitted_flow(code_kind, code_shape), fitted_flow(code_kind, code_shape, seed=1)
    codes = some_codes(code_kind, code_shape, num=3)
    with torch.no_grad():
        assert not torch.equal(other.log_prob(codes), flow.log_prob(codes))
        for layer in other.modules():  # an order of entries drawn by another version must come from the file too
            if hasattr(layer, "order"):
                layer.order.copy_(layer.order.roll(1))
        torch.save(flow.state_dict(), tmp_path / "flow.tar")
        other.load_state_dict(torch.load(tmp_path / "flow.tar", weights_only=True))
        assert torch.equal(other.log_prob(codes), flow.log_prob(codes))
        z = normal(2, math.prod(code_shape))
        assert torch.equal(flow.inverse(z), other.inverse(z))


@pytest.mark.parametrize(("code_kind", "code_shape"), KINDS)
def test_training_codes_are_whitened_with_the_noise_asked_for(code_kind, code_shape):
    flow = fitted_flow(code_kind, code_shape)
    codes = some_codes(code_kind, code_shape, num=400)
    flow.fit_whitening(codes)

    def draw(noise: float) -> torch.Tensor:
        return flow.whiten_noised(codes, noise, torch.Generator().manual_seed(0))

    added, spread = draw(0.3) - draw(0.0), flow.whitening.noise_sd(1.0)  # on whitened codes
    assert abs((added / spread).std() - 0.3) < 0.01
    if code_kind == "vector":  # on codes: the same in all directions, a share of their spread
        on_codes = flow.unwhiten(draw(0.3)) - codes
        assert_close(on_codes.T.cov(), on_codes.var() * torch.eye(7).double(), rtol=0, atol=0.2 * on_codes.var())
        assert on_codes.std().item() == pytest.approx(0.3 * codes.var(dim=0).mean().sqrt().item(), rel=0.05)
    if code_kind != "fused":  # which are dequantized even without noise
        assert torch.equal(draw(0.0), flow.whiten(codes))
    assert torch.equal(draw(0.3), draw(0.3))
    check_every_gradient(flow.body, -flow.log_prob_whitened(draw(0.1)).mean())


@pytest.mark.parametrize(("code_kind", "code_shape"), KINDS)
def test_under_bf16_autocast_the_flow_stays_exact_in_float32(code_kind, code_shape):
    flow, codes = fitted_flow(code_kind, code_shape).float(), some_codes(code_kind, code_shape, num=3).float()
    exact = flow.log_prob(codes)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, log_det = flow(codes)
        assert z.dtype == log_det.dtype == flow.log_prob(codes).dtype == torch.float32
        assert_close(flow.inverse(z), codes, rtol=1e-4, atol=1e-4)  # bf16 carries 3 digits
        assert not torch.equal(flow.log_prob(codes), exact)  # the nets did run in bf16
        assert_close(flow.log_prob(codes), exact, rtol=0.05, atol=0.5)


def test_density_with_whitening_integrates_to_one():
    flow = fitted_flow("vector", (2,))
    axis = torch.linspace(-60, 60, 601, dtype=torch.float64)
    with torch.no_grad():
        mass = flow.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(mass - 1) < 0.005


def test_fused_samples_stay_in_the_unit_interval():
    with torch.no_grad():
        codes = fitted_flow("fused", (2, 4, 4, 4)).inverse(3 * normal(20, 128))
    assert codes.shape == (20, 2, 4, 4, 4)
    assert codes.min() >= 0 and codes.max() <= 1 and codes.std() > 0.1


@pytest.mark.parametrize("code_kind", ["vector", "grid"])
def test_a_new_flow_is_the_diagonal_gaussian_of_noised_whitened_codes(code_kind):
    code_shape, noise = dict(KINDS[:2])[code_kind], 0.4
    flow = build_flow(code_kind, code_shape, flow_scales=1, **SMALL).double().eval()
    train = some_codes(code_kind, code_shape)
    flow.fit_whitening(train, noise)
    w, x = flow.whiten(train), flow.whiten(some_codes(code_kind, code_shape, seed=8))
    noise_sd = flow.whitening.noise_sd(noise)
    pdf = torch.distributions.Normal(w.mean(dim=0), (w.var(dim=0) + noise_sd**2).sqrt())
    assert_close(flow.log_prob_whitened(x), pdf.log_prob(x).flatten(1).sum(dim=1))


def test_gaussian_of_whitened_vectors_is_standard_normal_with_the_noise():
    flow = fitted_flow("vector", (7,))
    flow.whitening.floor = 1e-6  # no direction is held back
    flow.fit_whitening(some_codes("vector", (7,)))
    train, held_out = some_codes("vector", (7,)), some_codes("vector", (7,), seed=8)
    noise = 0.4
    sd = flow.whitening.noise_sd(noise)
    w, e = flow.whiten(held_out), sd * normal(2000, 1, 7)
    normal_pdf = MultivariateNormal(torch.zeros(7).double(), torch.eye(7).double() + sd.square().diag())
    expected = -normal_pdf.log_prob(w + e).mean() / 7
    assert flow.gaussian_nats_per_dim(train, held_out, noise) == pytest.approx(expected.item(), abs=0.01)


@pytest.mark.parametrize(("num", "dim"), [(60, 5), (12, 30)])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gaussian_equals_the_dense_formula_with_fewer_codes_than_dimensions_too(num, dim, noise):
    w, points = normal(num, dim) @ normal(dim, dim, seed=4), normal(4, dim, seed=6)
    sample, correlation = w.T.cov(), w.T.corrcoef()
    trace_sq = (correlation @ correlation).trace()
    rho = ((1 - 2 / dim) * trace_sq + dim**2) / ((num + 1 - 2 / dim) * (trace_sq - dim))
    assert 0 < rho < 1
    covariance = (1 - rho) * sample + rho * sample.diag().diag() + noise**2 * torch.eye(dim).double()
    pdf = MultivariateNormal(w.mean(dim=0), covariance)
    expected = -pdf.log_prob(points) + 0.5 * noise**2 * covariance.inverse().trace()
    assert_close(ShrunkGaussian(w, noise).nats_per_dim(points), expected / dim)
    each = ShrunkGaussian(w, torch.full((dim,), noise).double())
    assert_close(each.nats_per_dim(points), expected / dim)
    sds = normal(dim, seed=5).abs()
    covariance = covariance - noise**2 * torch.eye(dim).double() + sds.square().diag()
    expected = -MultivariateNormal(w.mean(dim=0), covariance).log_prob(points)
    expected = expected + 0.5 * (covariance.inverse().diag() * sds.square()).sum()
    assert_close(ShrunkGaussian(w, sds).nats_per_dim(points), expected / dim)


@pytest.mark.parametrize(
    ("code_kind", "code_shape"),
    [("vector", (2, 4, 4, 4)), ("vector", (1,)), ("grid", (8,)), ("fused", (2, 4, 4, 5)), ("none", (8,))],
)
def test_codes_that_no_flow_fits(code_kind, code_shape):
    with pytest.raises(UserError, match=rf"code_kind '{code_kind}' with codes of shape .* found"):
        build_flow(code_kind, code_shape, flow_scales=1, **SMALL)


def test_the_flows_options_are_picked_out_of_a_configuration():
    config = {**SMALL, "flow_scales": 1, "flow_base": "mixture", "flow_components": 3, "lr": 1.0}
    assert build_flow("vector", (4,), **flow_options(config)).code_shape == (4,)
