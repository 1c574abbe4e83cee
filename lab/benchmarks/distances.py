"""Unsigned distances of points to a mesh, ours and three libraries, and how exact they are."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dataprocessing.boundary_sampling import boundary_points
from dataprocessing.distances import load_open3d, point_triangle_distance, unsigned_distance
from dataprocessing.mesh_io import Mesh
from lab.benchmarks.cars import mesh_files, scaled_mesh
from lab.benchmarks.harness import Machine, Row, alternate, installed, row_against

COUNTS = {"full": (4, 7, 100_000), "quick": (1, 3, 50_000), "tiny": (1, 1, 300)}  # cars, rounds, points a sigma
SIGMAS = (0.08, 0.02, 0.003)
FLOPS_A_TRIANGLE = 100  # of the exact distance of one point to one triangle, about
PEERS = {"open3d": "Open3D alone", "point_cloud_utils": "point-cloud-utils", "igl": "libigl"}


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    cars, rounds, count = COUNTS[size]
    with tempfile.TemporaryDirectory() as name:
        found = [scaled_mesh(path) for path in mesh_files(Path(name), cars, meshes)]
    rng = np.random.default_rng(0)
    points = [np.concatenate([boundary_points(mesh, sigma, count, rng) for sigma in SIGMAS]) for mesh in found]
    measures = functions(machine.threads)
    works = {
        key: lambda measure=measure: [measure(mesh, p) for mesh, p in zip(found, points, strict=True)]
        for key, measure in measures.items()
    }
    seconds = alternate(works, rounds, clock=machine.clock)
    errors = worst_errors(measures, found, points)
    each = 3 * count
    faces = ", ".join(f"{len(mesh.faces):,}" for mesh in found)
    parts = row_against(
        seconds, PEERS, f"unsigned distances of {each:,} points to a car ({faces} faces)", 1.0, 1 / cars,
        least=machine.least(each * FLOPS_A_TRIANGLE, each * 16), least_by="one triangle a point",
    )  # fmt: skip
    for row, key in zip(parts, PEERS, strict=True):
        row.note = errors.get(key, "")
    parts[0].note = f"largest error, ours {errors['ours']}; Open3D's {parts[0].note}"
    parts[1].note = parts[1].note and f"largest error {parts[1].note}"
    parts[2].note = parts[2].note and f"float64, largest error {parts[2].note}"
    return parts


def functions(threads: int) -> dict[str, Callable[[Mesh, np.ndarray], np.ndarray]]:
    """(mesh, points) -> distances, each with the number types that it is made for, set-up of the mesh included."""
    found: dict[str, Callable[[Mesh, np.ndarray], np.ndarray]] = {
        "ours": lambda mesh, p: unsigned_distance(*mesh, p, num_threads=threads),
        "open3d": lambda mesh, p: open3d_distance(mesh, p, threads),
    }
    if installed("point_cloud_utils"):
        found["point_cloud_utils"] = pcu_distance
    if installed("igl"):
        found["igl"] = igl_distance
    return found


def open3d_distance(mesh: Mesh, points: np.ndarray, threads: int) -> np.ndarray:
    scene = load_open3d().t.geometry.RaycastingScene(nthreads=threads)
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    return scene.compute_distance(points, nthreads=threads).numpy()


def pcu_distance(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    import point_cloud_utils

    p, vertices = points.astype(np.float64), np.ascontiguousarray(mesh.vertices)
    return point_cloud_utils.closest_points_on_mesh(p, vertices, np.ascontiguousarray(mesh.faces))[0]


def igl_distance(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    import igl

    return np.sqrt(igl.point_mesh_squared_distance(points.astype(np.float64), mesh.vertices, mesh.faces)[0])


def worst_errors(measures: dict[str, Callable], meshes: list[Mesh], points: list[np.ndarray], most: int = 2000) -> dict:
    """The largest error of each on a part of the points of the first car, against float64 tests of every triangle."""
    mesh, p = meshes[0], points[0][:: max(1, len(points[0]) // most)]
    right = exact(mesh, p)
    return {
        key: f"{np.abs(np.asarray(measure(mesh, p), np.float64) - right).max():.1e}"
        for key, measure in measures.items()
    }


def exact(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """By brute force, (N,) float64: on the vertices in float32, as Embree has them, the meshes are the same."""
    corners = mesh.vertices[mesh.faces]
    nearest = []
    for point in points:
        there = np.broadcast_to(point.astype(np.float64), (len(corners), 3))
        nearest.append(point_triangle_distance(there, corners).min())
    return np.array(nearest)
