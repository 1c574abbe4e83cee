"""From a distance field to a dense point cloud on its zero level set (NDF, sec. 3.4, Algorithm 1).

A point moves by its predicted distance against the gradient, in mesh units: p <- p - udf(p) grad / |grad|. NDF draws
seeds in a box three times too wide and keeps 7 % of them; here they are drawn only where the surface can be
(`surface_cells`).

Only seeds in a thin slab around the surface are projected: the slab has uniform thickness, so the points have uniform
density. Seeds from whole cells do not, since nearby sheets share cells: the local number of points on demo cars did not
follow the true area (correlation 0.05; with the slab 0.40; a second true cloud 0.6).

From this close, 2 steps suffice where NDF takes 7: squared distance to the true surface of demo cars x1e4 0.32, 0.30,
0.29, 0.28 after 1, 2, 3, 5 steps, but from it to the points 0.41, 0.45, 0.49, 0.55: steps also slide points along it.
The last step does not slide: it goes along the first one's direction, which in dense clouds several points share
(`level_points`).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from generation.distance_fields import DistanceField
from generation.level_points import Sharing, levelled, neighbours, sharing
from generation.surface_cells import HALF_EXTENT, Cells
from runtime.errors import UserError

SLAB = 0.01  # mesh units; seeds farther than this from the surface are not projected
USUAL_SHARE = 0.25  # expected share of seeds that lie in the slab and end on the surface
LEAST_SHARE = 0.01  # the least share that is planned for
WORTH = 8  # seeds in the slab, for each cell, from which on smaller cells save more tests than they cost
# A fact of every cloud: clouds of another way are made again.
FOUND_BY = {"points_found_by": "shared directions within 45 degrees"}


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


def dense_point_cloud(
    field: DistanceField,
    num_points: int,
    generator: torch.Generator,
    num_steps: int = 2,
    filter_val: float = 0.009,
    chunk: int = 50_000,
) -> Tensor:
    """Points on the zero level set of a field with uniform density: seeds from a slab around it, projected.

    A projected seed is kept if its distance is below filter_val; the slab is SLAB or filter_val thick, if that is more.
    The last of num_steps, if there are several, is that of `level_points`.

    generator: a CPU generator, so that a seed gives the same cloud on every device. chunk: points projected at a time,
    in parts if memory does not suffice for them; the cloud is the same.
    Returns (num_points, 3) float32 on the field's device, mesh units, each part of the cloud in random order.
    Raises UserError if the field has no zero level set in the box.
    """
    return torch.cat(list(cloud_parts(field, num_points, generator, num_steps, filter_val, chunk)))


def cloud_parts(
    field: DistanceField,
    num_points: int,
    generator: torch.Generator,
    num_steps: int = 2,
    filter_val: float = 0.009,
    chunk: int = 50_000,
) -> Iterator[Tensor]:
    """`dense_point_cloud` in parts (N, 3) of at most `chunk` points, as they are made: for clouds of any size."""
    slab = max(SLAB, filter_val)
    cells = field.cells
    while True:
        share = sharing(num_points, cells.area()) if num_steps > 1 else Sharing(1, 0.0)
        if num_points <= WORTH * share.number * len(cells.centres) or cells.side <= slab or not len(cells.centres):
            break
        cells = cells.halved(field.plain_distance, chunk)
    count, tried = 0, 0
    while len(cells.centres) and tried < num_points / LEAST_SHARE + chunk:
        kept = max(count / tried, LEAST_SHARE) if tried else USUAL_SHARE * share.number  # points of a seed so far
        num_seeds = min(max(1, chunk // share.number), int(1.05 * (num_points - count) / kept) + 64)
        tried += num_seeds
        seeds = seeds_in_slab(field, cells, num_seeds, slab, generator)
        if not len(seeds):
            continue
        points = settled(field, seeds, num_steps, filter_val, share, generator)
        if len(points):
            yield points[: num_points - count]
        count += len(points)
        if count >= num_points:
            return
    raise UserError(
        f"the decoder found {count} of {num_points} surface points for a shape;"
        " train the NDF longer, or raise --filter_val"
    )


def seeds_in_slab(
    field: DistanceField, cells: Cells, num_seeds: int, slab: float, generator: torch.Generator
) -> Tensor:
    """Of so many places, drawn evenly in the cells, those closer than `slab` to the surface, (N, 3) mesh units.

    Every cell gets as many places as the others, but for one.
    """
    first = torch.rand(1, generator=generator, dtype=torch.float64)
    place = (torch.arange(num_seeds, dtype=torch.float64) + first) * (len(cells.centres) / num_seeds)
    cell = place.long().clamp(max=len(cells.centres) - 1).to(field.device)
    offset = cells.side * (torch.rand(num_seeds, 3, generator=generator) - 0.5).to(field.device)
    may = cells.may_hold(cell, offset, slab)
    seeds = (cells.centres[cell] + offset)[may]
    return seeds[field.plain_distance(seeds) < slab]


def settled(
    field: DistanceField, seeds: Tensor, num_steps: int, filter_val: float, share: Sharing, generator: torch.Generator
) -> Tensor:
    """Seeds (N, 3) moved to the surface, with all that share their directions: (M, 3) in random order.

    M is about N times share.number. Left out: what is not closer than filter_val, or is outside of the box.
    """
    tolerance = filter_val / 20
    if num_steps == 1:
        points, most = project(field, seeds, 1, tolerance)
        keep = most < filter_val
    else:
        distance, directions = field(seeds)
        moving = directions.any(dim=1)  # a flat field gives none
        if not moving.any():
            return seeds[:0]
        points, directions = (seeds - distance[:, None] * directions)[moving], directions[moving]
        if num_steps > 2:
            points, _ = project(field, points, num_steps - 2, tolerance)
        levels = [levelled(field, points, directions)]
        if share.number > 1:
            levels.append(neighbours(field, levels[0], share, generator))
        points, most = (torch.cat(part) for part in zip(*(level[:2] for level in levels), strict=True))
        keep = most < filter_val  # the field is at most so much there
        if not keep.all():
            keep[~keep] = field.plain_distance(points[~keep]) < filter_val
    points = points[keep & (points.abs() < HALF_EXTENT).all(dim=1)]
    return points[torch.randperm(len(points), generator=generator).to(points.device)]
