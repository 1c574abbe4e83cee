"""Interior points: none of 64 rays from them leaves the mesh."""

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from evaluation.interior import NEAR, interior_mask, sphere_directions
from lab.small.triangles import ray_distances

UNIT_BOX = np.array([1.0, 0.6, 0.8])


def box(size: NDArray | float, missing_top: bool = False) -> Mesh:
    """A box around the origin, without the face at the greatest y if `missing_top`."""
    mesh = trimesh.creation.box(np.broadcast_to(size, 3))
    kept = mesh.face_normals[:, 1] < 0.5 if missing_top else np.ones(12, bool)
    return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces)[kept])


def together(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def points_of(mesh: Mesh, num: int = 501, seed: int = 0) -> NDArray[np.float32]:
    return sample_surface(mesh, num, np.random.default_rng(seed)).astype(np.float32)


def blocked_by_brute_force(mesh: Mesh, points: NDArray, directions: NDArray) -> NDArray[np.bool_]:
    """Whether all rays of each point hit a triangle behind NEAR."""
    rays = np.repeat(points, len(directions), axis=0), np.tile(directions, (len(points), 1))
    found = ray_distances(*rays, mesh.vertices[mesh.faces])
    return ((found > NEAR) & np.isfinite(found)).any(axis=1).reshape(len(points), -1).all(axis=1)


def test_directions_are_unit_vectors_spread_evenly() -> None:
    for num in (7, 64):
        d = sphere_directions(num).astype(np.float64)
        np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1, atol=1e-6)
        assert np.linalg.norm(d.mean(axis=0)) < 0.5 / num
    random = np.random.default_rng(0).normal(size=(2000, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    nearest = np.degrees(np.arccos((random @ d.T).max(axis=1).clip(-1, 1)))
    assert nearest.max() < 22  # no hole: 64 caps of 14.4 degrees have the area of the sphere


def test_of_a_box_in_a_closed_box_the_inner_one_and_nothing_else_is_interior() -> None:
    outer, inner = box(UNIT_BOX), box(0.3)
    mesh = together(outer, inner)
    assert not interior_mask(*mesh, points_of(outer)).any()
    assert interior_mask(*mesh, points_of(inner)).all()


def test_without_its_lid_a_deep_box_shows_its_walls() -> None:
    mesh = together(box(UNIT_BOX, missing_top=True), box(0.3))
    assert not interior_mask(*mesh, points_of(box(UNIT_BOX, missing_top=True))).any()
    below = points_of(box(0.3))
    below = below[below[:, 1] < -0.1499]  # the underside of the inner box, which rays leave sideways and downwards
    assert interior_mask(*mesh, below).mean() > 0.9


def test_both_sides_of_one_sheet_count_so_a_sphere_has_no_interior() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    mesh = Mesh(np.asarray(sphere.vertices), np.asarray(sphere.faces))
    assert not interior_mask(*mesh, points_of(mesh)).any()
    inside_out = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    assert not interior_mask(*inside_out, points_of(mesh)).any()
    assert interior_mask(*mesh, points_of(mesh) * 0.9).all()  # a shell inside


@pytest.mark.parametrize("gap", [0, 0.3 * NEAR])
def test_a_point_is_not_blocked_by_a_sheet_that_is_there_twice(gap: float) -> None:
    rng = np.random.default_rng(3)
    sheet = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) / 2
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    doubled = np.concatenate([sheet, sheet + [0, gap, 0]]) @ rotation
    mesh = Mesh(doubled, np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]]))
    assert not interior_mask(*mesh, points_of(mesh)).any()


def test_between_two_sheets_some_way_apart_rays_leave_at_the_rim_only() -> None:
    low, high = box([1, 0.002, 1]), box([1, 0.002, 1])
    apart = Mesh(high.vertices + [0, 0.02, 0], high.faces)
    mesh = together(low, apart)
    facing = points_of(low, 4001)
    facing = facing[(facing[:, 1] > 0.0009) & (np.abs(facing[:, [0, 2]]).max(axis=1) < 0.25)]
    assert len(facing) > 100
    assert interior_mask(*mesh, facing).all()  # 0.25 to the rim, 0.018 between: no ray of 64 is that flat
    assert not interior_mask(*mesh, facing + np.float32([0, -0.002, 0])).any()  # the other side of the lower one


@pytest.mark.parametrize("num_rays", [1, 5, 64])
def test_agrees_with_brute_force_on_random_triangles(num_rays: int) -> None:
    rng = np.random.default_rng(num_rays)
    soup = Mesh(rng.uniform(-0.5, 0.5, (3 * 41, 3)), np.arange(3 * 41).reshape(41, 3))
    points = points_of(soup, 303)
    expected = blocked_by_brute_force(soup, points.astype(np.float64), sphere_directions(num_rays).astype(np.float64))
    found = interior_mask(*soup, points, num_rays)
    assert (found != expected).mean() < 0.01  # a ray along an edge may go either way in float32
    if num_rays < 64:
        assert 0.05 < expected.mean() < 0.95


def test_no_points_no_mask_and_threads_do_not_matter() -> None:
    mesh = together(box(UNIT_BOX, missing_top=True), box(0.3))
    points = points_of(mesh)
    assert interior_mask(*mesh, points[:0]).shape == (0,)
    np.testing.assert_array_equal(interior_mask(*mesh, points, num_threads=1), interior_mask(*mesh, points))
