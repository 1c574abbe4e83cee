import sys

import numpy as np
import pytest
from facts import naming

from dataprocessing import distances
from dataprocessing.boundary_sampling import boundary_points
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.distances import point_triangle_distance, unsigned_distance
from dataprocessing.mesh_io import load_mesh
from lab.small.triangles import brute_force_distance, points_near, random_soup
from runtime.errors import UserError


@pytest.mark.parametrize("num_faces", [1, 2, 7, 60, 301])
def test_distances_on_random_open_meshes_equal_brute_force(num_faces):
    for seed in range(5):
        rng = np.random.default_rng([num_faces, seed])
        vertices, faces = random_soup(rng, num_faces)
        points = points_near(rng, vertices, faces, 301)
        df = unsigned_distance(vertices, faces, points, num_threads=1)
        assert df.dtype == np.float32
        assert df.max() > 1e-3  # the points are not all on the surface
        np.testing.assert_allclose(df, brute_force_distance(points, vertices, faces), atol=2e-7, rtol=2e-7)


@pytest.mark.parametrize("height", [0.3, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 0])
def test_distances_to_a_lone_sliver_equal_brute_force(height):
    """Embree alone misses these by up to the sliver's length."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b, up = rng.uniform(-0.5, 0.5, (3, 3))
        vertices = np.stack([a, b, a + rng.random() * (b - a) + height * up])[rng.permutation(3)].astype(np.float32)
        faces = np.array([[0, 1, 2]])
        points = points_near(rng, vertices, faces, 101)
        df = unsigned_distance(vertices, faces, points, num_threads=1)
        np.testing.assert_allclose(df, brute_force_distance(points, vertices, faces), atol=2e-7, rtol=2e-7)


def test_direction_doubles_and_order_of_faces_do_not_matter():
    rng = np.random.default_rng(3)
    vertices, faces = random_soup(rng, 40)
    points = points_near(rng, vertices, faces, 501)
    df = unsigned_distance(vertices, faces, points, num_threads=1)
    changed = np.concatenate([faces, faces])[rng.permutation(2 * len(faces))][:, [1, 0, 2]]
    np.testing.assert_allclose(unsigned_distance(vertices, changed, points, num_threads=1), df, atol=2e-7)


def test_no_side_of_an_open_sheet_is_inside():
    """An open square: distances on both sides are the same and positive, where a signed routine has a seam."""
    vertices = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]])
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (999, 3)).astype(np.float32)
    df = unsigned_distance(vertices, np.array([[0, 1, 2], [0, 2, 3]]), points, num_threads=1)
    np.testing.assert_allclose(df, np.abs(points[:, 1]), atol=1e-7)


def test_neither_the_order_of_points_nor_the_parts_of_a_search_matter(monkeypatch):
    rng = np.random.default_rng(4)
    vertices, faces = rng.uniform(-0.5, 0.5, (30, 3)), rng.integers(0, 30, (40, 3))
    points = rng.uniform(-0.6, 0.6, (1001, 3)).astype(np.float32)
    order = distances._by_cells(points)
    assert np.array_equal(np.sort(order), np.arange(1001))
    x, y, z = ((points[order] - points.min(0)) / np.ptp(points, axis=0).max() * (distances.CELLS - 1)).T.astype(int)
    assert (np.diff((x * distances.CELLS + y) * distances.CELLS + z) < 0).mean() < 0.01  # but for roundings
    whole = unsigned_distance(vertices, faces, points)
    monkeypatch.setattr(distances, "SEARCHED", 100)
    monkeypatch.setattr(distances, "BLOCK", 7)
    assert np.array_equal(unsigned_distance(vertices, faces, points), whole)
    assert np.array_equal(unsigned_distance(vertices, faces, points[::-1])[::-1], whole)
    np.testing.assert_allclose(whole, brute_force_distance(points, vertices, faces), atol=1e-7)


def test_no_points_give_no_distances():
    assert unsigned_distance(np.eye(3), np.array([[0, 1, 2]]), np.zeros((0, 3), np.float32), 1).shape == (0,)


def test_point_triangle_distance_is_exact_in_float64():
    rng = np.random.default_rng(1)
    for height in (1, 1e-3, 1e-6, 0):
        triangles = rng.standard_normal((101, 3, 3))
        triangles[:, 2] = triangles[:, :2].mean(axis=1) + height * triangles[:, 2]
        points = rng.standard_normal((101, 3))
        expected = [
            brute_force_distance(p[None], t, np.array([[0, 1, 2]]))[0] for p, t in zip(points, triangles, strict=True)
        ]
        np.testing.assert_allclose(point_triangle_distance(points, triangles), expected, atol=1e-9)


def test_distances_around_real_cars_equal_brute_force(real_cars):
    rng = np.random.default_rng(0)
    for path in real_cars[:: max(len(real_cars) // 2, 1)]:
        mesh = scale_mesh(load_mesh(path))
        points = np.concatenate([boundary_points(mesh, sigma, 30, rng) for sigma in (0.08, 0.02, 0.003)])
        df = unsigned_distance(*mesh, points, num_threads=1)
        np.testing.assert_allclose(df, brute_force_distance(points, *mesh), atol=2e-7)


def test_missing_open3d_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(UserError, match=naming("open3d check_system.py")):
        unsigned_distance(np.eye(3), np.array([[0, 1, 2]]), np.zeros((1, 3), np.float32))
