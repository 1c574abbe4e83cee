"""Wrong shapes: what each set is, that it is made again from the same seed, and that it is really another shape."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming
from numpy.random import default_rng
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from configs.options import Data
from dataprocessing.convert_to_scaled_off import scale_mesh, write_off
from dataprocessing.distances import unsigned_distance
from dataprocessing.mesh_io import Mesh
from evaluation.outliers import (
    CUT,
    DEFINITIONS,
    OBJECTS,
    REDRAWN,
    REMOVED,
    SCALES,
    WRONG,
    chair,
    cut_car,
    other_object,
    outlier_clouds,
    redrawn_car,
    wrong_car,
)
from runtime.errors import UserError
from runtime.layout import SCALED_MESH

NUM = 211


@pytest.fixture
def mesh() -> Mesh:
    """A shape without symmetry in y and z: a prism along x, whose edge is at the front and low."""
    corners = [[x, y, z] for x in (-0.2, 0.2) for y, z in ((-0.15, -0.5), (-0.15, 0.5), (0.15, 0.5))]
    hull = trimesh.convex.convex_hull(np.array(corners))
    return scale_mesh(Mesh(np.asarray(hull.vertices), np.asarray(hull.faces)))


@pytest.fixture
def egg() -> Mesh:
    """An ellipsoid: no two of its points are at the same height for long."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    return Mesh(ball.vertices * [0.5, 0.4, 1], np.asarray(ball.faces))


def off_surface(cloud: np.ndarray, mesh: Mesh) -> float:
    return float(unsigned_distance(*mesh, cloud, num_threads=1).max())


def extent(points: np.ndarray) -> np.ndarray:
    return np.ptp(points, axis=0)


@pytest.fixture
def folders(tmp_path: Path, mesh: Mesh) -> list[Path]:
    for n in range(4):
        write_off(tmp_path / f"car{n}" / "models" / SCALED_MESH, mesh)
    return [tmp_path / f"car{n}" / "models" for n in range(4)]


def test_every_set_has_a_cloud_for_each_shape_that_seed_and_name_decide(folders: list[Path]) -> None:
    sets = outlier_clouds(folders, NUM, 3, Data())
    assert list(sets) == list(DEFINITIONS) == [REDRAWN, WRONG, OBJECTS, CUT]
    again, fewer, other = (
        outlier_clouds(folders, NUM, 3, Data()),
        outlier_clouds(folders[:2], NUM, 3, Data()),
        outlier_clouds(folders, NUM, 4, Data()),
    )
    for name, clouds in sets.items():
        assert len(clouds) == len(folders)
        for n, cloud in enumerate(clouds):
            assert cloud.shape == (NUM, 3)
            assert cloud.dtype == np.float32
            assert np.abs(cloud).max() <= 0.5 + 1e-6
            np.testing.assert_array_equal(cloud, again[name][n])
            assert not np.array_equal(cloud, other[name][n])
            assert n == 0 or not np.array_equal(cloud, clouds[n - 1])
        np.testing.assert_array_equal(fewer[name], clouds[:2])


def test_a_missing_mesh_names_the_step_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=naming(tmp_path / SCALED_MESH, "dataprocessing/preprocess.py")):
        outlier_clouds([tmp_path], NUM, 0, Data())


def test_the_control_is_the_car_itself(mesh: Mesh) -> None:
    cloud = redrawn_car(mesh, 0, 2003, default_rng(0))
    np.testing.assert_allclose(extent(cloud), [0.4, 0.3, 1], atol=0.01)
    assert off_surface(cloud, mesh) < 1e-6


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_wrong_cars_are_mirrored_stretched_and_in_the_box_again(mesh: Mesh, number: int, seed: int) -> None:
    cloud = wrong_car(mesh, number, 4001, default_rng(seed))
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    assert extent(cloud).max() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(low + high, 0, atol=0.02)
    # the wedge is thick where y is greatest; of the mirrored one, y or z has the other sign
    thick, front = cloud[:, 1].mean(), cloud[:, 2].mean()
    original = redrawn_car(mesh, 0, 4001, default_rng(seed))
    assert original[:, 2].mean() > 0.02
    assert (np.sign(front) == np.sign(original[:, 2].mean())) == (number == 0)
    assert (np.sign(thick) == np.sign(original[:, 1].mean())) == (number == 1)
    stretch = extent(cloud) / extent(original)
    stretch /= stretch[2]
    assert np.abs(np.log(stretch[:2])).max() > 0.02  # not the same in all directions
    assert np.abs(np.log(stretch)).max() < np.log(SCALES[1] / SCALES[0]) + 0.02


def test_other_objects_are_spheres_and_chairs_in_turn(mesh: Mesh) -> None:
    sphere = other_object(mesh, 0, NUM, default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 0.5, rtol=1e-5)
    assert np.abs(sphere.mean(axis=0)).max() < 0.1
    first, second = (other_object(mesh, 1, 2003, default_rng(seed)) for seed in (0, 1))
    for cloud in (first, second):
        assert extent(cloud).max() == pytest.approx(1, abs=0.01)
    assert np.abs(extent(first) - extent(second)).max() > 0.02  # of other proportions


def test_a_chair_is_closed_boxes_on_four_legs() -> None:
    for seed in range(4):
        mesh = chair(default_rng(seed))
        parts = trimesh.Trimesh(*mesh).split(only_watertight=False)
        assert len(parts) in (6, 8)
        assert all(part.is_watertight and len(part.faces) == 12 for part in parts)
        lowest = mesh.vertices[:, 1].min()
        feet = [part for part in parts if part.bounds[0, 1] < lowest + 1e-9]
        assert len(feet) == 4


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cut_cars_lack_a_fifth_to_a_third_of_their_surface_in_one_place(egg: Mesh, number: int, seed: int) -> None:
    whole, cut = redrawn_car(egg, 0, 4001, default_rng(9)), cut_car(egg, number, 4001, default_rng(seed))
    assert off_surface(cut, egg) < 1e-6
    bare = whole[cKDTree(cut).query(whole)[0] > 0.04]  # true points that nothing is near to
    assert REMOVED[0] - 0.1 < len(bare) / len(whole) < REMOVED[1] + 0.01
    apart = cKDTree(bare).query_pairs(0.1, output_type="ndarray")
    links = coo_matrix((np.ones(len(apart)), apart.T), shape=(len(bare), len(bare)))
    assert connected_components(links)[0] == 1
    if number == 2:
        assert bare[:, 1].max() < cut[:, 1].min() + 0.01


def test_cuts_of_one_kind_are_in_several_places(egg: Mesh) -> None:
    middles = np.stack(
        [cut_car(egg, number, 2003, default_rng(seed)).mean(axis=0) for number in (0, 1) for seed in range(8)]
    )
    assert (middles.std(axis=0) > 0.01).all()
