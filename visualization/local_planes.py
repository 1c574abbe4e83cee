"""Local planes of a point cloud: PCA of the neighbours of each point (Hoppe et al. 1992, sec. 3.3)."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float32]

NEIGHBOURS = 24
SPLAT = 0.85  # radius of a splat, relative to the 80 % quantile of the distance to the 6th neighbour
FEWEST_POINTS = 3  # below this there is no plane


def neighbours(points: Array) -> NDArray[np.intp]:
    """Indices (N, K) of the points next to each of (N, 3), itself first; K is NEIGHBOURS, or N if that is less."""
    _, near = cKDTree(points).query(points, k=min(NEIGHBOURS, len(points)))
    indices: NDArray[np.intp] = near.reshape(len(points), -1)
    return indices


def fit_planes(points: Array, near: NDArray[np.intp]) -> tuple[Array, Array]:
    """Means (N, 3) of the neighbours `near` (N, K) of points (N, 3), and unit normals (N, 3) of arbitrary sign."""
    local = points[near]  # (N, K, 3)
    mean = local.mean(1)
    local -= mean[:, None]
    _, vectors = np.linalg.eigh(local.transpose(0, 2, 1) @ local)
    return mean, vectors[:, :, 0]


def averaged(normals: Array, near: NDArray[np.intp]) -> Array:
    """Unit normals (N, 3), each averaged over those of its neighbours `near` (N, K), turned to its own side."""
    around = normals[near]
    around = (around * np.sign(around @ normals[:, :, None])).sum(1)
    mean: Array = around / np.linalg.norm(around, axis=1, keepdims=True).clip(1e-9)
    return mean


def onto_planes(points: Array, mean: Array, normals: Array) -> tuple[Array, float]:
    """Points (N, 3) moved onto their planes by at most three times the noise; and the noise, cloud units.

    mean, normals: those of `fit_planes`, in the axes of the points. The noise is the median distance from the planes.
    """
    off = ((points - mean) * normals).sum(1)
    noise = float(np.median(np.abs(off)))
    return points - np.clip(off, -3 * noise, 3 * noise)[:, None] * normals, noise


def smooth_surface(points: Array) -> tuple[Array, Array, float]:
    """Points moved onto their planes (N, 3), unit normals (N, 3) of arbitrary sign, and the radius of a splat.

    For pictures only. Fewer than 3 points stay where they are and get normals that point upwards.
    """
    radius = splat_radius(points)
    if len(points) < FEWEST_POINTS:
        return points, np.tile(np.array([0, 1, 0], np.float32), (len(points), 1)), radius
    near = neighbours(points)
    mean, normals = fit_planes(points, near)
    moved, _ = onto_planes(points, mean, normals)
    return moved, averaged(normals, near), min(radius, splat_radius_of(moved, near))


def splat_radius_of(moved: Array, near: NDArray[np.intp]) -> float:
    """`splat_radius` of points (N, 3) whose neighbours (N, K) were found before they moved."""
    steps = np.linalg.norm(moved[near[:, 1:7]] - moved[:, None], axis=2).max(1)
    return SPLAT * float(np.quantile(steps, 0.8))


def splat_radius(points: Array) -> float:
    """Radius of a splat, cloud units, that leaves hardly any gaps in a surface."""
    some = points[:: max(1, len(points) // 4000)]
    distances, _ = cKDTree(points).query(some, k=min(7, len(points)))  # the first is the point itself
    return SPLAT * float(np.quantile(distances.reshape(len(some), -1)[:, -1], 0.8))
