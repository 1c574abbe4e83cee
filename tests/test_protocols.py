"""The frames of the protocols: what they do to clouds, and what they leave alone."""

import numpy as np
import pytest
from facts import naming
from numpy.testing import assert_allclose, assert_array_equal

from configs.config_loader import get_config
from evaluation.protocols import DEFINITIONS, Protocol, Statistics, make_protocol, training_statistics
from runtime.errors import UserError


def clouds(seed: int, shapes: int = 3, points: int = 40) -> np.ndarray:
    """Clouds far from the origin, of different sizes in each axis."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(shapes, points, 3)) * [1, 5, 2] + [30, -7, 2]).astype(np.float32)


def test_box_puts_each_cloud_into_the_unit_box_about_its_own_centre():
    x = clouds(0)
    y = Protocol("box", 40).frame(x)
    assert_allclose(y.max(axis=1) + y.min(axis=1), 0, atol=1e-6)
    assert_allclose((y.max(axis=1) - y.min(axis=1)).max(axis=1), 1, rtol=1e-6)
    for before, after in zip(x, y, strict=True):  # a shift and one scale: shapes are not stretched
        ratio = np.ptp(before, axis=0) / np.ptp(after, axis=0)
        assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert_allclose(Protocol("box", 40).frame(3 * x + 1), y, atol=1e-5)
    assert np.ptp(np.ptp(y, axis=1)[:, 0]) > 0.01  # the clouds did differ


@pytest.mark.parametrize("name", ["raw", "pointflow"])
def test_raw_and_pointflow_measure_in_the_datas_own_frame(name: str):
    x = clouds(1)
    assert_array_equal(Protocol(name, 40).frame(x), x)


def test_a_cloud_without_extent_has_no_box():
    x = clouds(2)
    x[1] = 4
    with pytest.raises(UserError, match=naming("file 1 box")):
        Protocol("box", 40).frame(x, lambda n: f"file {n}")


def test_statistics_are_those_of_all_points_together():
    x = clouds(3, shapes=4)
    cut = [x[0], x[1][:11], x[2], x[3]]  # counts may differ
    points = np.concatenate(cut).astype(np.float64)
    found = training_statistics(iter(cut))
    assert_allclose(found.mean, points.mean(axis=0))
    assert found.sd == pytest.approx(points.reshape(-1).std())  # one number, about the mean of all coordinates
    assert (found.shapes, found.points) == (4, 131)


def test_normalised_samples_come_back():
    x = clouds(4)
    statistics = training_statistics(x)
    protocol = Protocol("pointflow", 40, statistics)
    normalised = (x - np.float32(statistics.mean)) / np.float32(statistics.sd)
    assert abs(normalised).max() < 5
    assert_allclose(protocol.denormalised(normalised), x, rtol=1e-4, atol=1e-4)
    assert protocol.denormalised(normalised).dtype == np.float32
    with pytest.raises(ValueError, match=naming("statistics training")):
        Protocol("pointflow", 40).denormalised(x)


def test_pointflow_takes_the_first_points_and_the_others_random_ones():
    x = clouds(5)[0]
    assert_array_equal(Protocol("pointflow", 9).choose(x, (0, 1)), x[:9])
    drawn = Protocol("raw", 9).choose(x, (0, 1))
    assert len({tuple(point) for point in drawn}) == 9
    assert {tuple(point) for point in drawn} < {tuple(point) for point in x}
    assert_array_equal(drawn, Protocol("raw", 9).choose(x, (0, 1)))
    assert not np.array_equal(drawn, Protocol("raw", 9).choose(x, (0, 2)))
    assert_array_equal(Protocol("raw", 40).choose(x, (0, 1)), x)


def test_the_protocol_of_a_configuration():
    folders = ["--samples", "x", "--protocol"]
    cfg = get_config([*folders, "box", "--num_eval_points", "30"], instead="samples")
    assert make_protocol(cfg.evaluation, None) == Protocol("box", 30)
    assert make_protocol(cfg.evaluation, None).split == "test"
    with pytest.raises(UserError, match=naming("num_eval_points 30 pointflow 2048")):
        make_protocol(
            get_config([*folders, "pointflow", "--num_eval_points", "30"], instead="samples").evaluation, None
        )
    x = clouds(6)
    protocol = make_protocol(get_config([*folders, "pointflow"], instead="samples").evaluation, x)
    assert protocol == Protocol("pointflow", 2048, training_statistics(x))
    assert protocol.split == "val"
    facts = protocol.facts()
    assert facts["definition"] == DEFINITIONS["pointflow"]
    assert facts["training_statistics"]["shapes"] == 3
    assert Statistics(**facts["training_statistics"]) == protocol.statistics
