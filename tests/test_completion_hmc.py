"""Hamiltonian Monte Carlo: right moments on Gaussians, reversible and volume-keeping moves, honest diagnostics."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from generation.completion.diagnostics import effective_count, split_r_hat
from generation.completion.hmc import WANTED, StepSizes, sample, trajectory

SCALES = torch.tensor([0.05, 1.0, 0.3])
MEAN = torch.tensor([1.0, -2.0, 0.0])


def gaussian(z: Tensor) -> tuple[Tensor, Tensor]:
    """Energy and gradient of N(MEAN, diag(SCALES^2)), the first two entries correlated through a rotation."""
    away = (z - MEAN) @ turn().T / SCALES
    return away.square().sum(dim=1) / 2, (away / SCALES) @ turn()


def turn(angle: float = 0.6) -> Tensor:
    c, s = torch.tensor(angle).cos(), torch.tensor(angle).sin()
    return torch.stack([torch.stack([c, s, 0 * c]), torch.stack([-s, c, 0 * c]), torch.tensor([0.0, 0.0, 1.0])])


def covariance() -> Tensor:
    return turn().T @ torch.diag(SCALES**2) @ turn()


def curved(z: Tensor) -> tuple[Tensor, Tensor]:
    """A density that is no Gaussian: exp(-|z|^4 / 4)."""
    square = z.square().sum(dim=1)
    return square.square() / 4, square[:, None] * z


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("exact_factor", [False, True])
def test_chains_have_the_moments_of_a_gaussian(exact_factor: bool):
    factor = torch.linalg.cholesky(covariance()) if exact_factor else 0.3 * torch.eye(3)
    start = torch.randn(40, 3, generator=seeded(1))
    chains = sample(gaussian, start, factor, 60, 150, 8, seeded())
    states = chains.z.flatten(0, 1)
    assert (states.mean(dim=0) - MEAN).abs().max() < 0.1
    assert_close(torch.cov(states.T), covariance(), rtol=0.15, atol=0.02)
    assert 0.6 < chains.acceptance.mean() < 0.99
    assert_close(chains.energy[-1], gaussian(chains.z[-1])[0])


def test_a_density_that_is_no_gaussian_is_sampled_exactly_in_spite_of_rough_steps():
    chains = sample(curved, torch.zeros(50, 2), torch.eye(2), 60, 400, 3, seeded())
    energy = chains.energy.mean().item()  # in 2 dimensions E |z|^4 / 4 = 1/2: z^2 enters as a Gamma(1/2)
    assert energy == pytest.approx(0.5, abs=0.05)
    assert chains.acceptance.mean() < 0.99


def test_moves_go_back_where_they_came_from_and_nearly_keep_the_energy():
    z, p = torch.randn(4, 3, generator=seeded(2)), torch.randn(4, 3, generator=seeded(3))
    factor = torch.linalg.cholesky(covariance()) @ torch.diag(torch.tensor([1.0, 0.7, 1.3]))
    step = torch.tensor([0.02, 0.05, 0.1, 0.2])[:, None]
    there = trajectory(gaussian, (z, p, *gaussian(z)), factor, step, 9)
    back = trajectory(gaussian, (there[0], -there[1], *there[2:]), factor, step, 9)
    assert_close(back[0], z, rtol=1e-3, atol=1e-4)
    assert_close(-back[1], p, rtol=1e-3, atol=1e-4)
    before = gaussian(z)[0] + p.square().sum(dim=1) / 2
    after = there[2] + there[1].square().sum(dim=1) / 2
    error = (after - before).abs() / before
    assert error[0] < 0.01 and error.max() < 0.2
    assert (there[0] - z).norm(dim=1).min() > 0.01  # it really moves


def test_a_move_to_nowhere_is_refused():
    def cliff(z: Tensor) -> tuple[Tensor, Tensor]:
        energy, gradient = curved(z)
        return torch.where(z[:, 0] > 0.1, torch.nan, energy), gradient

    chains = sample(cliff, torch.zeros(5, 2), torch.eye(2), 20, 50, 3, seeded())
    assert chains.z.isfinite().all() and chains.energy.isfinite().all()
    assert (chains.z[..., 0] <= 0.1).all()


def test_step_sizes_fall_when_moves_are_refused_and_rise_when_all_are_accepted():
    sizes = StepSizes(2)
    first = sizes.log_step.clone()
    for _ in range(20):
        sizes.update(torch.tensor([0.1, 1.0]))
    sizes.settle()
    assert sizes.log_step[0] < first[0] < sizes.log_step[1]
    same = StepSizes(1)
    for _ in range(20):
        same.update(torch.tensor([WANTED]))
    assert same.log_step.item() == pytest.approx(same.centre.item(), abs=1e-4)


def test_a_seed_fixes_the_chains():
    one, same, other = (sample(curved, torch.ones(3, 2), torch.eye(2), 5, 5, 2, seeded(s)).z for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_effective_counts_are_those_of_autoregressions(memory: float):
    noise, series = torch.randn(2000, 30, generator=seeded()), [torch.zeros(30)]
    for row in noise:
        series.append(memory * series[-1] + (1 - memory**2) ** 0.5 * row)
    found = effective_count(torch.stack(series[1:])).mean().item()
    assert found == pytest.approx(2000 * (1 - memory) / (1 + memory), rel=0.15)


def test_a_series_that_stands_still_counts_once():
    assert effective_count(torch.full((50, 2), 3.0)).tolist() == [1.0, 1.0]


def test_r_hat_tells_chains_that_disagree():
    series = torch.randn(400, 4, 3, generator=seeded())
    assert_close(split_r_hat(series), torch.ones(3), atol=0.03, rtol=0)
    series[:, 0, 1] += 3
    series[:, :, 2] += torch.linspace(0, 4, 400)[:, None]  # all drift together
    found = split_r_hat(series)
    assert found[0] < 1.03 and found[1] > 1.3 and found[2] > 1.3
