"""Closed walls around open surfaces, and meshes with fewer triangles."""

import numpy as np
import pytest
import torch
import trimesh

from generation.mesh_files import write_mesh
from generation.meshing import OpenMesh, mesh_of, wall_of, with_fewer_faces
from generation.meshing.lattice import Lattice
from generation.meshing.tetrahedra import CLOSEST, marched
from generation.meshing.topology import border_sides, edges_of, face_vectors, pieces_of
from lab.small.known_shapes import FunctionField, half_sphere, sphere
from runtime.layout import MESH_FORMATS

RESOLUTION, RADIUS, THICKNESS = 64, 0.31, 0.05


def half() -> FunctionField:
    return FunctionField(half_sphere(RADIUS))


def distances_of(mesh: OpenMesh) -> np.ndarray:
    return half().distance(torch.from_numpy(mesh.vertices)).numpy()


def solid(mesh: OpenMesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


def border(mesh: OpenMesh) -> float:
    ends = mesh.vertices[border_sides(mesh.faces)].astype(np.float64)
    return float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum())


def test_a_wall_around_an_open_surface_is_a_solid_of_the_right_volume():
    wall = wall_of(half(), RESOLUTION, THICKNESS)
    found = solid(wall)
    assert found.is_watertight and found.is_volume
    radius = THICKNESS / 2
    shell = 2 / 3 * np.pi * ((RADIUS + radius) ** 3 - (RADIUS - radius) ** 3)
    rim = np.pi * radius**2 / 2 * 2 * np.pi * RADIUS  # half a torus, but for its small curvature
    assert found.volume == pytest.approx(shell + rim, rel=0.02)
    off = np.abs(distances_of(wall) - radius) * RESOLUTION / 1.1  # cells
    assert np.quantile(off, 0.95) < 0.05 and off.max() < 0.3


def test_a_closed_surface_gets_a_wall_with_a_hollow_and_a_speck_none():
    wall = wall_of(FunctionField(sphere(RADIUS)), RESOLUTION, THICKNESS)
    assert solid(wall).is_volume and len(np.unique(pieces_of(wall.faces))) == 2
    away = (face_vectors(wall.vertices, wall.faces) * wall.vertices[wall.faces].mean(axis=1)).sum(axis=1)
    outer = np.linalg.norm(wall.vertices[wall.faces].mean(axis=1), axis=1) > RADIUS
    assert (away[outer] > 0).all() and (away[~outer] < 0).all()
    assert wall_of(FunctionField(lambda p: 1 + p.norm(dim=1)), RESOLUTION, THICKNESS).faces.shape == (0, 3)


def test_what_leaves_the_box_is_closed_there():
    wall = wall_of(FunctionField(lambda p: p[:, 1].abs()), 48, THICKNESS)
    assert solid(wall).is_volume
    assert solid(wall).volume == pytest.approx(1.1**2 * THICKNESS, rel=0.06)


@pytest.mark.parametrize("ending", MESH_FORMATS)
def test_files_of_a_wall_are_solids_too(ending: str, tmp_path):
    (path,) = write_mesh(tmp_path, with_fewer_faces(wall_of(half(), RESOLUTION, THICKNESS), 3000), [ending])
    read = trimesh.load_scene(path).to_mesh()
    assert read.is_watertight and read.is_volume and len(read.faces) <= 3000


def test_values_that_are_exactly_zero_leave_no_triangle_without_area():
    nodes = np.stack(np.indices((3, 3, 3)), axis=-1).reshape(-1, 3)
    values = (nodes.sum(axis=1) - 3.0).reshape(3, 3, 3)  # a plane through seven nodes
    cells = np.stack(np.indices((2, 2, 2)), axis=-1).reshape(-1, 1, 3) + np.stack(
        np.indices((2, 2, 2)), axis=-1
    ).reshape(1, 8, 3)
    lattice = Lattice(values.astype(np.float32), np.ones((3, 3, 3), bool), 1.0)
    vertices, faces = marched(lattice, cells, values[tuple(np.moveaxis(cells, 2, 0))])
    areas = np.linalg.norm(face_vectors(vertices, faces), axis=1)
    assert len(faces) and areas.min() > 0.9 * CLOSEST**2
    assert edges_of(faces).num_faces.max() == 2


def test_fewer_triangles_keep_the_border_and_the_surface():
    mesh = mesh_of(half(), RESOLUTION)
    fewer = with_fewer_faces(mesh, len(mesh.faces) // 5)
    assert 0.9 * len(mesh.faces) / 5 < len(fewer.faces) <= len(mesh.faces) / 5
    assert border(fewer) == pytest.approx(border(mesh), rel=0.02)
    assert np.abs(distances_of(fewer)).max() < 0.1 * 1.1 / RESOLUTION
    np.testing.assert_allclose(np.linalg.norm(fewer.normals, axis=1), 1, atol=1e-4)
    outward = (face_vectors(fewer.vertices, fewer.faces) * fewer.vertices[fewer.faces].mean(axis=1)).sum(axis=1)
    assert (outward > 0).mean() > 0.99
    assert with_fewer_faces(mesh, len(mesh.faces)) is mesh
