"""From a distance field to a dense point cloud on its zero level set (NDF, sec. 3.4, Algorithm 1).

A point moves by its predicted distance against the gradient, in mesh units: p <- p - udf(p) grad / |grad|. NDF draws
seeds in a box three times too wide and keeps 7 % of them; a distance field is 1-Lipschitz, so its values on a coarse
lattice bound where the surface can be, and seeds are drawn only there.

Only seeds in a thin slab around the surface are projected: the slab has uniform thickness, so the points have uniform
density. Seeds from whole cells do not, since nearby sheets share cells: the local number of points on demo cars did not
follow the true area (correlation 0.05; with the slab 0.40; a second true cloud 0.6).

From this close, 2 steps suffice where NDF takes 7: squared distance to the true surface of demo cars x1e4 0.32, 0.30,
0.29, 0.28 after 1, 2, 3, 5 steps, but from it to the points 0.41, 0.45, 0.49, 0.55: steps also slide points along it.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.ndf import NDF
from models.occupancy import to_grid_coords
from runtime.errors import UserError
from runtime.memory import PartSize

HALF_EXTENT = 0.55  # meshes lie in [-0.5, 0.5]^3; predicted surfaces may protrude a little
LATTICE = 48  # cells per axis of the coarse lattice, an even number
SLAB = 0.01  # mesh units; seeds farther than this from the surface are not projected
USUAL_SHARE = 0.25  # expected share of seeds that lie in the slab and end on the surface
LEAST_SHARE = 0.01  # the least share that is planned for
part_size = PartSize("points of num_sample_points_generation", least=64)  # of this run, which has one network and GPU


class DistanceField:
    """`field(points)`: distances (N,) and unit directions (N, 3) away from the surface, by autograd of `distance`."""

    device = torch.device("cpu")

    def distance(self, points: Tensor) -> Tensor:
        """points: (N, 3) mesh units. Returns (N,) mesh units; differentiable in the points."""
        raise NotImplementedError

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        parts = part_size.map(lambda start, end: self._with_directions(points[start:end]), len(points))
        distances, directions = zip(*parts, strict=True)
        return torch.cat(distances), torch.cat(directions)

    def plain_distance(self, points: Tensor) -> Tensor:
        """`distance` without gradients, (N,), in as many parts as memory asks for."""
        with torch.no_grad():
            return torch.cat(part_size.map(lambda start, end: self.distance(points[start:end]), len(points)))

    def _with_directions(self, points: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            distance = self.distance(points)
            (gradient,) = torch.autograd.grad(distance.sum(), points)
        # No gradient (where the field is clamped or flat): no direction, and the point stays put.
        return distance.detach(), torch.nn.functional.normalize(gradient, dim=1)


class NetworkField(DistanceField):
    """The distance field that a network decodes from one shape's feature grids."""

    def __init__(self, model: NDF, grids: list[Tensor]):
        """grids: the feature grids and planes of one shape, [(1, ...)]."""
        self.model = model
        self.device = grids[0].device
        if self.device.type == "cpu":  # as a look-up wants them, once for all calls
            grids = model.channels_last(grids)
        self.grids = grids
        # 5-D grid_sample uses one thread per batch entry: spread the points over as many entries as threads.
        self.slices = torch.get_num_threads() if self.device.type == "cpu" else 1

    def distance(self, points: Tensor) -> Tensor:
        per_slice = -(-len(points) // self.slices)
        if self.device.type == "cpu":
            per_slice = round_size(per_slice)
        padded = torch.nn.functional.pad(points, (0, 0, 0, per_slice * self.slices - len(points)))
        grids = [grid.expand(self.slices, *grid.shape[1:]) for grid in self.grids]
        return self.model.query(to_grid_coords(padded.view(self.slices, per_slice, 3)), grids).flatten()[: len(points)]


def round_size(num: int) -> int:
    """The next of eight sizes an octave. oneDNN keeps what it prepares for each size of a product (1 MB and more), and
    nearly every call has a size of its own: 10 million points would take gigabytes."""
    step = 1 << max(0, num.bit_length() - 4)
    return -(-num // step) * step


def project(field: DistanceField, points: Tensor, num_steps: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Move points to the zero level set in at most `num_steps` steps; those closer than `tolerance` stop.

    points: (N, 3) mesh units. Returns the moved points (N, 3) and their last known distances (N,), mesh units.
    """
    points = points.clone()
    distances = torch.full_like(points[:, 0], torch.inf)
    active = torch.arange(len(points), device=points.device)
    for _ in range(num_steps):
        distance, direction = field(points[active])
        distances[active] = distance
        moving = distance > tolerance
        active = active[moving]
        if not len(active):
            return points, distances
        points[active] -= distance[moving, None] * direction[moving]
    distances[active] = field.plain_distance(points[active])
    return points, distances


@torch.no_grad()
def cells_near_surface(
    distance: Callable[[Tensor], Tensor], chunk: int, device: torch.device, fine: bool = True
) -> tuple[Tensor, float]:
    """Centres of the lattice cells that can contain surface: distance at the centre below half the diagonal.

    Returns centres (M, 3) mesh units and the cell's side. 1.5 half diagonals are allowed, since a network's field is
    only approximately 1-Lipschitz. Cells twice as wide are tested first: most are empty and need no subdivision. Not
    fine: these are returned, which is cheaper if only a few thousand seeds are drawn in them.
    """
    side = 4 * HALF_EXTENT / LATTICE
    axis = (torch.arange(LATTICE // 2, device=device) + 0.5) * side - HALF_EXTENT
    centres = near_surface(distance, torch.cartesian_prod(axis, axis, axis), side, chunk)
    if not fine or not len(centres):
        return centres, side
    return near_surface(distance, subdivided(centres, side), side / 2, chunk), side / 2


def subdivided(centres: Tensor, side: float) -> Tensor:
    """The centres (8 M, 3) of the eighths of cells (M, 3)."""
    corner = torch.tensor([-side / 4, side / 4], device=centres.device)
    return (centres[:, None] + torch.cartesian_prod(corner, corner, corner)).flatten(0, 1)


def near_surface(distance: Callable[[Tensor], Tensor], centres: Tensor, side: float, chunk: int) -> Tensor:
    """The centres, out of (M, 3), whose cells can contain surface."""
    values = [distance(part) for part in centres.split(chunk)]
    return centres[torch.cat(values) < 1.5 * side * 3**0.5 / 2]


def dense_point_cloud(
    field: DistanceField,
    num_points: int,
    generator: torch.Generator,
    num_steps: int = 2,
    filter_val: float = 0.009,
    chunk: int = 50_000,
    fine: bool = True,
) -> Tensor:
    """Points on the zero level set of a field with uniform density: seeds from a slab around it, projected.

    A projected seed is kept if its distance is below filter_val; the slab is SLAB or filter_val thick, if that is more.

    generator: a CPU generator, so that a seed gives the same cloud on every device. chunk: points projected at a time,
    in parts if memory does not suffice for them; the cloud is the same. fine: as in `cells_near_surface`; another draw
    from the same surface.
    Returns (num_points, 3) float32 on the field's device, mesh units.
    Raises UserError if the field has no zero level set in the box.
    """
    return torch.cat(list(cloud_parts(field, num_points, generator, num_steps, filter_val, chunk, fine)))


def cloud_parts(
    field: DistanceField,
    num_points: int,
    generator: torch.Generator,
    num_steps: int = 2,
    filter_val: float = 0.009,
    chunk: int = 50_000,
    fine: bool = True,
) -> Iterator[Tensor]:
    """`dense_point_cloud` in parts (N, 3) of at most `chunk` points, as they are made: for clouds of any size."""
    device = field.device
    centres, side = cells_near_surface(field.plain_distance, chunk, device, fine)
    count, tried = 0, 0
    while len(centres) and tried < num_points / LEAST_SHARE + chunk:
        share = max(count / tried, LEAST_SHARE) if tried else USUAL_SHARE  # of the seeds kept so far
        num_seeds = min(chunk, int(1.05 * (num_points - count) / share) + 64)
        tried += num_seeds
        cell = torch.randint(len(centres), (num_seeds,), generator=generator).to(device)
        jitter = (torch.rand(num_seeds, 3, generator=generator) - 0.5).to(device)
        seeds = centres[cell] + side * jitter
        seeds = seeds[field.plain_distance(seeds) < max(SLAB, filter_val)]
        if not len(seeds):
            continue
        points, distances = project(field, seeds, num_steps, tolerance=filter_val / 20)
        points = points[(distances < filter_val) & (points.abs() < HALF_EXTENT).all(dim=1)]
        if len(points):
            yield points[: num_points - count]
        count += len(points)
        if count >= num_points:
            return
    raise UserError(
        f"the decoder found {count} of {num_points} surface points for a shape;"
        " train the NDF longer, or raise --filter_val"
    )
