"""Torn surfaces: what files tell of them, the summary, captions, notes; clouds that keep their bytes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from facts import says
from torch import Tensor

import generate
from generation import decode
from generation.cloud_files import write_cloud
from generation.distance_fields import DistanceField
from generation.networks import Networks
from generation.settledness import unsettled_share
from generation.sheet_rows import caption, notes
from generation.torn_surfaces import TORN, CloudNumbers, numbers_of_cloud, torn_sentence
from lab.small.tiny_experiment import tiny_config
from runtime.layout import DENSE_POINT_CLOUD
from runtime.seeds import UNSETTLED_STREAMS, random_stream
from visualization.contact_sheet import MARK_COLOR, NAME_COLOR, PLAIN_COLOR

POINTS = np.random.default_rng(0).uniform(-0.4, 0.4, (30, 3))


class HalfPlate(DistanceField):
    """A level plate y = 0; where x > start the field stays `least` above 0, as between two kinds of car."""

    def __init__(self, start: float, least: float):
        self.start, self.least = start, least

    def distance(self, points: Tensor) -> Tensor:
        return points[:, 1].abs().clamp_min(1e-9) + self.least * (points[:, 0] > self.start)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shapes 0 (whole), 1 (torn) and 2 (of an earlier version, whose file does not tell)."""
    for name, told in (("0", {"unsettled_share": 0.004}), ("1", {"unsettled_share": 0.031}), ("2", {})):
        write_cloud(tmp_path / name, POINTS, log_likelihood=-12.34, **told)
    return tmp_path


def test_a_field_that_does_not_reach_0_is_marked_by_the_share_that_it_takes():
    torn, whole = (unsettled_share(HalfPlate(0.275, least), random_stream(0, 5)) for least in (0.008, 0.0))
    # Beyond x = 0.275, a quarter of the plate, only |y| < 0.012 counts as near, of 0.02.
    assert torn == pytest.approx(0.25 * 0.6 / (0.75 + 0.25 * 0.6), abs=0.04)
    assert whole == 0
    assert [text for text, _ in caption("7", CloudNumbers(None, torn))] == ["7", f"torn {100 * torn:.1f} %"]
    assert [text for text, _ in caption("7", CloudNumbers(None, whole))] == ["7", "0.0 %"]


def test_captions_say_name_likelihood_and_share_and_mark_torn_shapes():
    assert caption("7", CloudNumbers(-1312.44, 0.0312)) == [
        ("7", NAME_COLOR), ("-1,312.4 nats", PLAIN_COLOR), ("torn 3.1 %", MARK_COLOR),
    ]  # fmt: skip
    assert caption("7", CloudNumbers(5.0, TORN))[1:] == [("5.0 nats", PLAIN_COLOR), ("1.0 %", PLAIN_COLOR)]
    assert caption("7", CloudNumbers()) == caption("7") == [("7", NAME_COLOR)]


def test_old_files_are_read_without_a_mark(folder: Path):
    assert numbers_of_cloud(folder / "1" / DENSE_POINT_CLOUD) == (pytest.approx(-12.34), 0.031)
    old = numbers_of_cloud(folder / "2" / DENSE_POINT_CLOUD)
    assert old == (pytest.approx(-12.34), None) and not old.torn
    told = {path.name: numbers_of_cloud(path / DENSE_POINT_CLOUD) for path in sorted(folder.iterdir())}
    assert says(torn_sentence(told), "1 of 2 shapes 1 earlier torn") and torn_sentence(told).endswith(": 1")
    assert torn_sentence({"2": told["2"]}) == ""
    write_cloud(folder / "2", POINTS, log_likelihood=np.nan, unsettled_share=np.nan)
    assert numbers_of_cloud(folder / "2" / DENSE_POINT_CLOUD) == (None, None)


def test_the_summary_names_torn_shapes():
    told = {str(n): CloudNumbers(None, 0.03 if n in (3, 7) else 0.0) for n in range(12)}
    assert says(torn_sentence(told), "2 of 12 shapes torn") and torn_sentence(told).endswith(": 3, 7")
    assert says(torn_sentence({"0": CloudNumbers(None, 0.0)}), "none of 1 shape torn")
    many = torn_sentence({str(n): CloudNumbers(None, 0.5) for n in range(100)})
    assert says(many, "100 of 100") and many.endswith(": " + ", ".join(map(str, range(12))) + " and 88 more")


def test_notes_say_what_is_left_out_and_how_captions_are_read():
    told = {str(n): CloudNumbers(1.0, 0.0) for n in range(100)}
    first, second, third = notes(told, 16)
    assert says(first, "16 of 100 shapes") and says(second, "None of 100 shapes torn")
    assert says(third, "log-likelihood red 1 %")
    assert notes({"a": CloudNumbers()}, 16) == []


@pytest.mark.usefixtures("coarse_lattice", "no_pictures")
def test_a_run_tells_of_torn_shapes_and_its_clouds_do_not_depend_on_the_measurement(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    words = ["--config", tiny_config(root).run.config, "--exp_root", str(tiny_config(root).run.exp_root)]
    shares = iter([0.02, 0.0, 0.5])
    monkeypatch.setattr("generation.decoded_shape.unsettled_share", lambda field, stream: next(shares))
    generate.main(words)
    assert says(capsys.readouterr().out, "2 of 3 shapes torn 0, 2")
    made = Networks(tiny_config(root))
    with np.load(made.cfg.experiment.generation / "1" / DENSE_POINT_CLOUD) as found:
        assert found["unsettled_share"] == 0 and found["unsettled_share"].shape == ()
        code = torch.from_numpy(found["code"])[None]
        assert np.array_equal(found["point_cloud"], decode.decode(made, code, 90, 1))
    found = unsettled_share(decode.field_of(made, code), random_stream(made.cfg.run.seed, UNSETTLED_STREAMS + 1))
    assert 0 <= found <= 1
    assert found == unsettled_share(
        decode.field_of(made, code), random_stream(made.cfg.run.seed, UNSETTLED_STREAMS + 1)
    )
