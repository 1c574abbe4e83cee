"""Unsigned distances from points to the triangles of any mesh, closed or open."""

import numpy as np

from configs.errors import UserError

THIN = 1e-3  # height over longest side below which float32 arithmetic loses a triangle


def unsigned_distance(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, num_threads: int = 0) -> np.ndarray:
    """Distance of each point to the nearest triangle, by Open3D's RaycastingScene (Embree, float32).

    vertices (V, 3), faces (F, 3), points (N, 3) float32; num_threads 0: all cores. Returns (N,) float32, same units.
    Degenerate faces count as the lines or points that they are. Raises UserError if Open3D cannot be loaded.
    """
    scene = _open3d().t.geometry.RaycastingScene(nthreads=num_threads)
    scene.add_triangles(vertices.astype(np.float32), _with_edges_of_thin(vertices, faces).astype(np.uint32))
    return scene.compute_distance(np.ascontiguousarray(points, dtype=np.float32), nthreads=num_threads).numpy()


def _with_edges_of_thin(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces, and for each thin one its sides as faces (a, b, a), which Embree's arithmetic gets right where the
    triangle's own cancels: to it (a, b, c) on one line is nothing, (a, a, b) neither, but (a, b, a) is a line."""
    a, b, c = (vertices[faces[:, i]].astype(np.float32).astype(np.float64) for i in range(3))
    doubled_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.max([np.linalg.norm(side, axis=1) for side in (b - a, c - b, a - c)], axis=0)
    thin = faces[doubled_area <= THIN * longest**2]
    return np.concatenate([faces, thin[:, [0, 1, 0]], thin[:, [1, 2, 1]], thin[:, [2, 0, 2]]])


def _open3d():
    try:
        import open3d
    except ImportError as error:  # also a system library that is missing
        raise UserError(
            f"open3d, which measures distances, cannot be loaded ({error}); install it with `pip install open3d-cpu`"
            " and, on Debian, `apt-get install libusb-1.0-0 libgl1 libegl1 libx11-6`"
        ) from error
    return open3d
