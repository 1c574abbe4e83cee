"""The comparison of ways to edit: they agree where the flow is linear, and the script measures all of them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facts import says
from linear_codes import gaussian_codes, gaussian_flow, linear_attributes

from evaluation.editing import compare, ways
from evaluation.editing.fit import fit_attributes
from evaluation.editing.ways import CodeWay, LatentWay, NeighbourWay
from frozen.codes import load_codes
from generation.networks import Networks
from lab.small.tiny_experiment import tiny_config
from runtime.layout import Experiment

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.mark.parametrize("hold", [0.0, 3.0])
def test_both_spaces_agree_for_gaussian_codes(hold: float) -> None:
    networks = SimpleNamespace(flow=gaussian_flow(), device=torch.device("cpu"))
    attributes = linear_attributes()
    size, code = attributes.by_name["size"], torch.from_numpy(gaussian_codes(1, seed=8)).double()
    aim = attributes.read(code.numpy())[0][:1] + 1.0
    one, other = (way(networks, attributes, hold)(code, size, aim) for way in (CodeWay, LatentWay))
    change = (one - code).norm()
    assert attributes.read(one.numpy())[0][0] == pytest.approx(aim[0], abs=1e-6)
    assert (one - other).norm() < 0.05 * change  # the pull of the one is finite


def test_neighbours_differ_by_what_goes_along_with_an_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = SimpleNamespace(flow=gaussian_flow(), device=torch.device("cpu"), cfg=SimpleNamespace(seed=0))
    samples = torch.from_numpy(gaussian_codes(4000, seed=3)).double()
    monkeypatch.setattr(ways, "drawn_codes", lambda *_: samples)
    attributes = linear_attributes()
    way = NeighbourWay(networks, attributes)
    code = samples.mean(dim=0, keepdim=True)
    own = attributes.read(code.numpy())[0][:1]
    changes = [
        attributes.read(way(code, attributes.by_name["size"], own + by).numpy())[0][0] - own[0] for by in (-2.0, 2.0)
    ]
    np.testing.assert_allclose(changes, [-2.0, 2.0], atol=0.6)


def test_the_script_measures_every_way(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(compare, "NUMBERS", ("radius",))
    monkeypatch.setattr(compare, "SWITCHES", ("big",))
    monkeypatch.setattr(ways, "NUM_SAMPLES", 40)
    cfg = tiny_config(root, num_edited=2)
    codes = load_codes(cfg, "train").one_per_shape().codes
    cars = [{"radius": 0.2 + n / 50, "big": "yes" if n > 3 else "no"} for n in range(7)]
    made = fit_attributes(codes, cars)
    made.facts = {"ndf_sha256": Networks(cfg).sources["ndf_sha256"]}
    made.save(Experiment(cfg).attributes)
    assert compare.main(["--config", cfg.config]) == 0
    Experiment(cfg).attributes.unlink()
    tables = json.loads((Experiment(cfg).analysis / "edits.json").read_text())["tables"]
    rows = {row["set"]: row for row in tables["edits"]["rows"]}
    assert len(rows) == 8
    assert rows["code space, hold 0"]["achieved"] == pytest.approx(1, abs=1e-3)
    assert rows["z, hold 10"]["others"] <= rows["z, hold 0"]["others"] + 1e-6
    assert [row["set"] for row in tables["edits_leakage"]["rows"]] == ["radius", "big"]
    assert says(capsys.readouterr().out, "Leakage hold 10")
