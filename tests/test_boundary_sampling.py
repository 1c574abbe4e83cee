import numpy as np
import pytest
from facts import naming

from dataprocessing.boundary_sampling import boundary_points, sample_arrays, to_grid_coords, uniform_points
from dataprocessing.mesh_io import Mesh, triangle_areas
from dataprocessing.surface import at_most, sample_surface


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


def test_surface_points_fall_on_faces_by_area():
    """Four triangles in planes of their own z with areas 1 : 2 : 5 : 0.5, and faces without area between them."""
    areas = np.array([1, 2, 5, 0.5])
    corners = [[[0, 0, z], [2 * area, 0, z], [0.3, 1, z]] for z, area in enumerate(areas)]
    vertices = np.array(corners, dtype=float).reshape(-1, 3)
    faces = np.array([[0, 0, 1], [0, 1, 2], [3, 4, 5], [5, 3, 5], [6, 7, 8], [9, 10, 11], [11, 11, 11]])
    mesh = Mesh(vertices, faces)
    np.testing.assert_allclose(triangle_areas(mesh), [0, 1, 2, 0, 5, 0.5, 0])
    points = sample_surface(mesh, 20_001, np.random.default_rng(0))
    counts = np.bincount(points[:, 2].astype(int), minlength=4)
    assert counts.sum() == 20_001
    assert np.array_equal(points[:, 2], np.round(points[:, 2]))
    assert chi_square(counts, 20_001 * areas / areas.sum()) < 16.3  # 3 degrees of freedom, p = 0.001


def test_surface_points_are_uniform_within_a_triangle():
    a, b, c = np.array([[0.1, 0.2, 0], [1.3, 0.1, 0.4], [0.5, 2.0, -0.3]])
    points = sample_surface(Mesh(np.stack([a, b, c]), np.array([[0, 1, 2]])), 20_001, np.random.default_rng(1))
    u, v = np.linalg.lstsq(np.stack([b - a, c - a], axis=1), (points - a).T, rcond=None)[0]
    np.testing.assert_allclose(a + u[:, None] * (b - a) + v[:, None] * (c - a), points, atol=1e-12)
    assert min(u.min(), v.min(), (1 - u - v).min()) >= -1e-12
    quarter = np.select([u > 0.5, v > 0.5, u + v < 0.5], [0, 1, 2], default=3)  # four triangles of the same area
    assert chi_square(np.bincount(quarter, minlength=4), np.full(4, 20_001 / 4)) < 16.3


@pytest.mark.parametrize("sigma", [0.08, 0.02, 0.003])
def test_displacements_are_normal_with_sd_sigma_on_each_axis(sigma):
    speck = Mesh(1e-6 * np.eye(3) + [0.2, -0.1, 0.3], np.array([[0, 1, 2]]))  # what is left is the displacement
    points = boundary_points(speck, sigma, 40_000, np.random.default_rng(2))
    assert points.shape == (40_000, 3)
    assert points.dtype == np.float32
    moved = (points - np.array([0.2, -0.1, 0.3])) / sigma
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.02)  # standard error 0.005
    np.testing.assert_allclose(np.cov(moved.T), np.eye(3), atol=0.03)  # standard error 0.007
    np.testing.assert_allclose((np.abs(moved) < 1).mean(axis=0), 0.6827, atol=0.01)


def test_at_most_draws_points_once():
    points = np.random.default_rng(0).random((50, 3))
    assert len(np.unique(at_most(points, 20, np.random.default_rng(0)), axis=0)) == 20
    assert at_most(points, 50, np.random.default_rng(0)) is points


def test_uniform_points_fill_their_box():
    points = uniform_points(20_001, np.random.default_rng(3))
    assert points.dtype == np.float32
    assert 0.549 < points.max() <= 0.55
    assert -0.55 <= points.min() < -0.549
    octant = ((points > 0) * [1, 2, 4]).sum(axis=1)
    assert chi_square(np.bincount(octant, minlength=8), np.full(8, 20_001 / 8)) < 24.3  # 7 d.o.f., p = 0.001


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grid_coords_are_reversed_and_doubled(dtype):
    points = np.array([[0.5, -0.25, 0.1], [0.6, 0, -0.5]], dtype=dtype)
    coords = to_grid_coords(points)
    assert coords.dtype == dtype
    assert np.array_equal(coords, (2 * points[:, [2, 1, 0]]).astype(dtype))


@pytest.mark.parametrize("shape", [(3,), (4, 2), (1, 4, 3)])
def test_grid_coords_want_n_by_3(shape):
    with pytest.raises(ValueError, match=naming("(N, 3)", shape)):
        to_grid_coords(np.zeros(shape))


def test_sample_arrays_are_float32_and_in_c_order():
    points = uniform_points(7, np.random.default_rng(4))
    arrays = sample_arrays(points, points[:, 0])
    assert list(arrays) == ["points", "df", "grid_coords"]
    assert list(sample_arrays(points, points[:, 0], grid_coords=False)) == ["points", "df"]
    assert all(array.dtype == np.float32 for array in arrays.values())
    assert arrays["grid_coords"].flags.c_contiguous
