"""The NDF whose features are at its input points: neighbours by brute force, symmetries, continuity, small clouds."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lab.small.network_weights import random_weights
from models.kernels import nearest, nearest_in, neighbours, rows
from models.kernels.neighbours import FAR
from models.occupancy import occupancy_and_offsets, to_grid_coords
from models.point_ndf import AROUND_QUERY, PointNDF, nearness, normals, points_of
from runtime.errors import UserError


def cloud(count: int, seed: int = 3) -> Tensor:
    """Points (1, count, 3) of a bent sheet, inside the box."""
    places = torch.rand(1, count, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    return torch.stack([0.8 * places[..., 0], places[..., 0] ** 2, 0.8 * places[..., 1]], dim=-1)


def network(**changes: object) -> PointNDF:
    return random_weights(PointNDF(**{"channels": (5, 7), "hidden_dim": 16, **changes}), 1).eval()


def queries(count: int) -> Tensor:
    return 0.9 * (torch.rand(1, count, 3, generator=torch.Generator().manual_seed(4)) - 0.5)


def distances(model: PointNDF, places: Tensor, points: Tensor) -> Tensor:
    return model.query(to_grid_coords(places), model.encode_points(points))


@pytest.mark.parametrize("count", [1, 5])
def test_the_nearest_points_are_those_of_brute_force_and_fillers_come_last(count: int):
    generator = torch.Generator().manual_seed(0)
    places, points = torch.rand(2, 11, 3, generator=generator), torch.rand(2, 7, 3, generator=generator)
    points[1, 3:] = FAR
    found = nearest(places, points, count)
    expected = torch.cdist(places, points).argsort(dim=-1)[..., :count]
    real = torch.gather(points[:, None, :, 0].expand(-1, 11, -1), 2, expected) < FAR
    assert torch.equal(found[real], expected[real])
    assert (points[1, found[1], 0] == FAR).sum() == 11 * max(0, count - 3)
    assert torch.equal(nearest_in(points[1], count)(places[1]), found[1])
    assert torch.equal(rows(points, found)[1, 2, 0], points[1, found[1, 2, 0]])


def test_all_distances_find_what_trees_find(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbours, "AT_A_TIME", 7)
    generator = torch.Generator().manual_seed(8)
    places, points = torch.rand(2, 20, 3, generator=generator), torch.rand(2, 30, 3, generator=generator)
    points[0, 25:] = FAR
    expected = nearest(places, points, 12)
    assert torch.equal(neighbours.by_all_distances(places, points, 12), expected)
    model, features = network(), network().encode_points(points - 0.5)
    found = model.raw_of(places - 0.5, neighbours.by_all_distances(places, points, 12), features)
    assert_close(found, model.raw(to_grid_coords(places - 0.5), features), atol=1e-5, rtol=1e-4)


def test_the_points_of_a_grid_with_offsets_are_those_that_it_was_made_of():
    points = torch.rand(2, 40, 3, generator=torch.Generator().manual_seed(5)) - 0.5
    points[1, 20:] = points[1, :20]  # fewer than of the first shape
    found = points_of(occupancy_and_offsets(points, 64, -0.5, 0.5))
    for some, one in zip(found, points, strict=True):
        real = some[some[:, 0] < FAR / 2]
        assert (real[:, None] - one).norm(dim=-1).amin(dim=1).max() < 1e-6
        assert len(real) == len(one.unique(dim=0))
    occupied = points_of((torch.rand(1, 5, 5, 5, generator=torch.Generator().manual_seed(6)) > 0.5).float())
    assert_close((occupied + 0.5) * 4, ((occupied + 0.5) * 4).round())


def test_normals_are_those_of_a_plane():
    offsets = torch.randn(1, 3, 9, 3, generator=torch.Generator().manual_seed(7))
    axis = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -0.5]), dim=0)
    offsets -= (offsets @ axis)[..., None] * axis
    assert_close((normals(offsets) @ axis).abs(), torch.ones(1, 3))


def test_a_scaled_or_moved_shape_has_scaled_and_moved_distances():
    model, points, places = network(), cloud(60), queries(50)
    expected = distances(model, places, points)
    assert expected.std() > 1e-3
    assert_close(distances(model, places + 0.05, points + 0.05), expected, atol=1e-5, rtol=1e-4)
    raw = model.raw(to_grid_coords(places), model.encode_points(points))  # the sheet's softplus is in mesh units
    smaller = model.raw(to_grid_coords(0.5 * places), model.encode_points(0.5 * points))
    assert_close(smaller, 0.5 * raw, atol=1e-5, rtol=1e-3)


def test_the_order_of_the_points_and_other_shapes_of_the_batch_do_not_matter():
    model, points, places = network(), cloud(60), queries(50)
    expected = distances(model, places, points)
    assert_close(distances(model, places, points.flip(1)), expected)
    filled = torch.cat([points[:, :40], torch.full((1, 20, 3), FAR)], dim=1)
    both = distances(model, places.expand(2, -1, -1), torch.cat([points, filled]))
    assert_close(both[0], expected[0])
    assert_close(both[1], distances(model, places, points[:, :40])[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 12, 13])
def test_a_few_points_suffice(count: int):
    points = cloud(count)
    filled = torch.cat([points, torch.full((1, max(0, 13 - count), 3), FAR)], dim=1)
    found = distances(network(), queries(50), filled)
    assert found.isfinite().all()
    assert found.max() < 10


def test_a_width_that_heads_cannot_share_is_told():
    with pytest.raises(UserError, match="hidden_dim 20 found, a multiple of 8 expected"):
        network(hidden_dim=20)


def test_lower_precision_changes_nothing():
    model, places = network(), to_grid_coords(queries(50))
    x = occupancy_and_offsets(cloud(60), 32, -0.5, 0.5)
    expected = model(places, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(places, x), expected)


def test_nothing_jumps_where_the_neighbours_change():
    model, points = network(), cloud(60)
    features = model.encode_points(points)
    start, end = torch.tensor([-0.4, 0.3, -0.3]), torch.tensor([0.4, 0.0, 0.35])
    line = (start + torch.linspace(0, 1, 4001)[:, None] * (end - start))[None]
    assert len(nearest(line, points, AROUND_QUERY).sort(dim=-1)[0][0].unique(dim=0)) > 20
    steps = model.query(to_grid_coords(line), features)[0].diff().abs()
    assert steps.max() < 20 * steps.mean() + 1e-5
    real = torch.tensor([True, True, True, False])[None, None, :, None]
    weights = nearness(torch.tensor([0.1, 0.2, 0.4, 0.0])[None, None, :, None], real)
    assert_close(weights.flatten(), torch.tensor([0.5625, 0.25, 0.0, 0.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("head", ["value", "sheet"])
def test_every_parameter_learns_and_directions_are_those_of_differences(head: str):
    model = network(distance_head=head).double().train()
    points, places = cloud(60).double(), queries(50).double()
    (distances(model, places, points) * torch.randn(1, 50, dtype=torch.float64)).sum().backward()
    assert [name for name, weight in model.named_parameters() if not weight.grad.abs().max() > 0] == []
    if head == "sheet":  # whose distances are float32
        return
    features = [part.detach() for part in model.encode_points(points)]
    at = places[0].clone().requires_grad_()
    fixed = model.fixed(features)
    (gradient,) = torch.autograd.grad(fixed(to_grid_coords(at)).sum(), at)
    step = torch.tensor([1e-6, 0.0, 0.0], dtype=torch.float64)
    slope = (fixed(to_grid_coords(places[0] + step)) - fixed(to_grid_coords(places[0] - step))) / 2e-6
    assert_close(slope.detach(), gradient[:, 0], atol=1e-4, rtol=1e-3)
    assert_close(fixed(to_grid_coords(places[0])), model.query(to_grid_coords(places), features)[0])
