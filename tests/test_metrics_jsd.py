"""JSD on the grid against a brute-force search of the nearest cell, and divergences known by hand."""

import warnings

import numpy as np
import pytest
from facts import naming

from evaluation.metrics import jsd
from evaluation.metrics.occupancy_jsd import grid_nodes, jensen_shannon, nearest_nodes

RNG = np.random.default_rng(11)


def slow_nodes(resolution: int) -> list[tuple[float, float, float]]:
    spacing = 1 / (resolution - 1)
    at = [i * spacing - 0.5 for i in range(resolution)]
    return [(x, y, z) for x in at for y in at for z in at if x * x + y * y + z * z <= 0.25 + 1e-12]


def slow_histogram(clouds: list[np.ndarray], resolution: int) -> dict[int, int]:
    nodes, counts = np.array(slow_nodes(resolution)), {}
    for cloud in clouds:
        for point in cloud:
            nearest = int(((nodes - point) ** 2).sum(1).argmin())
            counts[nearest] = counts.get(nearest, 0) + 1
    return counts


def slow_jsd(p: dict[int, int], q: dict[int, int]) -> float:
    total = 0.0
    for mine, other in ((p, q), (q, p)):
        for cell, count in mine.items():
            share = count / sum(mine.values())
            middle = (share + other.get(cell, 0) / sum(other.values())) / 2
            total += share * np.log2(share / middle) / 2
    return total


def ball(points: int, radius: float = 0.5, power: float = 1 / 3) -> np.ndarray:
    directions = RNG.normal(size=(points, 3))
    return directions / np.linalg.norm(directions, axis=1)[:, None] * radius * RNG.random((points, 1)) ** power


@pytest.mark.parametrize("resolution", [3, 5, 8, 28])
def test_nodes_are_those_of_the_ball(resolution: int) -> None:
    np.testing.assert_allclose(grid_nodes(resolution), slow_nodes(resolution), atol=1e-12)


@pytest.mark.parametrize("resolution", [3, 5, 8, 28])
def test_nearest_node_is_the_nearest(resolution: int) -> None:
    points = np.concatenate([ball(150), RNG.uniform(-0.7, 0.7, (150, 3)), ball(50, 0.5, 0.0)])  # inside, outside, rim
    nodes = grid_nodes(resolution)
    found = nearest_nodes(points, resolution)
    for point, node in zip(points, nodes[found], strict=True):
        assert ((point - node) ** 2).sum() == pytest.approx(((nodes - point) ** 2).sum(1).min(), rel=1e-9)
    assert len(set(found)) > 3


@pytest.mark.parametrize("resolution", [5, 28])
def test_jsd_matches_brute_force(resolution: int) -> None:
    a, b = [ball(60), ball(91)], [ball(70, 0.3), ball(50, 0.5, 0.0), ball(13)]
    expected = slow_jsd(slow_histogram(a, resolution), slow_histogram(b, resolution))
    assert jsd(a, b, resolution) == pytest.approx(expected, rel=1e-9)
    assert jsd(b[::-1], [cloud[::-1] for cloud in a], resolution) == pytest.approx(expected, rel=1e-9)
    assert 0.05 < expected < 0.99


def test_known_divergences() -> None:
    a = [ball(500)]
    assert jsd(a, a) == 0
    left, right = np.tile([[-0.3, 0, 0]], (6, 1)), np.tile([[0.3, 0.1, 0]], (4, 1))
    assert jsd([left], [right]) == pytest.approx(1)  # bits
    half = jsd([left], [np.concatenate([left[:4], right])])  # p = (1, 0), q = (1/2, 1/2)
    assert half == pytest.approx(0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25)
    assert jensen_shannon(np.array([2, 0]), np.array([0, 7])) == pytest.approx(1)


def test_points_outside_count_and_are_told_once() -> None:
    inside, outside = [ball(30)], [np.array([[0.9, 0, 0], [0.0, 0, 0]])] * 3
    with pytest.warns(UserWarning, match=naming("8.33% ball")) as caught:
        value = jsd(inside, outside)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jsd(inside, [np.array([[0.5, 0, 0], [0.0, 0, 0]])] * 3) == pytest.approx(value)
        jsd([ball(200, 0.5005, 0.0)], inside)  # within PointFlow's tolerance


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jsd([], [ball(3)]), "one cloud"),
        (lambda: jsd([ball(3)], [np.zeros((3, 2))]), "(3, 2)"),
        (lambda: jsd([ball(3)], [np.full((3, 3), np.nan)]), "not finite"),
        (lambda: jsd([ball(3)], [ball(3)], 1), "resolution 1"),
        (lambda: jsd([ball(3)], [ball(3)], 2), "ball"),
    ],
)
def test_wrong_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=naming(message)):
        call()
