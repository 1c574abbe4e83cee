"""Fitting codes: which distances are known, what the error sees, that a fit finds the code and stays in its ball."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from configs.options import Config
from generation.code_fitting import CLAMP, NUM_POINTS, PRIOR_WEIGHT, CodeFit, known_distances
from generation.distance_fields import NetworkField
from generation.networks import Networks
from generation.surface_cells import HALF_EXTENT
from lab.small.known_shapes import sphere_points
from models.real_nvp.base import NormalBase

RADIUS = 0.4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class SphereDecoder:
    """A code (1, 1) is a radius and decodes to the distance to that sphere, a negative one to 0 everywhere."""

    def features(self, code: Tensor) -> list[Tensor]:
        return [code]

    def query(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        return torch.where(grids[0] > 0, (0.5 * p.norm(dim=-1) - grids[0]).abs(), grids[0] - grids[0])


def exact_networks(scale: float = 0.05) -> SimpleNamespace:
    """Networks whose code of z (1, 1) is the radius 0.3 + scale z."""
    flow = SimpleNamespace(dim=1, base=NormalBase(1), inverse=lambda z: 0.3 + scale * z)
    cpu = torch.device("cpu")
    return SimpleNamespace(ndf=SphereDecoder(), flow=flow, device=cpu, cfg=Config())


@pytest.mark.parametrize("num", [10_000, 300])
def test_known_distances_are_those_to_the_surface(num: int):
    cloud = sphere_points(num, RADIUS)
    known = known_distances(cloud, seeded())
    assert len(known.surface) == NUM_POINTS
    assert_close(known.surface.norm(dim=1), torch.full((NUM_POINTS,), RADIUS))
    true = (known.away.norm(dim=1) - RADIUS).abs()
    errors = (known.distances.clamp(max=CLAMP) - true.clamp(max=CLAMP)).abs()
    assert errors.quantile(0.99) < 0.005
    assert errors.mean() < 0.001
    assert len(true) > NUM_POINTS / 3
    inside = known.away.norm(dim=1) < RADIUS
    assert 0.1 < inside.float().mean() < 0.9
    if num == 10_000:
        assert 0.2 < (true < CLAMP).float().mean() < 0.9  # near ones, and others all over the box
    assert known.away.abs().max() > 0.95 * HALF_EXTENT


def test_a_generator_fixes_the_points():
    cloud = sphere_points(500, RADIUS)
    one, same, other = (known_distances(cloud, seeded(seed)) for seed in (0, 0, 1))
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.surface, other.surface)


def test_the_error_is_that_of_clamped_distances_half_at_the_surface_and_half_away(networks: Networks):
    cloud, code = sphere_points(400, RADIUS), torch.from_numpy(np.load(networks.experiment.codes / "train.npy")[:1])
    fit, known = CodeFit(networks, cloud, seeded(3)), known_distances(cloud, seeded(3))
    field = NetworkField(networks.ndf, networks.ndf.features(code))
    with torch.no_grad():
        near = field.distance(known.surface).clamp(max=CLAMP).mean()
        away = (field.distance(known.away).clamp(max=CLAMP) - known.distances.clamp(max=CLAMP)).abs().mean()
    assert_close(fit.error(code), (near + away) / 2)
    assert near > 0 and away > 0
    z, _ = networks.flow(code)
    assert_close(fit.objective(z), fit.error(code) + PRIOR_WEIGHT * z.square().sum() / 2, rtol=1e-4, atol=1e-6)


def test_a_field_that_is_0_everywhere_fits_worst():
    fit = CodeFit(exact_networks(), sphere_points(10_000, RADIUS), seeded())
    right, wrong, nothing = (fit.error(torch.tensor([[radius]])).item() for radius in (0.4, 0.38, -1.0))
    assert right < 0.001 < wrong < nothing


def test_a_fit_finds_the_code_and_stays_in_its_ball():
    fit, start = CodeFit(exact_networks(), sphere_points(10_000, RADIUS), seeded()), torch.zeros(1, 1)
    assert fit.fitted(start, 9.0, 60).item() == pytest.approx(2.0, abs=0.1)
    assert fit.fitted(start, 1.0, 60).item() == pytest.approx(1.0)
    assert fit.fitted(torch.tensor([[-30.0]]), 3.0, 0).item() == pytest.approx(-3.0)
    assert torch.equal(start, torch.zeros(1, 1))


def test_a_fit_starts_from_a_sample_only_if_that_fits_much_better():
    fit = CodeFit(exact_networks(), sphere_points(10_000, RADIUS), seeded())
    near, lost = torch.tensor([[1.9]]), torch.tensor([[-5.0]])
    assert torch.equal(fit.start(near, 9.0), near)
    assert torch.equal(fit.start(near, 1.5), torch.tensor([[1.5]]))
    assert fit.start(lost, 9.0).item() == pytest.approx(2.0, abs=0.3)
    assert fit.start(lost, 1.0).item() == pytest.approx(1.0)
    assert fit.start(torch.tensor([[torch.nan]]), 9.0).item() == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("num_steps", [1, 25])
def test_a_fit_lowers_the_objective_and_never_trains_a_network(networks: Networks, num_steps: int):
    codes = torch.from_numpy(np.load(networks.experiment.codes / "train.npy")[:2])
    z, _ = networks.flow(codes[:1])
    fit = CodeFit(networks, sphere_points(300, RADIUS), seeded())
    parameters = [*networks.flow.parameters(), *networks.ndf.parameters()]
    before = [one.clone() for one in parameters]
    for one in parameters:
        one.requires_grad_()
    try:
        found = fit.fitted(z, 3.0, num_steps)
    finally:
        for one in parameters:
            one.requires_grad_(False)
    assert fit.objective(found) < fit.objective(networks.flow.base.into_ball(z, 3.0))
    assert found.norm() < 3.0 * (1 + 1e-6)
    assert not found.requires_grad
    assert all(one.grad is None and torch.equal(one, old) for one, old in zip(parameters, before, strict=True))
    assert torch.equal(found, fit.fitted(z, 3.0, num_steps))
