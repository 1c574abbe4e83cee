"""Distance fields that give directions too, asked in parts as memory and caches want them."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from generation.surface_cells import Cells, cells_near_surface
from models.distance_network import DistanceNetwork
from models.occupancy import to_grid_coords
from runtime.memory import PartSize

# Points that a CPU is asked for at a time, for each thread: what a network makes of them stays in its caches. Of 2,048
# to 50,000, a point costs least here: the products of matrices a third less than of 50,000.
IN_CACHE = 8192
part_size = PartSize("points of num_sample_points_generation", least=64)  # of this run, which has one network and GPU

CELLS_AT_A_TIME = 50_000

Answer = TypeVar("Answer")


class DistanceField:
    """`field(points)`: distances (N,) and unit directions (N, 3) away from the surface, by autograd of `distance`."""

    device = torch.device("cpu")
    at_a_time: int | None = None  # points; default: all

    def distance(self, points: Tensor) -> Tensor:
        """points: (N, 3) mesh units. Returns (N,) mesh units; differentiable in the points."""
        raise NotImplementedError

    @cached_property
    def cells(self) -> Cells:
        """The first cells near the surface: what draws a code's seeds and what makes its cloud begin with the same."""
        return cells_near_surface(self.plain_distance, CELLS_AT_A_TIME, self.device)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        if not len(points):
            return points[:, 0], points
        distances, directions = zip(*self._in_parts(self._with_directions, points), strict=True)
        return torch.cat(distances), torch.cat(directions)

    def plain_distance(self, points: Tensor) -> Tensor:
        """`distance` without gradients, (N,), in as many parts as memory asks for."""
        if not len(points):
            return points[:, 0]
        with torch.no_grad():
            return torch.cat(self._in_parts(self.distance, points))

    def _in_parts(self, function: Callable[[Tensor], Answer], points: Tensor) -> list[Answer]:
        def some(start: int, end: int) -> list[Answer]:
            return [function(part) for part in points[start:end].split(self.at_a_time or max(1, end - start))]

        return [answer for answers in part_size.map(some, len(points)) for answer in answers]

    def _with_directions(self, points: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            distance = self.distance(points)
            (gradient,) = torch.autograd.grad(distance.sum(), points)
        # No gradient (where the field is clamped or flat): no direction, and the point stays put.
        return distance.detach(), torch.nn.functional.normalize(gradient, dim=1)


class NetworkField(DistanceField):
    """The distance field that a network decodes from one shape's features."""

    def __init__(self, model: DistanceNetwork, grids: list[Tensor]):
        """grids: the features of one shape, [(1, ...)]."""
        self.model, self.grids = model, grids
        self.device = grids[0].device
        self.on_cpu: Callable[[Tensor], Tensor] | None = None
        if self.device.type == "cpu":
            self.on_cpu = model.fixed(grids)
            self.at_a_time = IN_CACHE * torch.get_num_threads()

    def distance(self, points: Tensor) -> Tensor:
        if self.on_cpu is None:
            return self.model.query(to_grid_coords(points)[None], self.grids)[0]
        padded = torch.nn.functional.pad(points, (0, 0, 0, round_size(len(points)) - len(points)))
        return self.on_cpu(to_grid_coords(padded))[: len(points)]


def round_size(num: int) -> int:
    """The next of eight sizes an octave. oneDNN keeps what it prepares for each size of a product (1 MB and more), and
    nearly every call has a size of its own: 10 million points would take gigabytes."""
    step = 1 << max(0, num.bit_length() - 4)
    return -(-num // step) * step
