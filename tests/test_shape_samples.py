"""Batches of training steps: what is drawn, from where, and that it depends on seed and step alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from configs.config_loader import get_config
from dataprocessing.split import split_folders
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL
from lab.small.tiny_experiment import ndf_task as task_of
from runtime.layout import GAP_SAMPLES, SHARP_SAMPLES, UNIFORM_SAMPLES, boundary_samples
from training.gpu_samples import numbers_of_sets
from training.ndf_loss import training_loss
from training.shape_samples import ShapeSteps, draw, far_files, read_samples, read_sizes, validation_batches


def plainly(sets, shares, count, rng):
    indices = [rng.integers(0, len(df), n) for (_, df), n in zip(sets, numbers_of_sets(shares, count), strict=True)]
    return tuple(np.concatenate([pair[k][index] for pair, index in zip(sets, indices, strict=True)]) for k in (0, 1))


@pytest.mark.parametrize("mirror", [False, True])
def test_an_example_is_that_of_plain_indexing(mirror: bool):
    rng = np.random.default_rng(0)
    numbers = [rng.standard_normal((n, 4)).astype(np.float32) for n in (50, 9, 70)]
    samples = {"cloud": numbers[0][:, :3].copy(), "sets": [(part[:, :3].copy(), part[:, 3].copy()) for part in numbers]}
    cloud = samples["cloud"].copy()
    example = draw(samples, [0.1, 0.5, 0.4], 101, np.random.default_rng(1), mirror, [0, 0.5, 0.5], 33)
    again, sign = np.random.default_rng(1), np.array([-1 if mirror else 1, 1, 1], np.float32)
    points, distances = plainly(samples["sets"], [0.1, 0.5, 0.4], 101, again)
    candidates, theirs = plainly(samples["sets"], [0, 0.5, 0.5], 33, again)
    expected = {"cloud": cloud * sign, "points": points * sign, "distances": distances}
    expected |= {"candidates": candidates * sign, "candidate_distances": theirs}
    assert list(example) == list(expected)
    for name, values in expected.items():
        assert example[name].dtype == np.float32 and np.array_equal(example[name], values), name
    assert np.array_equal(samples["cloud"], cloud)


def test_candidates_are_drawn_far_from_the_surface_and_mirrored_with_the_shape(shapes: Path):
    folders = split_folders(read_config(shapes))["train"]
    cfg = read_config(shapes, **SMALL | {"num_hard_points": 6})
    steps, plain = ShapeSteps(folders, cfg), ShapeSteps(folders, read_config(shapes, **SMALL, mirror=False))
    files = [boundary_samples(0.08), UNIFORM_SAMPLES, GAP_SAMPLES]  # not those of sigma 0.003
    stored = [np.concatenate([np.load(folder / name)["points"] for folder in folders]) for name in files]
    signs = []
    for step in range(3):
        batch, as_stored = steps[step], plain[step]["cloud"]
        assert batch["candidates"].shape == (2, 16 * 6, 3)
        for cloud, candidates, own in zip(batch["cloud"], batch["candidates"].numpy(), as_stored, strict=True):
            signs.append(1 if torch.equal(cloud, own) else -1)
            candidates = candidates * np.float32([signs[-1], 1, 1])
            for third, points in zip(np.split(candidates, 3), stored, strict=True):
                assert np.abs(third[:, None] - points).max(axis=2).min(axis=1).max() < 1e-6
    assert set(signs) == {-1, 1}


def test_a_share_is_drawn_at_edges_and_never_as_a_candidate(shapes: Path):
    options = SMALL | {"num_sharp_samples": 90, "uniform_ratio": 0.25, "gap_ratio": 0, "mirror": False}
    cfg = read_config(shapes, **options, sharp_ratio=0.25)
    folders = split_folders(cfg)["train"]
    steps = ShapeSteps(folders, cfg)
    assert steps.shares == pytest.approx([0.5 * 0.4, 0.5 * 0.6, 0.25, 0.25])
    assert far_files(cfg) == [True, False, True, False]
    stored = np.concatenate([np.load(folder / SHARP_SAMPLES)["points"] for folder in folders])
    batch = steps[1]["points"][0].numpy()
    found = np.abs(batch[:, None] - stored).max(axis=2).min(axis=1) < 1e-6
    assert np.flatnonzero(found).tolist() == list(range(round(0.75 * 67), 67))
    without = ShapeSteps(folders, read_config(shapes, **options, sharp_ratio=0))
    unasked = ShapeSteps(folders, read_config(shapes, **options | {"num_sharp_samples": 0}))
    assert all(torch.equal(without[3][name], unasked[3][name]) for name in without[3])


def test_hard_points_come_from_all_samples_where_none_is_far(shapes: Path):
    near_only = {"sample_ratio": [0, 1], "uniform_ratio": 0, "gap_ratio": 0}
    assert far_files(read_config(shapes, **SMALL, **near_only)) == [True]


def test_without_hard_points_there_are_no_candidates(shapes: Path):
    task = task_of(shapes, num_hard_points=0)
    batch = task.steps[0]
    assert set(batch) == {"cloud", "points", "distances"}
    assert torch.isfinite(training_loss(task.model, batch, task.cfg))


def test_batches_depend_on_seed_and_step_alone_and_show_each_shape_once(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    folders = split_folders(cfg)["train"]
    one, two = ShapeSteps(folders, cfg), ShapeSteps(folders, cfg)
    two.read_all(torch.device("cpu"))  # in memory or not: the same
    for step in (3, 0):
        torch.testing.assert_close(one[step], two[step], rtol=0, atol=0)
    assert one[0]["points"].shape == (2, 67, 3)
    assert one[0]["distances"].dtype == torch.float32
    assert not torch.equal(one[0]["points"], one[2]["points"])
    radii = torch.cat([one[step]["cloud"].norm(dim=-1).mean(dim=1) for step in range(2)])
    assert len(set(radii.mul(1000).round().tolist())) == 4
    other = ShapeSteps(folders, get_config(["--config", str(shapes / "config.txt"), "--seed", "1"]))
    assert not torch.equal(one[0]["points"], other[0]["points"])


def test_sample_shares_and_mirroring(shapes: Path):
    cfg = read_config(shapes, **SMALL, uniform_ratio=0.25, gap_ratio=0.125)
    folders = split_folders(cfg)["train"]
    steps = ShapeSteps(folders, cfg)
    assert steps.shares == pytest.approx([0.625 * 0.4, 0.625 * 0.6, 0.25, 0.125])
    batch = steps[0]["points"][0].abs().double().numpy()  # mirrored or not
    bounds = np.round(np.cumsum([0.625, 0.25, 0.125]) * 67).astype(int)
    for name, start, end in ((UNIFORM_SAMPLES, *bounds[:2]), (GAP_SAMPLES, *bounds[1:])):
        stored = np.concatenate([np.load(folder / name)["points"] for folder in folders])
        found = np.abs(batch[:, None] - np.abs(stored)).max(axis=2).min(axis=1) < 1e-6
        assert np.flatnonzero(found).tolist() == list(range(start, end))
    plain = ShapeSteps(folders, read_config(shapes, **SMALL, uniform_ratio=0.25, gap_ratio=0.125, mirror=False))
    flipped = [torch.equal(plain[s]["cloud"][i], steps[s]["cloud"][i]) for s in range(4) for i in range(2)]
    assert 0 < sum(flipped) < 8


def test_validation_is_fixed(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    folders = split_folders(cfg)["val"]
    one, two = (validation_batches(folders, cfg, points_per_shape=33) for _ in range(2))
    torch.testing.assert_close(one[0], two[0], rtol=0, atol=0)


def test_sparse_inputs_are_the_first_points_and_change_nothing_else(shapes: Path):
    folders = split_folders(read_config(shapes, **SMALL))["train"]
    whole = ShapeSteps(folders, read_config(shapes, **SMALL))
    sparse = ShapeSteps(folders, read_config(shapes, **SMALL, min_input_points=5))
    counts = set()
    for step in range(12):
        one, other = whole[step], sparse[step]
        count = other["cloud"].shape[1]
        counts.add(count)
        assert torch.equal(other["cloud"], one["cloud"][:, :count])
        assert torch.equal(other["points"], one["points"]) and torch.equal(other["distances"], one["distances"])
    assert min(counts) >= 5 and max(counts) <= 53 and len(counts) > 4


@pytest.mark.parametrize("options", [{}, {"num_hard_points": 0}, {"min_input_points": 5}], ids=str)
@pytest.mark.parametrize("cached", [False, True])
def test_parts_of_a_batch_are_those_of_the_whole_and_others_are_not_read(
    shapes: Path, options: dict, cached: bool, monkeypatch: pytest.MonkeyPatch
):
    cfg = read_config(shapes, **(SMALL | {"batch_size": 3, "mirror": True} | options))
    folders = split_folders(cfg)["train"]
    whole, part = ShapeSteps(folders, cfg), ShapeSteps(folders, cfg)
    batch = whole[0]
    if cached:
        part.read_all(torch.device("cpu"))
    read: list[int] = []
    samples = part.samples
    monkeypatch.setattr(part, "samples", lambda index: read.append(index) or samples(index))
    for rank in range(3):
        part.part = slice(rank, rank + 1)
        read.clear()
        found = part[0]
        assert found.keys() == batch.keys()
        for name, values in found.items():
            assert torch.equal(values, batch[name][rank : rank + 1]), name
        assert len(read) == (3 if "min_input_points" in options else 1)


def test_sizes_come_from_the_heads_of_the_files(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    folder = split_folders(cfg)["train"][0]
    assert read_sizes(folder, cfg) == [len(points) for points, _ in read_samples(folder, cfg)["sets"]]
