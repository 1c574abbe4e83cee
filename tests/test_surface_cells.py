"""Cells that can hold the surface, against all cells of a lattice, of a sphere whose distance is known."""

import math

import pytest
import torch

from generation.surface_cells import HALF_EXTENT, STEEPEST, cells_near_surface
from lab.small.known_shapes import box, sphere

RADIUS = 0.31
SPHERE = sphere(RADIUS)
CPU = torch.device("cpu")


def places(count: int) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(5)) - 0.5


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_cells_near_surface_hold_all_of_it(halvings: int):
    cells = cells_near_surface(SPHERE, 1001, CPU, halvings)
    on_surface = torch.nn.functional.normalize(places(1000), dim=1) * RADIUS
    nearest = torch.cdist(on_surface, cells.centres, p=float("inf")).min(dim=1).values
    assert nearest.max() <= cells.side / 2 + 1e-6
    # Just as if the whole lattice had been looked at.
    count = round(2 * HALF_EXTENT / cells.side)
    axis = (torch.arange(count) + 0.5) * cells.side - HALF_EXTENT
    lattice = torch.cartesian_prod(axis, axis, axis)
    assert len(cells.centres) == (SPHERE(lattice) < STEEPEST * cells.side * 3**0.5 / 2).sum()
    torch.testing.assert_close(cells.distances, SPHERE(cells.centres))


@pytest.mark.parametrize("halvings", [1, 2])
def test_area_is_that_of_the_surface_wherever_it_lies(halvings: int):
    cells = cells_near_surface(SPHERE, 10_000, CPU, halvings)
    assert cells.area() == pytest.approx(4 * math.pi * RADIUS**2, rel=0.1)
    for half in (0.275, 0.2867, 0.298):  # faces between cells, and in the middle of them
        cells = cells_near_surface(box(torch.full((3,), half)), 10_000, CPU, halvings)
        assert cells.area() == pytest.approx(24 * half**2, rel=0.3)


def test_places_that_cannot_be_near_are_known_without_asking():
    cells = cells_near_surface(SPHERE, 10_000, CPU)
    generator = torch.Generator().manual_seed(6)
    cell = torch.randint(len(cells.centres), (5001,), generator=generator)
    offset = cells.side * (torch.rand(5001, 3, generator=generator) - 0.5)
    may = cells.may_hold(cell, offset, 0.01)
    near = SPHERE(cells.centres[cell] + offset) < 0.01
    assert not (near & ~may).any()
    assert 0.1 < (~may).float().mean() < 0.6


def test_nothing_is_found_of_no_surface():
    cells = cells_near_surface(lambda points: points.norm(dim=1) + 1, 10_000, CPU, 2)
    assert cells.centres.shape == (0, 3)
    assert cells.area() == 0
