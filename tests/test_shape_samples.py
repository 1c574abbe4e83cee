"""What is drawn for a training step, against the plain way; the samples stay as they are."""

import numpy as np
import pytest

from training.gpu_samples import numbers_of_sets
from training.shape_samples import draw


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
