"""Points on a surface that share a direction: one point, found by the field's gradient, gives its neighbours theirs.

A gradient costs as much as two or three distances. Where a sheet is smooth it hardly turns within `RADIUS`, so that one
serves several points: a neighbour starts `LEVEL` above the sheet, beside the first point, and moves down by its
distance there. From above, the side of the sheet is known, and a decoder's field is straight; at its bottom, which is
never 0, gradients are noise. How much the distance is off at this height is what it is at the first point, looked at
from both sides. A neighbour whose distance is another one than that of a plane (at creases and borders, or where
another sheet is near) gets a direction of its own.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from generation.distance_fields import DistanceField

LEVEL = 0.003  # mesh units: about half of the least gap between two sheets that a decoder tells apart
RADIUS = 0.0075  # mesh units: neighbours are no farther from the first point
MOST = 8  # points with one direction
# A disc of neighbours has this radius in discs of as much area as there is for them: nine of them overlap everywhere.
# Where only three did (1.75), points lay in clumps, and pictures of 100,000 points showed pinholes.
SPREAD = 3.0
# LEVELs: how far the distance may be from a plane's. At a first point it is averaged over both sides, so a direction
# within 45 degrees still leads to the middle; with 0.15 a third of the points asked for another one in vain.
FIRST_OFF, OFF = 0.3, 0.2
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Sharing(NamedTuple):
    """How many points share a direction, and the radius of the disc that they are spread on, mesh units."""

    number: int
    radius: float


class Level(NamedTuple):
    """Points on the surface (N, 3); a bound of their distances (N,), mesh units; unit directions (N, 3) off the sheet;
    how much more the field says at `LEVEL` above the surface than `LEVEL`, (N,) mesh units."""

    points: Tensor
    most: Tensor
    directions: Tensor
    excess: Tensor


def sharing(num_points: int, area: float) -> Sharing:
    """So many share a direction that the discs are no larger than `RADIUS` while neighbouring discs overlap."""
    of_each = math.pi * (RADIUS / SPREAD) ** 2
    count = max(1, min(MOST, int(num_points * of_each / max(area, 1e-9))))
    return Sharing(count, SPREAD * math.sqrt(count * area / num_points / math.pi))


def levelled(field: DistanceField, points: Tensor, directions: Tensor) -> Level:
    """Points (N, 3) near the surface, in the middle between both sides of the sheet, by directions (N, 3) off it.

    Where these are not the sheet's, the field's are taken, from above.
    """
    offset = LEVEL * directions
    above, below = field.plain_distance(torch.cat([points + offset, points - offset])).chunk(2)
    excess, move = (above + below) / 2 - LEVEL, (above - below) / 2
    usual = excess.median()
    off = ((excess - usual).abs() > FIRST_OFF * LEVEL) | (move.abs() > LEVEL)
    found = Level(points - move[:, None] * directions, excess + 2 * LEVEL, directions, torch.where(off, usual, excess))
    return _by_gradient(field, found, off, points + offset)


def neighbours(field: DistanceField, first: Level, share: Sharing, generator: torch.Generator) -> Level:
    """The other points with the directions of first ones (N, 3), on discs around these: ((number - 1) N, 3).

    The discs are turned at random: drawn by `generator`, on the CPU.
    """
    others = share.number - 1
    turn = (2 * math.pi * torch.rand(len(first.points), 1, generator=generator)).to(first.points)
    place = torch.arange(1, share.number).to(first.points)
    angle, radius = turn + GOLDEN_ANGLE * place, share.radius * ((place + 0.5) / share.number).sqrt()
    one, other = tangents(first.directions)
    beside = (radius * angle.cos())[..., None] * one[:, None] + (radius * angle.sin())[..., None] * other[:, None]
    directions, excess = (part.repeat_interleave(others, dim=0) for part in (first.directions, first.excess))
    start = (first.points[:, None] + beside).flatten(0, 1) + LEVEL * directions
    distance = field.plain_distance(start)
    height = distance - excess
    found = Level(start - height[:, None] * directions, distance + height.abs(), directions, excess)
    return _by_gradient(field, found, (height - LEVEL).abs() > OFF * LEVEL, start)


def tangents(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors (N, 3) each, at right angles to unit directions (N, 3) and to each other."""
    axis = torch.nn.functional.one_hot(directions.abs().argmin(dim=1), 3).to(directions)
    one = torch.nn.functional.normalize(torch.linalg.cross(directions, axis), dim=1)
    return one, torch.linalg.cross(directions, one)


def _by_gradient(field: DistanceField, found: Level, off: Tensor, start: Tensor) -> Level:
    """The same, but those that are `off` (N,) by a step of the field's own, from `start` (N, 3); a second one for the
    few that are not there then."""
    if not off.any():
        return found
    distance, direction = field(start[off])
    way = (distance - found.excess[off]).clamp(min=0)
    points, most, directions, excess = (part.clone() for part in found)
    points[off], directions[off] = start[off] - way[:, None] * direction, direction
    most[off] = field.plain_distance(points[off])
    far = (off & (most > LEVEL)).nonzero()[:, 0]
    if len(far):
        distance, direction = field(points[far])
        points[far] -= distance[:, None] * direction
        most[far] = 2 * distance
    return Level(points, most, directions, excess)
