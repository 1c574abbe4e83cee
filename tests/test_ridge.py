"""Ridge regression against its definition: the normal equations, and refits without each row."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from evaluation.latent_space import ridge
from evaluation.latent_space.ridge import Ridge, linear_reading, principal_coordinates, quadratic_reading

RNG = np.random.default_rng(5)
SHAPES = [(23, 7), (23, 23), (17, 41)]  # longer than wide, square, wider than long


def features(n: int, width: int, others: int = 5) -> tuple[NDArray, NDArray]:
    """Rows with a mean, directions of very different variance, and a direction that does not vary."""
    mixing = RNG.normal(size=(width, width)) * np.geomspace(1, 0.1, width)
    rows = RNG.normal(size=(n + others, width)) @ mixing + RNG.normal(size=width)
    rows[:, 0] = 3.0
    return rows[:n], rows[n:]


def slow_ridge(x: NDArray, y: NDArray, strength: float, new: NDArray) -> NDArray:
    """The normal equations of the features themselves; the intercept is not penalised."""
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + strength * np.eye(x.shape[1]), centred.T @ (y - y.mean(axis=0)))
    return (new - x.mean(axis=0)) @ weights + y.mean(axis=0)


def slow_left_out(x: NDArray, y: NDArray, strength: float, all_means: bool = False) -> NDArray:
    """Each row by a fit to the others; all_means: by the slopes of that fit, from the means of all rows."""
    found = []
    for i in range(len(x)):
        others, theirs = np.delete(x, i, 0), np.delete(y, i, 0)
        start = others.mean(axis=0) - x.mean(axis=0) if all_means else 0
        read = slow_ridge(others, theirs, strength, x[i : i + 1] + start)[0]
        found.append(read - theirs.mean(axis=0) + y.mean(axis=0) if all_means else read)
    return np.stack(found)


@pytest.mark.parametrize(("n", "width"), SHAPES)
@pytest.mark.parametrize("sparse", [False, True])
def test_coordinates_keep_inner_products_and_are_orthogonal(n: int, width: int, sparse: bool) -> None:
    train, other = features(n, width)
    if sparse:
        train, other = (np.where(np.abs(rows) > 1, rows, 0) for rows in (train, other))
    given = [csr_matrix(rows) if sparse else rows for rows in (train, other)]
    found, found_other = principal_coordinates(*given)
    centred = train - train.mean(axis=0)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-9)
    np.testing.assert_allclose(found_other @ found.T, (other - train.mean(axis=0)) @ centred.T, atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-10)
    gram = found.T @ found
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-8)
    assert (np.diff(np.diag(gram)) <= 0).all() and found.shape[1] <= min(n - 1, width)
    assert np.diag(gram).sum() == pytest.approx(np.sum(centred**2))


def test_coordinates_of_blocks_of_columns_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    train, other = features(15, 40)
    whole = principal_coordinates(train, other)
    monkeypatch.setattr(ridge, "COLUMNS_AT_A_TIME", 7)
    for one, blocks in zip(whole, principal_coordinates(train, other), strict=True):
        np.testing.assert_allclose(np.abs(one), np.abs(blocks), atol=1e-7)  # of either sign


@pytest.mark.parametrize(("n", "width"), SHAPES)
def test_predictions_and_rows_left_out_are_those_of_the_normal_equations(n: int, width: int) -> None:
    train, other = features(n, width)
    targets = np.column_stack([train @ RNG.normal(size=width), RNG.normal(size=n), train[:, 1] ** 2 + 40])
    coordinates, new = principal_coordinates(train, other)
    found = Ridge(coordinates, targets, np.arange(3))
    for k, strength in enumerate(found.strengths):
        np.testing.assert_allclose(
            found(new)[:, k], slow_ridge(train, targets[:, [k]], strength, other)[:, 0], rtol=1e-6
        )
        slow = slow_left_out(train, targets[:, [k]], strength, all_means=True)[:, 0]
        np.testing.assert_allclose(found.left_out[:, k], slow, rtol=1e-5, atol=1e-7)


def test_the_strength_is_the_one_of_least_error_on_rows_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    train, _ = features(31, 9)
    targets = train @ RNG.normal(size=(9, 2)) + 3 * RNG.normal(size=(31, 2))
    (coordinates,) = principal_coordinates(train)
    errors = {}
    for strength in np.geomspace(1e-3, 1e2, 6):
        monkeypatch.setattr(ridge, "STRENGTHS", np.array([strength]))
        absolute = Ridge(coordinates, targets, np.arange(2)).strengths[0]
        errors[strength] = np.mean((slow_left_out(train, targets, absolute) - targets) ** 2, axis=0)
    norm = np.mean(np.sum(coordinates**2, axis=0))
    monkeypatch.setattr(ridge, "STRENGTHS", np.array(list(errors)))
    best = [min(errors, key=lambda strength, k=k: errors[strength][k]) for k in range(2)]
    np.testing.assert_allclose(Ridge(coordinates, targets, np.arange(2)).strengths / norm, best)
    shared = min(errors, key=lambda strength: errors[strength].sum())
    np.testing.assert_allclose(Ridge(coordinates, targets, np.zeros(2, int)).strengths / norm, [shared] * 2)


def test_readings_of_rows_left_out_do_not_run_against_what_is_hardly_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "STRENGTHS", np.array([1e6]))  # slopes next to 0
    switch = (np.arange(101) % 4 == 0).astype(float)[:, None]
    (coordinates,) = principal_coordinates(switch + RNG.normal(size=(101, 1)))
    left_out = Ridge(coordinates, switch, np.zeros(1, int)).left_out
    assert left_out[switch == 1].mean() > left_out[switch == 0].mean()
    assert left_out.std() < 1e-5


def test_exact_relations_are_read_exactly_and_noise_is_not_read_at_all() -> None:
    train, other = features(301, 8, others=200)
    slopes = RNG.normal(size=8)
    targets = np.column_stack([train @ slopes + 7, RNG.normal(size=301)])
    (read,) = linear_reading(principal_coordinates(train, other), targets, np.arange(2)).others
    np.testing.assert_allclose(read[:, 0], other @ slopes + 7, atol=1e-3)
    assert read[:, 1].std() < 0.2  # shrunk to the mean: a fit without a penalty gives 0.16 by chance alone
    assert read[:, 1].mean() == pytest.approx(targets[:, 1].mean(), abs=0.1)


def test_products_are_read_by_the_quadratic_reading_only() -> None:
    hidden = RNG.normal(size=(901, 5))
    flipped = hidden @ np.linalg.qr(RNG.normal(size=(5, 5)))[0] * 3 + 1
    targets = np.column_stack([hidden[:, 0] * hidden[:, 1], hidden[:, 2] ** 2 - hidden[:, 3], hidden[:, 4]])
    coordinates = principal_coordinates(flipped[:600], flipped[600:])
    linear = linear_reading(coordinates, targets[:600], np.arange(3))
    quadratic = quadratic_reading(coordinates, targets[:600], np.arange(3), linear)

    def missed(read: NDArray, true: NDArray) -> NDArray:
        return np.mean((read - true) ** 2, axis=0) / true.var(axis=0)

    assert (missed(linear.others[0], targets[600:])[:2] > [0.9, 0.5]).all()
    assert missed(quadratic.others[0], targets[600:]).max() < 1e-3
    assert missed(quadratic.left_out, targets[:600]).max() < 1e-3
    np.testing.assert_allclose(quadratic.others[0][:, 2], linear.others[0][:, 2], atol=1e-3)


def test_quadratic_terms_are_whitened_coordinates_and_all_their_products() -> None:
    coordinates = principal_coordinates(RNG.gamma(1, size=(57, 6)), RNG.gamma(1, size=(9, 6)))
    terms = ridge.quadratic_terms(coordinates)
    assert [part.shape for part in terms] == [(57, 27), (9, 27)]
    np.testing.assert_allclose(terms[0][:, :6].T @ terms[0][:, :6] / 57, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(terms[0][:, 6:].sum(axis=1), [np.triu(np.outer(w, w)).sum() for w in terms[0][:, :6]])
    np.testing.assert_allclose(terms[1][:, 0] / coordinates[1][:, 0], terms[0][0, 0] / coordinates[0][0, 0])
    minor = principal_coordinates(RNG.normal(size=(57, 3)) * [5, 1, 1e-3], np.full((1, 3), 5.0))
    terms = ridge.quadratic_terms(minor)
    spread = np.sqrt(np.mean(minor[0] ** 2))  # over all directions
    np.testing.assert_allclose(terms[0][:, 2], minor[0][:, 2] / (ridge.FLOOR * spread))
    assert np.abs(terms[1]).max() < 1e4  # 1e7 without the floor


def test_features_that_do_not_vary_read_the_mean() -> None:
    targets = RNG.normal(size=(9, 2))
    for width in (3, 20):
        coordinates = principal_coordinates(np.ones((9, width)), RNG.normal(size=(4, width)))
        linear = linear_reading(coordinates, targets, np.arange(2))
        reading = quadratic_reading(coordinates, targets, np.arange(2), linear)
        np.testing.assert_allclose(reading.others[0], np.tile(targets.mean(axis=0), (4, 1)))
        np.testing.assert_allclose(linear.left_out[0], targets.mean(axis=0))
