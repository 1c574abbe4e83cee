"""The noise of a cloud is told by its points alone."""

import numpy as np
import pytest

from dataprocessing.scatter import LEAST, scatter_of


def sphere(count: int, sd: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    points = rng.normal(size=(count, 3))
    return 0.5 * points / np.linalg.norm(points, axis=1, keepdims=True) + sd * rng.normal(size=(count, 3))


@pytest.mark.parametrize("count", [3001, 20_003, 150_001])
@pytest.mark.parametrize("sd", [0.002, 0.005, 0.01])
def test_noise_on_a_sphere_is_found_within_a_third(count: int, sd: float):
    assert scatter_of(sphere(count, sd), np.random.default_rng(0)) == pytest.approx(sd, rel=0.33)


@pytest.mark.parametrize("count", [10_007, 60_001])
def test_without_noise_there_is_hardly_any(count: int):
    assert scatter_of(sphere(count, 0), np.random.default_rng(0)) < 0.0005


def test_it_turns_and_scales_with_the_points_and_few_tell_nothing():
    points = sphere(2003, 0.004)
    turned = 7 * points[:, [2, 0, 1]] * [1, -1, 1] + 100
    found = [scatter_of(some, np.random.default_rng(1)) for some in (points, turned)]
    assert found[1] == pytest.approx(7 * found[0], rel=1e-6)
    assert scatter_of(points[: LEAST - 1], np.random.default_rng(0)) is None
