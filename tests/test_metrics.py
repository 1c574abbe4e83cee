"""Chamfer, F-score and measures of sets against slow double loops in float64, cases by hand, and known answers."""

from pathlib import Path

import numpy as np
import pytest
from facts import naming
from scipy.spatial import cKDTree

from evaluation.metrics import (
    CloudSet,
    chamfer_l2_sq,
    chamfer_udf,
    f_score,
    mmd_cov,
    nearest,
    nearest_distances,
    nearest_in_set,
    one_nna,
    pairwise_chamfer,
    reconstruction_scores,
    scores_from_distances,
)
from evaluation.metrics.chamfer import mean_back
from evaluation.metrics.distance_bounds import grid_over, weights_on

RNG = np.random.default_rng(7)
SEEDS = 12
A, B = RNG.normal(size=(37, 3)), RNG.normal(size=(53, 3)) * [1, 2, 0.5]


def slow_nearest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([min(np.sqrt(((p - q) ** 2).sum()) for q in b) for p in a])


def slow_chamfer(a: np.ndarray, b: np.ndarray) -> float:
    forth = sum(d * d for d in slow_nearest(a, b)) / len(a)
    back = sum(d * d for d in slow_nearest(b, a)) / len(b)
    return forth + back


def slow_one_nna(distance, references: list, samples: list) -> tuple[float, float, float]:
    """One classification after the other, without a matrix."""
    clouds = [(c, True) for c in references] + [(c, False) for c in samples]
    right = {True: 0, False: 0}
    for i, (cloud, label) in enumerate(clouds):
        others = [(distance(cloud, other), kind) for j, (other, kind) in enumerate(clouds) if j != i]
        right[label] += min(others, key=lambda pair: pair[0])[1] == label
    return sum(right.values()) / len(clouds), right[True] / len(references), right[False] / len(samples)


def random_clouds(count: int, seed: int, spread: float = 1.0, points: int = 40) -> list[np.ndarray]:
    """Boxes of random sides, `points` to 1.5 times as many points each."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(points, points * 3 // 2, count)
    return [rng.uniform(-1, 1, (size, 3)) * rng.uniform(0.3, 1, 3) * spread for size in sizes]


def test_nearest_distances_and_chamfer_match_double_loops() -> None:
    a_to_b, b_to_a = nearest_distances(A, B)
    np.testing.assert_allclose(a_to_b, slow_nearest(A, B), rtol=1e-12)
    np.testing.assert_allclose(b_to_a, slow_nearest(B, A), rtol=1e-12)
    assert chamfer_l2_sq(A, B) == pytest.approx(slow_chamfer(A, B), rel=1e-12)
    assert chamfer_l2_sq(B, A) == pytest.approx(chamfer_l2_sq(A, B), rel=1e-12)
    assert chamfer_udf(A, B) == pytest.approx(slow_chamfer(A, B) / 2, rel=1e-12)
    assert chamfer_l2_sq(A, B) > 0.01


@pytest.mark.parametrize("measure", [chamfer_l2_sq, chamfer_udf, lambda a, b: f_score(a, b, 0.4)])
def test_order_of_points_and_threads_do_not_matter(measure) -> None:
    value = measure(A, B)
    assert measure(A[::-1], RNG.permutation(B)) == pytest.approx(value, rel=1e-13)
    assert nearest_distances(A, B, workers=3)[0].tolist() == nearest_distances(A, B)[0].tolist()


def test_known_values() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    assert chamfer_l2_sq(grid, grid[::-1]) == 0
    assert chamfer_l2_sq(grid, grid + [0.1, 0, 0.2]) == pytest.approx(2 * (0.01 + 0.04))
    assert chamfer_udf(grid, grid + [0, 0.3, 0]) == pytest.approx(0.09)
    assert chamfer_l2_sq([[0, 0, 0]], [[0, 0, 0], [3, 4, 0]]) == pytest.approx(12.5)  # 0 forth, (0 + 25) / 2 back
    assert chamfer_l2_sq(10 * A, 10 * B) == pytest.approx(100 * chamfer_l2_sq(A, B))  # squared units


def test_f_score_counts_precision_and_recall() -> None:
    true = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    predicted = np.array([[0.0, 0.1, 0], [0, 0, 0.1], [1, 0.1, 0], [9, 0, 0], [9, 1, 0]])
    precision, recall = 3 / 5, 2 / 4
    assert f_score(predicted, true, 0.2) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f_score(predicted, true, 0.1) == 0  # strictly nearer than the threshold
    assert f_score(true, true, 1e-9) == 1
    precision, recall = np.mean(slow_nearest(A, B) < 0.5), np.mean(slow_nearest(B, A) < 0.5)
    assert f_score(A, B, 0.5) == pytest.approx(2 * precision * recall / (precision + recall))
    assert precision != recall


def test_reconstruction_scores_are_the_single_measures() -> None:
    scores = reconstruction_scores(A, B, (0.3, 0.5))
    accuracy, completeness = np.mean(slow_nearest(A, B) ** 2), np.mean(slow_nearest(B, A) ** 2)
    assert scores == {
        "chamfer_udf": pytest.approx(chamfer_udf(A, B)),
        "accuracy": pytest.approx(accuracy),
        "completeness": pytest.approx(completeness),
        "f_score_0.3": f_score(A, B, 0.3),
        "f_score_0.5": f_score(A, B, 0.5),
    }
    assert abs(accuracy - completeness) > 0.1
    assert list(reconstruction_scores(A, B))[-2:] == ["f_score_0.005", "f_score_0.01"]


def test_scores_of_a_part_count_its_points_only() -> None:
    to_true, to_predicted = nearest_distances(A, B)
    inside_a, inside_b = A[:, 0] > 0, B[:, 0] > 0
    scores = scores_from_distances(to_true[inside_a], to_predicted[inside_b], (0.4,))
    accuracy = [d * d for d, inside in zip(slow_nearest(A, B), inside_a, strict=True) if inside]
    completeness = [d * d for d, inside in zip(slow_nearest(B, A), inside_b, strict=True) if inside]
    assert scores["accuracy"] == pytest.approx(sum(accuracy) / len(accuracy))
    assert scores["completeness"] == pytest.approx(sum(completeness) / len(completeness))
    assert scores["chamfer_udf"] == pytest.approx((scores["accuracy"] + scores["completeness"]) / 2)
    assert scores["accuracy"] != pytest.approx(reconstruction_scores(A, B)["accuracy"])
    everything = scores_from_distances(to_true, to_predicted, (0.4,))
    assert everything == reconstruction_scores(A, B, (0.4,))
    empty = scores_from_distances(to_true[:0], to_predicted, (0.4,))
    assert np.isnan([empty["accuracy"], empty["chamfer_udf"], empty["f_score_0.4"]]).all()
    assert empty["completeness"] == pytest.approx(everything["completeness"])


@pytest.mark.parametrize("workers", [1, 3])
def test_pairwise_matrix_matches_single_pairs(workers: int) -> None:
    a, b = random_clouds(5, 0, points=11), random_clouds(7, 1, points=11)
    expected = [[slow_chamfer(x, y) for y in b] for x in a]
    np.testing.assert_allclose(pairwise_chamfer(CloudSet(a), CloudSet(b), workers), expected, rtol=1e-12)
    own = pairwise_chamfer(CloudSet(a), workers=workers)
    np.testing.assert_allclose(own, [[slow_chamfer(x, y) for y in a] for x in a], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(own, own.T)


@pytest.mark.parametrize(("points", "scale"), [(64, 1.0), (700, 1e-3), (700, 40.0)])
def test_nearest_in_set_is_that_of_all_pairs(points: int, scale: float) -> None:
    b = [
        scale * (cloud + shift)
        for cloud, shift in zip(random_clouds(30, 0, points), np.linspace(0, 2, 30), strict=True)
    ]
    b += [b[3][::2], b[4] + 50 * scale, b[17]]
    a = [b[17] + 0.01 * scale, b[3][::-1], *(0.9 * scale * cloud for cloud in random_clouds(5, 5, points))]
    matrix = pairwise_chamfer(CloudSet(a), CloudSet(b))
    for workers in (1, 3):
        values, which = nearest_in_set(CloudSet(a), CloudSet(b), workers)
        assert which.tolist() == matrix.argmin(1).tolist() and which[:2].tolist() == [17, 3]
        np.testing.assert_allclose(values, matrix.min(1), rtol=1e-12, atol=1e-15 * scale**2)
        assert values[1] == 0


def test_nearest_in_set_compares_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(nearest, "mean_back", lambda *pair: compared.append(pair) or mean_back(*pair))
    spheres = [cloud / np.linalg.norm(cloud, axis=1, keepdims=True) for cloud in random_clouds(41, 3, points=900)]
    b = [sphere * (1, 1, height) for sphere, height in zip(spheres, np.linspace(0.5, 2, 41), strict=True)]
    assert nearest_in_set(CloudSet([b[20][::-1] * 1.001]), CloudSet(b))[1].tolist() == [20]
    assert 1 <= len(compared) <= 15  # of 41


@pytest.mark.parametrize("flat", [False, True])
def test_bounds_are_below_the_mean_squared_distances(flat: bool) -> None:
    side = np.array([1.0, 2.0, 0.0 if flat else 0.5])
    clouds, target = [RNG.normal(size=(n, 3)) * side for n in (50, 7)], RNG.normal(size=(40, 3)) * side
    tree, outside = cKDTree(target), clouds[0] + (3, 0, 1)
    exact = [np.mean(tree.query(cloud)[0] ** 2) for cloud in (*clouds, outside)]
    for most in (8, 300, 200_000):
        grid = grid_over(np.concatenate([*clouds, target]), most)
        assert grid.size <= max(8, most)
        weights = weights_on(grid, np.concatenate([*clouds, outside]), np.array([50, 7, 50]))
        bounds = weights.bounds(np.square(tree.query(grid.nodes())[0])[:, None])[:, 0]
        assert (bounds <= np.array(exact) * (1 + 1e-12)).all()
    assert (bounds[:2] > 0.9 * np.array(exact[:2])).all()


def test_nearest_in_set_is_kept_for_the_same_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, cache = CloudSet(random_clouds(3, 5)), CloudSet(random_clouds(9, 0)), tmp_path / "nearest.npz"
    plain = nearest_in_set(a, b)
    for _ in range(2):
        values, which = nearest_in_set(a, b, cache=cache)
        assert values.tolist() == plain[0].tolist() and which.tolist() == plain[1].tolist()
        monkeypatch.setattr(nearest, "_find_nearest", None)  # the file answers
    monkeypatch.undo()
    moved = CloudSet([a[0] + 1e-9, *a.clouds[1:]])
    changed = nearest_in_set(moved, b, cache=cache)[0]
    assert changed.tolist() == nearest_in_set(moved, b)[0].tolist() != plain[0].tolist()


def test_mmd_and_cov_by_hand() -> None:
    rs = np.array([[1.0, 2.0, 9.0], [4.0, 3.0, 8.0], [5.0, 6.0, 9.0], [7.0, 7.0, 7.0]])  # 4 references, 3 samples
    result = mmd_cov(rs)
    assert result.mmd == pytest.approx((1 + 3 + 5 + 7) / 4)
    assert result.cov == 2 / 4  # samples 0 and 1 are nearest to reference 0, sample 2 to reference 3
    assert result.mmd_smp == pytest.approx((1 + 2 + 7) / 3)
    collapsed = np.repeat(rs[:, :1], 3, axis=1)
    assert mmd_cov(collapsed).cov == 1 / 4
    own = pairwise_chamfer(CloudSet(random_clouds(5, 0)))
    assert mmd_cov(own) == (0, 1, 0)


def test_one_nna_by_hand() -> None:
    at = np.array([0.0, 1.0, 10.0, 0.4, 11.5, 12.0])  # three references, then three samples, on a line
    distances = np.abs(at[:, None] - at)
    result = one_nna(distances[:3, :3], distances[:3, 3:], distances[3:, 3:])
    # references: 0 -> 0.4 wrong, 1 -> 0.4 wrong, 10 -> 11.5 wrong; samples: 0.4 -> 0 wrong, 11.5 <-> 12 right
    assert result == (pytest.approx(2 / 6), 0, pytest.approx(2 / 3))


def test_one_nna_matches_one_by_one_classification() -> None:
    references, samples = random_clouds(7, 0, points=11), random_clouds(5, 1, spread=1.1, points=11)
    r, s = CloudSet(references), CloudSet(samples)
    result = one_nna(pairwise_chamfer(r), pairwise_chamfer(r, s), pairwise_chamfer(s))
    assert result == pytest.approx(slow_one_nna(slow_chamfer, references, samples))
    assert 0 < result.acc < 1


def test_one_nna_of_the_same_and_of_different_distributions() -> None:
    sets = [CloudSet(random_clouds(40, seed, points=8)) for seed in (10, 11)]
    sets.append(CloudSet([cloud + 1.5 for cloud in random_clouds(20, 12, points=8)]))
    own = [pairwise_chamfer(clouds) for clouds in sets]
    same = one_nna(own[0], pairwise_chamfer(sets[0], sets[1]), own[1])
    apart = one_nna(own[0], pairwise_chamfer(sets[0], sets[2]), own[2])
    assert abs(same.acc - 0.5) < 3 * 0.056  # binomial sd of 80
    assert apart.acc > 0.95
    copies = one_nna(own[0], own[0], own[0])  # memorised: each cloud's nearest is its twin in the other set
    assert copies == (pytest.approx(0), 0, pytest.approx(0))


def test_one_nna_of_one_distribution_is_a_half_over_many_seeds() -> None:
    results = []
    for seed in range(SEEDS):
        r, s = (CloudSet(random_clouds(20, 100 + 2 * seed + k, points=6)) for k in (0, 1))
        results.append(one_nna(pairwise_chamfer(r), pairwise_chamfer(r, s), pairwise_chamfer(s)))
    deviation = 0.5 / np.sqrt(SEEDS * 40)  # binomial; a little more, since the errors of neighbours go together
    assert abs(np.mean([result.acc for result in results]) - 0.5) < 4 * deviation
    for key in ("acc_t", "acc_f"):
        assert abs(np.mean([getattr(result, key) for result in results]) - 0.5) < 6 * deviation
    assert 0.05 < np.std([result.acc for result in results]) < 0.15  # one seed: 0.08


def test_one_nna_shows_collapse_in_its_two_halves() -> None:
    """All samples at the centre of a wide Gaussian: nearest to nearly everything, acc alone looks perfect."""
    both = np.concatenate([RNG.normal(size=(40, 200)), RNG.normal(size=(40, 200)) * 1e-3])
    distances = np.linalg.norm(both[:, None] - both, axis=2)
    result = one_nna(distances[:40, :40], distances[:40, 40:], distances[40:, 40:])
    assert abs(result.acc - 0.5) < 0.1
    assert result.acc_f == 1
    assert result.acc_t < 0.2
    assert mmd_cov(distances[:40, 40:]).cov < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chamfer_l2_sq(np.zeros((0, 3)), A), "N (0, 3)"),
        (lambda: chamfer_l2_sq(A[:, :2], B), "(37, 2)"),
        (lambda: CloudSet([]), "one cloud"),
        (lambda: CloudSet([A, np.full((3, 3), np.nan)]), "not finite"),
        (lambda: mmd_cov(np.zeros((0, 3))), "(0, 3)"),
        (lambda: mmd_cov(np.full((2, 2), np.nan)), "not finite"),
        (lambda: one_nna(np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((2, 2))), "ss (3, 3) (2, 2)"),
        (lambda: one_nna(*[np.zeros((1, 1))] * 3), "3 clouds"),
    ],
)
def test_wrong_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=naming(message)):
        call()
