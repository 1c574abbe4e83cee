"""Matrices of all pairs: values, threads, blocks, devices, and the file that lets a killed run go on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming

from evaluation.metrics import (
    METRICS,
    CloudSet,
    chamfer_l2_sq,
    emd,
    emd_cells,
    emd_sq,
    emd_sq_cells,
    pairwise,
    torch_chamfer,
)
from evaluation.metrics import pairs as pairs_module
from evaluation.metrics.torch_chamfer import TorchChamfer

SINGLE = {"cd": chamfer_l2_sq, "emd": emd, "emd_sq": emd_sq, "emd_cells": emd_cells, "emd_sq_cells": emd_sq_cells}


def random_set(count: int, seed: int, points: int | None = None) -> CloudSet:
    rng = np.random.default_rng(seed)
    sizes = [points] * count if points else rng.integers(9, 30, count)
    return CloudSet([rng.normal(size=(size, 3)) * rng.uniform(0.3, 1, 3) for size in sizes])


def expected(metric: str, a: CloudSet, b: CloudSet) -> list[list[float]]:
    return [[SINGLE[metric](x, y) for y in b] for x in a]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("workers", "block_size"), [(1, None), (1, 1), (3, 2), (2, 100)])
def test_values_are_those_of_single_pairs_whatever_threads_and_blocks(metric, workers, block_size) -> None:
    points = None if metric == "cd" else 17
    a, b = random_set(5, 0, points), random_set(7, 1, points)
    matrix = pairwise(metric, a, b, workers, block_size=block_size)
    np.testing.assert_allclose(matrix, expected(metric, a, b), rtol=1e-12)
    np.testing.assert_array_equal(matrix, pairwise(metric, a, b))
    own = pairwise(metric, b, workers=workers, block_size=block_size)
    np.testing.assert_allclose(own, expected(metric, b, b), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(own, own.T)
    assert not own.diagonal().any()


def test_cells_of_larger_clouds_and_plain_sequences() -> None:
    a, b = random_set(2, 0, 520), random_set(3, 1, 520)
    matrix = pairwise("emd_cells", list(a), list(b), workers=2)
    np.testing.assert_allclose(matrix, expected("emd_cells", a, b), rtol=1e-12)
    exact = pairwise("emd", a, b)
    assert not np.allclose(matrix, exact, rtol=1e-3)
    np.testing.assert_allclose(matrix, exact, rtol=0.5)


def test_own_pairs_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done = count_blocks(monkeypatch, "emd")
    pairwise("emd", random_set(6, 0, 5), block_size=2)
    assert sum(columns.stop - columns.start for _, columns in done) == 15
    assert all(columns.start > i for i, columns in done)


def count_blocks(monkeypatch: pytest.MonkeyPatch, metric: str, stop_after: int | None = None) -> list:
    """Record the blocks that are computed; the one after `stop_after` raises KeyboardInterrupt."""
    original, done = METRICS[metric], []

    def block(a: CloudSet, b: CloudSet, i: int, columns: slice) -> np.ndarray:
        if len(done) == stop_after:
            raise KeyboardInterrupt
        done.append((i, columns))
        return original.block(a, b, i, columns)

    monkeypatch.setitem(pairs_module.METRICS, metric, original._replace(block=block))
    return done


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("own", [False, True])
def test_interrupted_run_goes_on(own: bool, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, cache = random_set(5, 0, 8), None if own else random_set(6, 1, 8), tmp_path / "sub" / "emd.npz"
    plain = pairwise("emd", a, b)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        count_blocks(patch, "emd", stop_after=3)
        pairwise("emd", a, b, workers, cache=cache, block_size=2)
    with np.load(cache) as file:
        finished = np.isfinite(file["matrix"]).sum() - (5 if own else 0)
    with monkeypatch.context() as patch:
        done = count_blocks(patch, "emd")
        resumed = pairwise("emd", a, b, cache=cache, block_size=3)
        rest = sum(columns.stop - columns.start for _, columns in done)
        np.testing.assert_array_equal(pairwise("emd", a, b, cache=cache), plain)
        assert sum(columns.stop - columns.start for _, columns in done) == rest  # the second call read the file
    assert finished > 0
    assert finished + rest == (10 if own else 30)
    np.testing.assert_array_equal(resumed, plain)
    assert [path.name for path in cache.parent.iterdir()] == ["emd.npz"]  # no spare file stays


KILLED = """
import os
import numpy as np
from evaluation.metrics import pairs, matrix_cache
from evaluation.metrics.clouds import CloudSet

matrix_cache.SECONDS_BETWEEN_SAVES = 0
plain, calls = pairs.METRICS["emd"], []

def block(a, b, i, columns):
    if len(calls) == 4:
        os._exit(9)
    calls.append(i)
    return plain.block(a, b, i, columns)

pairs.METRICS["emd"] = plain._replace(block=block)
rng = np.random.default_rng(0)
a, b = (CloudSet(list(rng.normal(size=(n, 8, 3)))) for n in (5, 6))
pairs.pairwise("emd", a, b, cache={cache!r}, block_size=2)
"""


def test_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "emd.npz"
    process = subprocess.run([sys.executable, "-c", KILLED.replace("{cache!r}", repr(str(cache)))], check=False)
    assert process.returncode == 9
    rng = np.random.default_rng(0)
    a, b = (CloudSet(list(rng.normal(size=(n, 8, 3)))) for n in (5, 6))
    done = count_blocks(monkeypatch, "emd")
    matrix = pairwise("emd", a, b, cache=cache, block_size=2)
    assert len(done) == 15 - 4
    np.testing.assert_allclose(matrix, expected("emd", a, b), rtol=1e-12)


def test_other_points_metric_or_sets_are_computed_anew(tmp_path: Path) -> None:
    a, b, cache = random_set(4, 0, 8), random_set(4, 1, 8), tmp_path / "matrix.npz"
    changed = [cloud.copy() for cloud in b]
    changed[2][5, 1] += 1e-9
    calls = [("emd", a, b), ("emd_sq", a, b), ("emd", a, a), ("emd", a, None), ("emd", a, changed), ("cd", b, a)]
    for metric, one, other in calls:
        given = pairwise(metric, one, other, cache=cache)
        np.testing.assert_array_equal(given, pairwise(metric, one, other))
    np.testing.assert_array_equal(pairwise("emd", a[:2], b[:3], cache=cache), pairwise("emd", a[:2], b[:3]))


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "pickle", "keys", "shape"])
def test_damaged_or_foreign_file_is_computed_anew(damage: str, tmp_path: Path) -> None:
    a, b, cache = random_set(3, 0, 8), random_set(4, 1, 8), tmp_path / "matrix.npz"
    plain = pairwise("emd", a, b, cache=cache)
    data = cache.read_bytes()
    with np.load(cache) as file:
        key = file["key"]
    if damage == "empty":
        cache.write_bytes(b"")
    elif damage == "cut":
        cache.write_bytes(data[: len(data) // 2])
    elif damage == "text":
        cache.write_text("not a matrix")
    elif damage == "pickle":
        np.savez(cache, matrix=np.array([None, "x"], object), key=key)
    elif damage == "keys":
        np.savez(cache, points=np.zeros(3))
    else:
        np.savez(cache, matrix=np.zeros((2, 2)), key=key)
    np.testing.assert_array_equal(pairwise("emd", a, b, cache=cache), plain)
    with np.load(cache) as file:
        np.testing.assert_array_equal(file["matrix"], plain)  # mended


@pytest.mark.parametrize("limit", [None, 1000])
def test_torch_gives_what_trees_give(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if limit:
        monkeypatch.setattr(torch_chamfer, "MAX_DISTANCES", limit)  # several batches
    a, b = random_set(4, 0), random_set(9, 1)
    trees = pairwise("cd", a, b)
    on_device = TorchChamfer(a, b, torch.device("cpu"))
    matrix = np.stack([on_device.block(i, slice(0, 9)) for i in range(4)])
    np.testing.assert_allclose(matrix, trees, rtol=1e-5)
    np.testing.assert_array_equal(on_device.block(2, slice(3, 5)), matrix[2, 3:5])
    assert TorchChamfer(a, a, "cpu").block(1, slice(1, 2)) == pytest.approx(0, abs=1e-12)


def test_device_option_picks_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any device but the CPU takes the torch backend, for cd alone; the "device" here is the CPU in disguise."""
    made = []

    class Disguised(TorchChamfer):
        def __init__(self, a: CloudSet, b: CloudSet, device: str):
            made.append(device)
            super().__init__(a, b, "cpu")

    monkeypatch.setattr(torch_chamfer, "TorchChamfer", Disguised)
    a, b = random_set(3, 0, 12), random_set(4, 1, 12)
    np.testing.assert_array_equal(pairwise("cd", a, b, device=torch.device("cpu")), pairwise("cd", a, b))
    np.testing.assert_array_equal(pairwise("emd", a, b, device="meta"), pairwise("emd", a, b))
    assert made == []
    np.testing.assert_allclose(pairwise("cd", a, b, device="meta", block_size=2), pairwise("cd", a, b), rtol=1e-5)
    np.testing.assert_allclose(pairwise("cd", a, device="meta"), pairwise("cd", a), rtol=1e-5)
    assert made == ["meta", "meta"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_gives_what_trees_give() -> None:
    a, b = random_set(5, 0), random_set(70, 1)
    device = torch.device(torch.cuda.current_device())
    np.testing.assert_allclose(pairwise("cd", a, b, device=device), pairwise("cd", a, b), rtol=1e-5)


def test_progress_counts_pairs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []

    class Bar(pairs_module.tqdm):
        def __init__(self, **options: object):
            bars.append(self)
            super().__init__(**options | {"disable": False})

    monkeypatch.setattr(pairs_module, "tqdm", Bar)
    pairwise("cd", random_set(5, 0), random_set(3, 1), description="distances")
    pairwise("cd", random_set(5, 0), description="own")
    assert [(bar.n, bar.total) for bar in bars] == [(15, 15), (10, 10)]
    assert "distances" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pairwise("chamfer", random_set(2, 0)), "'chamfer' cd emd emd_sq"),
        (lambda: pairwise("emd", random_set(2, 0, 5), random_set(2, 0, 6)), "5 6"),
        (lambda: pairwise("emd_sq_cells", random_set(9, 0)), "points"),
        (lambda: pairwise("cd", []), "one cloud"),
    ],
)
def test_wrong_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=naming(message)):
        call()
