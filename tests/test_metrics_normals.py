"""Local planes: planes, spheres and noise of known size, and a slow second implementation."""

import numpy as np
import pytest
from facts import naming
from scipy.spatial import cKDTree

from evaluation.metrics import agreement, local_planes, normal_consistency, thickness
from evaluation.metrics.normals import NEIGHBOURS

RNG = np.random.default_rng(3)


def turned(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points after a random rotation and a shift, so that nothing is along an axis."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return points @ rotation.T + rng.normal(size=3)


def square(count: int, seed: int, noise_sd: float = 0.0) -> np.ndarray:
    """Points of a square of side 1 in the plane z = 0, with noise across it."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.random((count, 2)), noise_sd * rng.normal(size=count)])


def sphere(count: int, radius: float) -> np.ndarray:
    """A Fibonacci lattice: evenly spread."""
    n = np.arange(count)
    z, azimuth = 1 - (2 * n + 1) / count, np.pi * (1 + np.sqrt(5)) * n
    return radius * np.column_stack([np.sqrt(1 - z**2) * np.cos(azimuth), np.sqrt(1 - z**2) * np.sin(azimuth), z])


def slow_planes(cloud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One point after the other, by the singular vectors of its neighbours."""
    normals, distances = [], []
    for i, point in enumerate(cloud):
        others = np.delete(cloud, i, axis=0)
        near = others[np.argsort(((others - point) ** 2).sum(axis=1))[:NEIGHBOURS]]
        normal = np.linalg.svd(near - near.mean(axis=0))[2][-1]
        normals.append(normal)
        distances.append(abs((point - near.mean(axis=0)) @ normal))
    return np.array(normals), np.array(distances)


def slow_consistency(a: np.ndarray, b: np.ndarray) -> float:
    normals_a, normals_b = slow_planes(a)[0], slow_planes(b)[0]
    found = []
    for one, normals, other, others in ((a, normals_a, b, normals_b), (b, normals_b, a, normals_a)):
        nearest = [((other - p) ** 2).sum(axis=1).argmin() for p in one]
        found.append(np.mean([abs(n @ others[j]) for n, j in zip(normals, nearest, strict=True)]))
    return sum(found) / 2


def test_planes_are_those_of_a_slow_second_implementation() -> None:
    cloud, other = turned(RNG.normal(size=(53, 3)) * [1, 0.7, 0.2]), turned(RNG.normal(size=(37, 3)) * [1, 0.7, 0.3])
    found, (normals, distances) = local_planes(cKDTree(cloud)), slow_planes(cloud)
    np.testing.assert_allclose(agreement(found.normals, normals), 1, atol=1e-10)
    np.testing.assert_allclose(found.distances, distances, atol=1e-12)
    assert found.distances.min() > 0
    assert normal_consistency(cloud, other) == pytest.approx(slow_consistency(cloud, other), rel=1e-9)
    assert thickness(cloud) == pytest.approx(np.sqrt(np.mean(distances**2)), rel=1e-9)
    assert 0.2 < normal_consistency(cloud, other) < 0.99


def test_a_plane_agrees_with_itself_and_has_no_thickness() -> None:
    one, other = turned(square(201, 0)), turned(square(333, 1))
    assert normal_consistency(one, other) == pytest.approx(1, abs=1e-9)
    assert normal_consistency(one, one[:100]) <= 1
    assert thickness(one) < 1e-12


@pytest.mark.parametrize("degrees", [0, 30, 60, 90])
def test_planes_at_an_angle_agree_by_its_cosine(degrees: float) -> None:
    angle = np.radians(degrees)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    value = normal_consistency(turned(square(151, 2)), turned(square(152, 3) @ tilt.T))
    assert value == pytest.approx(np.cos(angle), abs=1e-9)


def test_a_sphere_has_radial_normals_and_the_depth_of_its_caps() -> None:
    radius, count = 0.4, 4001
    cloud = turned(sphere(count, radius)) - turned(np.zeros((1, 3)))
    planes = local_planes(cKDTree(cloud))
    assert agreement(planes.normals, cloud / radius).min() > 0.999
    # A cap with the i-th neighbour on its rim holds i points and half of that one: its squared radius is
    # 4 R^2 (i + 1/2) / n, and its rim lies that over 2 R below its top.
    depth = np.mean(np.arange(1, NEIGHBOURS + 1) + 0.5) * 2 * radius / count
    assert planes.distances.mean() == pytest.approx(depth, rel=0.03)
    assert thickness(cloud) == pytest.approx(depth, rel=0.03)
    assert normal_consistency(cloud, sphere(3001, 1.1 * radius)) > 0.999


def test_noise_across_a_plane_is_its_thickness() -> None:
    count, noise_sd = 8001, 1e-4  # far below the distance of neighbours
    # The point's own noise; that of the mean of its neighbours; that of the plane's two slopes, over the distance to
    # the neighbours' mean, which is a sixteenth of their own spread squared.
    expected = noise_sd * np.sqrt(1 + 1 / NEIGHBOURS + 2 / NEIGHBOURS**2)
    assert thickness(turned(square(count, 4, noise_sd))) == pytest.approx(expected, rel=0.03)
    assert thickness(turned(square(count, 4, 3 * noise_sd))) == pytest.approx(3 * expected, rel=0.03)


def test_random_normals_agree_by_half() -> None:
    one, other = (RNG.normal(size=(40_001, 3)) for _ in range(2))
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one, other))
    assert agreement(one, other).mean() == pytest.approx(0.5, abs=0.01)  # |cos| is uniform on a sphere


def test_order_threads_units_and_parts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = sphere(97, 1) + RNG.normal(0, 0.02, (97, 3)), sphere(131, 1.05)
    value, depth = normal_consistency(one, other), thickness(one)
    assert normal_consistency(other, one[::-1]) == pytest.approx(value, rel=1e-12)
    assert normal_consistency(10 * turned(one), 10 * turned(other)) == pytest.approx(value, rel=1e-9)
    assert thickness(10 * turned(one)) == pytest.approx(10 * depth, rel=1e-9)
    monkeypatch.setattr("evaluation.metrics.normals.POINTS_AT_A_TIME", 40)
    assert normal_consistency(one, other, workers=2) == value


def test_copies_of_a_point_are_neighbours_like_others() -> None:
    cloud = np.concatenate([square(60, 5, 0.1), np.zeros((NEIGHBOURS + 3, 3))])  # more copies than neighbours
    planes = local_planes(cKDTree(cloud))
    np.testing.assert_allclose(np.linalg.norm(planes.normals, axis=1), 1)
    assert (planes.distances[60:] == 0).all()


@pytest.mark.parametrize("count", [1, NEIGHBOURS])
def test_too_few_points_are_told(count: int) -> None:
    enough = RNG.normal(size=(NEIGHBOURS + 1, 3))
    assert 0 <= normal_consistency(enough, enough[::-1]) <= 1
    for call in (lambda: thickness(enough[:count]), lambda: normal_consistency(enough, enough[:count])):
        with pytest.raises(ValueError, match=naming(count, 17, 16)):
            call()
    with pytest.raises(ValueError, match="not finite"):
        thickness(np.full((20, 3), np.nan))
