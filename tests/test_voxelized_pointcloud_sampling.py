import itertools

import numpy as np
import pytest

from dataprocessing.voxelized_pointcloud_sampling import packed_nodes, voxelize, voxelized_arrays
from lab.small.helpers import read_occupancy
from runtime.files import write_npz


@pytest.mark.parametrize(
    ("res", "bb_min", "bb_max"), [(2, -0.5, 0.5), (7, -0.5, 0.5), (11, -0.3, 0.9), (16, -0.55, 0.55)]
)
def test_occupied_nodes_are_the_nearest_of_all_nodes(res, bb_min, bb_max):
    points = np.random.default_rng(res).uniform(bb_min - 0.2, bb_max + 0.2, (3 * res, 3)).astype(np.float32)
    expected = np.zeros((res, res, res), dtype=bool)
    nodes = list(itertools.product(range(res), repeat=3))
    places = bb_min + np.array(nodes) * (bb_max - bb_min) / (res - 1)
    for point in points:
        expected[nodes[int(np.argmin(((places - point) ** 2).sum(axis=1)))]] = True
    occupied = voxelize(points, res, bb_min, bb_max)
    assert occupied.dtype == bool
    assert 1 < expected.sum() < expected.size
    assert np.array_equal(occupied, expected)
    assert np.array_equal(packed_nodes(points, res, bb_min, bb_max), np.packbits(expected))


def test_index_order_is_x_y_z():
    occupied = voxelize(np.array([[0.5, 0.0, -0.5]]), 5, -0.5, 0.5)
    assert np.argwhere(occupied).tolist() == [[4, 2, 0]]


def test_points_outside_mark_the_sides():
    assert np.argwhere(voxelize(np.array([[9.0, -9, 0]]), 3, -0.5, 0.5)).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("res", [5, 8, 33])
def test_file_round_trip(res, tmp_path):
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3)).astype(np.float32)
    write_npz(tmp_path / "a.npz", compressed=True, **voxelized_arrays(points, res, -0.5, 0.5))
    occupied = read_occupancy(tmp_path / "a.npz")
    assert occupied.shape == (res, res, res)
    assert occupied.dtype == bool
    assert np.array_equal(occupied, voxelize(points, res, -0.5, 0.5))
    with np.load(tmp_path / "a.npz") as file:
        assert np.array_equal(file["point_cloud"], points)
        assert (file["bb_min"], file["bb_max"], file["res"]) == (-0.5, 0.5, res)


def test_a_file_of_ndf_is_read(tmp_path):
    """NDF packs an int8 array of the flattened grid and stores float64 points."""
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (30, 3))
    flat = np.zeros(8**3, dtype=np.int8)
    flat[[3, 77, 500]] = 1
    np.savez(
        tmp_path / "a.npz", point_cloud=points, compressed_occupancies=np.packbits(flat), bb_min=-0.5, bb_max=0.5, res=8
    )
    assert np.flatnonzero(read_occupancy(tmp_path / "a.npz")).tolist() == [3, 77, 500]
