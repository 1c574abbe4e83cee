"""Paths between codes: straight in their space, and measured by their clouds and fields."""

from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming
from test_analysis import SMALL

from configs.options import Config
from evaluation.latent_space import paths
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.latent_space.paths import SPACES, field_values, measure_paths, path_codes, random_pairs
from evaluation.metrics import chamfer_l2_sq
from frozen.codes import load_codes
from generation.latents import latents_of
from generation.networks import Networks
from lab.small.tiny_experiment import tiny_config
from runtime.errors import UserError

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.fixture(scope="module")
def cfg(root: Path) -> Config:
    return tiny_config(root, **SMALL)


def test_pairs_use_no_shape_twice() -> None:
    pairs = random_pairs(9, 3, seed=0)
    assert len(pairs) == 3 and len(set(sum(pairs, ()))) == 6 and set(sum(pairs, ())) <= set(range(9))
    assert len(random_pairs(5, 100, seed=1)) == 2
    assert random_pairs(9, 3, seed=0) == pairs != random_pairs(9, 3, seed=1)
    with pytest.raises(UserError, match=naming("2 test 1")):
        random_pairs(1, 3, seed=0)


@pytest.mark.parametrize("space", SPACES)
def test_paths_are_straight_in_their_space_and_end_at_the_shapes(networks: Networks, space: str) -> None:
    codes = load_codes(networks.cfg, "test").tensor()
    path = path_codes(networks, codes[:2], codes[2:4], space)
    assert path.shape == (2, networks.cfg.analysis.path_steps + 1, 5)
    torch.testing.assert_close(path[:, 0], codes[:2], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(path[:, -1], codes[2:4], atol=1e-4, rtol=1e-4)
    for one in path:
        x = one if space == "code" else latents_of(networks, one)
        torch.testing.assert_close(x[1] - x[0], (x[-1] - x[0]) / networks.cfg.analysis.path_steps, atol=1e-3, rtol=1e-3)


def test_measures_of_paths_are_those_of_their_clouds_and_fields(networks: Networks) -> None:
    found, pairs = measure_paths(networks)
    assert len(pairs) == 2 and len(set(sum(pairs, []))) == 4  # four test shapes
    stored = load_codes(networks.cfg, "test")
    place = {row["name"]: i for i, row in enumerate(stored.rows)}
    for one in found.values():
        assert one.jumps.shape == one.udf_changes.shape == (2, 3) and one.log_likelihood.shape == (2, 4)
        flat = torch.cat([one.codes.flatten(0, 1), one.codes[:, 0]])
        clouds = decoded_clouds(networks, flat, networks.cfg.analysis.num_analysis_points, "again", "test")
        assert one.jumps[1, 2] == pytest.approx(chamfer_l2_sq(clouds[6], clouds[7]))
        assert one.floor[1] == pytest.approx(chamfer_l2_sq(clouds[4], clouds[9]))
        assert (one.floor > 0).all()  # other points of the same surface
        ends = stored.tensor()[[place[name] for name in pairs[0]]]
        expected = networks.flow.log_prob(ends).double().numpy()
        np.testing.assert_allclose(one.log_likelihood[0, [0, -1]], expected, rtol=1e-3, atol=1e-2)
    values = field_values(networks, path_codes(networks, ends[:1], ends[1:], "code")[0], "test")
    assert values.shape == (4, paths.NUM_QUERIES) and values.max() <= networks.cfg.ndf_training.max_dist
    np.testing.assert_allclose(found["code"].udf_changes[0], np.abs(np.diff(values, axis=0)).mean(axis=1), rtol=1e-5)
    row = found["z"].row("z")
    assert row["jump_max"] == pytest.approx(found["z"].jumps.max(axis=1).mean()) and row["jump_max"] > row["jump_mean"]
    likelihood = found["z"].log_likelihood
    line = (2 * likelihood[:, 0] + likelihood[:, 3]) / 3  # step 1 of 3
    assert row["excess"] == pytest.approx((likelihood[:, 1] - line).mean())
    assert np.abs(found["z"].excess[:, [0, 3]]).max() < 1e-9 < np.abs(found["z"].excess[:, 1:3]).min()
