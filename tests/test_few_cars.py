"""The study of few cars: codes of each kind, the flow's trials on them, resumed parts."""

from pathlib import Path

import numpy as np
import pytest

from configs.config_loader import get_config
from lab.studies import few_cars
from runtime.layout import ROOT

FEW = {"train": 5, "val": 2}
SMALL = {"flow_components": 2, "flow_hidden": 8, "flow_batch_size": 4, "flow_steps": 4, "flow_val_every": 2}


def test_clouds_of_a_car_are_the_same_car_mirrored_drawn_anew_and_stretched():
    cfg = get_config(["--config", str(ROOT / "configs" / "demo_cars_pretrained.txt"), "--num_points", "5001"])
    plain, mirrored, drawn, stretched, both = few_cars.clouds_of(2000, 3, few_cars.KINDS, cfg)
    np.testing.assert_array_equal(mirrored, plain * np.float32([-1, 1, 1]))
    np.testing.assert_array_equal(both, stretched * np.float32([-1, 1, 1]))
    assert not (drawn[:200, None] == plain).all(axis=2).any()
    assert drawn.std(axis=0) == pytest.approx(plain.std(axis=0), rel=0.03)
    factors = stretched.std(axis=0) / plain.std(axis=0)
    assert 0.001 < np.ptp(factors) < 2.3 * few_cars.STRETCH


def test_trials_train_on_their_kinds_of_codes_and_are_told_in_a_table(tmp_path: Path, monkeypatch, capsys):
    for name, value in {"COUNTS": FEW, "PART": 3, "FULL": 3, "BASE": few_cars.BASE | SMALL}.items():
        monkeypatch.setattr(few_cars, name, value)
    monkeypatch.setattr(few_cars, "TRIALS", {"five": (few_cars.KINDS, {}, 3), "all": (("plain",), {}, 5)})
    words = ["few_cars", "--out", str(tmp_path), "--num_points", "2000", "--codes"]
    monkeypatch.setattr("sys.argv", words)
    assert few_cars.main() == 0
    found = {path.name: np.load(path).shape for path in sorted(tmp_path.glob("*.npy"))}
    assert found == dict(zip(sorted(found), [(3, 5, 128), (2, 2, 128), (2, 1, 128)], strict=True))
    monkeypatch.setattr("sys.argv", [*words, "--trials"])
    assert few_cars.main() == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[:2] for row in rows[1:]] == [["| five", "15"], ["| all", "5"]]
    codes = np.load(tmp_path / "trials" / "five" / "codes" / "train.npy")
    np.testing.assert_array_equal(codes, np.load(tmp_path / "train_0000.npy").transpose(1, 0, 2).reshape(15, 128))
    plain = np.load(tmp_path / "trials" / "all" / "codes" / "train.npy")
    np.testing.assert_array_equal(plain, few_cars.codes_of(tmp_path, "train", "plain", 5))
