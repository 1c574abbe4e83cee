"""The evaluation of an experiment of boxes: what each row compares, what is written, what a missing input says."""

import csv
import json
import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from configs.config_loader import get_config
from configs.errors import UserError
from configs.layout import SCALED_MESH, voxelized_point_cloud
from models.data.surface import surface_points
from models.evaluation.experiment import Evaluation, clouds_in, subset
from models.evaluation.report import TABLES, report_text, write_report
from models.evaluation.tables import Column, table_csv, table_text
from models.metrics import chamfer_l2_sq, chamfer_udf
from models.point_cloud_io import write_cloud

POINTS, DENSE = 150, 700
TRAIN, TEST = [f"train{i}" for i in range(9)], [f"test{i}" for i in range(6)]


def write_shape(folder: Path, rng: np.random.Generator) -> None:
    """A preprocessed shape: an open box (four sides) of random proportions."""
    x, y = rng.uniform(0.1, 0.3, 2)
    corners = np.array([[sx * x, sy * y, sz * 0.5] for sz in (-1, 1) for sy in (-1, 1) for sx in (-1, 1)])
    quads = [(0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    folder.mkdir(parents=True)
    lines = ["OFF", f"{len(corners)} {len(faces)} 0", *(" ".join(map(str, corner)) for corner in corners)]
    lines += [f"3 {a} {b} {c}" for a, b, c in faces]
    (folder / SCALED_MESH).write_text("\n".join(lines) + "\n")
    np.savez(folder / voxelized_point_cloud(16, 300), point_cloud=surface_points(folder, 300, seed=77))
    np.savez(folder / "boundary_0.02_samples.npz", points=np.zeros((1, 3)), df=np.zeros(1))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    """data/, split.npz, config.txt and experiments/boxes/evaluation/{reconstruction,sets/flow,sets/decoded}."""
    root, rng = tmp_path_factory.mktemp("boxes"), np.random.default_rng(3)
    for name in TRAIN + TEST:
        write_shape(root / "data" / name / "models", rng)
    parts = {"train": TRAIN, "val": [], "test": TEST}
    np.savez(
        root / "split.npz", **{key: np.array([f"x/{n}" for n in names], dtype=str) for key, names in parts.items()}
    )
    evaluation = root / "experiments" / "boxes" / "evaluation"
    for name in TEST[:4]:
        true = surface_points(root / "data" / name / "models", DENSE, seed=5)
        write_cloud(evaluation / "reconstruction" / name, true + np.float32([0.01, 0, 0]))
        write_cloud(evaluation / "sets" / "decoded" / name, true[:POINTS] + np.float32([0.01, 0, 0]), ply=False)
    for n, name in enumerate(TRAIN[:5]):  # samples that are copies of training shapes
        true = surface_points(root / "data" / name / "models", POINTS, seed=6)
        write_cloud(evaluation / "sets" / "flow" / str(n), true, ply=False)
    options = {
        "exp_name": "boxes", "exp_root": root / "experiments", "data_dir": root / "data", "input_res": 16,
        "split_file": root / "split.npz", "num_points": 300, "num_eval_points": POINTS,
        "num_eval_points_dense": DENSE, "num_cpus": 1, "seed": 2,
    }  # fmt: skip
    (root / "config.txt").write_text("".join(f"{key} = {value}\n" for key, value in options.items()))
    return root


def config(experiment: Path, *options: str) -> Namespace:
    return get_config(["--config", str(experiment / "config.txt"), *options])


def output(experiment: Path) -> Path:
    return experiment / "experiments" / "boxes" / "evaluation"


def test_reconstruction_rows_are_the_measures_of_the_named_clouds(experiment: Path) -> None:
    rows, per_shape = Evaluation(config(experiment)).reconstruction_rows()
    assert [row["set"] for row in rows] == ["reconstruction", "input points", "floor: true surface drawn twice"]
    assert [row["shapes"] for row in rows] == [4, 4, 4]
    assert [row["points"] for row in rows] == [DENSE, 300, DENSE]
    assert len(per_shape) == 12
    folder = experiment / "data" / TEST[1] / "models"
    expected = chamfer_udf(
        surface_points(folder, DENSE, seed=5) + np.float32([0.01, 0, 0]), surface_points(folder, DENSE, seed=2)
    )
    mine = [row for row in per_shape if row["shape"] == TEST[1]]
    assert mine[0]["chamfer_udf"] == pytest.approx(expected, rel=1e-6)
    recon, coarse, floor = rows
    assert 0 < floor["chamfer_udf_mean"] < recon["chamfer_udf_mean"] < coarse["chamfer_udf_mean"]
    assert floor["f_score_0.01"] > recon["f_score_0.01"] > 0
    values = [row["chamfer_udf"] for row in per_shape if row["set"] == "reconstruction"]
    assert recon["chamfer_udf_mean"] == pytest.approx(np.mean(values))
    assert recon["chamfer_udf_median"] == pytest.approx(np.median(values))


def test_generation_rows_compare_equal_numbers_with_both_references(experiment: Path) -> None:
    rows = Evaluation(config(experiment)).generation_rows()
    described = [(row["set"], row["reference"], row["shapes"], row["points"]) for row in rows]
    assert described == [
        ("flow", "test shapes", 4, POINTS),
        ("floor: training shapes", "test shapes", 4, POINTS),
        ("flow", "test shapes, decoded", 4, POINTS),
    ]
    for row in rows:
        assert 0 < row["mmd"] < 0.2
        assert 0 < row["cov"] <= 1
        assert row["nna_acc"] == pytest.approx((row["nna_acc_t"] + row["nna_acc_f"]) / 2)


def test_other_sets_join_the_tables_when_their_folder_exists(experiment: Path) -> None:
    folder = output(experiment) / "sets" / "gaussian"
    for n in range(3):
        write_cloud(folder / str(n), np.random.default_rng(n).normal(5, 0.1, (POINTS + n, 3)))
    try:
        evaluation = Evaluation(config(experiment))
        rows, nearest = evaluation.generation_rows(), evaluation.nearest_training_rows()
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()
    far = [row for row in rows if row["set"] == "Gaussian on whitened codes"]
    assert [row["reference"] for row in far] == ["test shapes", "test shapes, decoded"]
    for row in far:
        assert row["nna_acc"] == 1  # five units away: told apart without fail
        assert row["cov"] == pytest.approx(1 / 3)
    assert {row["shapes"] for row in rows} == {3}
    assert nearest[1]["set"] == "Gaussian on whitened codes"
    assert nearest[1]["min"] > 40


def test_nearest_training_shape_shows_copies(experiment: Path) -> None:
    evaluation = Evaluation(config(experiment))
    rows = {row["set"]: row for row in evaluation.nearest_training_rows()}
    assert list(rows) == ["flow", "test shapes, decoded", "test shapes"]
    assert {row["training"] for row in rows.values()} == {len(TRAIN)}
    twice = [surface_points(experiment / "data" / TRAIN[0] / "models", POINTS, seed) for seed in (8, 9)]
    assert rows["flow"]["median"] < 1.5 * chamfer_l2_sq(*twice) < rows["test shapes"]["median"]
    assert all(row["min"] <= row["median"] for row in rows.values())


def test_report_holds_the_same_numbers_as_text_json_and_csv(experiment: Path) -> None:
    networks = [{"measure": "mean test |UDF error|", "value": 1 / 300, "unit": "mesh units"}]
    networks += [{"measure": "unknown", "value": None, "unit": "nats/dim"}]
    text = write_report(Evaluation(config(experiment)), networks, {"ndf_sha256": "0123"})
    assert (output(experiment) / "evaluation.txt").read_text() == text
    report = json.loads((output(experiment) / "evaluation.json").read_text())
    assert report["config"]["num_eval_points"] == POINTS
    assert report["ndf_sha256"] == "0123"
    assert report["commit"]
    for name, (title, columns, _) in TABLES.items():
        assert title in text
        with open(output(experiment) / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == [column.key for column in columns]
        for found, expected in zip(rows, report[name], strict=True):
            for column in columns:
                value = expected[column.key]
                assert found[column.key] == ("" if value is None else str(value))  # every digit
    assert re.search(r"mean test \|UDF error\| +0\.00333 +mesh units", text)
    assert re.search(r"unknown +- +nats/dim", text)
    scaled = f"{1e4 * report['reconstruction'][0]['chamfer_udf_mean']:.4f}"
    assert scaled in text
    Evaluation(config(experiment))  # the files beside the folders do not disturb
    assert "%" in report_text("generation", report["generation"])


def test_same_seed_same_numbers_and_threads_do_not_matter(experiment: Path) -> None:
    results = [Evaluation(config(experiment, "--num_cpus", str(n))).generation_rows() for n in (1, 1, 3)]
    assert results[0] == results[1] == results[2]
    assert Evaluation(config(experiment, "--seed", "9")).generation_rows() != results[0]


def test_num_eval_shapes_bounds_every_set(experiment: Path) -> None:
    evaluation = Evaluation(config(experiment, "--num_eval_shapes", "3"))
    assert {row["shapes"] for row in evaluation.generation_rows()} == {3}
    assert {row["shapes"] for row in evaluation.reconstruction_rows()[0]} == {3}


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("sets/flow", "python evaluate.py --config"),
        ("sets/decoded", "python evaluate.py --config"),
        ("reconstruction", "python generate.py --mode reconstruct --config"),
    ],
)
def test_missing_inputs_name_the_command_that_makes_them(experiment: Path, folder: str, command: str) -> None:
    away = output(experiment) / folder
    away.rename(away.with_name("hidden"))
    try:
        with pytest.raises(UserError, match=f"0 shapes in .*{folder}, 2 or more expected; make them with: {command}"):
            Evaluation(config(experiment)).generation_rows()
    finally:
        away.with_name("hidden").rename(away)


def test_too_few_points_and_foreign_reconstructions_are_named(experiment: Path) -> None:
    with pytest.raises(UserError, match=f"has {POINTS} points, {POINTS + 1} are compared; lower num_eval_points"):
        Evaluation(config(experiment, "--num_eval_points", str(POINTS + 1))).generation_rows()
    strange = output(experiment) / "reconstruction" / "train0"
    write_cloud(strange, np.zeros((4, 3)))
    try:
        with pytest.raises(UserError, match="holds train0, no test shape of .*split.npz; remove"):
            Evaluation(config(experiment))
    finally:
        for path in strange.iterdir():
            path.unlink()
        strange.rmdir()


def test_index_says_which_clouds_count(tmp_path: Path) -> None:
    for name in ("10", "2", "1"):
        write_cloud(tmp_path / name, np.zeros((2, 3)))
    assert [file.parent.name for file in clouds_in(tmp_path, "x")] == ["1", "2", "10"]
    (tmp_path / "index.json").write_text(json.dumps({"shapes": ["2", "1"]}))
    assert [file.parent.name for file in clouds_in(tmp_path, "x")] == ["2", "1"]
    (tmp_path / "index.json").write_text(json.dumps({"shapes": ["2", "3"]}))
    with pytest.raises(UserError, match="no .*3/dense_point_cloud.npz; make them with: x"):
        clouds_in(tmp_path, "x")


def test_subset_draws_each_point_once() -> None:
    points = np.arange(60, dtype=np.float32).reshape(20, 3)
    drawn = subset(points, 13, seed=0)
    assert len(np.unique(drawn[:, 0])) == 13
    assert set(drawn[:, 0]) <= set(points[:, 0])
    np.testing.assert_array_equal(drawn, subset(points, 13, seed=0))
    assert not np.array_equal(drawn, subset(points, 13, seed=1))
    assert len(subset(points, 21, seed=0)) == 20


def test_tables_align_scale_and_keep_every_digit() -> None:
    columns = [Column("set", "set"), Column("mmd", "MMD x1e4", ".2f", 1e4), Column("n", "n", "d")]
    rows = [{"set": "flow", "mmd": 0.00123456789, "n": 7}, {"set": "a, b", "n": 12, "more": 1}]
    lines = table_text("Title", columns, rows, "note").splitlines()
    assert lines == [
        "Title",
        "set   MMD x1e4   n",
        "----  --------  --",
        "flow     12.35   7",
        "a, b         -  12",
        "note",
    ]
    assert table_csv(columns, rows).splitlines() == ["set,mmd,n", "flow,0.00123456789,7", '"a, b",,12']
