"""Batches drawn from samples on a device: of the right shapes and sets, in the right shares, mirrored, repeatable."""

import numpy as np
import pytest
import torch

from training.gpu_samples import GpuSamples, numbers_of_sets

SIZES = [(5, 1, 40), (7, 3, 11), (2, 9, 300)]  # points of each set, of each shape


def shape(s: int) -> dict:
    """Shape s, whose points of set k have x = 10 s + k + 1, y = their place in the set, and distance = x + y."""
    sets = []
    for k, size in enumerate(SIZES[s]):
        x, y = np.full(size, 10.0 * s + k + 1), np.arange(size)
        points = np.column_stack([x, y, 0 * y]).astype(np.float32)
        sets.append((points, points.sum(axis=1)))
    return {"cloud": np.full((4, 3), s + 1, np.float32), "sets": sets}


@pytest.fixture
def samples() -> GpuSamples:
    return GpuSamples((shape(s) for s in range(3)), torch.device("cpu"))


def batch(samples: GpuSamples, mirrored: tuple[bool, ...] = (False, False), seed: int = 0) -> dict:
    chosen = np.array([2, 0])
    return samples.batch(chosen, np.array(mirrored), (0.5, 0.1, 0.4), 1001, (0.0, 0.0, 1.0), 2000, seed)


def test_points_are_of_the_chosen_shapes_in_the_shares_of_their_sets(samples: GpuSamples):
    found = batch(samples)
    assert found["points"].shape == (2, 1001, 3) and found["candidate_distances"].shape == (2, 2000)
    assert numbers_of_sets((0.5, 0.1, 0.4), 1001) == [500, 101, 400]
    for row, s in enumerate((2, 0)):
        x, y, _ = found["points"][row].T
        kinds, counts = x.unique(return_counts=True)
        assert kinds.tolist() == [10 * s + 1, 10 * s + 2, 10 * s + 3] and counts.tolist() == [500, 101, 400]
        for k, size in enumerate(SIZES[s]):
            drawn = y[x == 10 * s + k + 1]
            assert drawn.max() < size and len(drawn.unique()) >= 0.6 * min(size, len(drawn))
        assert (found["candidates"][row, :, 0] == 10 * s + 3).all()
        assert found["candidates"][row, :, 1].unique().tolist() == list(range(SIZES[s][2]))  # each of them, in 2000
        assert (found["cloud"][row] == s + 1).all()
    assert torch.equal(found["points"].sum(dim=2), found["distances"])


def test_a_mirrored_shape_is_mirrored_in_x_and_nothing_else_changes(samples: GpuSamples):
    plain, mirrored = batch(samples), batch(samples, (True, False))
    sign = torch.tensor([[-1.0, 1, 1], [1, 1, 1]])[:, None]
    for name in ("cloud", "points", "candidates"):
        assert torch.equal(mirrored[name], plain[name] * sign)
    assert torch.equal(mirrored["distances"], plain["distances"])


def test_the_seed_alone_decides(samples: GpuSamples):
    one, two, other = batch(samples), batch(samples), batch(samples, seed=1)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["points"], other["points"])
