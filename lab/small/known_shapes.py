"""Clouds, meshes and distance fields that tests know exactly."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from generation.distance_fields import DistanceField
from generation.meshing import OpenMesh
from generation.meshing.topology import vertex_normals

Distance = Callable[[Tensor], Tensor]  # (N, 3) -> (N,)


def sphere_points(count: int, radius: float = 0.4, seed: int = 0) -> np.ndarray:
    """Random points of a sphere, (count, 3) float32."""
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return (radius * points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def bent_strip() -> OpenMesh:
    """An open mesh of 48 triangles with a vertex order that a program may not change."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(0, 0.2, 4), indexing="ij")
    vertices = np.stack([x, y, 0.3 * x**2], axis=-1).reshape(-1, 3).astype(np.float32)
    corner = np.arange(36).reshape(9, 4)
    quads = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], axis=-1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))


class ByDifferences(DistanceField):
    """A field without gradients: its directions are those of differences over `STEP`."""

    STEP = 2e-4  # mesh units

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        steps = self.STEP * torch.eye(3)
        slopes = [self.distance(points + step) - self.distance(points - step) for step in steps]
        return self.distance(points), torch.nn.functional.normalize(torch.stack(slopes, dim=1), dim=1)


class FunctionField(DistanceField):
    """The field of a function, clamped as a trained one is; `most` points of it were asked for at once."""

    def __init__(self, function: Distance, clamp: float = 10.0):
        self.function, self.clamp, self.most = function, clamp, 0

    def distance(self, points: Tensor) -> Tensor:
        self.most = max(self.most, len(points))
        return self.function(points).clamp(max=self.clamp)


def sphere(radius: float, *centre: float) -> Distance:
    return lambda points: ((points - torch.tensor(centre or (0.0, 0.0, 0.0))).norm(dim=1) - radius).abs()


def half_sphere(radius: float) -> Distance:
    """The half y >= 0, open: below its rim, the distance to the rim's circle."""

    def distance(points: Tensor) -> Tensor:
        rim = torch.stack([points[:, [0, 2]].norm(dim=1) - radius, points[:, 1]]).norm(dim=0)
        return torch.where(points[:, 1] >= 0, sphere(radius)(points), rim)

    return distance


def box(half: Tensor) -> Distance:
    """The surface of a box about the middle, by half of its sides, (3,)."""

    def distance(points: Tensor) -> Tensor:
        beyond = points.abs() - half
        return (beyond.clamp(min=0).norm(dim=1) + beyond.amax(dim=1).clamp(max=0)).abs()

    return distance
