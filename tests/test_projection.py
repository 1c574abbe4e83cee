"""Projection onto surfaces whose distance is known: a sphere, and an open half-sphere."""

import math

import pytest
import torch
from facts import naming
from torch import Tensor

from generation.projection import dense_point_cloud, project
from lab.small.known_shapes import FunctionField, box, half_sphere, sphere
from runtime.errors import UserError

RADIUS = 0.31


SPHERE, HALF_SPHERE = sphere(RADIUS), half_sphere(RADIUS)


def seeds(count: int) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(5)) - 0.5


@pytest.mark.parametrize("surface", [SPHERE, HALF_SPHERE], ids=["sphere", "half_sphere"])
def test_one_step_of_an_exact_distance_reaches_the_surface(surface):
    start = seeds(501)
    assert surface(start).median() > 0.05
    points, distances = project(FunctionField(surface), start, num_steps=1, tolerance=1e-4)
    assert surface(points).max() < 1e-4
    assert torch.equal(distances, surface(points))


def test_near_points_rest_and_points_without_gradient_stay():
    field = FunctionField(SPHERE, clamp=0.1)
    near = torch.tensor([[RADIUS + 0.0005, 0.0, 0.0]])
    far = torch.tensor([[0.5, 0.5, 0.5]])
    points, distances = project(field, torch.cat([near, far]), num_steps=4, tolerance=0.001)
    assert torch.equal(points, torch.cat([near, far]))
    assert distances[1] == pytest.approx(0.1)  # and so it is not kept


@pytest.mark.parametrize("surface", [SPHERE, HALF_SPHERE], ids=["sphere", "half_sphere"])
def test_dense_cloud_covers_the_whole_surface_evenly(surface):
    field = FunctionField(surface, clamp=0.1)
    cloud = dense_point_cloud(field, 20_011, torch.Generator().manual_seed(1), chunk=7_001)
    assert cloud.shape == (20_011, 3)
    assert surface(cloud).quantile(0.98) < 1e-4
    assert surface(cloud).max() < 0.0025  # beyond the rim: what `level_points.OFF` lets pass
    upper = cloud[cloud[:, 1] > 0.02]  # away from the rim, where the band around an open edge is thicker
    height = upper[:, 1] / RADIUS  # uniform on a sphere (Archimedes)
    counts = torch.histc(height, bins=8, min=0.02 / RADIUS, max=1.0)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()
    if surface is HALF_SPHERE:
        assert cloud[:, 1].min() > -0.0025  # open: nothing below


def test_points_go_by_area_wherever_planes_lie_in_the_lattice():
    half = torch.tensor([0.3, 0.21, 0.255])

    cloud = dense_point_cloud(FunctionField(box(half)), 60_000, torch.Generator().manual_seed(3))
    nearest = (cloud.abs() - half).abs().argmin(dim=1)
    counts = torch.bincount(nearest).double() / len(cloud)
    areas = half.prod() / half
    torch.testing.assert_close(counts, (areas / areas.sum()).double(), rtol=0.035, atol=0)


def test_sheets_that_lie_close_get_as_many_points_as_one_alone():
    """Spheres of radii 0.30 and 0.275 inside each other: points go by area."""
    inner = 0.275

    def spheres(points: Tensor) -> Tensor:
        radius = points.norm(dim=1)
        return torch.minimum((radius - 0.3).abs(), (radius - inner).abs())

    cloud = dense_point_cloud(FunctionField(spheres), 20_000, torch.Generator().manual_seed(4))
    outer = (cloud.norm(dim=1) > (0.3 + inner) / 2).float().mean()
    assert outer == pytest.approx(0.3**2 / (0.3**2 + inner**2), abs=0.01)


def test_field_without_surface_is_an_error():
    field = FunctionField(lambda points: points.norm(dim=1) + 1)
    with pytest.raises(UserError, match=naming("0 10 NDF")):
        dense_point_cloud(field, 10, torch.Generator())


def test_small_chunks_give_as_many_points():
    cloud = dense_point_cloud(FunctionField(SPHERE), 3000, torch.Generator().manual_seed(2), chunk=31)
    assert cloud.shape == (3000, 3)


class Counting(FunctionField):
    """How many points it is asked for, with and without gradients."""

    def __init__(self, function):
        super().__init__(function)
        self.plain = self.with_gradient = 0

    def distance(self, points: Tensor) -> Tensor:
        if points.requires_grad:
            self.with_gradient += len(points)
        else:
            self.plain += len(points)
        return super().distance(points)


def test_points_of_large_clouds_share_their_directions():
    """Without that, a point takes 4 distances and 2 directions."""
    small = sphere(0.1)
    field = Counting(lambda points: small(points) + 0.002)  # never near 0, as a trained softplus
    cloud = dense_point_cloud(field, 100_000, torch.Generator().manual_seed(1))
    assert len(cloud) == 100_000
    assert small(cloud).max() < 1e-3
    assert field.with_gradient < 0.25 * len(cloud)
    assert field.plain < 2.8 * len(cloud)
    # They lie in no clumps: of cells with 5 points on average hardly more are empty than of points drawn one by one.
    low = cloud[:, 2] / 0.1
    angle = torch.atan2(cloud[:, 1], cloud[:, 0])
    cell = ((low + 1) * 70).long().clamp(0, 139) * 143 + ((angle / (2 * math.pi) + 0.5) * 143).long().clamp(0, 142)
    empty = (torch.bincount(cell, minlength=140 * 143) == 0).double().mean()
    assert empty < 2 * math.exp(-len(cloud) / (140 * 143))


def test_few_seeds_of_small_clouds_are_wasted():
    field = Counting(lambda points: SPHERE(points) + 0.002)
    assert len(dense_point_cloud(field, 2000, torch.Generator().manual_seed(1), num_steps=4)) == 2000
    assert field.with_gradient < 3.2 * 2000  # a direction in each step but the last
    half = Counting(lambda points: SPHERE(points) + 0.02 * (points[:, 0] > 0))  # half of the surface is not kept
    cloud = dense_point_cloud(half, 2000, torch.Generator().manual_seed(1), num_steps=1)
    assert (cloud[:, 0] <= 1e-6).all()
    assert half.with_gradient < 1.2 * 4000


@pytest.mark.parametrize("floor", [0.003, 0.0095])
@pytest.mark.parametrize("num_steps", [1, 2])
def test_no_point_has_a_distance_above_the_filter(floor: float, num_steps: int):
    """A valley that is deep enough in one half only."""
    field = FunctionField(lambda points: SPHERE(points) + floor * (points[:, 0] > 0))
    cloud = dense_point_cloud(field, 3000, torch.Generator().manual_seed(6), num_steps, filter_val=0.009)
    assert field.distance(cloud).max() < 0.009
    beyond = (cloud[:, 0] > 0.005).float().mean()
    assert (beyond > 0.05) == (floor < 0.009)


def test_a_flat_field_gives_no_points():
    """A network that says 0 everywhere has no surface: nothing says where its points would lie."""
    with pytest.raises(UserError, match=naming("0 10 NDF")):
        dense_point_cloud(FunctionField(lambda points: 0 * points[:, 0]), 10, torch.Generator())


def test_the_first_points_of_a_cloud_cover_it_as_others_do():
    """Neighbours with one direction do not stand side by side in the cloud."""
    cloud = dense_point_cloud(FunctionField(SPHERE), 60_000, torch.Generator().manual_seed(7)).double()
    first, last = cloud[:500], cloud[30_000:30_500]
    gaps = [torch.cdist(part, part).fill_diagonal_(9).min(dim=1).values.median() for part in (first, last)]
    assert gaps[0] == pytest.approx(gaps[1].item(), rel=0.2)
    assert gaps[0] > 0.5 * (RADIUS * 2 / 500**0.5)
