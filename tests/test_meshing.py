"""Meshes of surfaces that are known: a half-sphere, an open box with a hole, parallel sheets, sheets that meet."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dataprocessing.distances import unsigned_distance
from generation.meshing import OpenMesh, mesh_of
from generation.meshing.contour import mended, quads_of
from generation.meshing.crossings import MAY_CROSS, Crossings, crossings_of_unsigned, ends
from generation.meshing.lattice import Field, Lattice, asked_of, lattice_of
from generation.meshing.topology import border_sides, edges_of, face_vectors, oriented, pieces_of
from generation.surface_cells import HALF_EXTENT
from lab.small.known_shapes import ByDifferences, FunctionField, half_sphere, sphere

RESOLUTION = 64
SIDE = 2 * HALF_EXTENT / RESOLUTION
RADIUS = 0.31
TILTED = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
Parts = tuple[np.ndarray, np.ndarray]


class Sheets(ByDifferences):
    """Exact distances to triangles, plus a floor: like a decoder's field, which is never 0."""

    def __init__(self, parts: list[Parts], turn: np.ndarray, floor: float = 0.0):
        starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
        self.vertices = np.concatenate([vertices for vertices, _ in parts]) @ turn.T
        self.faces = np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=False)])
        self.floor = floor

    def distance(self, points: Tensor) -> Tensor:
        distance = unsigned_distance(self.vertices, self.faces, points.numpy(), num_threads=1)
        return (torch.from_numpy(distance) ** 2 + self.floor**2).sqrt()


class HalfSphere(FunctionField):
    """The half y >= 0; `noise`: its roughness, mesh units, as of a decoder."""

    def __init__(self, noise: float = 0.0):
        super().__init__(lambda p: (half_sphere(RADIUS)(p) + noise * torch.sin(300 * p).prod(dim=1)).abs())


def sheet(origin: tuple, side: tuple, other: tuple) -> Parts:
    o, u, v = (np.array(vector, dtype=float) for vector in (origin, side, other))
    return np.array([o, o + u, o + u + v, o + v]), np.array([[0, 1, 2], [0, 2, 3]])


def open_box_with_hole() -> list[Parts]:
    """0.6 x 0.4 x 0.5 without lid, a hole of 0.2 x 0.3 in one side."""
    x, y, z = -0.3, -0.2, -0.25
    walls = [((0.6, 0, 0), (0, 0, 0.5)), ((0.6, 0, 0), (0, 0.4, 0)), ((0, 0.4, 0), (0, 0, 0.5))]
    strips = [((0.3, y, z), (0, 0.1, 0), (0, 0, 0.5)), ((0.3, 0.1, z), (0, 0.1, 0), (0, 0, 0.5)),
              ((0.3, -0.1, z), (0, 0.2, 0), (0, 0, 0.1)), ((0.3, -0.1, 0.15), (0, 0.2, 0), (0, 0, 0.1))]  # fmt: skip
    opposite = sheet((x, y, 0.25), (0.6, 0, 0), (0, 0.4, 0))
    return [*(sheet((x, y, z), *wall) for wall in walls), opposite, *(sheet(*strip) for strip in strips)]


def floor_and(*others: Parts) -> list[Parts]:
    return [sheet((-0.3, 0, -0.25), (0.6, 0, 0), (0, 0, 0.5)), *others]


PARALLEL = floor_and(sheet((-0.3, 3 * SIDE, -0.25), (0.6, 0, 0), (0, 0, 0.5)))  # 3 cells apart
JUNCTION = floor_and(sheet((0.02, 0, -0.25), (0, 0.3, 0), (0, 0, 0.5)))  # a wall on the floor


def area(mesh: OpenMesh) -> float:
    return float(np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1).sum() / 2)


def border(mesh: OpenMesh) -> float:
    sides = mesh.vertices[border_sides(mesh.faces)]
    return float(np.linalg.norm(sides[:, 1] - sides[:, 0], axis=1).sum())


def euler(mesh: OpenMesh) -> int:
    return len(mesh.vertices) - len(edges_of(mesh.faces).ends) + len(mesh.faces)


def junctions(mesh: OpenMesh) -> int:
    return int((edges_of(mesh.faces).num_faces > 2).sum())


def num_pieces(mesh: OpenMesh) -> int:
    return len(np.unique(pieces_of(mesh.faces)))


def assert_sound(mesh: OpenMesh) -> None:
    """What holds of every mesh: all vertices used, no degenerate or doubled face, unit normals along the faces'."""
    assert np.array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices)))
    assert np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1).min() > 1e-9
    assert len(np.unique(np.sort(mesh.faces, axis=1), axis=0)) == len(mesh.faces)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.1 * SIDE])
def test_a_half_sphere_is_a_disc_with_the_right_area_and_rim(noise: float):
    mesh = mesh_of(HalfSphere(noise), RESOLUTION)
    assert_sound(mesh)
    assert (euler(mesh), num_pieces(mesh)) == (1, 1) and junctions(mesh) <= (0 if noise == 0 else 2)
    assert area(mesh) == pytest.approx(2 * np.pi * RADIUS**2, rel=0.02)
    assert border(mesh) == pytest.approx(2 * np.pi * RADIUS, rel=0.02 if noise == 0 else 0.08)
    on_rim = mesh.vertices[np.unique(border_sides(mesh.faces))]
    assert np.quantile(np.abs(on_rim[:, 1]), 0.95) < (0.2 if noise == 0 else 0.6) * SIDE
    distances = HalfSphere().distance(torch.from_numpy(mesh.vertices)).numpy()
    assert np.sqrt(np.mean(distances**2)) < 0.05 * SIDE
    outward = (mesh.normals * mesh.vertices).sum(axis=1) / np.linalg.norm(mesh.vertices, axis=1)
    assert np.median(outward) > 0.99 and np.quantile(outward, 0 if noise == 0 else 0.01) > 0


@pytest.mark.parametrize("turn", [np.eye(3), TILTED], ids=["straight", "tilted"])
@pytest.mark.parametrize("floor", [0.0, 0.2 * SIDE])
def test_an_open_box_with_a_hole_has_two_borders(turn: np.ndarray, floor: float):
    mesh = mesh_of(Sheets(open_box_with_hole(), turn, floor), RESOLUTION)
    assert_sound(mesh)
    assert (euler(mesh), num_pieces(mesh)) == (0, 1) and junctions(mesh) < 3  # a disc with a hole
    assert area(mesh) == pytest.approx(1.12, rel=0.03)  # creases are rounded
    assert border(mesh) == pytest.approx(2 * 1.1 + 2 * 0.5, rel=0.06)
    inner = mesh.vertices.mean(axis=0)
    outward = ((mesh.vertices - inner) * mesh.normals).sum(axis=1)
    assert (outward > 0).mean() > 0.97


@pytest.mark.parametrize("turn", [np.eye(3), TILTED], ids=["straight", "tilted"])
def test_two_sheets_three_cells_apart_stay_two(turn: np.ndarray):
    mesh = mesh_of(Sheets(PARALLEL, turn), RESOLUTION)
    assert_sound(mesh)
    assert num_pieces(mesh) == 2
    assert 2 <= euler(mesh) <= 3 and junctions(mesh) < 10  # two discs, but for a flap at a corner of the tilted ones
    assert area(mesh) == pytest.approx(0.6, rel=0.02)
    assert border(mesh) == pytest.approx(4.4, rel=0.05)


@pytest.mark.parametrize("turn", [np.eye(3), TILTED], ids=["straight", "tilted"])
def test_sheets_that_meet_are_joined_without_holes(turn: np.ndarray):
    mesh = mesh_of(Sheets(JUNCTION, turn), RESOLUTION)
    assert_sound(mesh)
    assert num_pieces(mesh) == 1
    # Can be shrunk to a point; of sheets that lie on nodes a slit without width is left, where vertices fell together.
    assert euler(mesh) == 1 or (turn is not TILTED and euler(mesh) == 0)
    assert junctions(mesh) > 0.8 * 0.5 / SIDE
    assert area(mesh) == pytest.approx(0.45, rel=0.02)
    assert border(mesh) == pytest.approx(2.2 + 1.1, rel=0.03)


def test_no_skin_is_doubled():
    """Along a normal there is one sheet, not two."""
    mesh = mesh_of(HalfSphere(0.1 * SIDE), RESOLUTION)
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    directions = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    cells = np.unique(np.round(directions / 0.15).astype(int), axis=0)
    for cell in cells[:200]:
        near = np.abs(directions - 0.15 * cell).max(axis=1) < 0.075
        radii = np.linalg.norm(centres[near], axis=1)
        assert np.ptp(radii) < SIDE


def crossings_of_signed(values: np.ndarray, covered: np.ndarray, side: float) -> Crossings:
    """Crossings of a field with signs, of the lattice's shape, on the edges whose ends both are `covered`."""
    crosses, allowed = [], []
    for axis in range(3):
        (a, b), (here, there) = ends(values < 0, axis), ends(covered, axis)
        crosses.append((a != b) & here & there)
        allowed.append(np.mean(ends(np.abs(values), axis), axis=0) < MAY_CROSS * side)
    return Crossings(crosses, allowed, values)


@pytest.mark.parametrize(("low", "holes"), [(-1.0, 0), (0.0, 1)])
def test_a_field_with_signs_gives_a_closed_surface_and_a_cover_opens_it(low: float, holes: int):
    def find(lattice: Lattice, asked: Field) -> Crossings:
        nodes = lattice.places(np.stack(np.indices(lattice.values.shape), axis=-1).reshape(-1, 3))
        signed = (np.linalg.norm(nodes, axis=1) - RADIUS).reshape(lattice.values.shape)
        return crossings_of_signed(signed, (nodes[:, 1] > low).reshape(signed.shape), lattice.side)

    mesh = mesh_of(FunctionField(sphere(RADIUS)), RESOLUTION, find_crossings=find)
    assert_sound(mesh)
    assert euler(mesh) == 2 - holes
    assert (border(mesh) > 0) == bool(holes)


def test_the_field_is_asked_in_a_narrow_band_only_and_each_node_once():
    asked: list[Tensor] = []

    class Counting(HalfSphere):
        def distance(self, points: Tensor) -> Tensor:
            asked.append(points)
            return super().distance(points)

    lattice = lattice_of(asked_of(Counting(), 5000).distance, RESOLUTION)
    points = torch.cat(asked)
    assert len(points) < 0.15 * (RESOLUTION + 1) ** 3
    assert len(torch.unique((points / SIDE * 4).round(), dim=0)) == len(points)
    assert max(len(part) for part in asked) <= 5000
    nodes = np.argwhere(lattice.known)
    exact = HalfSphere().distance(torch.from_numpy(lattice.places(nodes))).numpy()
    np.testing.assert_allclose(lattice.values[lattice.known], exact, atol=1e-6)
    everywhere = Lattice(lattice.values, lattice.known, SIDE).places(np.argwhere(np.ones((RESOLUTION + 1,) * 3)))
    close = everywhere[HalfSphere().distance(torch.from_numpy(everywhere)).numpy() < 1.9 * SIDE]
    at = np.round((close + HALF_EXTENT) / SIDE).astype(int) - lattice.first
    assert lattice.known[tuple(at.T)].all()


def test_a_wrong_edge_is_mended_and_a_border_stays():
    lattice = lattice_of(asked_of(HalfSphere(), 50_000).distance, RESOLUTION)
    true = crossings_of_unsigned(lattice, asked_of(HalfSphere(), 50_000))
    rng = np.random.default_rng(1)
    broken = [mask.copy() for mask in true.crosses]
    for mask in broken:
        edges = np.argwhere(mask)
        mask[tuple(edges[rng.choice(len(edges), 25, replace=False)].T)] = False
    whole, again = mended(true.crosses, true.allowed), mended(broken, true.allowed)
    different = sum(int((a != b).sum()) for a, b in zip(whole, again, strict=True))
    assert different <= 4  # at the border a quad more or less makes it no longer
    unchanged = sum(int((a != b).sum()) for a, b in zip(whole, true.crosses, strict=True))
    assert unchanged < 0.02 * sum(int(mask.sum()) for mask in true.crosses)


def test_sheets_that_only_touch_in_a_cell_share_no_vertex():
    crosses = [np.zeros((8 - (axis == 0), 8 - (axis == 1), 8 - (axis == 2)), bool) for axis in range(3)]
    crosses[0][2, 2, 2] = crosses[0][2, 3, 3] = True  # two quads with a corner in the same cell
    vertices, quads = quads_of(Crossings(crosses, crosses, np.ones((8, 8, 8), np.float32)))
    assert len(vertices) == 8 and len(np.unique(quads)) == 8
    crosses[0][2, 2, 3] = True  # one between them: a strip of three
    vertices, quads = quads_of(Crossings(crosses, crosses, np.ones((8, 8, 8), np.float32)))
    assert len(vertices) == 8 and len(quads) == 3


def test_neighbours_turn_the_same_way_whatever_way_they_came():
    mesh = mesh_of(HalfSphere(), 48)
    mixed = mesh.faces.copy()
    turned = np.random.default_rng(2).random(len(mixed)) < 0.5
    mixed[turned] = mixed[turned][:, ::-1]
    faces = oriented(mesh.vertices, mixed)
    assert (face_vectors(mesh.vertices, faces) * mesh.vertices[faces].mean(axis=1)).sum(axis=1).min() > 0


def test_a_field_without_surface_or_with_specks_alone_gives_an_empty_mesh():
    far, speck = lambda p: 1 + p.norm(dim=1), sphere(0.8 * SIDE)  # noqa: E731
    for function in (far, speck):
        mesh = mesh_of(FunctionField(function), RESOLUTION)
        assert mesh.faces.shape == (0, 3) and mesh.vertices.shape == (0, 3)


@pytest.mark.parametrize("gap", [1.5, 2.0, 2.6])
def test_vertices_stay_on_their_own_sheet_beside_another_one(gap: float):
    """From a look beyond the middle between them they would be drawn to each other, by nearly a cell."""
    pair = floor_and(sheet((-0.2, gap * SIDE, -0.15), (0.4, 0, 0), (0, 0, 0.3)))
    field = Sheets(pair, TILTED)
    mesh = mesh_of(field, RESOLUTION)
    assert np.quantile(field.distance(torch.from_numpy(mesh.vertices)).numpy(), 0.98) < 0.2 * SIDE
    assert area(mesh) == pytest.approx(0.6 * 0.5 + 0.4 * 0.3, rel=0.05)
