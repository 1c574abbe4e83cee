"""Parameters read from codes: scores by their definitions, features, tables, and the script on a tiny experiment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facts import naming, says
from PIL import Image
from scipy.stats import norm

import analyse_codes
from configs.options import Config
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from demo_cars.parameters import CHOICES, RANGES, draw_parameters
from evaluation.latent_space import attribute_table
from evaluation.latent_space.attribute_scores import balanced_accuracy, nearest_values, r_squared, scores
from evaluation.latent_space.attributes import DemoCars, Readings, Targets, problem_of_cars, read_cars
from evaluation.latent_space.code_features import codes_of_decoded, noised_codes, occupied_nodes, spread_of
from evaluation.latent_space.parameters import MAX_VALUES, Parameter, demo_parameters, find_parameters
from evaluation.latent_space.ridge import Reading, linear_reading, principal_coordinates
from frozen.codes import load_codes
from generation.networks import Networks
from lab.small.helpers import write_config
from lab.small.tiny_experiment import TINY, tiny_config
from models.occupancy import occupancy_from_points
from runtime.errors import UserError
from runtime.layout import DEMO_PARAMETERS

RNG = np.random.default_rng(11)


def car(n: int) -> dict:
    """A sphere's parameters, which its size determines, but for luck."""
    style = ("small", "middle", "large")[n % 3]
    return {"style": style, "size": 0.1 + n % 3, "luck": float(RNG.random()), "side_glass": n % 2, "wheels": 4}


@pytest.fixture
def demo(root: Path) -> Iterator[Config]:
    """The tiny experiment, with parameters beside its shapes; they are removed again."""
    cfg = tiny_config(root, num_attribute_shapes=3)
    folders = [folder for part in split_folders(cfg).values() for folder in part]
    for n, folder in enumerate(folders):
        (folder / DEMO_PARAMETERS).write_text(json.dumps(car(n)))
    yield cfg
    for folder in folders:
        (folder / DEMO_PARAMETERS).unlink()


def test_parameters_of_demo_cars_are_numbers_and_choices() -> None:
    cars = [draw_parameters(0, n) for n in range(300)]
    parameters, left_out = find_parameters(cars[:200], cars[200:])
    kinds = {parameter.name: parameter.is_number for parameter in parameters}
    names = {name for names in left_out.values() for name in names}
    assert names | set(kinds) == {"style", *RANGES, *CHOICES}
    assert {name for name, is_number in kinds.items() if is_number} == set(RANGES)
    assert set(left_out) <= {"constant"} and names <= set(CHOICES)
    by_name = {parameter.name: parameter for parameter in parameters}
    assert by_name["front_glass"].values == (0, 1)
    assert set(by_name["glazing"].values) == {"own", "closed", "flush"}
    style = by_name["style"]
    shares = style.targets(cars)
    assert shares.shape == (300, len(style.values) - 1)
    labels = style.labels(cars[:200])
    np.testing.assert_array_equal(shares[:200].argmax(axis=1)[labels > 0] + 1, labels[labels > 0])
    assert not shares[:200][labels == 0].any()
    assert [style.values[label] for label in labels] == [one["style"] for one in cars[:200]]


def test_what_cannot_be_read_is_named_with_its_reason() -> None:
    train = [
        {"size": n + 0.5, "flag": n % 2, "one": 3, "late": 1.5 + n // 8, "name": f"car {n}", "list": [n], "old": n % 2}
        for n in range(MAX_VALUES + 6)
    ]
    train = [one | {"bad": float("nan") if n == 3 else n + 0.5} for n, one in enumerate(train)]
    test = [
        {"size": n, "flag": n % 2, "one": n, "late": 1.5, "name": "car 1" * n, "list": [], "bad": 0.5, "old": 2 + n}
        for n in range(4)
    ]
    train[5].pop("late")
    parameters, left_out = find_parameters(train, [one | {"rare": 1} for one in test])
    assert [parameter.name for parameter in parameters] == ["size", "flag"]
    assert left_out == {
        "constant": ["one"],
        "not of every car": ["late", "rare"],
        f"of more than {MAX_VALUES} values": ["name"],
        "neither numbers nor words": ["list"],
        "not finite": ["bad"],
        "of other values in the test cars": ["old"],
    }
    assert Parameter("flag", (0, 1)).labels([{"flag": 1}, {"flag": 7}, {"flag": 0}]).tolist() == [1, -1, 0]


def test_r_squared_by_its_definition() -> None:
    true = RNG.normal(2, 3, 51)
    assert r_squared(true, true) == 1
    assert r_squared(true, np.full(51, true.mean())) == pytest.approx(0)
    assert r_squared(true, true.mean() + 0.7 * (true - true.mean())) == pytest.approx(1 - 0.3**2)
    assert r_squared(true, true + 2 * true.std()) == pytest.approx(1 - 4)
    assert r_squared(np.ones(5), true[:5]) is None


def test_balanced_accuracy_counts_rare_values_as_much_as_frequent_ones() -> None:
    true = np.array([0] * 90 + [1] * 9 + [2])
    assert balanced_accuracy(true, true) == 1
    assert balanced_accuracy(true, np.zeros(100, int)) == pytest.approx(1 / 3)
    right = np.array([0] * 45 + [1] * 45 + [1] * 9 + [0])
    assert balanced_accuracy(true, right) == pytest.approx((0.5 + 1 + 0) / 3)
    assert balanced_accuracy(np.array([0, 0, -1]), np.array([0, 0, 0])) == 0.5  # a value that no training car has


def test_two_values_are_separated_at_the_midpoint_of_their_means() -> None:
    labels = (RNG.random(400) < 0.1).astype(int)
    left_out = (0.08 + 0.3 * labels + RNG.normal(0, 0.1, 400))[:, None]
    middle = np.mean([left_out[labels == value].mean() for value in (0, 1)])
    read = np.linspace(-0.2, 0.6, 81)[:, None]
    np.testing.assert_array_equal(nearest_values(left_out, labels, read), read[:, 0] > middle)


def test_choices_are_discriminated_as_well_as_two_gaussians_can_be() -> None:
    """Two Gaussians with a common covariance: linear discriminant analysis is the best, right for Phi(d / 2)."""
    count, shift = 6000, np.array([1.2, -0.5, 0.0])
    mixing = np.array([[1.0, 0.6, 0.0], [0, 0.5, 0.3], [0.2, 0, 2.0]])
    labels = (RNG.random(2 * count) < 0.15).astype(int)
    codes = RNG.normal(size=(2 * count, 3)) @ mixing.T + labels[:, None] * shift
    distance = np.sqrt(shift @ np.linalg.solve(mixing @ mixing.T, shift))
    cars = [{"glass": int(label)} for label in labels]
    glass = Parameter("glass", (0, 1))
    coordinates = principal_coordinates(codes[:count], codes[count:])
    reading = linear_reading(coordinates, glass.targets(cars[:count]), np.zeros(1, int))
    found = scores(glass, cars[:count], reading.left_out, cars[count:], reading.others[0])
    assert found["balanced accuracy"] == pytest.approx(norm.cdf(distance / 2), abs=0.02)
    assert found["AUC"] == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.02)


def test_three_values_on_a_line_do_not_hide_the_middle_one() -> None:
    """An argmax over indicators would never choose the middle one; the order of the values does not matter."""
    labels = RNG.integers(0, 3, 601)
    codes = labels[:, None] + RNG.normal(0, 0.15, (601, 1))
    for order in (("a", "b", "c"), ("b", "c", "a")):
        style = Parameter("style", order)
        cars = [{"style": "abc"[label]} for label in labels]
        coordinates = principal_coordinates(codes[:401], codes[401:])
        reading = linear_reading(coordinates, style.targets(cars[:401]), np.zeros(2, int))
        found = scores(style, cars[:401], reading.left_out, cars[401:], reading.others[0])
        assert list(found) == ["balanced accuracy"]
        assert found["balanced accuracy"] > 0.95
    alike = [{"style": "a"}] * 3
    assert scores(style, cars[:401], reading.left_out, alike, reading.others[0][:3]) == {"balanced accuracy": None}


def test_exact_readings_are_always_right() -> None:
    labels = np.arange(12) % 4
    exact = (labels[:, None] == np.arange(1, 4)).astype(float)
    np.testing.assert_array_equal(nearest_values(exact, labels, exact), labels)


def test_occupied_nodes_are_those_of_the_network_input(networks: Networks) -> None:
    folders = split_folders(networks.cfg)["test"]
    found = occupied_nodes(folders, (5, 9), networks.cfg)
    clouds = torch.from_numpy(np.stack([read_input_cloud(folder, networks.cfg) for folder in folders]))
    for resolution, matrix in found.items():
        grids = occupancy_from_points(clouds, resolution, networks.cfg.grid.bb_min, networks.cfg.grid.bb_max)
        np.testing.assert_array_equal(matrix.toarray(), grids.flatten(1).numpy())
        assert matrix.dtype == np.float32 and 0 < matrix.nnz < matrix.shape[0] * resolution**3


@pytest.mark.parametrize("with_flow", [True, False])
def test_noise_on_codes_is_isotropic_and_of_the_size_of_the_flow(networks: Networks, with_flow: bool) -> None:
    codes = np.repeat(load_codes(networks.cfg, "train").one_per_shape().codes, 300, axis=0)
    spread = spread_of(codes)
    alone = SimpleNamespace(has_flow=with_flow, cfg=networks.cfg.changed(code_noise=0.25))
    if with_flow:
        spread = networks.flow.whitening.sd.square().mean().sqrt().item()
        alone = networks
    noise = noised_codes(alone, codes, spread, stream=3) - codes
    expected = (0.1 if with_flow else 0.25) * spread
    covariance = noise.T @ noise / len(noise)
    np.testing.assert_allclose(covariance, expected**2 * np.eye(5), atol=0.12 * expected**2)
    np.testing.assert_array_equal(noise, noised_codes(alone, codes, spread, stream=3) - codes)
    assert spread_of(codes) == pytest.approx(np.sqrt(codes.var(axis=0).mean()), rel=1e-5)


def test_parameters_lie_beside_the_mesh_of_a_shape_that_was_processed_elsewhere(tmp_path: Path) -> None:
    cfg = Config().changed(data_dir=str(tmp_path / "meshes"), processed_dir=str(tmp_path / "made"))
    folder = tmp_path / "meshes" / "car" / "models"
    folder.mkdir(parents=True)
    assert demo_parameters(folder, cfg.data) is None
    (folder / DEMO_PARAMETERS).write_text('{"style": "van"}')
    for place in (folder, tmp_path / "made" / "car" / "models"):
        assert demo_parameters(place, cfg.data) == {"style": "van"}
    (folder / DEMO_PARAMETERS).write_text("[1]")
    assert demo_parameters(folder, cfg.data) is None


def synthetic(count: int, num_again: int) -> tuple[Targets, Readings, DemoCars, DemoCars]:
    """Cars that codes of two numbers determine, but for luck. Samples have only positive first numbers.

    Decoding loses the second number. From inputs of 64^3 nothing is read.
    """
    codes = RNG.normal(size=(2 * count, 2))
    cars = [
        {"first": a, "luck": float(RNG.random()), "second": b, "left_glass": int(b > 0), "right_glass": int(b + a > 0)}
        for a, b in codes.tolist()
    ]
    train, test = (DemoCars(codes[part], [Path()] * count, cars[part]) for part in (slice(count), slice(count, None)))
    targets = Targets(train.parameters, test.parameters)
    again, samples = test.codes[:num_again] * [1, 0], np.abs(RNG.normal(size=(700, 2))) * [1, 0.5]
    parts = principal_coordinates(train.codes, test.codes, again, samples)
    reading = linear_reading(parts, targets.values, targets.groups)
    nothing = Reading(reading.left_out, [np.tile(targets.values.mean(axis=0), (count, 1))])
    return targets, Readings(reading, reading, reading, {32: reading, 64: nothing}), train, test


def test_rows_tell_what_is_read_and_what_is_lost() -> None:
    targets, readings, train, test = synthetic(400, num_again=150)
    read, sampled = attribute_table.attribute_tables(targets, readings, train, test, noise=0.1)
    rows = {(row["set"], row["measure"]): row for row in read.rows}
    glass = [("left_glass", measure) for measure in ("balanced accuracy", "AUC")]
    assert {*list(rows)[:2]} == {("first", "R2"), ("second", "R2")}
    assert list(rows)[2] == ("luck", "R2") and set(glass) < set(list(rows)[3:]) and len(rows) == 7
    assert rows["first", "R2"]["linear"] > 0.999 and rows["first", "R2"]["linear_again"] > 0.999
    assert rows["second", "R2"]["linear_some"] > 0.999 and rows["second", "R2"]["linear_again"] < 0.1
    assert -0.1 < rows["luck", "R2"]["quadratic"] < 0.1 > rows["first", "R2"]["input_64"]
    assert rows[glass[0]]["linear"] > 0.95 and rows[glass[1]]["linear"] > 0.99
    for row in (rows[measure] for measure in glass):
        assert row["linear_again"] == pytest.approx(row["chance"], abs=0.1) and row["chance"] == 0.5
    share = np.mean([one["left_glass"] for one in test.parameters])
    assert rows[glass[0]]["base_rate"] == pytest.approx(max(share, 1 - share))
    line = attribute_table.summary(read.rows)
    numbers = ("code 2", "quadratic 2", "32^3 2", "64^3 0")
    assert says(line, "R2 0.5 3") and all(number in line for number in numbers)
    assert says(line, "glass 2 windows") and line.endswith("64^3 50.0")

    rows = {(row["set"], row["measure"]): row for row in sampled.rows}
    true = np.array([one["first"] for one in test.parameters])
    first, second = rows["first", ""], rows["second", ""]
    assert (first["true_mean"], first["true_sd"]) == pytest.approx((true.mean(), true.std()))
    assert first["read_sd"] == pytest.approx(first["true_sd"], rel=1e-3)
    assert first["sampled_mean"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.1)  # of a half normal distribution
    assert first["ratio"] == pytest.approx(np.sqrt(1 - 2 / np.pi), abs=0.1)
    assert second["ratio"] == pytest.approx(0.5 * np.sqrt(1 - 2 / np.pi), abs=0.1)
    assert rows["luck", ""]["ratio"] is None
    closed, opened = (rows["left_glass", value] for value in ("0", "1"))
    assert closed["true_mean"] + opened["true_mean"] == pytest.approx(1) == closed["read_mean"] + opened["read_mean"]
    assert closed["sampled_mean"] < 0.05 and opened["sampled_mean"] > 0.95 and closed["ratio"] < 0.1
    for table in (read, sampled):
        keys = {column.key for column in table.columns}
        assert all(keys <= set(row) | {"true_sd", "read_sd", "sampled_sd"} for row in table.rows)
        assert "400" in read.note and "150" in read.note and "700" in sampled.note


def call(cfg: Config, folder: Path, **options: object) -> int:
    places = {name: cfg.value(name) for name in ("data_dir", "split_file", "exp_root")}
    return analyse_codes.main(["--config", str(write_config(folder, **TINY | places | options))])


def test_script_reads_attributes_with_and_without_a_flow(
    demo: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], coarse_lattice: None
) -> None:
    shutil.copytree(demo.run.exp_root, tmp_path / "experiments")
    cfg = demo.changed(exp_root=str(tmp_path / "experiments"))
    options = {"analyses": "[attributes]", "num_attribute_shapes": 3}
    folder = cfg.experiment.analysis
    assert call(cfg, tmp_path, **options) == 0
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "codes.json", "codes.csv", "codes.md", "attributes.png",
    }  # fmt: skip
    with Image.open(folder / "attributes.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 5  # not blank
    report = json.loads((folder / "codes.json").read_text())
    assert list(report["tables"]) == ["attributes", "attributes_sampled"]
    rows = report["tables"]["attributes"]["rows"]
    measured = {("luck", "R2"), ("size", "R2"), ("style", "balanced accuracy"), ("side_glass", "AUC")}
    assert {(row["set"], row["measure"]) for row in rows} == measured | {("side_glass", "balanced accuracy")}
    assert says(report["tables"]["attributes"]["note"], "constant wheels")
    printed = capsys.readouterr().out
    assert says(printed, "attributes R2 0.5 2 code glass 1 windows")
    assert "attributes,side_glass,,,AUC,linear,value," in (folder / "codes.csv").read_text()
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert call(cfg, tmp_path, **options) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files

    shutil.rmtree(cfg.experiment.rnvp_checkpoints)
    assert call(cfg, tmp_path, **options) == 0
    report = json.loads((folder / "codes.json").read_text())
    assert list(report["tables"]) == ["attributes"]
    assert [row["linear"] for row in report["tables"]["attributes"]["rows"]] == [row["linear"] for row in rows]


def test_first_cars_after_decoding_are_encoded_again(demo: Config, coarse_lattice: None) -> None:
    networks = Networks(demo)
    codes = load_codes(demo, "test").codes[:3]
    again = codes_of_decoded(networks, codes)
    assert again.shape == (3, 5) and np.isfinite(again).all()
    np.testing.assert_array_equal(again, codes_of_decoded(networks, np.array(codes)))
    assert np.abs(again - codes).max() > 1e-3  # a network with random weights


def test_shapes_without_parameters_are_told_in_a_line(
    cfg: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = problem_of_cars(*read_cars(cfg))
    assert says(problem, "attributes 3 training 2 test 0", DEMO_PARAMETERS)
    with pytest.raises(UserError, match=naming(problem)):
        call(cfg, tmp_path, analyses="[attributes]")
    assert call(cfg, tmp_path, analyses="[table, attributes]") == 0
    assert problem in capsys.readouterr().err
    alike = DemoCars(np.zeros((5, 2), np.float32), [Path()] * 5, [{"style": "van"}] * 5)
    assert says(problem_of_cars(alike, alike), "attributes parameters")
