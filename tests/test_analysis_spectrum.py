"""The spectrum of codes: against the covariance, exact answers for made-up spectra, and memory maps."""

from pathlib import Path

import numpy as np
import pytest
from facts import naming

from evaluation.latent_space.projector import MAX_NUMBERS, projector_numbers
from frozen.codes import StoredCodes
from training.code_spectrum import PrincipalAxes, code_spectrum, cumulative_shares, dimensions_holding, variances


def random_codes(num: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (3 + rng.normal(size=(num, *shape)) * rng.uniform(0.1, 2, shape)).astype(np.float32)


@pytest.mark.parametrize(("num", "shape"), [(40, (7,)), (9, (5, 3, 3, 3)), (2, (3,)), (8, (8,))])
def test_variances_are_the_eigenvalues_of_the_covariance(
    num: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.code_spectrum.NUMBERS_AT_A_TIME", 4)  # several parts, the last one shorter
    codes = random_codes(num + 3, shape)
    rows = np.arange(num + 3)[1:-2]
    found = variances(codes, rows)
    covariance = np.cov(codes[rows].reshape(num, -1).astype(np.float64), rowvar=False)
    expected = np.sort(np.linalg.eigvalsh(covariance))[::-1][: len(found)]
    assert found.shape == (min(num - 1, np.prod(shape)),)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert found.sum() == pytest.approx(np.trace(covariance))


def test_variances_of_a_memory_map_are_those_of_the_array(tmp_path: Path) -> None:
    codes = random_codes(6, (4, 2, 2, 2))
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    np.testing.assert_array_equal(variances(mapped, np.arange(6)), variances(codes, np.arange(6)))
    with pytest.raises(ValueError, match=naming("2 codes 1")):
        variances(codes, [0])


def test_spectrum_is_of_plain_codes_and_of_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = random_codes(10, (3,))
    rows = [{"name": str(i // 2), "mirrored": i % 2 == 1, "draw": int(i >= 8)} for i in range(10)]
    stored = StoredCodes(codes, rows, Path("train.npy"))
    assert stored.plain_indices() == [0, 2, 4, 6]
    np.testing.assert_allclose(code_spectrum(stored, 0), variances(codes, [0, 2, 4, 6]))
    monkeypatch.setattr("training.code_spectrum.MAX_SHAPES", 3)
    assert len(code_spectrum(stored, 0)) == 2
    np.testing.assert_array_equal(code_spectrum(stored, 0), code_spectrum(stored, 0))


@pytest.mark.parametrize(("share", "count"), [(0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 3), (0.9, 3)])
def test_dimensions_that_hold_a_share(share: float, count: int) -> None:
    assert dimensions_holding([5, 3, 2, 0], share) == count


def test_a_spectrum_without_variance_is_an_error() -> None:
    np.testing.assert_allclose(cumulative_shares([4, 4]), [0.5, 1])
    with pytest.raises(ValueError, match="vary"):
        cumulative_shares([0.0, 0.0])


@pytest.mark.parametrize(("num", "dim"), [(12, 5), (5, 12)])
def test_principal_coordinates_keep_distances(num: int, dim: int) -> None:
    x, other = random_codes(num, (dim,)), random_codes(3, (dim,), seed=1)
    axes = PrincipalAxes(x)
    found = axes(x)
    assert found.shape == (num, min(num - 1, dim))
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found[None], axis=2), distances, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(axes.directions.T @ axes.directions, np.eye(found.shape[1]), atol=1e-8)
    spread = found.var(axis=0)
    np.testing.assert_allclose(axes.shares, spread / spread.sum(), rtol=1e-6)
    assert (np.diff(axes.shares) <= 0).all()
    expected = ((other - x.mean(axis=0, dtype=np.float64)) @ axes.directions)[:, :2]
    np.testing.assert_allclose(axes(other, 2), expected)


def test_missing_directions_are_zeros() -> None:
    found = PrincipalAxes(random_codes(2, (4,)))(random_codes(2, (4,)), 3)
    assert found.shape == (2, 3)
    assert (found[:, 1:] == 0).all() and (found[:, 0] != 0).all()


def test_projector_gets_codes_or_for_long_ones_coordinates_of_the_same_distances() -> None:
    short, long = random_codes(6, (5,)), random_codes(6, (MAX_NUMBERS // 8 + 1, 2, 2, 2))
    np.testing.assert_array_equal(projector_numbers(short), short)
    found, flat = projector_numbers(long), long.reshape(6, -1)
    assert found.shape == (6, 5) and found.dtype == np.float32
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (found, flat)]
    np.testing.assert_allclose(*distances, rtol=1e-5, atol=1e-4)
