"""Sums of table rows against grid_sample, in values and in the gradients for nodes and points, in double precision."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from models.kernels.interpolation import nodes_around, sum_of_rows, trilinear
from models.ndf import place_offsets


def example(dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A grid (1, 3, 5, ..., 5), and points of which some are outside of it and some on nodes."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(1, 3, *[5] * dimensions, generator=generator, dtype=torch.float64)
    p = 2.6 * torch.rand(40, dimensions, generator=generator, dtype=torch.float64) - 1.3
    return grid, torch.cat([p, torch.full((1, dimensions), 0.5, dtype=torch.float64), p.sign()])


def interpolated(grid: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """(P, C), by our own functions."""
    dimensions = p.shape[1]
    starts = [5**axis * torch.arange(5, dtype=torch.int32) for axis in range(dimensions)]
    rows, weights = nodes_around(p.unbind(1), starts)
    assert rows.shape == weights.shape == (2**dimensions, len(p))
    return sum_of_rows(grid.flatten(2)[0].t().contiguous(), rows, weights)


def sampled(grid: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    places = p.view(1, -1, *[1] * (p.shape[1] - 1), p.shape[1])
    return F.grid_sample(grid, places, padding_mode="border", align_corners=True).flatten(2)[0].t()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("of_grid", [True, False])
@pytest.mark.parametrize("of_points", [True, False])
def test_values_and_gradients_are_those_of_grid_sample(dimensions: int, of_grid: bool, of_points: bool):
    grid, p = example(dimensions)
    weights = torch.randn(len(p), 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for function in (interpolated, sampled):
        inputs = grid.clone().requires_grad_(of_grid), p.clone().requires_grad_(of_points)
        found = function(*inputs)
        wanted = [x for x in inputs if x.requires_grad]
        gradients = torch.autograd.grad((found * weights).sum(), wanted) if wanted else []
        inside = (p.abs() < 1).all(dim=1)  # at the last node itself the slope is that of either side
        results.append([found.detach(), *(g[inside] if len(g) == len(p) else g for g in gradients)])
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-13)
        assert ours.abs().max() > 0.1


def test_far_outside_the_slope_is_zero():
    grid, p = example(2)
    p = (p + 3).requires_grad_()
    (slope,) = torch.autograd.grad(interpolated(grid, p).sum(), p)
    assert torch.equal(slope, torch.zeros_like(slope))


def test_gradients_of_both_inputs_by_finite_differences():
    grid, p = example(2)
    p = p[(p.abs() < 0.99).all(dim=1)][:5].requires_grad_()
    assert torch.autograd.gradcheck(interpolated, (grid.requires_grad_(), p), eps=1e-7)


def test_what_is_not_a_number_stays_so():
    grid, p = example(2)
    p[3] = torch.nan
    found = interpolated(grid, p)
    assert found[3].isnan().all()
    assert not found[:3].isnan().any()


@pytest.mark.parametrize("places", [1, 7])
def test_features_of_a_fixed_grid_and_their_gradient_are_those_of_grid_sample(places: int):
    generator = torch.Generator().manual_seed(0)
    grids = [torch.randn(1, c, r, r, r, generator=generator).double() for c, r in ((3, 5), (2, 8))]
    p = (2.4 * torch.rand(1, 50, 3, generator=generator) - 1.2).double()  # some beyond the border
    offsets = place_offsets(places).double()
    both = []
    for with_grids in (False, True):  # grids with a gradient take the other way, but for one place
        own = [grid.clone().requires_grad_(with_grids) for grid in grids]
        q = p.clone().requires_grad_()
        found = trilinear(own, q, offsets)
        (gradient,) = torch.autograd.grad(found.sin().sum(), q)
        both.append((found, gradient))
    for mine, other in zip(*both, strict=True):
        assert_close(mine, other, rtol=1e-10, atol=1e-12)
