"""The loop by which NDF makes dense clouds, rebuilt from its description (Chibane et al. 2020, sec. 3.4, Algorithm 1).

Seeds in a box three times as wide as the shape move by their distance against the gradient, seven times; those that end
near the surface are kept, drawn again with normal noise and moved again, round after round until there are enough. The
network is called as the product calls it, on all threads, and points move in mesh units: to the loop's best use.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MOST_DISTANCE = 0.1  # at which NDF clamps; beyond, no gradient
NEAR = 0.03  # mesh units: from here points are drawn again
NOISE = MOST_DISTANCE / 3  # sd of their noise

Field = Callable[[Tensor], tuple[Tensor, Tensor]]  # points (N, 3) -> distances (N,), unit directions (N, 3)


class Loop(NamedTuple):
    """points (N, 3); how many rounds it took, the first of which gives none, and how many points they gave in all."""

    points: Tensor
    rounds: int
    kept: int

    def rounds_for(self, num_points: int) -> int:
        """How many rounds so many points take, each giving as many as these did."""
        return 1 + math.ceil(num_points * (self.rounds - 1) / self.kept)


def dense_cloud(
    field: Field, num_points: int, seeds: int, generator: torch.Generator, steps: int = 7, filter_val: float = 0.009
) -> Loop:
    """`num_points` points of a field, from so many seeds in each round. Raises RuntimeError if there is no surface."""
    points = 3 * (torch.rand(seeds, 3, generator=generator) - 0.5)
    found: list[Tensor] = []
    rounds = 0
    while sum(map(len, found)) < num_points:
        for _ in range(steps):
            distance, direction = field(points)
            points = points - (distance * (distance < MOST_DISTANCE))[:, None] * direction
        if rounds:  # the points of the first round are far apart, and few
            found.append(points[distance < filter_val])
        near = points[distance < NEAR]
        if not len(near) or rounds > 100:
            raise RuntimeError("the field has no surface that the loop finds")
        again = torch.randint(len(near), (seeds,), generator=generator)
        points = near[again] + NOISE * torch.randn(seeds, 3, generator=generator)
        rounds += 1
    every = torch.cat(found)
    return Loop(every[:num_points], rounds, len(every))
