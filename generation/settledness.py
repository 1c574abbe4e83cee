"""How much of a decoded surface is torn: seeds that roll down the field and do not reach 0.

The valleys of a distance field lie on the surface, so they are 0 all along. A network's field of a code between two
kinds of car has valleys that stay above 0: a roof half there, which a cloud or a mesh shows as ragged holes. Clouds
hide this, since only points that reach 0 are kept, and so do distances between clouds.
"""

import torch

from generation.distance_fields import DistanceField
from generation.surface_cells import HALF_EXTENT

NEAR = 0.02  # mesh units: seeds start closer than this to the surface, by the field
SETTLED = 0.005  # mesh units: a seed whose least distance is more has found no surface
WHOLE = 0.001  # a shape with no larger share of unsettled surface is called whole; the mean of the test cars is 0.0008
NUM_SEEDS = 2048  # per shape; a share of 1 % has a standard error of 0.2 %
NUM_STEPS = 8  # of a seed; fewer leave it on its way: 4 on demo cars find twice the share that 8 find
MOST_ROUNDS = 64  # of drawing seeds, for fields with hardly any surface


@torch.no_grad()
def unsettled_share(field: DistanceField, generator: torch.Generator, num_seeds: int = NUM_SEEDS) -> float:
    """The share of seeds, in [0, 1], drawn evenly within `NEAR` of the surface, that end above `SETTLED`.

    Each moves `NUM_STEPS` times by its distance, against the gradient; its least distance on the way counts, so one
    that has come below stays where it is. 1 for a field without surface. generator: a CPU generator, which draws the
    seeds.
    """
    seeds = points = seeds_near_surface(field, generator, num_seeds)
    if not len(seeds):
        return 1.0
    for _ in range(NUM_STEPS):
        if not len(points):
            return 0.0
        distance, direction = field(points)
        above = distance > SETTLED
        points = points[above] - distance[above, None] * direction[above]
        points = points.clamp(-HALF_EXTENT, HALF_EXTENT)
    return (field.plain_distance(points) > SETTLED).sum().item() / len(seeds) if len(points) else 0.0


def seeds_near_surface(field: DistanceField, generator: torch.Generator, num_seeds: int) -> torch.Tensor:
    """(num_seeds, 3) mesh units, uniform where the field is below `NEAR`; fewer where there is hardly any surface."""
    centres, side = field.cells.centres, field.cells.side
    found: list[torch.Tensor] = [torch.zeros(0, 3, device=field.device)]
    count = 0
    for _ in range(MOST_ROUNDS if len(centres) else 0):
        cell = torch.randint(len(centres), (4 * num_seeds,), generator=generator).to(field.device)
        jitter = (torch.rand(4 * num_seeds, 3, generator=generator) - 0.5).to(field.device)
        for part in (centres[cell] + side * jitter).split(num_seeds):  # often the first of them suffice
            found.append(part[field.plain_distance(part) < NEAR])
            count += len(found[-1])
            if count >= num_seeds:
                return torch.cat(found)[:num_seeds]
    return torch.cat(found)
