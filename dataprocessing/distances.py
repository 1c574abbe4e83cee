"""Unsigned distances from points to the triangles of any mesh, closed or open."""

from collections.abc import Callable
from functools import cache, partial
from types import ModuleType

import numpy as np

from configs.options import Config
from runtime.errors import UserError, raise_if_interrupted

THIN = 0.05  # height over longest side below which Embree's float32 arithmetic may place the nearest point wrongly
BLOCK = 16_384  # points at a time in float64: their arrays stay in the processor's cache
SEARCHED = 65_536  # points at a time that Open3D searches for: it returns 40 bytes of each
CELLS = 40  # of an axis of `_by_cells`: the largest whose cube fits in 16 bits


Distances = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of vertices, faces, points


def distance_function(cfg: Config) -> Distances:
    """The backend that distance_backend names, on one thread, torch's on the device that `device` names.

    auto: Open3D where it can be loaded, else torch.
    Raises UserError for open3d where it cannot be loaded, and for a device that is not there.
    """
    backend = _auto_backend()[0] if cfg.preprocessing.distance_backend == "auto" else cfg.preprocessing.distance_backend
    if backend == "open3d":
        return partial(unsigned_distance, num_threads=1)
    import torch

    from dataprocessing.triangle_distances_torch import unsigned_distance_torch
    from runtime.devices import pick_device

    device = pick_device(cfg.run)
    torch.set_num_threads(1)  # there are as many workers as cores
    return partial(unsigned_distance_torch, device=device)


@cache
def _auto_backend() -> tuple[str, str]:
    """The backend that auto means here, and why it is not open3d, if it is not."""
    try:
        load_open3d()
    except UserError as error:
        return "torch", str(error.__cause__)
    return "open3d", ""


def why_slow(cfg: Config) -> str:
    """Why `distance_function` does without Open3D although nobody asked for that, and what to do; else empty."""
    backend, reason = _auto_backend() if cfg.preprocessing.distance_backend == "auto" else ("", "")
    if backend != "torch":
        return ""
    return (
        f"Open3D cannot be loaded ({reason}), so torch measures the distances: as exactly, but about 18 times slower"
        " on a CPU; to see which libraries are missing: python runtime/check_system.py; --distance_backend torch"
        " says that this is meant"
    )


def unsigned_distance(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, num_threads: int = 0) -> np.ndarray:
    """Distance of each point to the nearest triangle.

    Open3D's RaycastingScene (Embree, float32) finds the nearest triangle; the distance to a thin one, where float32
    goes wrong by up to its height, is worked out again in float64. Degenerate faces count as the lines or points that
    they are.
    vertices (V, 3), faces (F, 3), points (N, 3) float32; num_threads 0: all cores. Returns (N,) float32, same units.
    Raises UserError if Open3D cannot be loaded.
    """
    scene = load_open3d().t.geometry.RaycastingScene(nthreads=num_threads)
    vertices = vertices.astype(np.float32)
    sides, thin = _sides_of_thin(vertices, faces)
    scene.add_triangles(vertices, np.concatenate([faces, sides]).astype(np.uint32))
    face = np.concatenate([np.arange(len(faces)), np.tile(thin, 3)])  # of each triangle of the scene
    is_thin = np.isin(face, thin)
    points = np.ascontiguousarray(points, dtype=np.float32)
    order = _by_cells(points)
    df = np.empty(len(points), dtype=np.float32)
    for part in np.split(order, range(SEARCHED, len(order), SEARCHED)):
        there = np.take(points, part, axis=0)  # several times faster than points[part]
        nearest = scene.compute_closest_points(there, nthreads=num_threads)
        triangle = nearest["primitive_ids"].numpy()
        distances = _lengths(nearest["points"].numpy() - there)
        again = np.flatnonzero(is_thin[triangle])
        for rows in np.split(again, range(BLOCK, len(again), BLOCK)):
            distances[rows] = point_triangle_distance(there[rows], vertices[faces[face[triangle[rows]]]])
        df[part] = distances
    return df


def point_triangle_distance(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Distance of point i to triangle i, worked out in float64. points (N, 3), triangles (N, 3, 3). Returns (N,).

    It is the distance to the plane where the point's projection is inside, else that to the nearest side; for a
    triangle without area there is no inside.
    """
    a, b, c = np.moveaxis(np.asarray(triangles, dtype=np.float64), 1, 0)
    p = np.asarray(points, dtype=np.float64)
    normal = np.cross(b - a, c - a)
    inside = (normal != 0).any(axis=1)
    squared = np.full(len(p), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        side, to_p = end - start, p - start
        inside &= _dot(np.cross(side, to_p), normal) >= 0
        along = _dot(side, to_p) / np.maximum(_dot(side, side), np.finfo(np.float64).tiny)
        away = to_p - along.clip(0, 1)[:, None] * side
        squared = np.minimum(squared, _dot(away, away))
    height = np.abs(_dot(p - a, normal)) / np.maximum(np.sqrt(_dot(normal, normal)), np.finfo(np.float64).tiny)
    return np.where(inside, height, np.sqrt(squared))


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", x, y)


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """(N, 3) to (N,): numpy's own sums along a short last axis take seven times as long."""
    x, y, z = vectors.T
    return np.sqrt(x * x + y * y + z * z)


def _by_cells(points: np.ndarray) -> np.ndarray:
    """An order of points (N, 3) by cells of their box: neighbours in turn find in the cache what they need, which
    makes a mesh of 76,000 faces three times faster. Keys of 16 bits are sorted without comparisons."""
    columns = np.ascontiguousarray(points.T)
    low = columns.min(axis=1, initial=np.inf, keepdims=True)
    side = (columns.max(axis=1, initial=-np.inf, keepdims=True) - low).max(initial=0)
    x, y, z = ((columns - low) * ((CELLS - 1) / max(side, 1e-30))).astype(np.uint16)
    return np.argsort((x * CELLS + y) * CELLS + z, kind="stable")


def _sides_of_thin(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sides of the T thin faces as faces of their own, (3 T, 3), and the thin faces' numbers, (T,).

    Embree's nearest point on a face (a, b, a) is right on that line, where the terms of a thin (a, b, c), or of
    (a, a, b), cancel and it misses the face.
    """
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    doubled_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.max([np.linalg.norm(side, axis=1) for side in (b - a, c - b, a - c)], axis=0)
    thin = np.flatnonzero(doubled_area <= THIN * longest**2)
    return np.concatenate([faces[thin][:, sides] for sides in ([0, 1, 0], [1, 2, 1], [2, 0, 2])]), thin


def load_open3d() -> ModuleType:
    try:
        import open3d
    except ImportError as error:  # also for a system library that is missing
        raise_if_interrupted()
        raise UserError(
            f"open3d, which measures distances, cannot be loaded ({error}); to see what it needs, run: python"
            " runtime/check_system.py; or measure without it: --distance_backend torch"
        ) from error
    return open3d
