"""Shapes turned, tilted, scaled, thinned and with noise: distances stay those of the moved shape."""

from pathlib import Path

import numpy as np
import pytest
import torch

from configs.options import NDFTraining
from dataprocessing.split import split_folders
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL
from training.augmentation import changed, changes_shapes, noisy, posed, random_pose, seen_points
from training.shape_samples import ShapeSteps


def options(shapes: Path, **values: object) -> NDFTraining:
    return read_config(shapes, **SMALL, **values).ndf_training


def test_distances_move_with_the_shape():
    """The distance to a moved cloud is the moved distance to the cloud, for turns and scales."""
    rng = np.random.default_rng(0)
    cloud, points = rng.uniform(-0.4, 0.4, (2, 31, 3)), rng.uniform(-0.5, 0.5, (2, 17, 3))
    distances = np.linalg.norm(points[:, :, None] - cloud[:, None], axis=3).min(axis=2)
    batch = {"cloud": np.float32(cloud), "points": np.float32(points), "distances": np.float32(distances)}
    given = NDFTraining(**(vars(NDFTraining()) | {"turns": True, "tilt_deg": 30.0, "least_scale": 0.5}))
    moved = posed(batch, np.stack([random_pose(given, rng) for _ in cloud]))
    expected = np.linalg.norm(moved["points"][:, :, None] - moved["cloud"][:, None], axis=3).min(axis=2)
    assert np.allclose(moved["distances"], expected, atol=1e-6)
    assert not np.allclose(moved["distances"], distances, rtol=0.01)
    assert all(values.dtype == np.float32 for values in moved.values())


def test_all_24_turns_and_no_mirror_image():
    rng = np.random.default_rng(1)
    given = NDFTraining(turns=True)
    found = {tuple(np.round(random_pose(given, rng)).astype(int).ravel()) for _ in range(400)}
    assert len(found) == 24
    assert all(np.linalg.det(np.reshape(turn, (3, 3))) == pytest.approx(1) for turn in found)


def test_tilt_and_scale_have_bounds():
    rng = np.random.default_rng(2)
    given = NDFTraining(tilt_deg=8.0, least_scale=0.8)
    poses = [random_pose(given, rng) for _ in range(300)]
    scales = np.cbrt([np.linalg.det(pose) for pose in poses])
    cosines = [(np.trace(pose / scale) - 1) / 2 for pose, scale in zip(poses, scales, strict=True)]
    degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    assert 0.8 <= scales.min() < 0.82 and 0.98 < scales.max() <= 1
    assert degrees.max() <= 8 and degrees.max() > 7.5 and degrees.min() < 0.5


def test_points_that_are_seen():
    rng = np.random.default_rng(3)
    cloud = np.arange(300, dtype=np.float32).reshape(2, 50, 3)
    given = NDFTraining(min_input_points=5, usual_input_points=20)
    seen = [seen_points(cloud, given, rng) for _ in range(200)]
    counts = [one.shape[1] for one in seen]
    assert 5 <= min(counts) <= 7 and 40 < max(counts) <= 50 and 80 < counts.count(20) < 130
    for one in seen:
        rows = (one[0, :, 0] / 3).astype(int)
        assert len(set(rows)) == len(rows) and np.array_equal(one[1] - one[0], cloud[1, rows] - cloud[0, rows])
    assert len({one[0, 0, 0] for one in seen}) > 20


def test_noise_in_half_of_the_steps():
    rng = np.random.default_rng(4)
    cloud = np.zeros((2, 500, 3), np.float32)
    sds = [noisy(cloud, 0.01, rng).std() for _ in range(300)]
    assert 110 < sum(sd == 0 for sd in sds) < 190
    noise = [sd for sd in sds if sd]
    assert 0.9e-4 < min(noise) < 1.3e-4 and 0.8e-2 < max(noise) < 1.1e-2


def test_a_step_is_a_function_of_its_number(shapes: Path):
    given = {"turns": True, "tilt_deg": 5.0, "input_noise_sd": 0.01, "min_input_points": 5, "usual_input_points": 30}
    cfg = read_config(shapes, **SMALL, **given)
    folders = split_folders(cfg)["train"]
    one, other = ShapeSteps(folders, cfg), ShapeSteps(folders, cfg)
    for step in (0, 3):
        for name, values in one[step].items():
            assert torch.equal(values, other[step][name]), name
    assert not torch.equal(one[0]["points"], ShapeSteps(folders, read_config(shapes, **SMALL))[0]["points"])


def test_what_keeps_batches_on_the_host(shapes: Path):
    assert not changes_shapes(options(shapes))
    for name, value in {
        "turns": True, "tilt_deg": 1.0, "least_scale": 0.9, "input_noise_sd": 0.1, "min_input_points": 5,
    }.items():  # fmt: skip
        assert changes_shapes(options(shapes, **{name: value})), name
    batch = {"cloud": np.ones((1, 4, 3), np.float32), "points": np.ones((1, 2, 3), np.float32)}
    assert changed(batch, options(shapes), np.random.default_rng(0)) is batch
