"""Edges where a surface bends or ends: which they are, how much each counts, and where points near them lie."""

import numpy as np
import pytest
import trimesh

from dataprocessing.mesh_io import Mesh
from dataprocessing.sharp_edges import SPREADS, Edges, edges_of, sharp_points
from lab.small.triangles import random_soup

CUBE = Mesh(*(np.asarray(part) for part in (trimesh.creation.box((1, 1, 1)).vertices, trimesh.creation.box().faces)))
SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])


def sphere(subdivisions: int, radius: float = 0.4) -> Mesh:
    found = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return Mesh(np.asarray(found.vertices), np.asarray(found.faces))


def lengths(edges: Edges) -> np.ndarray:
    return np.linalg.norm(edges.ends[:, 1] - edges.ends[:, 0], axis=1)


def measure(mesh: Mesh) -> float:
    """Length times turn, added over the edges."""
    edges = edges_of(mesh)
    return float(lengths(edges) @ edges.turn)


def as_set(edges: Edges, digits: int = 4) -> set:
    return {
        (*sorted(map(tuple, (ends.round(digits) + 0.0).tolist())), round(turn, digits - 1))
        for ends, turn in zip(edges.ends, edges.turn.tolist(), strict=True)
    }


def sheets(angles: list[float]) -> Mesh:
    """Squares that meet at the z axis, towards these angles in degrees."""
    out = [[np.cos(a), np.sin(a), 0.0] for a in np.radians(angles)]
    vertices = np.array([[0.0, 0, 0], [0, 0, 1], *[p for o in out for p in (o, [o[0], o[1], 1])]])
    faces = [f for n in range(2, 2 * len(out) + 2, 2) for f in ([0, 1, n], [1, n + 1, n])]
    return Mesh(vertices, np.array(faces))


def test_a_cube_has_its_twelve_edges_and_no_diagonal():
    edges = edges_of(CUBE)
    assert edges.ends.shape == (12, 2, 3)
    np.testing.assert_allclose(edges.turn, np.pi / 2)
    np.testing.assert_allclose(lengths(edges), 1)


def test_a_sheet_ends_at_its_sides_alone():
    edges = edges_of(Mesh(SQUARE, HALVES))
    assert len(edges.ends) == 4
    np.testing.assert_allclose(edges.turn, np.pi)
    assert ((edges.ends[:, 0] == edges.ends[:, 1]).sum(axis=1) == 2).all()


@pytest.mark.parametrize(
    ("angles", "turn"),
    [([0, 180], 0), ([0, 150], 30), ([0, 90], 90), ([0, 10], 170), ([0, 180, 90], 90), ([0, 180, 90, 270], 0),
     ([0, 0], 180), ([20, 200, 200, 20], 0), ([0, 120, 240], 60), ([0], 180)],
)  # fmt: skip
def test_an_edge_turns_by_what_is_missing_to_a_flat_angle(angles: list[float], turn: float):
    edges = edges_of(sheets(angles))
    at_axis = (np.abs(edges.ends[:, :, :2]) < 1e-9).all(axis=(1, 2))
    assert np.degrees(edges.turn[at_axis]).tolist() == pytest.approx([turn] if turn else [], abs=1e-5)


@pytest.mark.parametrize("radius", [0.2, 0.45])
def test_the_measure_is_that_of_mean_curvature(radius: float):
    """A sphere's principal curvatures add up to 2 / r on an area of 4 pi r^2."""
    assert measure(sphere(3, radius)) == pytest.approx(8 * np.pi * radius, rel=0.02)


@pytest.mark.parametrize("segments", [12, 24, 48])
def test_it_does_not_depend_on_how_finely_a_round_is_cut(segments: int):
    found = trimesh.creation.cylinder(radius=0.2, height=0.7, sections=segments)
    perimeter = 2 * segments * 0.2 * np.sin(np.pi / segments)  # of each lid, where the surface turns by pi / 2
    expected = 0.7 * 2 * np.pi + 2 * perimeter * np.pi / 2
    assert measure(Mesh(np.asarray(found.vertices), np.asarray(found.faces))) == pytest.approx(expected, rel=1e-6)


def test_loose_triangles_of_any_orientation_twice_there_are_the_same_surface():
    rng = np.random.default_rng(0)
    for mesh in (CUBE, sphere(1), sheets([0, 150, 240])):
        faces = np.concatenate([mesh.faces, mesh.faces[::2]])
        corners = mesh.vertices[faces] + rng.uniform(-1e-9, 1e-9, (len(faces), 3, 3))
        turned = rng.random(len(faces)) < 0.5
        corners[turned] = corners[turned][:, ::-1]
        loose = Mesh(corners.reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3))
        assert as_set(edges_of(loose)) == as_set(edges_of(mesh))


def test_faces_without_area_count_not_at_all():
    more = np.array([[0, 1, 1], [2, 2, 2], [0, 4, 1]])
    line = np.concatenate([SQUARE, [[0.5, 0, 0]]])
    assert as_set(edges_of(Mesh(line, np.concatenate([HALVES, more])))) == as_set(edges_of(Mesh(SQUARE, HALVES)))


def test_points_lie_at_the_edges_of_a_cube_evenly():
    points = sharp_points(CUBE, 6001, np.random.default_rng(1)).astype(float)
    assert points.shape == (6001, 3) and sharp_points(CUBE, 3, np.random.default_rng(1)).dtype == np.float32
    beyond = np.sort(np.abs(np.abs(points) - 0.5), axis=1)  # distances to the nearest planes of sides
    away = np.hypot(beyond[:, 0], beyond[:, 1])  # from the nearest edge's line
    expected = np.sqrt(2) * np.sqrt(np.mean(np.square(SPREADS)))
    assert np.sqrt(np.mean(away**2)) == pytest.approx(expected, rel=0.04)
    along = np.argmax(np.abs(np.abs(points) - 0.5), axis=1)
    signs = np.sign(points)[np.arange(6001)[:, None], (along[:, None] + [1, 2]) % 3]
    counts = np.unique(np.c_[along, signs], axis=0, return_counts=True)[1]
    assert len(counts) == 12 and np.abs(counts - 6001 / 12).max() < 5 * np.sqrt(6001 / 12)


@pytest.mark.parametrize("subdivisions", [2, 5])
def test_points_lie_all_over_a_sphere(subdivisions: int):
    """With 5 subdivisions no edge bends enough to count."""
    mesh = sphere(subdivisions)
    assert bool(len(edges_of(mesh).ends)) == (subdivisions == 2)
    points = sharp_points(mesh, 4000, np.random.default_rng(2)).astype(float)
    assert np.abs(points.mean(axis=0)).max() < 5 * 0.4 / np.sqrt(3 * 4000)
    octants = np.bincount((points > 0) @ [1, 2, 4], minlength=8)
    assert np.abs(octants - 500).max() < 5 * np.sqrt(500)
    assert np.abs(np.linalg.norm(points, axis=1) - 0.39).max() < 6 * max(SPREADS)


def test_fine_parts_get_their_share():
    """A plate with twenty thin bars: of its area they are a hundredth, of its borders most."""
    bar = SQUARE * [0.004, 0.1, 1]
    vertices = np.concatenate([SQUARE, *[bar + [0.04 * n, 0.3, 0.2] for n in range(20)]])
    faces = np.concatenate([HALVES + 4 * n for n in range(21)])
    points = sharp_points(Mesh(vertices, faces), 3000, np.random.default_rng(3))
    share = np.mean(points[:, 2] > 0.1)
    assert share == pytest.approx(20 * 0.208 / (20 * 0.208 + 4), abs=0.04)


@pytest.mark.parametrize("seed", range(4))
def test_any_soup_gives_points_near_it(seed: int):
    rng = np.random.default_rng(seed)
    mesh = Mesh(*random_soup(rng, 37))
    points = sharp_points(mesh, 101, rng)
    assert points.shape == (101, 3) and np.isfinite(points).all()
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    assert (points > low - 6 * max(SPREADS)).all() and (points < high + 6 * max(SPREADS)).all()


def test_a_fan_of_many_faces_at_one_edge_takes_no_quadratic_time():
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    vertices = np.concatenate([[[0.0, 0, 0], [0, 0, 1]], np.c_[np.cos(angles), np.sin(angles), 0 * angles]])
    faces = np.c_[0 * np.arange(20_000), 0 * np.arange(20_000) + 1, np.arange(20_000) + 2]
    assert len(edges_of(Mesh(vertices, faces)).ends) == 2 * 20_000 + 1
