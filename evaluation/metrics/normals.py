"""The local planes of a cloud: how well the normals of two clouds agree, and how thick the sheets of a cloud are.

Clouds have no normals of their own, so both clouds of a comparison get the same estimate: the plane of a point's
nearest neighbours.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from evaluation.metrics.clouds import LEAF_SIZE, Cloud, Matrix, checked, nearest_points

NEIGHBOURS = 16
POINTS_AT_A_TIME = 50_000  # bounds the memory


class LocalPlanes(NamedTuple):
    """Of each point: the unit normal of its plane (N, 3), of either sign, and its distance to that plane (N,)."""

    normals: Matrix
    distances: Matrix


def local_planes(tree: cKDTree, workers: int = 1) -> LocalPlanes:
    """The plane of the `NEIGHBOURS` nearest other points of each point: through their mean, where they vary least.

    A principal component analysis per point (Hoppe et al. 1992, section 3.1). workers: threads. 100,000 points take a
    second on one core. Raises ValueError if the tree has fewer than NEIGHBOURS + 1 points.
    """
    if tree.n <= NEIGHBOURS:
        raise ValueError(f"{tree.n} points found, {NEIGHBOURS + 1} or more expected for planes of {NEIGHBOURS} others")
    normals, distances = np.empty((tree.n, 3)), np.empty(tree.n)
    for start in range(0, tree.n, POINTS_AT_A_TIME):
        chosen = tree.indices[start : start + POINTS_AT_A_TIME]  # neighbours follow each other: a faster search
        points = tree.data[chosen]
        _, nearest = tree.query(points, NEIGHBOURS + 1, workers=workers)  # the first is the point itself, or a copy
        offsets = tree.data[nearest[:, 1:]] - points[:, None]  # (n, NEIGHBOURS, 3)
        mean = offsets.mean(axis=1)
        centred = offsets - mean[:, None]
        _, directions = np.linalg.eigh(centred.transpose(0, 2, 1) @ centred)  # columns, least variance first
        normals[chosen] = directions[:, :, 0]
        distances[chosen] = np.abs(np.sum(mean * directions[:, :, 0], axis=1))
    return LocalPlanes(normals, distances)


def agreement(normals: Matrix, others: Matrix) -> Matrix:
    """|cos| of the angles between normals (N, 3) and others (N, 3), in [0, 1]: (N,)."""
    return np.abs(np.sum(normals * others, axis=1)).clip(max=1)


def normal_consistency(a: Cloud, b: Cloud, workers: int = 1) -> float:
    """Mean |cos| of the normal of each point and that of the nearest point of the other cloud, both ways averaged.

    1 is best; 0.5 for random normals. Occupancy Networks (Mescheder et al. 2019, section 4), there with the normals of
    meshes. Raises ValueError as `local_planes` does.
    """
    trees = [cKDTree(checked(cloud), leafsize=LEAF_SIZE) for cloud in (a, b)]
    normals = [local_planes(tree, workers).normals for tree in trees]
    found = []
    for source, target in ((0, 1), (1, 0)):
        _, nearest = nearest_points(trees[source], trees[target], workers)
        found.append(np.mean(agreement(normals[source], normals[target][nearest])))
    return float(np.mean(found))


def thickness(cloud: Cloud, workers: int = 1) -> float:
    """Root mean square distance of the points (N, 3) to their local planes, in the cloud's own unit.

    Points with noise of sd s across a plane have about 1.03 s: the plane is that of `NEIGHBOURS` other noisy points.
    Bends and close sheets count too, so compare it with that of the true surface at as many points. Raises ValueError
    as `local_planes` does.
    """
    return root_mean_square(local_planes(cKDTree(checked(cloud), leafsize=LEAF_SIZE), workers).distances)


def root_mean_square(values: Matrix) -> float:
    return float(np.sqrt(np.mean(values**2)))
