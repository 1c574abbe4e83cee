"""Points that share a direction, on sheets, spheres and creases whose distance is known."""

import math

import pytest
import torch
from torch import Tensor

from generation.level_points import (
    FIRST_OFF,
    LEVEL,
    MOST,
    RADIUS,
    Level,
    Sharing,
    levelled,
    neighbours,
    sharing,
    tangents,
)
from lab.small.known_shapes import FunctionField, sphere

SPHERE = sphere(0.31)


def units(count: int, seed: int = 1) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)


def rounded(points: Tensor) -> Tensor:
    """As decoders say it: never 0, and the slope less than 1 near the surface."""
    return (SPHERE(points).square() + 0.0015**2).sqrt() - 0.0004


def test_points_end_in_the_middle_of_a_rounded_valley():
    normals = units(301)
    start = normals * (0.31 + 0.002 * (torch.rand(301, 1, generator=torch.Generator().manual_seed(2)) - 0.5))
    found = levelled(FunctionField(rounded), start, normals)
    assert SPHERE(found.points).max() < 0.2 * SPHERE(start).max()
    assert (rounded(found.points) <= found.most).all()


def test_wrong_directions_are_replaced_by_the_field_s():
    normals, count = units(300), 300
    wrong = units(count, seed=3)[: count // 3]
    directions = torch.cat([wrong, normals[count // 3 :]])
    found = levelled(FunctionField(SPHERE), 0.31 * normals, directions)
    assert SPHERE(found.points).max() < 0.0006
    cosine = (found.directions * normals).sum(dim=1).abs()
    assert cosine.min() > 1 - FIRST_OFF - 0.02
    assert ((wrong * normals[: count // 3]).sum(dim=1).abs() < 0.7).sum() > 50  # as they were


def test_neighbours_lie_on_the_surface_around_their_first_points():
    normals, share = units(211), Sharing(6, RADIUS)
    first = levelled(FunctionField(rounded), 0.31 * normals, normals)
    others = neighbours(FunctionField(rounded), first, share, torch.Generator().manual_seed(4))
    assert others.points.shape == (5 * 211, 3)
    assert SPHERE(others.points).max() < 3e-4
    away = (others.points.view(211, 5, 3) - first.points[:, None]).norm(dim=2)
    assert away.max() < 1.05 * RADIUS
    assert away.min() > 0.3 * RADIUS
    assert (rounded(others.points) <= others.most).all()


def test_neighbours_beyond_a_crease_or_a_border_get_directions_of_their_own():
    """The half plane y = 0, x < 0, and the half plane x = 0, y < 0, each with a border at the z axis."""

    def roof(points: Tensor) -> Tensor:
        x, y = points[:, 0], points[:, 1]
        flat = torch.hypot(x.clamp(min=0), y)
        wall = torch.hypot(x, y.clamp(min=0))
        return torch.minimum(flat, wall)

    def shelf(points: Tensor) -> Tensor:
        return torch.hypot(points[:, 0].clamp(min=0), points[:, 1])

    z = torch.rand(400, generator=torch.Generator().manual_seed(5)) - 0.5
    start = torch.stack([torch.full_like(z, -0.001), torch.zeros_like(z), z], dim=1)
    up = torch.tensor([0.0, 1.0, 0.0]).expand(400, 3)
    for surface in (roof, shelf):
        field = FunctionField(surface)
        first = Level(start, torch.full_like(z, LEVEL), up, torch.zeros_like(z))
        found = neighbours(field, first, Sharing(8, RADIUS), torch.Generator().manual_seed(6))
        # What is kept by a shared direction may hang over by what OFF allows; the flat tops of both differ in nothing.
        assert surface(found.points).quantile(0.99) < 0.0025
        assert surface(found.points).median() < 1e-5
        assert (surface(found.points) <= found.most + 1e-6).all()


def test_directions_are_shared_by_more_points_of_denser_clouds():
    counts = [sharing(num, 1.5).number for num in (2048, 12_000, 50_000, 200_000, 10**7)]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] == MOST
    assert counts[-2] == 2
    for num in (200_000, 10**6, 10**7):
        share = sharing(num, 1.5)
        assert share.radius <= RADIUS
        # Discs overlap: together they have much more area than the surface.
        assert math.pi * share.radius**2 * num / share.number > 8 * 1.5
    assert sharing(100, 0.0).number == MOST  # no area to speak of


@pytest.mark.parametrize("seed", range(3))
def test_tangents_are_at_right_angles(seed: int):
    directions = torch.cat([units(99, seed), torch.eye(3), -torch.eye(3)])
    frame = torch.stack([directions, *tangents(directions)], dim=1)
    torch.testing.assert_close(frame @ frame.mT, torch.eye(3).expand(len(directions), 3, 3), atol=1e-5, rtol=0)
