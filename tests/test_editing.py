"""Edits of attributes: the closed form of linear-Gaussian codes, the file of the readings, and the script."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import generate
from configs.options import Config
from demo_cars.parameters import draw_parameters
from demo_cars.windows import visible_attributes
from evaluation.editing import fit
from evaluation.editing.fit import explained, fit_attributes
from frozen.codes import load_codes
from generation.editing.attributes import Attribute, Attributes, load_attributes
from generation.editing.edited import asked
from generation.editing.moves import PULL, damped_step, moved
from generation.networks import Networks
from generation.sampling import sampled_codes
from lab.small.tiny_experiment import tiny_config
from models.real_nvp import build_flow
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD

pytestmark = pytest.mark.usefixtures("coarse_lattice")
DIM, HOLD = 6, 4.0
FLOW = {"flow_couplings": 4, "flow_hidden": 8, "flow_blocks": 1, "flow_s_max": 1.0, "flow_dropout": 0.0,
        "flow_dims": 6, "flow_tail_couplings": 1, "flow_scales": 1}  # fmt: skip


def gaussian_codes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(DIM, DIM))
    return (rng.normal(size=(count, DIM)) @ mixing + 3).astype(np.float32)


def linear_attributes() -> Attributes:
    """A number that is edited, a choice of three values that is held, and a number that codes do not know."""
    rng = np.random.default_rng(2)
    found = [
        Attribute("size", 0, 1, r2=0.9, mean=1.0, sd=2.0),
        Attribute("kind", 1, 2, r2=0.5, readings={"a": [0.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}),
        Attribute("luck", 3, 1, r2=0.1),
    ]
    return Attributes(found, rng.normal(size=(DIM, 4)), rng.normal(size=4), np.array([2.0, 0.4, 0.3, 1.0]), {})


@pytest.fixture(scope="module")
def gaussian_flow() -> torch.nn.Module:
    """An untrained flow: whitening and permutations, so that its codes are exactly Gaussian."""
    flow = build_flow("vector", (DIM,), **FLOW)
    flow.fit_whitening(torch.from_numpy(gaussian_codes(4000)))
    return flow.double().eval().requires_grad_(False)


@pytest.mark.parametrize("hold", [0.0, HOLD])
def test_an_edit_of_gaussian_codes_is_the_closed_form(gaussian_flow: torch.nn.Module, hold: float) -> None:
    """(S^-1 + PULL w w' / s^2 + hold H H' / s^2)^-1 PULL w d / s^2 in code space, S the codes' covariance."""
    attributes = linear_attributes()
    start = torch.randn(1, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    code = gaussian_flow.inverse(start).numpy()
    aim = attributes.read(code)[0][:1] + 3.0
    z = moved(gaussian_flow, start, attributes, attributes.by_name["size"], aim, hold)
    change = gaussian_flow.inverse(z).numpy()[0] - code[0]

    root = torch.autograd.functional.jacobian(lambda one: gaussian_flow.inverse(one[None])[0], start[0]).numpy()
    w, held = attributes.weights[:, 0] / 2.0, attributes.weights[:, 1:3] / np.array([0.4, 0.3])
    precision = np.linalg.inv(root @ root.T) + PULL * np.outer(w, w) + hold * held @ held.T
    np.testing.assert_allclose(change, np.linalg.solve(precision, PULL * w * 3.0 / 2.0), atol=1e-3)
    moved_reading = attributes.read(code + change)[0] - attributes.read(code)[0]
    assert moved_reading[0] == pytest.approx(3.0, abs=0.1)  # the pull is finite
    if hold == 0:  # along S w: the least change by the flow's covariance
        direction = root @ root.T @ w
        assert change @ direction / np.linalg.norm(change) / np.linalg.norm(direction) > 1 - 1e-6


def test_held_readings_move_less(gaussian_flow: torch.nn.Module) -> None:
    attributes, start = linear_attributes(), torch.zeros(1, DIM, dtype=torch.float64)
    before, moves = attributes.read(gaussian_flow.inverse(start).numpy())[0], []
    for hold in (0.0, 1.0, 100.0):
        z = moved(gaussian_flow, start, attributes, attributes.by_name["size"], before[:1] + 2.0, hold)
        change = attributes.read(gaussian_flow.inverse(z).numpy())[0] - before
        moves.append(np.linalg.norm(change[1:3] / attributes.scales[1:3]))
        assert change[0] == pytest.approx(2.0, abs=0.1)
    assert moves[0] > 1.5 * moves[1] > 5 * moves[2]


def test_a_damped_step_solves_its_least_squares() -> None:
    rng = np.random.default_rng(4)
    towards, slopes, terms, damping = rng.normal(size=5), rng.normal(size=(3, 5)), rng.normal(size=3), 0.7
    for sd in (np.ones(5), np.exp(rng.normal(size=5))):
        metric = np.diag(1 / sd)
        stacked = np.concatenate([metric, slopes, np.sqrt(damping) * metric])
        right = np.concatenate([towards / sd, -terms, np.zeros(5)])
        expected = np.linalg.lstsq(stacked, right, rcond=None)[0]
        np.testing.assert_allclose(damped_step(towards, slopes, terms, damping, sd), expected)
    np.testing.assert_array_equal(
        damped_step(towards, slopes, terms, damping), damped_step(towards, slopes, terms, damping, np.ones(5))
    )


def test_the_fit_finds_linear_attributes_and_what_share_of_them_codes_know() -> None:
    codes = gaussian_codes(2000)
    rng = np.random.default_rng(5)
    w = rng.normal(size=DIM)
    exact = codes @ w
    noisy = exact + exact.std() * rng.normal(size=len(codes))
    cars = [
        {
            "exact": float(a),
            "noisy": float(b),
            "kind": "high" if a > exact.mean() else "low",
            "luck": float(rng.random()),
        }
        for a, b in zip(exact, noisy, strict=True)
    ]
    found = fit_attributes(codes, cars)
    by_name = found.by_name
    assert by_name["exact"].r2 > 0.9999
    assert by_name["noisy"].r2 == pytest.approx(0.5, abs=0.05)
    assert abs(by_name["luck"].r2) < 0.01
    np.testing.assert_allclose(found.weights[:, by_name["exact"].first], w, atol=0.01)
    assert by_name["exact"].sd == pytest.approx(exact.std())
    np.testing.assert_allclose(found.read(codes[:9])[:, by_name["exact"].first], exact[:9], atol=0.01)
    readings = by_name["kind"].readings
    assert set(readings) == {"high", "low"} and not by_name["kind"].is_number
    assert readings["high"][0] < readings["low"][0]  # the column stands for the second value, low
    assert explained(np.ones((3, 1)) * [[1.0], [2.0], [3.0]], np.full((3, 1), 2.0)) == 0


def test_only_attributes_that_codes_know_are_edited_or_held() -> None:
    attributes = linear_attributes()
    assert attributes.find("size").name == "size"
    assert attributes.held(attributes.by_name["size"]).tolist() == [1, 2]
    assert attributes.held(attributes.by_name["kind"]).tolist() == [0]
    with pytest.raises(UserError, match=r"no attribute is named 'sise'; did you mean 'size'\? Known are size, kind$"):
        attributes.find("sise")
    with pytest.raises(UserError, match=r"no attribute is named 'xyz'\. Known are size, kind"):
        attributes.find("xyz")
    with pytest.raises(UserError, match=r"codes hardly know 'luck': a regression explains 0.10 .* 0.3 or more"):
        attributes.find("luck")


def test_a_switch_that_is_set_already_stays_as_it_is() -> None:
    switch = Attribute("big", 0, 1, 0.5, readings={"no": [0.2], "yes": [0.8]})
    read = {value: [switch.goes_beyond(np.array([at]), np.array(switch.readings[value])) for at in (0.1, 0.5, 0.9)]
            for value in switch.readings}  # fmt: skip
    assert read == {"no": [True, False, False], "yes": [False, False, True]}
    assert not linear_attributes().by_name["kind"].goes_beyond(np.array([9.0, 0.0]), np.array([1.0, 0.0]))


def config(**options: object) -> Config:
    return Config().changed(**options)


def labels(attribute: str, **options: object) -> list[str]:
    made = SimpleNamespace(cfg=config(**options))
    return [aim.label for aim in asked(made, linear_attributes().by_name[attribute])]


def test_degrees_that_are_asked_for() -> None:
    assert labels("size") == ["-2", "-1", "0", "+1", "+2"]
    assert labels("size", edit_steps=3) == ["-2", "0", "+2"]
    assert labels("size", edit_steps=4) == ["-2", "-0.667", "0", "+0.667", "+2"]
    assert labels("size", by=[0.5]) == ["0", "+0.5"]
    assert labels("size", to=["4.5"]) == ["as it is", "4.5"]
    assert labels("kind") == ["as it is", "a", "b", "c"]
    assert labels("kind", to=["c"]) == ["as it is", "c"]
    with pytest.raises(UserError, match="kind is no number: give --to with any of a, b, c"):
        labels("kind", by=[1.0])
    with pytest.raises(UserError, match="kind is never 'd'; give --to with any of a, b, c"):
        labels("kind", to=["d"])
    for text in ("long", "nan", "inf"):
        with pytest.raises(UserError, match=f"--to {text} found, a number expected: size is 1 on average"):
            labels("size", to=[text])


def test_the_file_is_read_without_pickle_and_bound_to_its_ndf(tmp_path: Path) -> None:
    cfg = Config().changed(attributes_file=str(tmp_path / "a.npz"), config="c.txt")
    made = linear_attributes()
    with pytest.raises(UserError, match=r"no attributes at .*a.npz; make them .* evaluation.editing.fit --config"):
        load_attributes(cfg, "sha")
    made.facts = {"ndf_sha256": "sha"}
    made.save(tmp_path / "a.npz")
    found = load_attributes(cfg, "sha")
    assert found.by_name == made.by_name
    for name in ("weights", "offsets", "scales"):
        np.testing.assert_allclose(getattr(found, name), getattr(made, name), rtol=1e-6)
    with pytest.raises(UserError, match=r"the attributes in .*: of another NDF checkpoint .*evaluation.editing.fit"):
        load_attributes(cfg, "other")
    for broken in ({"weights": made.weights[:, :2]}, {"offsets": made.offsets * np.nan}, {"facts": {}}):
        copy = linear_attributes()
        copy.facts = made.facts
        vars(copy).update(broken)
        copy.save(tmp_path / "a.npz")
        with pytest.raises(UserError, match=r"a.npz: .*; make it again with"):
            load_attributes(cfg, "sha")
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="make it again with"):
        load_attributes(cfg, "sha")
    np.savez(tmp_path / "a.npz", about=np.array({"a": 1}, dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="make it again with"):
        load_attributes(cfg, "sha")


def test_windows_are_closed_by_glass_and_by_the_body() -> None:
    cars = [visible_attributes(draw_parameters(3, n)) for n in range(400)]
    for car in cars:
        assert car["top"] == ("open" if car["roof"] == "open" else "closed")
        assert car["windows"] == "open" if car["roof"] == "open" else True
        if car["roof"] != "open" and car["glazing"] in ("closed", "flush"):
            assert car["windows"] == car["windscreen"] == "closed"
        if car["glazing"] == "own":
            assert car["windscreen"] == ("closed" if car["screen_glass"] else "open")
    assert all({car[name] for car in cars} == {"open", "closed"} for name in ("windows", "windscreen", "top"))


@pytest.fixture
def editable(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tiny experiment with attributes: the radius of its spheres, and a switch that this decides."""
    for module in ("contact_sheet", "movies"):
        monkeypatch.setattr(f"visualization.{module}.render_cloud", lambda *_, **__: np.zeros((4, 6, 3), np.uint8))
    cfg = tiny_config(root)
    stored = load_codes(cfg, "train").one_per_shape()
    cars = [{"radius": 0.2 + n / 50, "big": "yes" if n > 3 else "no", "luck": (n * 37 % 11) / 7} for n in range(7)]
    made = fit_attributes(stored.codes, cars)
    made.facts = {"ndf_sha256": Networks(cfg).sources["ndf_sha256"]}
    path = cfg.experiment.attributes
    made.save(path)
    yield root
    path.unlink()


def run_edit(root: Path, *words: str) -> Path:
    cfg = tiny_config(root)
    assert generate.main(["--config", cfg.run.config, "--mode", "edit", *words]) == 0
    return cfg.experiment.edits / words[words.index("--attribute") + 1]


def test_the_script_edits_samples_and_test_shapes(editable: Path, capsys: pytest.CaptureFixture) -> None:
    words = ("--attribute", "radius", "--edit_shapes", "1", "sphere9", "--by", "-1", "0", "1", "--movie", "gif")
    folder = run_edit(editable, *words)
    index = json.loads((folder / "index.json").read_text())
    assert index["shapes"] == [f"{shape}_{by}" for shape in ("1", "sphere9") for by in ("-1", "0", "+1")]
    report = json.loads((folder / "edits.json").read_text())
    assert [row["asked"] for row in report["shapes"]] == ["-1", "0", "+1"] * 2
    for low, middle, high in (report["shapes"][:3], report["shapes"][3:]):
        assert low["read"] < middle["read"] < high["read"]
        assert middle["others_read"] == middle["log_likelihood_change"] == 0 and middle["aim"] is None
        assert high["aim"] == pytest.approx(middle["read"] + report["sd"], rel=1e-3)
        assert high["read"] <= high["aim"] + 0.01
    assert {path.name for path in folder.glob("walk_*")} == {"walk_1.gif", "walk_sphere9.gif"}
    assert (folder / "contact_sheet.png").is_file()
    assert "radius (R2" in capsys.readouterr().out
    with np.load(folder / "1_0" / DENSE_POINT_CLOUD) as file:
        unchanged = file["code"]
    sample = sampled_codes(Networks(tiny_config(editable)), 2, seed=0)[1]
    np.testing.assert_array_equal(unchanged, sample.numpy())

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.name != "edits.json"}
    run_edit(editable, *words)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "6 clouds of 90 points were there already" in capsys.readouterr().out
    run_edit(editable, *words, "--hold", "0")
    assert all(path.stat().st_mtime_ns > time for path, time in before.items() if path.name == DENSE_POINT_CLOUD)


def test_a_switch_is_set_and_turned(editable: Path, capsys: pytest.CaptureFixture) -> None:
    folder = run_edit(editable, "--attribute", "big", "--edit_shapes", "0", "--to", "yes", "--turntable")
    rows = json.loads((folder / "edits.json").read_text())["shapes"]
    assert [row["asked"] for row in rows] == ["as it is", "yes"]
    assert rows[0]["aim"] is None and rows[1]["aim"] in (None, "yes")  # None if it is read as big already
    assert len(list(folder.glob("0_*/turntable.gif"))) == 2
    assert "turntable.gif" in capsys.readouterr().out


def test_mistakes_are_told(editable: Path) -> None:
    for words, message in (
        (("--attribute", "radios"), "no attribute is named 'radios'; did you mean 'radius'"),
        (("--attribute", "radius", "--edit_shapes", "sphere1"), "no test shape is named 'sphere1'"),
        (("--attribute", "radius", "--by", "much"), "argument --by: invalid float value: 'much'"),
        (("--attribute", "radius", "--by", "1", "--to", "2"), "--by and --to found; give one"),
        (("--attribute", "radius", "--by", "inf"), "a finite number expected"),
        ((), "--mode edit without --attribute"),
    ):
        with pytest.raises(UserError, match=message):
            generate.main(["--config", tiny_config(editable).run.config, "--mode", "edit", *words])
    with pytest.raises(UserError, match="--movie gif found, but --mode sample gives no series"):
        generate.main(["--config", tiny_config(editable).run.config, "--movie", "gif"])


def test_the_fit_needs_no_files_but_the_weights(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cfg = tiny_config(root)
    path = tmp_path / "made" / "attributes.npz"
    words = [
        "--config",
        cfg.run.config,
        "--num_attribute_cars",
        "12",
        "--num_cpus",
        "1",
        "--attributes_file",
        str(path),
    ]
    assert fit.main(words) == 0
    assert "attributes can be edited" in capsys.readouterr().out
    found = load_attributes(tiny_config(root, attributes_file=str(path)), Networks(cfg).sources["ndf_sha256"])
    assert {"length", "windows", "top"} & set(found.by_name)
    assert found.facts["demo_cars"] == 12 and str(root) not in json.dumps(found.facts)
    with pytest.raises(UserError, match="num_attribute_cars is 2, 3 or more expected"):
        fit.main([*words, "--num_attribute_cars", "2"])
