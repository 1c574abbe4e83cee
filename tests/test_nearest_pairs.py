"""Matrices of the nearest pairs: their smallest of rows and columns are those of all pairs, and so are the measures."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.generation_table import set_measures
from evaluation.metrics import CloudSet, pairwise, pairwise_nearest
from evaluation.metrics import nearest_pairs as module
from lab.benchmarks.cars import demo_cloud


def kinds(count: int, seed: int, points: int = 60) -> CloudSet:
    """Clouds of a few kinds, as cars are: boxes of different lengths and heights."""
    rng = np.random.default_rng(seed)
    sides = np.array([[0.4, 0.3, 1], [0.4, 0.5, 0.8], [0.5, 0.2, 0.9]])[rng.integers(3, size=count)]
    sides = sides * rng.uniform(0.8, 1.1, (count, 3))
    return CloudSet([side * rng.uniform(-0.5, 0.5, (rng.integers(points // 2, points), 3)) for side in sides])


def smallest(matrix: np.ndarray, own: bool) -> tuple[np.ndarray, ...]:
    matrix = matrix.copy()
    if own:
        np.fill_diagonal(matrix, np.inf)
    return matrix.min(axis=1), matrix.argmin(axis=1), matrix.min(axis=0), matrix.argmin(axis=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_smallest_of_rows_and_columns_are_exact(workers: int):
    a, b = kinds(13, 0), kinds(17, 1)
    b = CloudSet([*b.clouds[:4], a[2], a[2], *b.clouds[4:]])  # equals
    for second in (b, None):
        found, all_pairs = pairwise_nearest(a, second, workers), pairwise("cd", a, second)
        for one, other in zip(smallest(found, second is None), smallest(all_pairs, second is None), strict=True):
            np.testing.assert_array_equal(one, other)
        assert (found <= all_pairs).all() and np.isfinite(found).all()
    assert not found.diagonal().any() and (found == found.T).all()


def test_measures_of_sets_are_those_of_all_pairs():
    references, samples = kinds(12, 2), kinds(12, 3)
    matrices = [(references, None), (references, samples), (samples, None)]
    fast, whole = ([make(*pair) for pair in matrices] for make in (pairwise_nearest, lambda a, b: pairwise("cd", a, b)))
    assert set_measures(*fast) == set_measures(*whole)


def test_few_pairs_are_compared(monkeypatch: pytest.MonkeyPatch):
    compared, forth = [], module.mean_forth
    monkeypatch.setattr(module, "mean_forth", lambda a, b, i, j: compared.append((i, j)) or forth(a, b, i, j))
    a, b = (CloudSet([demo_cloud(n, 1000) for n in range(first, first + 24)]) for first in (0, 24))
    pairwise_nearest(a, b)
    assert len(set(compared)) == len(compared) < 0.6 * 24 * 24
    compared.clear()
    pairwise_nearest(a)
    assert len(set(compared)) == len(compared) < 0.8 * 24 * 23 / 2
    assert all(i < j for i, j in compared)


def test_a_killed_run_goes_on_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    a, b, cache, forth = kinds(9, 6), kinds(8, 7), tmp_path / "cd.npz", module.mean_forth
    compared: list[tuple[int, int]] = []

    def interrupted(*inputs) -> float:
        if len(compared) == 10:
            raise KeyboardInterrupt
        compared.append(inputs[2:])
        return forth(*inputs)

    monkeypatch.setattr(module, "mean_forth", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pairwise_nearest(a, b, cache=cache)
    with np.load(cache) as file:
        known = np.isfinite(file["matrix"])
    assert known.any() and not known.all()
    compared.clear()
    monkeypatch.setattr(module, "mean_forth", lambda *inputs: compared.append(inputs[2:]) or forth(*inputs))
    found = pairwise_nearest(a, b, cache=cache)
    assert not any(known[pair] for pair in compared)
    for one, other in zip(smallest(found, False), smallest(pairwise("cd", a, b), False), strict=True):
        np.testing.assert_array_equal(one, other)
    compared.clear()
    np.testing.assert_array_equal(pairwise_nearest(a, b, cache=cache), found)
    assert not compared
