"""Partial scans of a mesh: what one depth camera sees of it, one half of it, or a few points of it.

A view casts rays in the way of a depth image, so its points are dense where the surface faces the camera, and of each
ray only the first hit is kept (Open3D's RaycastingScene). Meshes are in mesh units, box centred, longest side 1.
"""

from typing import NamedTuple

import numpy as np

from dataprocessing.distances import load_open3d
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface

DISTANCE = 2.0  # of a camera from the centre, mesh units
ELEVATION = (8.0, 35.0)  # degrees above the horizon
SIDES = {"left": (0, -1), "right": (0, 1), "front": (2, -1), "rear": (2, 1)}  # axis, and the sign that is kept
SIZES = {"view": 3000, "half": 3000, "sparse": 300}  # points, by kind
RAYS_A_POINT = 4  # cast per wanted point, at first
MAX_ROUNDS = 20
BOX = 0.55  # mesh units: half the side of a box that holds every shape


class PartialScan(NamedTuple):
    """points (N, 3) float32; what they show, in words; a view's camera (3,); the box (6,), lower corner first, in which
    a half or a sparse scan covers the whole surface. Mesh units."""

    points: np.ndarray
    words: str
    camera: np.ndarray | None = None
    covered: np.ndarray | None = None


def partial_scan(mesh: Mesh, kind: str, num_points: int, rng: np.random.Generator, noise: float = 0.0) -> PartialScan:
    """A scan of a kind of `SIZES`, with num_points points.

    noise: sd of the points' errors, mesh units.
    """
    camera, covered = None, np.array([-BOX] * 3 + [BOX] * 3)
    if kind == "view":
        camera = draw_camera(rng)
        points, words = first_hits(mesh, camera, num_points, rng), "what one depth view sees"
    elif kind == "half":
        side = list(SIDES)[rng.integers(len(SIDES))]
        points, words = half(mesh, side, num_points, rng), f"the {side} half"
        axis, sign = SIDES[side]
        covered[axis + 3 * (sign < 0)] = 0
    else:
        points, words = sample_surface(mesh, num_points, rng), "points all over"
    points = points + noise * rng.normal(size=points.shape)
    return PartialScan(points.astype(np.float32), words, camera, None if kind == "view" else covered)


def draw_camera(rng: np.random.Generator) -> np.ndarray:
    """A place (3,) on a sphere around the centre, from any side, somewhat above the horizon."""
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(*ELEVATION))
    level = np.cos(elevation)
    return DISTANCE * np.array([level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)])


def first_hits(mesh: Mesh, camera: np.ndarray, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Where rays from the camera (3,) first hit the mesh, (num_points, 3) float64.

    The rays are uniform in the picture plane of a camera that looks at the centre of the box.
    Raises ValueError if hardly any ray hits, as for a camera inside the mesh.
    """
    scene = load_open3d().t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    forward = -camera / np.linalg.norm(camera)
    right = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    reach = np.abs(mesh.vertices).max() * 3**0.5
    found, count = [], 0
    for _ in range(MAX_ROUNDS):
        across = reach * rng.uniform(-1, 1, (RAYS_A_POINT * num_points, 2))
        directions = across[:, :1] * right + across[:, 1:] * up - camera  # to the plane through the centre
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        rays = np.concatenate([np.broadcast_to(camera, directions.shape), directions], axis=1).astype(np.float32)
        depth = scene.cast_rays(rays, nthreads=1)["t_hit"].numpy()
        hit = np.isfinite(depth)
        found.append(camera + depth[hit, None] * directions[hit])
        count += hit.sum()
        if count >= num_points:
            return np.concatenate(found)[:num_points]
    raise ValueError(f"{count} of {MAX_ROUNDS * RAYS_A_POINT * num_points} rays hit the mesh, more expected")


def half(mesh: Mesh, side: str, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Points uniform by area on the half of `SIDES`, (num_points, 3) float64; on its whole surface, inner parts too.

    Raises ValueError if the mesh has hardly any surface there.
    """
    axis, sign = SIDES[side]
    found, count = [], 0
    for _ in range(MAX_ROUNDS):
        points = sample_surface(mesh, 3 * num_points, rng)
        points = points[sign * points[:, axis] > 0]
        found.append(points)
        count += len(points)
        if count >= num_points:
            return np.concatenate(found)[:num_points]
    raise ValueError(f"hardly any surface in the {side} half")
