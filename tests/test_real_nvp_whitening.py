"""Whitening: statistics after it, exactness, few codes, dead directions, the logit of fused codes."""

import math

import pytest
import torch
from flow_checks import check_bijection, normal
from torch.testing import assert_close

from models.real_nvp.whitening import Logit, LogitStandardise, PCAWhitening, Standardise, dequantize
from runtime.errors import UserError


def correlated_codes(num: int, dim: int, seed: int = 3) -> torch.Tensor:
    return normal(num, dim, seed=seed) @ normal(dim, dim, seed=seed + 1) + 5


@pytest.mark.parametrize("dim", [2, 7, 16])
def test_pca_whitened_training_codes_have_mean_zero_and_identity_covariance(dim):
    codes = correlated_codes(200, dim)
    layer = PCAWhitening(dim, floor=1e-6).double()
    layer.fit(codes)
    w, _ = layer(codes)
    assert_close(w.mean(dim=0), torch.zeros(dim).double(), rtol=0, atol=1e-9)
    assert_close(w.T.cov(), torch.eye(dim).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("num", "dim"), [(50, 5), (4, 9), (2, 6)])
def test_pca_whitening_is_a_bijection_with_few_codes_too(num, dim):
    codes = correlated_codes(num, dim)
    layer = PCAWhitening(dim).double()
    layer.fit(codes)
    assert_close(layer.rotation @ layer.rotation.T, torch.eye(dim).double())
    check_bijection(layer, normal(3, dim, seed=9), normal(3, dim, seed=10), least_log_det=0.1)


def test_a_direction_without_variance_is_scaled_by_the_floor():
    codes = normal(100, 4) * torch.tensor([3.0, 1.0, 1e-9, 0.0]).double()
    layer = PCAWhitening(4, floor=0.05).double()
    layer.fit(codes)
    assert_close(layer.sd[2:], 0.05 * codes.var(dim=0).mean().sqrt().expand(2))
    beyond = layer(torch.tensor([[0.0, 0.0, 0.0, 0.3]]).double())[0]
    assert beyond.abs().max() < 6  # 0.3 / (0.05 * 1.6), where a bare sd would give infinity


def test_standardised_grids():
    shape = (3, 2, 2, 2)
    codes = normal(60, *shape) * torch.tensor([0.2, 1.0, 4.0]).double()[:, None, None, None] + 2
    layer = Standardise(shape, floor=1e-6).double()
    layer.fit(codes)
    w, _ = layer(codes)
    assert_close(w.mean(dim=0), torch.zeros(shape).double(), rtol=0, atol=1e-9)
    assert_close(w.std(dim=0), torch.ones(shape).double())
    check_bijection(layer, codes[:2], w[:2])


def test_logit_inverts_inside_and_clips_outside_of_the_unit_interval():
    x = torch.rand(4, 2, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    check_bijection(Logit(), x, 2 * x - 1)
    ends = torch.tensor([[0.0, 1.0]]).double()
    assert_close(Logit().inverse(Logit()(ends)[0]), ends)
    assert_close(Logit().inverse(torch.tensor([[-50.0, 50.0]]).double()), ends)


def test_fused_codes_come_back_from_their_whitening():
    codes = torch.relu(torch.tanh(normal(40, 3, 2, 2, 2)))
    codes[:, 0] = 0  # a channel that never fires
    layer = LogitStandardise((3, 2, 2, 2)).double()
    layer.fit(codes)
    w, _ = layer(codes)
    assert_close(layer.inverse(w), codes)
    assert w[:, 1:].std(dim=0).sub(1).abs().max() < 0.2
    inside = dequantize(codes, generator=torch.Generator().manual_seed(1))[:2]
    check_bijection(layer, inside, layer(inside)[0])


def test_dequantize_moves_each_number_within_its_own_level():
    codes = (torch.arange(256) / 255).expand(50, 256).double()
    spread = dequantize(codes, generator=torch.Generator().manual_seed(0))
    assert spread.min() >= 0 and spread.max() < 1
    assert torch.equal((spread * 256).floor(), (codes * 255).round())
    assert abs((spread * 256 - codes * 255).mean() - 0.5) < 0.02
    assert math.isclose((spread * 256 - codes * 255).std().item(), 1 / math.sqrt(12), abs_tol=0.02)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(5, 3), "all the same"),
        (torch.zeros(5, 4), r"codes of shape \(5, 4\) found, \(2 or more, 3\) expected"),
        (torch.zeros(1, 3), r"codes of shape \(1, 3\) found"),
        (torch.full((5, 3), torch.nan), "NaN or infinite"),
    ],
)
def test_codes_that_cannot_be_fitted(codes, message):
    with pytest.raises(UserError, match=message):
        PCAWhitening(3).fit(codes)
