"""A network's field against finite differences, in whatever parts it is asked."""

import torch

from generation.distance_fields import NetworkField, round_size
from lab.small.network_weights import random_weights
from models.ndf import NDF
from models.occupancy import to_grid_coords


def seeds(count: int) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(5)) - 0.5


def test_network_field_gives_distance_and_mesh_direction():
    """Against finite differences in mesh units."""
    model = random_weights(NDF((5, 7), hidden_dim=16).double(), seed=2).requires_grad_(False)
    x = (torch.rand(1, 9, 9, 9, generator=torch.Generator().manual_seed(3)) > 0.5).double()
    field = NetworkField(model, model.features(model.encode(x)))
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


def test_parts_that_fit_in_caches_change_nothing():
    model = random_weights(NDF((5, 7), hidden_dim=16).double(), seed=2).requires_grad_(False)
    x = (torch.rand(1, 9, 9, 9, generator=torch.Generator().manual_seed(3)) > 0.5).double()
    field, parts = (NetworkField(model, model.features(model.encode(x))) for _ in range(2))
    parts.at_a_time = 13
    points = seeds(101).double()
    torch.testing.assert_close(parts.plain_distance(points), field.plain_distance(points))
    for one, other in zip(parts(points), field(points), strict=True):
        torch.testing.assert_close(one, other)
    assert parts.plain_distance(points[:0]).shape == (0,)


def test_sizes_of_queries_are_few_and_hardly_larger():
    sizes = [round_size(num) for num in range(1, 5000)]
    assert all(num <= size <= num * 9 / 8 for num, size in enumerate(sizes, 1))
    assert len({size for size in sizes if 512 < size <= 1024}) == 8
    assert sizes[:15] == list(range(1, 16))
