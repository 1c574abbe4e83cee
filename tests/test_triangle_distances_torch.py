"""The torch backend against brute force, against the float64 function and against Open3D."""

import sys

import numpy as np
import pytest
import torch

from dataprocessing import distances, triangle_distances_torch
from dataprocessing.boundary_sampling import boundary_points, uniform_points
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.distances import distance_function, point_triangle_distance, unsigned_distance
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.triangle_distances_torch import pieces, point_tree, squared_distance, unsigned_distance_torch
from demo_cars.car import build_car, to_obj
from demo_cars.parameters import draw_parameters
from lab.small.helpers import read_config
from lab.small.triangles import brute_force_distance, points_near, random_soup
from runtime.errors import UserError


@pytest.fixture(scope="module")
def car(tmp_path_factory) -> Mesh:
    path = tmp_path_factory.mktemp("car") / "car.obj"
    path.write_text(to_obj(build_car(draw_parameters(5, 3)), "a car"))
    return scale_mesh(load_mesh(path))


def points_around(mesh: Mesh, count: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    parts = [boundary_points(mesh, sigma, count, rng) for sigma in (0.08, 0.02, 0.003)]
    return np.concatenate([*parts, uniform_points(count, rng)])


@pytest.mark.parametrize("num_faces", [1, 2, 7, 60, 301])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_distances_on_random_open_meshes_equal_brute_force(num_faces, scale):
    for seed in range(3):
        rng = np.random.default_rng([num_faces, seed])
        vertices, faces = random_soup(rng, num_faces)
        points = points_near(rng, vertices, faces, 301) * np.float32(scale)
        df = unsigned_distance_torch(scale * vertices, faces, points)
        assert df.dtype == np.float32
        assert df.max() > 1e-3 * scale  # the points are not all on the surface
        exact = brute_force_distance(points, scale * vertices, faces)
        np.testing.assert_allclose(df, exact, atol=1e-7 * scale, rtol=1e-7)


def test_distances_around_a_demo_car_equal_open3d(car):
    points = points_around(car, 501)
    df = unsigned_distance_torch(*car, points)
    np.testing.assert_allclose(df, unsigned_distance(*car, points, num_threads=1), atol=2e-7)
    np.testing.assert_allclose(df[::97], brute_force_distance(points[::97], *car), atol=1e-7)


def test_far_away_and_off_centre_points_are_exact_too(car):
    """Where float32 cannot tell triangles apart, none may be left out."""
    offset = np.array([40.0, -7.0, 3.0])
    points = points_around(car, 31)
    far = np.concatenate([points, points + 5]).astype(np.float64) + offset
    df = unsigned_distance_torch(car.vertices + offset, car.faces, far)
    np.testing.assert_allclose(df[::13], brute_force_distance(far[::13], car.vertices + offset, car.faces), atol=1e-6)


def test_memory_bound_does_not_change_a_value(car, monkeypatch):
    points = points_around(car, 101)
    df = unsigned_distance_torch(*car, points)
    monkeypatch.setitem(triangle_distances_torch.PAIRS, "cpu", 1)
    np.testing.assert_array_equal(unsigned_distance_torch(*car, points), df)


@pytest.mark.parametrize("height", [1, 1e-3, 1e-6, 1e-9, 0])
def test_squared_distance_is_the_float64_function_s(height):
    rng = np.random.default_rng(3)
    triangles = rng.standard_normal((301, 3, 3))
    triangles[:, 2] = triangles[:, :2].mean(axis=1) + height * triangles[:, 2]
    points = rng.standard_normal((301, 3))
    found = squared_distance(torch.from_numpy(points), torch.from_numpy(triangles)).sqrt().numpy()
    np.testing.assert_allclose(found, point_triangle_distance(points, triangles), rtol=1e-9, atol=1e-12)


def test_pieces_are_small_and_fill_their_triangles():
    rng = np.random.default_rng(4)
    vertices, faces = random_soup(rng, 61)
    triangles = torch.from_numpy(vertices[faces])
    parts = pieces(triangles)
    sides = (parts.roll(-1, 1) - parts).norm(dim=2)
    box = (triangles.amax((0, 1)) - triangles.amin((0, 1))).max()
    assert len(parts) > len(triangles)
    assert sides.max() <= box / triangle_distances_torch.PIECES
    areas = [torch.linalg.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]).norm(dim=1).sum() for t in (triangles, parts)]
    torch.testing.assert_close(areas[0], areas[1])


@pytest.mark.parametrize("count", [1, 2, 8, 9, 63, 64, 65, 1001])
def test_blocks_of_the_tree_hold_all_points_and_their_parts(count):
    points = torch.rand(count, 3, generator=torch.Generator().manual_seed(count))
    tree = point_tree(points)
    assert torch.equal(tree.order.unique(), torch.arange(count))
    assert len(tree.order) <= 2 * count
    for centres, radii in zip(tree.centres, tree.radii, strict=True):
        members = points[tree.order].view(len(centres), -1, 3)
        assert ((members - centres[:, None]).norm(dim=2) <= radii[:, None] + 1e-6).all()
    assert torch.equal(tree.centres[-1], points[tree.order])
    assert tree.radii[-1].max() == 0


def test_no_points_give_no_distances():
    assert unsigned_distance_torch(np.eye(3), np.array([[0, 1, 2]]), np.zeros((0, 3), np.float32)).shape == (0,)


@pytest.mark.parametrize(("name", "function"), [("open3d", unsigned_distance), ("torch", unsigned_distance_torch)])
def test_option_chooses_the_backend(tmp_path, name, function):
    chosen = distance_function(read_config(tmp_path, distance_backend=name, device="cpu"))
    assert chosen.func is function
    assert chosen(np.eye(3), np.array([[0, 1, 2]]), np.zeros((1, 3), np.float32)) == pytest.approx(3**-0.5)


@pytest.mark.parametrize(("missing", "function"), [(False, unsigned_distance), (True, unsigned_distance_torch)])
def test_auto_is_open3d_where_it_loads(tmp_path, monkeypatch, missing, function):
    if missing:
        monkeypatch.setitem(sys.modules, "open3d", None)
    distances._auto_backend.cache_clear()
    assert distance_function(read_config(tmp_path, device="cpu")).func is function
    distances._auto_backend.cache_clear()


def test_device_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="'abacus'"):
        distance_function(read_config(tmp_path, distance_backend="torch", device="abacus"))
