"""Points in openings: where they lie, which are kept, and shapes that have none."""

import numpy as np
import trimesh

from dataprocessing.gaps import CANDIDATES_A_POINT, MAX_LENGTH, MIN_DISTANCE, gap_candidates, gap_indices
from dataprocessing.mesh_io import Mesh
from lab.small.triangles import brute_force_distance

HALF_HOLE = 0.1


def frame() -> Mesh:
    """A plate of side 1 in the plane y = 0.2 with a square hole in its middle, and a plate of side 1 below it."""
    x = np.array([-0.5, -HALF_HOLE, HALF_HOLE, 0.5])
    vertices = np.array([[a, 0.2, b] for a in x for b in x])
    cells = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    corners = [[4 * i + j, 4 * (i + 1) + j, 4 * (i + 1) + j + 1, 4 * i + j + 1] for i, j in cells]
    faces = [triangle for a, b, c, d in corners for triangle in ([a, b, c], [a, c, d])]
    below = np.array([[-0.5, 0.05, -0.5], [0.5, 0.05, -0.5], [0.5, 0.05, 0.5], [-0.5, 0.05, 0.5]])
    return Mesh(np.concatenate([vertices, below]), np.array([*faces, [16, 17, 18], [16, 18, 19]]))


def test_kept_points_are_in_the_hole():
    mesh, rng = frame(), np.random.default_rng(0)
    candidates = gap_candidates(mesh, 300, rng)
    assert candidates.shape == (300 * CANDIDATES_A_POINT, 3)
    assert candidates.dtype == np.float32
    assert np.isin(candidates[:, 1].round(6), np.float32([0.2, 0.05])).all()  # chords from plate to plate are steep
    df = brute_force_distance(candidates, *mesh)
    kept = candidates[gap_indices(df, 77, rng)]
    assert kept.shape == (77, 3)
    assert (np.abs(kept[:, [0, 2]]) < HALF_HOLE).all()
    assert np.abs(kept[:, 0]).max() > 0.5 * HALF_HOLE  # all over it
    assert 2 * HALF_HOLE < MAX_LENGTH


def test_few_gaps_are_taken_more_than_once_and_none_leaves_any_candidate():
    rng = np.random.default_rng(1)
    df = np.full(50, MIN_DISTANCE / 2)
    df[[7, 31]] = 2 * MIN_DISTANCE
    assert set(gap_indices(df, 9, rng)) == {7, 31}
    assert gap_indices(df[:5], 9, rng).shape == (9,)


def test_a_shape_without_flat_chords_gives_surface_points():
    dust = trimesh.creation.icosphere(subdivisions=1, radius=0.004)  # no chord is long enough
    candidates = gap_candidates(Mesh(dust.vertices, dust.faces), 10, np.random.default_rng(2))
    assert len(candidates)
    assert (np.linalg.norm(candidates, axis=1) < 0.0041).all()
