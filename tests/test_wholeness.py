"""Torn shapes: pieces and borders of fields that are known, and the table of an experiment's sets."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from configs.options import Config
from evaluation import wholeness as measures
from evaluation.code_nna import MOST_CODES, code_shares, coordinates, shares_of
from evaluation.experiment_sets import ExperimentSets
from evaluation.metrics import one_nna
from evaluation.wholeness import RESOLUTION, Wholeness, kept_at, wholeness, wholeness_of_sets
from evaluation.wholeness_table import COLUMNS, summary, wholeness_tables
from frozen.codes import load_codes
from generation.decode import field_of
from generation.networks import Networks
from generation.sampling import sampled_codes
from lab.small.known_shapes import FunctionField, half_sphere, sphere
from lab.small.network_weights import random_weights
from lab.small.tiny_experiment import tiny_config
from models.real_nvp import build_flow
from runtime.seeds import WHOLENESS_STREAMS, random_stream
from training.code_nna import code_coordinates, drawn_samples, nna_while_training, num_leading, one_nna_of_points

pytestmark = pytest.mark.usefixtures("coarse_lattice")


def both(*surfaces):
    return lambda p: torch.stack([one(p) for one in surfaces]).amin(dim=0)


def measured(function) -> Wholeness:
    return wholeness(FunctionField(function), torch.Generator().manual_seed(0))


def test_a_closed_surface_is_whole():
    assert measured(sphere(0.4)) == (0, 0, 0, 0)


def test_a_floating_piece_is_counted_with_its_area_and_a_speck_is_not():
    found = measured(both(sphere(0.3), sphere(0.06, 0.45, 0.0, 0.0)))
    assert (found.unsettled, found.pieces, found.border_length) == (0, 1, 0)
    assert found.loose_area == pytest.approx(0.06**2 / (0.3**2 + 0.06**2), rel=0.1)
    three = both(sphere(0.3), *(sphere(0.05, x, y, 0.0) for x, y in ((0.45, 0.0), (-0.45, 0.0), (0.0, 0.45))))
    assert measured(three).pieces == 3
    speck = measured(both(sphere(0.3), sphere(0.01, 0.45, 0.0, 0.0)))  # 0.0013 of area
    assert (speck.pieces, speck.loose_area) == (0, 0)


def test_the_border_of_an_open_surface_is_as_long_as_it_is():
    found = measured(half_sphere(0.4))
    assert (found.unsettled, found.pieces) == (0, 0)
    assert found.border_length == pytest.approx(2 * math.pi * 0.4, rel=0.05)


def test_unsettled_surface_sees_shallow_tears_and_the_border_deep_ones():
    def torn(least: float) -> Wholeness:
        """Of a sphere whose field stays above `least` over an eighth of its area."""
        return measured(lambda p: torch.where(p[:, 1] > 0.3, sphere(0.4)(p).clamp_min(least), sphere(0.4)(p)))

    shallow = torn(0.01)  # a valley still, which the mesh follows
    assert shallow.unsettled == pytest.approx(1 / 8, abs=0.03) and shallow.border_length == 0
    deep = torn(0.02)  # no seeds start there
    assert deep.unsettled < 0.02
    assert deep.border_length == pytest.approx(2 * math.pi * (0.4**2 - 0.3**2) ** 0.5, rel=0.2)


def test_without_a_surface_all_is_unsettled():
    assert measured(lambda p: torch.full_like(p[:, 0], 0.3)) == (1, 0, 0, 0)


def test_summary_of_a_set():
    unsettled = [0.01, 0.05, 0.0, 0.02, 0.09, 0.01, 0.0, 0.0]
    values = np.array([[share, n, 0.1 * n, 2.0] for n, share in enumerate(unsettled)])
    found = summary(values)
    assert found["unsettled_mean"] == pytest.approx(0.18 / 8)
    assert found["unsettled_median"] == pytest.approx(0.01)
    assert found["unsettled_worst_quarter"] == pytest.approx(0.07)  # of 8 the two worst
    assert found["unsettled_se"] == pytest.approx(np.std(unsettled, ddof=1) / 8**0.5)
    assert (found["pieces_mean"], found["border_length_mean"]) == (3.5, 2.0)
    assert found["loose_area_mean"] == pytest.approx(0.35)
    alone = summary(values[:1])
    assert alone["unsettled_se"] is None and alone["unsettled_worst_quarter"] == 0.01


@pytest.fixture
def coarse_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "RESOLUTION", 24)


@pytest.mark.usefixtures("coarse_meshes")
def test_the_table_measures_what_its_rows_say(root: Path):
    cfg = tiny_config(root, num_whole_shapes=3)
    networks = Networks(cfg)
    sets = ExperimentSets(cfg, networks)
    recipes = sets.whole_recipes()
    shares = shares_of(networks)
    table, per_shape = wholeness_tables(networks, recipes, sets.whole_labels(), shares)
    assert [row["set"] for row in table.rows] == [
        "test shapes", "training shapes", "interpolated neighbours", "Gaussian on whitened codes", "flow",
    ]  # fmt: skip
    assert {row["shapes"] for row in table.rows} == {3}
    assert table.rows[0]["border_ratio"] == 1
    (flow,) = [row for row in table.rows if row["set"] == "flow"]
    code = sampled_codes(networks, 3, cfg.run.seed)[1:2]  # shape number 1 of generate.py
    expected = wholeness(field_of(networks, code), random_stream(cfg.run.seed, WHOLENESS_STREAMS + 1))
    mine = [row for row in per_shape.rows if row["set"] == "flow"]
    assert [row["shape"] for row in mine] == ["0", "1", "2"]
    assert [mine[1][name] for name in Wholeness._fields] == list(expected)
    assert flow["border_length_mean"] == pytest.approx(np.mean([row["border_length"] for row in mine]))
    names = [row["shape"] for row in per_shape.rows if row["set"] == "test shapes"]
    assert names == [folder.name for folder in sets.references[:3]]
    assert flow["nna_codes_all"]["values"] == shares["flow"]["all"]
    assert "nna_codes_all" not in table.rows[0]
    assert set(table.rows[1]) >= {column.key for column in COLUMNS}
    assert "±" in table.text() and str(RESOLUTION) in table.note


@pytest.mark.usefixtures("coarse_meshes")
def test_what_was_measured_is_not_measured_again_unless_it_has_changed(root: Path, monkeypatch: pytest.MonkeyPatch):
    cfg = tiny_config(root, num_whole_shapes=2)
    networks = Networks(cfg)
    recipes = list(ExperimentSets(cfg, networks).whole_recipes().values())
    first = wholeness_of_sets(networks, recipes)
    assert {path.name for path in networks.experiment.cache.glob("wholeness-*")} == {
        f"wholeness-{name}.npz" for name in ("test", "train", "flow_0", "gaussian_0", "neighbours_0")
    }
    calls = []
    monkeypatch.setattr(
        measures, "wholeness", lambda field, *rest: calls.append(field) or Wholeness(0.5, 1.0, 0.25, 2.0)
    )
    again = wholeness_of_sets(networks, recipes)
    assert not calls
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    hot = Networks(tiny_config(root, num_whole_shapes=2, temperature=0.7))
    found = wholeness_of_sets(hot, list(ExperimentSets(hot.cfg, hot).whole_recipes().values()))
    assert len(calls) == 2  # the flow's shapes alone
    assert found[-1].tolist() == [[0.5, 1.0, 0.25, 2.0]] * 2
    path = kept_at(networks, recipes[0])
    path.write_bytes(path.read_bytes()[:-20])
    wholeness_of_sets(networks, recipes)
    assert len(calls) == 2 + 2 + 2  # the damaged file, and the flow's, which was of another temperature


def test_one_nna_of_points_is_that_of_their_distances():
    generator = torch.Generator().manual_seed(4)
    for count, dims in ((5, 2), (40, 3)):
        a, b = torch.randn(count, dims, generator=generator).double(), torch.randn(count + 3, dims).double() + 0.4
        expected = one_nna(torch.cdist(a, a).numpy(), torch.cdist(a, b).numpy(), torch.cdist(b, b).numpy())
        assert one_nna_of_points(a, b) == pytest.approx(expected.acc)
    assert one_nna_of_points(a, a + 1e-9) == 0  # a twin of the other set beside each
    assert one_nna_of_points(a, a + 1e3) == 1
    assert one_nna_of_points(a, a + torch.inf) == 1


def test_distances_of_coordinates_are_those_of_codes(networks: Networks):
    codes = load_codes(networks.cfg, "train").tensor()
    found = code_coordinates(networks.flow, codes)
    spread = codes.var(dim=0).sum() / codes.shape[1]
    expected = torch.cdist(codes.double(), codes.double()) / spread.sqrt()
    assert_close(torch.cdist(found, found), expected, rtol=0.01, atol=1e-5)
    assert torch.equal(coordinates(networks, codes), found)


def test_one_nna_of_codes_looks_at_the_directions_that_it_is_told(networks: Networks, monkeypatch: pytest.MonkeyPatch):
    flow = networks.flow
    test = load_codes(networks.cfg, "test").one_per_shape().tensor()
    w = flow.whiten(test)
    w[:, 3:] += 50
    monkeypatch.setattr("evaluation.code_nna.drawn_codes", lambda *args, **more: flow.unwhiten(w))
    number = torch.arange(5)
    found = code_shares(networks, {"all": number >= 0, "leading": number < 3, "other": number >= 3})
    assert set(found) == {"flow", "Gaussian", "neighbours", "training"}
    assert found["flow"] == {"all": [1.0] * 3, "leading": [0.0] * 3, "other": [1.0] * 3}


def test_the_curve_of_a_training_is_the_same_at_every_call_and_draws_nothing_else(networks: Networks):
    cfg, flow = networks.cfg, networks.flow
    codes = load_codes(cfg, "train").tensor()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    found = nna_while_training(flow, codes, cfg.run.seed)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found == nna_while_training(flow, codes, cfg.run.seed)
    samples = drawn_samples(flow, len(codes), cfg.run.seed)
    assert torch.equal(drawn_samples(flow, len(codes), cfg.run.seed), samples)
    real, drawn = code_coordinates(flow, codes), code_coordinates(flow, samples)
    assert found["nna_codes_percent"] == 100 * one_nna_of_points(real, drawn)
    assert num_leading(flow) == 5  # flow_dims is more
    assert found["nna_codes_leading_percent"] == found["nna_codes_percent"]
    assert nna_while_training(flow, codes[:1], cfg.run.seed) == {}


def test_the_curve_takes_the_leading_directions_and_vectors_alone():
    options = {"flow_couplings": 2, "flow_hidden": 8, "flow_blocks": 1, "flow_dims": 3, "flow_tail_couplings": 1}
    options |= {"flow_scales": 1, "flow_s_max": 1.0, "flow_dropout": 0.0}
    codes = torch.randn(MOST_CODES + 50, 8, generator=torch.Generator().manual_seed(1))
    flow = random_weights(build_flow("vector", (8,), **options), 2).eval()
    flow.fit_whitening(codes)
    cfg = Config()
    found = nna_while_training(flow, codes, cfg.run.seed)
    real, drawn = (
        code_coordinates(flow, some) for some in (codes[:MOST_CODES], drawn_samples(flow, MOST_CODES, cfg.run.seed))
    )
    assert num_leading(flow) == 3
    assert found["nna_codes_leading_percent"] == 100 * one_nna_of_points(real[:, :3], drawn[:, :3])
    assert found["nna_codes_percent"] == 100 * one_nna_of_points(real, drawn)
    grid = build_flow("grid", (2, 2, 2, 2), **options).eval()
    assert nna_while_training(grid, torch.randn(9, 2, 2, 2, 2), cfg.run.seed) == {}
