"""The loop by which NDF makes dense clouds, rebuilt from its description (Chibane et al. 2020, sec. 3.4, Algorithm 1).

Seeds in a box three times as wide as the shape move by their distance against the gradient, seven times; those that end
near the surface are kept, drawn again with normal noise and moved again, round after round until there are enough. The
network is called as the product calls it, on all threads, and points move in mesh units: to the loop's best use.
"""

from collections.abc import Callable

import torch
from torch import Tensor

MOST_DISTANCE = 0.1  # at which NDF clamps; beyond, no gradient
NEAR = 0.03  # mesh units: from here points are drawn again
NOISE = MOST_DISTANCE / 3  # sd of their noise

Field = Callable[[Tensor], tuple[Tensor, Tensor]]  # points (N, 3) -> distances (N,), unit directions (N, 3)


def dense_cloud(
    field: Field, num_points: int, seeds: int, generator: torch.Generator, steps: int = 7, filter_val: float = 0.009
) -> tuple[Tensor, int]:
    """Returns points (num_points, 3), and how many points were moved in all, once for each step."""
    points = 3 * (torch.rand(seeds, 3, generator=generator) - 0.5)
    found: list[Tensor] = []
    moved, rounds = 0, 0
    while sum(map(len, found)) < num_points:
        for _ in range(steps):
            distance, direction = field(points)
            points = points - (distance * (distance < MOST_DISTANCE))[:, None] * direction
        moved += steps * len(points)
        if rounds:  # the points of the first round are far apart, and few
            found.append(points[distance < filter_val])
        near = points[distance < NEAR]
        if not len(near) or rounds > 100:
            raise RuntimeError("the field has no surface that the loop finds")
        again = torch.randint(len(near), (seeds,), generator=generator)
        points = near[again] + NOISE * torch.randn(seeds, 3, generator=generator)
        rounds += 1
    return torch.cat(found)[:num_points], moved
