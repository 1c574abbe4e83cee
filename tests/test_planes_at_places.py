"""Planes and grids at fixed places: what the whole planes and grids give there, with the same gradients."""

import pytest
import torch
from torch.testing import assert_close

from models.feature_planes import VIEWS, QuadtreePlanes
from models.kernels import bilinear, trilinear
from models.planes_at_places import GridsAtPlaces, PlanesAtPlaces


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def places(num: int) -> torch.Tensor:
    """(num, 3), some outside of the grid, two the same."""
    p = 2.4 * torch.rand(num, 3, generator=seeded()) - 1.2
    return torch.cat([p[:-1], p[:1]])


@pytest.mark.parametrize(("resolution", "channels"), [([4], [3]), ([2, 4], [3, 5]), ([4, 8, 16, 32], [6, 5, 4, 2])])
@pytest.mark.parametrize("num", [1, 2, 40])
def test_planes_at_places_are_the_look_up_in_whole_planes(resolution: list[int], channels: list[int], num: int):
    torch.manual_seed(0)
    planes, p = QuadtreePlanes(7, resolution, channels), places(num)
    numbers = torch.randn(3, 7, generator=seeded()).requires_grad_()
    expected = bilinear(planes(numbers), p.expand(3, -1, -1), VIEWS)
    found = PlanesAtPlaces(planes, p)(numbers).transpose(0, 1)
    assert_close(found, expected, rtol=1e-5, atol=1e-6)
    pull = torch.randn(expected.shape, generator=seeded())
    gradients = [torch.autograd.grad((values * pull).sum(), numbers)[0] for values in (expected, found)]
    assert gradients[0].abs().max() > 0.01
    assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


def test_far_fewer_nodes_are_made_than_there_are():
    torch.manual_seed(0)
    levels = PlanesAtPlaces(QuadtreePlanes(7, [16, 32, 64, 128], [2, 2, 2, 2]), places(30)).levels
    assert len(levels[-1].parents) < 0.05 * 3 * 128**2


def test_grids_at_places_are_the_look_up_in_grids():
    grids = [torch.randn(3, 5, size, size, size, generator=seeded()).requires_grad_() for size in (2, 4)]
    p = places(40)
    at_places = GridsAtPlaces(p)
    expected = trilinear(grids, p.expand(3, -1, -1), torch.zeros(1, 3))
    for _ in range(2):  # the second time from what is kept
        assert_close(at_places(grids).transpose(0, 1), expected, rtol=1e-5, atol=1e-6)
    pull = torch.randn(expected.shape, generator=seeded())
    ours = torch.autograd.grad((at_places(grids).transpose(0, 1) * pull).sum(), grids)
    for mine, true in zip(ours, torch.autograd.grad((expected * pull).sum(), grids), strict=True):
        assert_close(mine, true, rtol=1e-4, atol=1e-5)
