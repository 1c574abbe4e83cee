"""Samples in memory that the processes of a machine share: the same numbers, to be read alone."""

import os
from pathlib import Path

import numpy as np
import pytest

from lab.small.helpers import read_config
from runtime.ranks import Ranks
from training import shared_samples
from training.shape_samples import ShapeSteps, read_samples
from training.shared_samples import SharedSamples, in_memory

SIZES = [(5, 1, 40), (7, 3, 11), (2, 9, 300)]  # points of each set, of each shape


def three() -> list[dict]:
    rng = np.random.default_rng(0)
    numbers = [[rng.standard_normal((n, 4), dtype=np.float32) for n in (13 + s, *SIZES[s])] for s in range(3)]
    return [
        {"cloud": cloud[:, :3].copy(), "sets": [(part[:, :3], part[:, 3]) for part in parts]}  # not contiguous
        for cloud, *parts in numbers
    ]


def assert_same(found: dict, wanted: dict) -> None:
    np.testing.assert_array_equal(found["cloud"], wanted["cloud"])
    assert len(found["sets"]) == len(wanted["sets"])
    for one, other in zip(found["sets"], wanted["sets"], strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert mine.dtype == np.float32
            np.testing.assert_array_equal(mine, theirs)


def test_what_is_written_by_one_is_read_by_another_and_cannot_be_changed():
    first = shared_samples._write(three)
    found = shared_samples._opened(first)
    os.close(first["file"])  # the mapping stays
    assert len(found) == 3
    for one, other in zip(found, three(), strict=True):
        assert_same(one, other)
    assert [len(sample["cloud"]) for sample in found[1:]] == [14, 15]
    with pytest.raises(ValueError, match="read-only"):
        found[0]["cloud"][0] = 1


def test_a_process_that_is_alone_on_its_machine_keeps_its_own():
    found = in_memory(three)
    assert isinstance(found, list)
    assert_same(found[2], three()[2])


@pytest.mark.parametrize("reason", ["no memfd_create", "no /proc"])
def test_where_memory_cannot_be_shared_each_has_its_own_and_says_so(reason: str, monkeypatch, capsys):
    monkeypatch.setattr(shared_samples, "ranks", lambda: Ranks(0, 2, 0, 2))
    monkeypatch.setattr(shared_samples, "exchange", lambda value: [value, value])
    if reason == "no /proc":
        monkeypatch.setattr(shared_samples, "_opened", lambda first: None)
    else:
        monkeypatch.delattr(os, "memfd_create")
    before = sorted(Path("/proc/self/fd").iterdir())
    found = in_memory(three)
    assert not isinstance(found, SharedSamples) and "samples in memory of its own" in capsys.readouterr().err
    assert_same(found[1], three()[1])
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_steps_of_shared_samples_are_those_of_own_ones(shapes: Path, monkeypatch):
    cfg = read_config(shapes, num_hard_points=3, num_sample_points_training=31, batch_size=2)
    folders = sorted(path.parent for path in (shapes / "data").rglob("uniform_samples.npz"))
    own, shared = ShapeSteps(folders, cfg), ShapeSteps(folders, cfg)
    first = shared_samples._write(lambda: (read_samples(folder, cfg) for folder in folders))
    shared.cache = shared_samples._opened(first)
    os.close(first["file"])
    for name, values in own[1].items():
        np.testing.assert_array_equal(shared[1][name], values)
