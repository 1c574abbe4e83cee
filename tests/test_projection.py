"""Projection onto surfaces whose distance is known: a sphere, and an open half-sphere."""

import pytest
import torch
from facts import naming
from torch import Tensor

from generation.projection import NetworkField, cells_near_surface, dense_point_cloud, project, round_size
from lab.small.known_shapes import FunctionField, box, half_sphere, sphere
from lab.small.network_weights import random_weights
from models.ndf import NDF
from models.occupancy import to_grid_coords
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
    assert surface(cloud).max() < 0.001
    upper = cloud[cloud[:, 1] > 0.02]  # away from the rim, where the band around an open edge is thicker
    height = upper[:, 1] / RADIUS  # uniform on a sphere (Archimedes)
    counts = torch.histc(height, bins=8, min=0.02 / RADIUS, max=1.0)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()
    if surface is HALF_SPHERE:
        assert cloud[:, 1].min() > -0.001  # open: nothing below


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


def test_cells_near_surface_hold_all_of_it():
    centres, side = cells_near_surface(SPHERE, chunk=10_000, device=torch.device("cpu"))
    on_surface = torch.nn.functional.normalize(seeds(1000), dim=1) * RADIUS
    nearest = torch.cdist(on_surface, centres, p=float("inf")).min(dim=1).values
    assert nearest.max() <= side / 2 + 1e-6
    assert len(centres) < 0.2 * 48**3
    # Just as if the whole fine lattice had been looked at.
    axis = (torch.arange(48) + 0.5) * side - 24 * side
    lattice = torch.cartesian_prod(axis, axis, axis)
    assert len(centres) == (SPHERE(lattice) < 1.5 * side * 3**0.5 / 2).sum()


def test_field_without_surface_is_an_error():
    field = FunctionField(lambda points: points.norm(dim=1) + 1)
    with pytest.raises(UserError, match=naming("0 10 NDF")):
        dense_point_cloud(field, 10, torch.Generator())


@pytest.mark.parametrize("threads", [1, 3])
def test_network_field_gives_distance_and_mesh_direction(threads: int):
    """Against finite differences in mesh units, however the points are spread over the batch."""
    model = random_weights(NDF((5, 7), hidden_dim=16).double(), seed=2).requires_grad_(False)
    x = (torch.rand(1, 9, 9, 9, generator=torch.Generator().manual_seed(3)) > 0.5).double()
    field = NetworkField(model, model.features(model.encode(x)))
    field.slices = threads
    points = seeds(101).double() * 0.9
    distance, direction = field(points)
    plain = model(to_grid_coords(points[None]), x)[0]
    torch.testing.assert_close(distance, plain)
    step = 1e-6
    numeric = torch.stack(
        [(field.distance(points + s) - field.distance(points - s)) / (2 * step) for s in step * torch.eye(3).double()],
        dim=1,
    )
    alive = (plain > 0.01) & (numeric.norm(dim=1) > 1e-3)
    assert alive.sum() > 30
    agreement = (torch.nn.functional.normalize(numeric, dim=1) * direction).sum(dim=1)[alive]
    assert agreement.quantile(0.05) > 0.9999  # a few lie across a kink of a ReLU or of the interpolation


def test_small_chunks_give_as_many_points():
    cloud = dense_point_cloud(FunctionField(SPHERE), 3000, torch.Generator().manual_seed(2), chunk=31)
    assert cloud.shape == (3000, 3)


def test_few_seeds_are_wasted_and_the_last_look_needs_no_gradient():
    """Points asked of the field, with and without a gradient, after the lattice."""
    asked: list[tuple[int, bool]] = []

    class Counting(FunctionField):
        def distance(self, points: Tensor) -> Tensor:
            asked.append((len(points), points.requires_grad))
            return super().distance(points)

    field = Counting(lambda points: SPHERE(points) + 0.003)  # never near 0, as a trained softplus
    assert len(dense_point_cloud(field, 2000, torch.Generator().manual_seed(1), num_steps=4)) == 2000
    (look, first), *steps, (last, gradient) = asked[2:]  # after the lattice's two
    assert not first and not gradient and last < 1.1 * 2000
    assert steps == [(last, True)] * 4
    assert look < 6 * 2000
    half = Counting(lambda points: SPHERE(points) + 0.02 * (points[:, 0] > 0))  # half of the surface is not kept
    asked.clear()
    cloud = dense_point_cloud(half, 2000, torch.Generator().manual_seed(1), num_steps=1)
    assert (cloud[:, 0] <= 1e-6).all()
    rounds = [count for count, gradient in asked if gradient]
    assert len(rounds) <= 3 and sum(rounds) < 1.2 * 4000


def test_sizes_of_queries_are_few_and_hardly_larger():
    sizes = [round_size(num) for num in range(1, 5000)]
    assert all(num <= size <= num * 9 / 8 for num, size in enumerate(sizes, 1))
    assert len({size for size in sizes if 512 < size <= 1024}) == 8
    assert sizes[:15] == list(range(1, 16))
