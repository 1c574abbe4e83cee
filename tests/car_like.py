"""A car of a few boxes and wedges, for tests of axes and scale."""

import itertools

import numpy as np

from dataprocessing.mesh_io import Mesh

FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
                  [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip


def block(low: tuple, high: tuple, front: float = 0.0, rear: float = 0.0, sides: float = 0.0) -> Mesh:
    """A box between two corners, whose top is shorter by `front` and `rear` (z) and narrower by `sides` (x)."""
    x, y, z = zip(low, high, strict=True)
    corners = np.array(list(itertools.product(x, y, z)), dtype=float)
    top = corners[:, 1] == high[1]
    corners[top, 2] += np.where(corners[top, 2] == low[2], front, -rear)
    corners[top, 0] -= sides * np.sign(corners[top, 0])
    return Mesh(corners, FACES)


def joined(*parts: Mesh) -> Mesh:
    starts = np.cumsum([0, *[len(part.vertices) for part in parts[:-1]]])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    return Mesh(np.concatenate([part.vertices for part in parts]), faces)


def car() -> Mesh:
    """4.1 m long, y up, front at -z: a body, a cabin with a slanted windscreen and an upright rear, four wheels."""
    body = block((-0.8, 0.3, -2.0), (0.8, 0.9, 2.1), front=0.5, sides=0.05)
    cabin = block((-0.75, 0.9, -0.9), (0.75, 1.5, 1.9), front=0.8, rear=0.15, sides=0.2)
    wheels = [block((x - 0.1, 0.0, z - 0.3), (x + 0.1, 0.6, z + 0.3)) for x in (-0.75, 0.75) for z in (-1.3, 1.35)]
    return joined(body, cabin, *wheels)
