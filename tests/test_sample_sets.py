"""The sets that are compared: what each is made of, that a second run finds them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dataprocessing.split import split_folders
from evaluation.baselines import SHARES, draw_mixtures, gaussian_codes, nearest_codes, neighbour_codes
from evaluation.code_nna import shares_of
from evaluation.network_table import network_rows
from evaluation.sample_sets import (
    SET_STRIDE,
    decoded_recipe,
    kept_set,
    read_set,
    sampled_recipes,
    set_path,
    write_sets,
)
from frozen.checkpoint_files import load_checkpoint
from frozen.codes import load_codes
from generation.decode import decode_each
from generation.latents import draw_latents
from generation.networks import Networks
from generation.sampling import sampled, sampled_codes
from lab.small.tiny_experiment import tiny_config
from models.occupancy import occupancy_from_points, to_grid_coords
from runtime.errors import UserError
from training.flow_nll import noised_nll
from training.shape_samples import validation_batches

pytestmark = pytest.mark.usefixtures("coarse_lattice")


def times(networks: Networks) -> dict[str, int]:
    """When the file of each set was written."""
    return {path.name: path.stat().st_mtime_ns for path in networks.experiment.sets.iterdir()}


def all_recipes(networks: Networks, num: int = 3) -> list:
    sampled = sampled_recipes(networks, num)
    return [one for sets in sampled.values() for one in sets]


def test_gaussian_codes_are_standard_normal_when_whitened(networks: Networks):
    codes = gaussian_codes(networks, 500)
    w = networks.flow.whiten(codes)
    assert w.mean(dim=0).abs().max() < 0.2
    assert_close(torch.cov(w.T), torch.eye(5), atol=0.2, rtol=0)
    assert_close(gaussian_codes(networks, 3), codes[:3], atol=0, rtol=0)
    flow_z = draw_latents(networks.flow, 3, networks.cfg.run.seed)
    assert (w[:3] - flow_z).abs().max() > 0.1  # not the numbers that the flow's shapes come from


def test_neighbours_lie_between_a_training_code_and_a_near_one_of_another_shape(networks: Networks):
    training = load_codes(networks.cfg, "train")
    codes, mixtures = neighbour_codes(networks, 40), draw_mixtures(networks, training, 40)
    w = networks.flow.whiten(training.tensor())
    chosen, seconds = set(), set()
    for code, (a, b, share) in zip(codes, mixtures, strict=True):
        assert training.rows[a]["name"] != training.rows[b]["name"]
        assert SHARES[0] <= share <= SHARES[1]
        mixed = w[a] + share * (w[b] - w[a])
        assert_close(networks.flow.whiten(code[None])[0], mixed, atol=1e-3, rtol=1e-3)
        others = [i for i, row in enumerate(training.rows) if row["name"] != training.rows[a]["name"]]
        rank = sorted(others, key=lambda i: (w[i] - w[a]).norm().item()).index(b)
        assert rank < 3
        chosen.add(a)
        seconds.add(rank)
    assert len(chosen) > 10
    assert seconds == {0, 1, 2}
    assert_close(neighbour_codes(networks, 6), codes[:6], atol=1e-6, rtol=1e-5)
    assert draw_mixtures(networks, training, 6) == mixtures[:6]


def test_nearest_codes_do_not_depend_on_how_many_are_read_at_a_time(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
):
    training = load_codes(networks.cfg, "train")
    whole = nearest_codes(networks, training, [3, 0, 9])
    assert whole.shape == (3, 3)
    monkeypatch.setattr("evaluation.baselines.MOST_CODES_AT_A_TIME", 4)
    assert torch.equal(nearest_codes(networks, training, [3, 0, 9]), whole)
    for row in training.rows:
        row["name"] = "alone"
    with pytest.raises(UserError, match="all training codes are of one shape, alone; 2 or more shapes expected"):
        nearest_codes(networks, training, [3])


def test_sets_are_written_once_and_anew_for_other_options(root: Path):
    networks = Networks(tiny_config(root, num_sample_sets=2))
    write_sets(networks, all_recipes(networks))
    before = times(networks)
    assert set(before) == {f"{kind}_{k}.npz" for kind in ("flow", "gaussian", "neighbours") for k in (0, 1)}

    def rewritten(num: int = 3, **options: object) -> set[str]:
        """The sets that are made again for other options."""
        other, last = Networks(tiny_config(root, num_sample_sets=2, **options)), times(networks)
        write_sets(other, all_recipes(other, num))
        return {name for name, time in times(other).items() if time != last[name]}

    assert rewritten() == set()
    assert rewritten(num_output_points=33, num_shapes=2) == set()  # generate.py's own options
    assert rewritten(temperature=0.5) == {"flow_0.npz", "flow_1.npz"}
    for options in ({"precision": "bf16"}, {"num_sample_points_generation": 700}):
        assert rewritten(temperature=0.5, **options) == set(before)
    assert rewritten(temperature=0.5) == set(before)
    assert rewritten(num=2, temperature=0.5) == set(before)
    path = networks.experiment.sets / "gaussian_1.npz"
    path.write_bytes(path.read_bytes()[:-30])  # as a broken disk leaves it
    assert rewritten(num=2, temperature=0.5) == {"gaussian_1.npz"}


def test_a_set_holds_its_shapes_with_their_likelihoods(root: Path):
    networks = Networks(tiny_config(root, num_sample_sets=2))
    recipes = sampled_recipes(networks, 3)["flow"]
    write_sets(networks, recipes)
    with np.load(set_path(networks, recipes[1]), allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    codes = sampled_codes(networks, 3, networks.cfg.run.seed, SET_STRIDE)
    assert arrays["point_cloud"].shape == (3, 60, 3)
    assert_close(torch.from_numpy(arrays["log_likelihood"]), networks.flow.log_prob(codes))
    assert_close(torch.from_numpy(arrays["nll_nats_per_dim"]), networks.flow.nats_per_dim(codes))
    assert json.loads(str(arrays["index"]))["rnvp_sha256"] == networks.sources["rnvp_sha256"]
    first, second = (read_set(networks, recipe) for recipe in recipes)
    clouds = list(
        decode_each(networks, sampled(networks, 3, networks.cfg.run.seed).codes, 60)
    )  # what generate.py makes
    np.testing.assert_array_equal(first, np.stack(clouds))
    assert abs(first - second).max() > 0.01


def test_shapes_of_a_split_are_decoded_by_name(root: Path):
    networks = Networks(tiny_config(root))
    recipe = decoded_recipe(networks, "test_decoded", "test", ["sphere10", "sphere8"])
    stored = load_codes(networks.cfg, "test").one_per_shape()
    rows = {row["name"]: i for i, row in enumerate(stored.rows)}
    expected = stored.codes[[rows["sphere10"], rows["sphere8"]]]
    np.testing.assert_array_equal(recipe.make().numpy(), expected)
    assert kept_set(networks, recipe) is None
    write_sets(networks, [recipe])
    assert kept_set(networks, recipe) is not None
    assert kept_set(networks, decoded_recipe(networks, "test_decoded", "test", ["sphere8", "sphere10"])) is None
    with pytest.raises(UserError, match="no code of sphere3 in .*codes/test.json, so the split has changed since"):
        decoded_recipe(networks, "x", "test", ["sphere8", "sphere3"])


def test_sets_draw_from_streams_of_their_own(root: Path):
    networks = Networks(tiny_config(root, num_sample_sets=3))
    for make in (gaussian_codes, neighbour_codes):
        assert_close(make(networks, 2, first=5), make(networks, 7)[5:], atol=1e-6, rtol=1e-5)
    firsts = [recipe.first for recipe in sampled_recipes(networks, 2)["gaussian"]]
    assert firsts == [0, SET_STRIDE, 2 * SET_STRIDE]
    with pytest.raises(UserError, match="num_sample_sets is 101, at most 100 expected"):
        sampled_recipes(Networks(tiny_config(root, num_sample_sets=101)), 2)


def test_network_rows_are_the_stored_values_and_the_same_of_the_test_split(networks: Networks):
    cfg, flow = networks.cfg, networks.flow
    folders, shares = split_folders(cfg)["test"], shares_of(networks)
    values = {row["measure"]: (row["value"], row["unit"]) for row in network_rows(networks, folders, shares)}
    errors = []
    for batch in validation_batches(folders, cfg):
        x = occupancy_from_points(batch["cloud"], cfg.grid.input_res, cfg.grid.bb_min, cfg.grid.bb_max)
        error = (networks.ndf(to_grid_coords(batch["points"]), x) - batch["distances"]).abs()
        errors.append(error[batch["distances"] < cfg.ndf_training.max_dist])
    assert values["mean test |UDF error|"] == (pytest.approx(torch.cat(errors).mean().item(), rel=1e-4), "mesh units")
    assert values["validation NDF loss"] == (0.25, "mesh units")
    state = load_checkpoint(networks.rnvp_path)
    stored, noise = state["nll_nats_per_dim"], state["flow_noise"]
    for part in ("training", "validation", "test"):
        codes = load_codes(cfg, {"training": "train", "validation": "val", "test": "test"}[part]).one_per_shape()
        expected = noised_nll(flow, codes.tensor(), noise, cfg)  # for training and validation: as it was stored
        assert values[f"{part} flow NLL"] == (pytest.approx(expected, rel=1e-4), "nats/dim")
    assert values["validation Gaussian NLL"] == (stored["gaussian"], "nats/dim")
    assert len({value for value, unit in values.values() if unit != "%"}) == 7
    expected = {f"1-NNA of codes, {kind}": (100 * np.mean(one["seen"]), "%") for kind, one in shares.items()}
    assert len(expected) == 4 and expected.items() <= values.items()


def test_one_nna_of_codes_tells_far_samples_and_not_those_of_the_same_shapes(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
):
    test = load_codes(networks.cfg, "test").one_per_shape().tensor()
    monkeypatch.setattr("evaluation.code_nna.drawn_codes", lambda *args, **kwargs: test + 50 * torch.eye(5)[0])
    monkeypatch.setattr("evaluation.code_nna.gaussian_codes", lambda *args, **kwargs: test)
    for noise in (0.1, 1e6):  # every direction below the noise: all count
        monkeypatch.setattr("evaluation.code_nna.load_checkpoint", lambda path, noise=noise: {"flow_noise": noise})
        found = {kind: np.mean(one["seen"]) for kind, one in shares_of(networks).items()}
        assert found["flow"] == 1 and found["Gaussian"] == 0  # a twin of the other set beside each
        assert 0 <= found["training"] <= 1 and 0 <= found["neighbours"] <= 1


def test_noised_nll_is_the_mean_over_draws_of_noise(networks: Networks):
    codes = load_codes(networks.cfg, "train").tensor()
    w = networks.flow.whiten_noised(codes.repeat(2000, 1), 0.1)
    mean = -networks.flow.log_prob_whitened(w).mean().item() / 5
    values = [noised_nll(networks.flow, codes, 0.1, tiny_config(networks.experiment.root, seed=s)) for s in range(9)]
    assert np.mean(values) == pytest.approx(mean, abs=5 * np.std(values) / 3)
    assert np.std(values) > 0
