"""Unsettled surface of fields that are known: a sphere, spheres torn over a cap, no surface at all."""

import math

import pytest
import torch
from torch import Tensor

from generation.settledness import NEAR, NUM_SEEDS, SETTLED, seeds_near_surface, unsettled_share
from lab.small.known_shapes import FunctionField, half_sphere, sphere

RADIUS = 0.35
SPHERE = sphere(RADIUS)


def torn_sphere(share: float, least: float = 2 * SETTLED):
    """A sphere whose field stays above `least` over a cap that has `share` of its area."""

    def distance(points: Tensor) -> Tensor:
        # Archimedes: the area of a cap goes with its height, (1 - cos of its opening) / 2 of the sphere.
        in_cap = points[:, 1] / points.norm(dim=1) > 1 - 2 * share
        return torch.where(in_cap, SPHERE(points).clamp_min(least), SPHERE(points))

    return distance


def share_of(function, seed: int = 0, num_seeds: int = NUM_SEEDS) -> float:
    return unsettled_share(FunctionField(function), torch.Generator().manual_seed(seed), num_seeds)


def test_a_whole_surface_is_settled():
    assert share_of(SPHERE) == 0
    assert share_of(half_sphere(RADIUS)) == 0  # an open border is no tear: the field reaches 0 all along it


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_a_torn_cap_counts_by_its_area(share: float):
    error = math.sqrt(share * (1 - share) / NUM_SEEDS)
    assert share_of(torn_sphere(share)) == pytest.approx(share, abs=4 * error)


def test_only_a_field_above_the_threshold_is_torn():
    assert share_of(torn_sphere(0.3, least=0.9 * SETTLED)) == 0
    assert share_of(torn_sphere(0.3, least=1.1 * SETTLED)) > 0.2


def test_no_surface_is_all_unsettled():
    assert share_of(lambda p: torch.full_like(p[:, 0], 0.5)) == 1
    assert share_of(lambda p: p.norm(dim=1) * 0 + (1 + SETTLED) * NEAR) == 1  # near, nowhere below


def test_seeds_lie_evenly_near_the_surface():
    seeds = seeds_near_surface(FunctionField(SPHERE), torch.Generator().manual_seed(3), 4000)
    assert seeds.shape == (4000, 3)
    assert SPHERE(seeds).max() < NEAR
    volume = (seeds.norm(dim=1) ** 3 - (RADIUS - NEAR) ** 3) / ((RADIUS + NEAR) ** 3 - (RADIUS - NEAR) ** 3)
    for uniform in (volume, (seeds[:, 0] / seeds.norm(dim=1) + 1) / 2):
        expected = (torch.arange(4000) + 0.5) / 4000
        assert (uniform.sort().values - expected).abs().max() < 0.03  # Kolmogorov and Smirnov: 0.026 at 1 %


def test_a_seed_gives_the_share_whatever_else_is_drawn_and_however_many_points_go_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
):
    torn = torn_sphere(0.2)
    first = share_of(torn)
    torch.rand(7)
    assert share_of(torn) == first
    assert share_of(torn, seed=1) != first
    whole = FunctionField(torn)
    assert unsettled_share(whole, torch.Generator().manual_seed(0)) == first

    def in_small_parts(compute, count):
        return [compute(start, min(start + 100, count)) for start in range(0, count, 100)]

    monkeypatch.setattr("generation.distance_fields.part_size.map", in_small_parts)
    small = FunctionField(torn)
    assert unsettled_share(small, torch.Generator().manual_seed(0)) == first
    assert small.most <= 100 < whole.most


def test_seeds_that_have_settled_are_not_moved_again():
    asked: list[int] = []
    field = FunctionField(lambda p: asked.append(len(p)) or SPHERE(p))
    assert field.cells.side > 0
    asked.clear()
    assert unsettled_share(field, torch.Generator().manual_seed(0), 500) == 0
    assert sum(asked) < (4 + 2) * 500, asked  # places that are tried, then seeds: the first step brings all to 0
