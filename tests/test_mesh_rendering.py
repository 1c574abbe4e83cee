"""Pictures of meshes: areas, holes, both sides, what hides what, meshes of a few large and of many small triangles."""

import numpy as np
import pytest
import trimesh
from facts import naming

from visualization.mesh_rendering import render_mesh
from visualization.rendering import VIEWS, view_axes

SIZE = (151, 97)  # odd: width, height


def grid(count: int, hole: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The square |y|, |z| < 0.5 at x = 0, of count x count cells, without those whose middle is closer than `hole`."""
    axis = np.linspace(-0.5, 0.5, count + 1)
    y, z = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    corner = np.arange((count + 1) ** 2).reshape(count + 1, count + 1)
    quads = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], axis=-1).reshape(-1, 4)
    vertices = np.column_stack([np.zeros_like(y), y, z])
    quads = quads[np.abs(vertices[quads].mean(1)).max(1) >= hole]
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def drawn(picture: np.ndarray) -> np.ndarray:
    return (picture < 250).any(axis=2)


def filled(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return drawn(render_mesh(vertices, faces, (90.0, 0.0), SIZE, shadow=False))


@pytest.mark.parametrize("count", [1, 7, 60, 300])
def test_a_square_is_filled_without_gaps_however_fine_it_is(count: int):
    mask = filled(*grid(count))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert mask.sum() == height * width
    assert abs(height - width) <= 1
    assert abs(height / (SIZE[1] * 0.8) - 1) < 0.03


def test_a_hole_of_one_cell_stays_a_hole():
    whole, holed = filled(*grid(21)), filled(*grid(21, hole=0.01))
    share = (whole & ~holed).sum() / whole.sum()
    assert share == pytest.approx(1 / 21**2, rel=0.5)
    assert not (holed & ~whole).any()


def test_inside_faces_are_seen_through_a_hole_and_lit_from_both_sides():
    vertices, faces = grid(20)
    back = np.column_stack([vertices[:, 0] + 0.2, vertices[:, 1:]])  # farther from a camera at -x
    front, front_faces = grid(20, hole=0.2)
    both = np.concatenate([front, back]), np.concatenate([front_faces, faces + len(front)])
    middle = np.s_[SIZE[1] // 2 - 5 : SIZE[1] // 2 + 5, SIZE[0] // 2 - 5 : SIZE[0] // 2 + 5]
    alone, seen = (render_mesh(*mesh, "side", SIZE, shadow=False)[middle] for mesh in ((front, front_faces), both))
    assert (alone > 250).all() and drawn(seen).all()
    turned = both[0], both[1][:, ::-1]
    pictures = [render_mesh(*mesh, "side", SIZE, shadow=False).astype(int) for mesh in (both, turned)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5  # borders move by parts of a pixel with the camera


def test_nearer_triangles_hide_farther_ones():
    ball = trimesh.creation.icosphere(3, radius=0.4)
    inside = trimesh.creation.box((0.2, 0.3, 0.2))
    both = trimesh.util.concatenate([ball, inside])
    pictures = [render_mesh(one.vertices, one.faces, "rear_three_quarter", SIZE, shadow=False) for one in (ball, both)]
    # The camera fits points on all triangles, so sizes differ by parts of a pixel at the border.
    inner = np.s_[20:-25, 50:-50]
    assert np.abs(pictures[0][inner].astype(int) - pictures[1][inner]).mean() < 1.5


def test_the_rear_view_is_opposite_to_the_front_view():
    front, rear = (view_axes(VIEWS[name])[2] for name in ("three_quarter", "rear_three_quarter"))
    assert front[0] < 0 and front[2] < 0  # towards a camera at the front left
    np.testing.assert_allclose(rear, front * [-1, 1, -1], atol=1e-6)


def test_lit_from_above():
    ball = trimesh.creation.icosphere(4, radius=0.4)
    picture = render_mesh(ball.vertices, ball.faces, "side", SIZE, (200, 40, 40), shadow=False)[:, SIZE[0] // 2]
    upper, lower = picture[SIZE[1] // 3].astype(int), picture[2 * SIZE[1] // 3].astype(int)
    assert upper[0] > lower[0] > lower[1] + 30


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [(np.eye(3), [[0, 0, 0]]), (np.zeros((3, 3)), [[0, 1, 2]]), (np.diag([1, 1e-6, 1]), [[0, 1, 2]])],
)
def test_degenerate_meshes_give_a_picture(vertices: np.ndarray, faces: list):
    assert render_mesh(vertices, faces, size=SIZE).shape == (SIZE[1], SIZE[0], 3)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=naming("(F, 3) (0, 3)")):
        render_mesh(np.eye(3), np.zeros((0, 3), int))
    with pytest.raises(ValueError, match="NaN"):
        render_mesh(np.full((3, 3), np.nan), [[0, 1, 2]])
    with pytest.raises(ValueError, match=naming("'below' three_quarter")):
        render_mesh(np.eye(3), [[0, 1, 2]], "below")
