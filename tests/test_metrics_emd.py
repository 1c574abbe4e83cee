"""EMD against all permutations, scipy's plain assignment and known shifts; the approximation within its error."""

from itertools import permutations

import numpy as np
import pytest
from facts import naming
from scipy.optimize import linear_sum_assignment

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car
from evaluation.metrics import CloudSet, approximation_error, emd, emd_cells, emd_sq, emd_sq_cells, matched_costs
from evaluation.metrics.cells import MAX_CELLS, cell_centroids, kd_cells
from evaluation.metrics.exact_emd import MIN_POINTS_COARSE, pair_costs
from evaluation.metrics.potentials import column_prices, small_prices

ALL = [emd, emd_sq, emd_cells, emd_sq_cells]
RNG = np.random.default_rng(3)


def clouds(points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(points, 3)), rng.uniform(-1, 1, (points, 3)) * [1, 2, 0.5] + 0.1


def car(index: int, points: int) -> np.ndarray:
    vertices, faces, _ = make_car(5, index)
    cloud = sample_surface(Mesh(vertices, faces), points, np.random.default_rng(index))
    return cloud / np.ptp(cloud, axis=0).max()


def slow_emd(a: np.ndarray, b: np.ndarray, power: int) -> float:
    """The least over all permutations."""
    best = np.inf
    for order in permutations(range(len(a))):
        total = 0.0
        for i, j in enumerate(order):
            total += float(np.sqrt(((a[i] - b[j]) ** 2).sum())) ** power
        best = min(best, total / len(a))
    return best


def plain_emd(a: np.ndarray, b: np.ndarray, squared: bool) -> float:
    """scipy's assignment without prices."""
    costs = np.square(a[:, None] - b).sum(2)
    costs = costs if squared else np.sqrt(costs)
    return costs[linear_sum_assignment(costs)].mean()


@pytest.mark.parametrize("points", [1, 2, 5, 6])
def test_emd_is_the_least_over_all_permutations(points: int) -> None:
    a, b = clouds(points, points)
    assert emd(a, b) == pytest.approx(slow_emd(a, b, 1), rel=1e-12)
    assert emd_sq(a, b) == pytest.approx(slow_emd(a, b, 2), rel=1e-12)
    assert emd_cells(a, b) == pytest.approx(emd(a, b), rel=1e-12)  # each point is a cell
    assert emd_sq_cells(a, b) == pytest.approx(emd_sq(a, b), rel=1e-12)


def test_each_emd_has_its_own_matching() -> None:
    a, b = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[1.0, 0, 0], [2, 0.5, 0]])
    assert emd(a, b) == pytest.approx(np.sqrt(4.25) / 2)  # the first goes far, the second stays
    assert emd_sq(a, b) == pytest.approx((1 + 1.25) / 2)  # both go a step


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("points", [257, 401])
def test_prices_change_nothing(points: int, coarse: bool, squared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if coarse:
        monkeypatch.setattr("evaluation.metrics.exact_emd.MIN_POINTS_COARSE", 0)
    for a, b in (clouds(points, 0), (car(0, points), car(1, points) * 3), (np.round(clouds(points, 1), 1))):
        assert matched_costs(a, b, squared).mean() == pytest.approx(plain_emd(a, b, squared), rel=1e-12)


@pytest.mark.parametrize("squared", [False, True])
def test_good_prices_of_many_points_change_nothing(squared: bool) -> None:
    a, b = car(2, MIN_POINTS_COARSE + 1), car(3, MIN_POINTS_COARSE + 1)
    optimum = plain_emd(a, b, squared)
    assert matched_costs(a, b, squared).mean() == pytest.approx(optimum, rel=1e-12)
    costs = pair_costs(a, b, squared)
    for prices in (column_prices(a, b, costs, lambda x, y: pair_costs(x, y, squared)), small_prices(costs)):
        bound = (costs - prices).min(axis=1).mean() + prices.mean()  # what prices prove; 1 would be the optimum
        assert 0.97 < bound / optimum <= 1 + 1e-12


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("scale", [1e-9, 1e9, 1e-40])
def test_prices_of_equal_and_of_oddly_scaled_clouds(
    scale: float, coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if coarse:
        monkeypatch.setattr("evaluation.metrics.exact_emd.MIN_POINTS_COARSE", 0)
    a, b = clouds(300, 2)
    assert emd(a, RNG.permutation(a)) == 0
    assert emd(np.zeros((300, 3)), np.zeros((300, 3))) == 0
    far_point = np.concatenate([b[:-1], [[1e4, 0, 0]]])
    assert emd(a, far_point) == pytest.approx(plain_emd(a, far_point, False), rel=1e-12)
    assert emd(a * scale, b * scale) == pytest.approx(emd(a, b) * scale, rel=1e-9)
    assert emd_sq(a * scale, b * scale) == pytest.approx(emd_sq(a, b) * scale**2, rel=1e-9)


@pytest.mark.parametrize("points", [37, 530])
def test_known_shift(points: int) -> None:
    a = car(0, points)
    shift = np.array([0.3, -0.4, 1.2])
    moved = RNG.permutation(a) + shift
    for measure, value in ((emd, 1.3), (emd_cells, 1.3), (emd_sq, 1.69), (emd_sq_cells, 1.69)):
        assert measure(a, moved) == pytest.approx(value, rel=1e-9)
        assert measure(a, RNG.permutation(a)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", ALL)
def test_symmetric_and_the_same_for_any_order_of_points(measure) -> None:
    a, b = clouds(611, 4)
    value = measure(a, b)
    assert measure(b, a) == pytest.approx(value, rel=1e-12)
    assert measure(a[::-1], RNG.permutation(b)) == pytest.approx(value, rel=1e-12)
    assert value > 0.1


def test_cells_are_alike_in_size_and_apart_in_space() -> None:
    points = RNG.normal(size=(613, 3))
    order, starts = kd_cells(points, 37)
    sizes = np.diff(starts, append=613)
    assert sorted(order) == list(range(613))
    assert set(sizes) == {613 // 37, 613 // 37 + 1}
    label = np.empty(613, int)
    label[order] = np.repeat(np.arange(37), sizes)
    spread = [points[label == c].std(axis=0).mean() for c in range(37)]
    assert np.mean(spread) < 0.5  # of points of standard deviation 1: cells are small
    shuffled = RNG.permutation(613)
    again, _ = kd_cells(points[shuffled], 37)
    for begin, end in zip(starts, [*starts[1:], 613], strict=True):
        assert set(shuffled[again[begin:end]]) == set(order[begin:end])


def test_centroids_are_means_of_cells() -> None:
    points = RNG.normal(size=(8 * MAX_CELLS, 3))
    centroids = cell_centroids(points)
    assert centroids.shape == (MAX_CELLS, 3)
    np.testing.assert_allclose(centroids.mean(0), points.mean(0), atol=1e-12)  # cells of 8 each
    order, starts = kd_cells(points, MAX_CELLS)
    np.testing.assert_allclose(centroids[5], points[order[starts[5] : starts[6]]].mean(0))
    assert cell_centroids(points[:2048]).shape == (341, 3)
    assert cell_centroids(points[: MAX_CELLS + 1]).shape == (171, 3)
    assert cell_centroids(points[:MAX_CELLS]).tolist() == points[:MAX_CELLS].tolist()


def test_approximation_is_within_its_stated_error() -> None:
    cars = [car(index, 2048) for index in range(3)]
    pairs = [(0, 1), (0, 2)]
    for approximate, exact, most in ((emd_cells, emd, 0.23), (emd_sq_cells, emd_sq, 0.44)):
        near = np.array([approximate(cars[i], cars[j]) for i, j in pairs])
        true = np.array([exact(cars[i], cars[j]) for i, j in pairs])
        assert (near > 1.02 * true).all()
        assert (near < (1 + most) * true).all()
        assert near.argsort().tolist() == true.argsort().tolist()


@pytest.mark.parametrize(("squared", "approximate", "exact"), [(False, emd_cells, emd), (True, emd_sq_cells, emd_sq)])
def test_error_is_that_of_the_pairs(squared: bool, approximate, exact) -> None:
    cars = CloudSet([car(index, 400) for index in range(3)])
    pairs = [(0, 1), (0, 2), (1, 2)]
    near = np.array([approximate(cars[i], cars[j]) for i, j in pairs])
    true = np.array([exact(cars[i], cars[j]) for i, j in pairs])
    measured = approximation_error(squared, CloudSet(cars[:2]), CloudSet(cars[1:]), pairs=9)
    assert measured.pairs == 3  # of four, one is of a cloud with itself
    assert measured.mean == pytest.approx((near / true - 1).mean(), rel=1e-6)
    assert measured.spread == pytest.approx((near / true).std(), rel=1e-6)
    assert measured.worst == pytest.approx(np.abs(near / true - 1).max(), rel=1e-6)
    assert measured.correlation == pytest.approx(np.corrcoef(near, true)[0, 1], rel=1e-6)
    assert measured.spread > 1e-4


def test_error_is_measured_on_the_pairs_of_a_seed_whatever_the_threads() -> None:
    sets = [CloudSet([clouds(400, seed)[k] for seed in range(5)]) for k in (0, 1)]
    one = approximation_error(False, *sets, pairs=4, seed=1)
    assert one == approximation_error(False, *sets, pairs=4, seed=1, workers=3)
    assert one != approximation_error(False, *sets, pairs=4, seed=2)
    assert one.pairs == 4
    assert np.isnan(approximation_error(False, *sets, pairs=2).correlation)


@pytest.mark.parametrize("measure", ALL)
def test_wrong_input_is_named(measure) -> None:
    with pytest.raises(ValueError, match=naming("4 5")):
        measure(np.zeros((4, 3)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match=naming("(4, 2)")):
        measure(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="not finite"):
        measure(np.full((4, 3), np.inf), np.zeros((4, 3)))


def test_error_of_equal_clouds_only_is_refused() -> None:
    same = CloudSet([np.zeros((300, 3))])
    with pytest.raises(ValueError, match=naming("pair clouds")):
        approximation_error(False, same, same)
