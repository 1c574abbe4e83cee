"""evaluate.py on a tiny experiment: which sets are compared, what is written, that a second run gives the same."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming, says

import evaluate
from configs.decided import deciding
from configs.options.results import ANALYSES as ALL_ANALYSES
from configs.options.results import TASKS as ALL_TASKS
from dataprocessing.split import split_folders
from dataprocessing.stored_points import shape_digests
from dataprocessing.surface import surface_points
from evaluation.code_nna import shares_of
from evaluation.evaluate_all import TASKS
from evaluation.experiment_sets import ExperimentSets, experiment_protocol
from evaluation.latent_space.analyse import ANALYSES
from evaluation.metrics import chamfer_l2_sq, mmd_cov
from evaluation.network_table import network_rows
from evaluation.protocols import training_statistics
from evaluation.report import former_results
from frozen.checkpoint_files import best_checkpoint, fingerprint, load_checkpoint
from frozen.trained_on import trained_on
from generation.cloud_files import read_cloud
from generation.networks import Networks
from generation.reconstructions import reconstructed
from lab.small.tiny_experiment import encode, make_shapes, tiny_config
from runtime.errors import UserError
from runtime.files import write_npz

SYSTEMS = ["flow", "Gaussian on whitened codes", "interpolated neighbours"]
SMALL = {"num_sample_sets": 2, "num_eval_shapes": 3, "num_whole_shapes": 2}


@pytest.fixture(scope="module")
def root(root: Path) -> Path:
    """A tiny experiment with 3 reconstructions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("generation.surface_cells.COARSEST", 6)
        networks = Networks(tiny_config(root))
        make_shapes(networks, reconstructed(networks, "test", 3), networks.experiment.reconstruction)
    return root


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, coarse_lattice: None, no_plots: None) -> None:
    """Coarse meshes, and plain pictures of the least likely shapes."""
    monkeypatch.setattr("evaluation.wholeness.RESOLUTION", 24)
    monkeypatch.setattr(
        "visualization.contact_sheet.render_cloud", lambda cloud, color, **_: np.full((40, 60, 3), color, np.uint8)
    )


def run(root: Path, *options: str, **settings: object) -> dict:
    """evaluate.py with some options; returns results.json."""
    cfg = tiny_config(root, **(SMALL | settings))
    assert evaluate.main(["--config", cfg.run.config, *options]) == 0
    return json.loads((cfg.experiment.evaluation / "results.json").read_text())


def test_all_tasks_and_a_second_run_with_the_same_bytes(root: Path, capsys: pytest.CaptureFixture):
    report = run(root)
    text = capsys.readouterr().out
    folder = tiny_config(root).experiment.evaluation
    written = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert set(written) == {
        "results.json", "results.csv", "results.md", "one_nna.png", "nearest_training.png", "likelihood.png",
        "least_likely.png",
    }  # fmt: skip
    sets = {path: path.stat().st_mtime_ns for path in (folder / "sets").iterdir()}
    assert run(root) == report
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == written
    assert {path: path.stat().st_mtime_ns for path in (folder / "sets").iterdir()} == sets

    tables = report["tables"]
    assert list(tables) == [
        "networks", "reconstruction", "reconstruction_per_shape", "generation_cd", "generation_emd",
        "generation_emd_sq", "nearest_training", "wholeness", "wholeness_per_shape", "likelihood",
        "likelihood_per_shape",
    ]  # fmt: skip
    for distance in ("cd", "emd", "emd_sq"):
        rows = tables[f"generation_{distance}"]["rows"]
        assert [(row["set"], row["reference"]) for row in rows] == [
            *((name, reference) for name in SYSTEMS for reference in ("test shapes", "test shapes, decoded")),
            ("floor: training shapes", "test shapes"),
            ("floor: training shapes, decoded", "test shapes, decoded"),
        ]
        assert {(row["shapes"], row["points"], row["sets"], len(row["mmd"]["values"])) for row in rows} == {
            (3, 60, 2, 2)
        }
    nearest = tables["nearest_training"]["rows"]
    assert [row["set"] for row in nearest] == [*SYSTEMS, "test shapes", "test shapes, decoded"]
    assert {row["training"] for row in nearest} == {7}
    networks = Networks(tiny_config(root))
    assert tables["networks"]["rows"] == network_rows(
        networks, split_folders(networks.cfg)["test"], shares_of(networks)
    )
    assert report["checkpoints"]["rnvp_sha256"] == fingerprint(best_checkpoint(networks.experiment.rnvp_checkpoints))
    assert report["error_of_approximate_emd"]["emd"]["worst"] < 1e-9  # exact for clouds of up to 256 points
    assert report["config"]["num_eval_points"] == 60
    assert tables["generation_cd"]["note"] in text and "Reconstruction: test shapes" in text
    assert "each" not in [line.split(",")[-1].strip() for line in text.splitlines()]  # tables per shape are not printed
    with open(folder / "results.csv", newline="") as file:
        assert {row["table"] for row in csv.DictReader(file)} == set(tables)


def test_the_rows_compare_what_they_say(root: Path):
    cfg = tiny_config(root, **SMALL)
    sets = ExperimentSets(cfg, Networks(cfg))
    comparison = sets.comparison()
    rows = {(row["set"], row["reference"]): row for row in comparison.rows() if row["distance"] == "cd"}
    folders = split_folders(cfg)
    true = [surface_points(folder, 60, cfg.run.seed, cfg.data) for folder in folders["test"][:3]]
    for k in range(2):
        samples = np.load(sets.networks.experiment.sets / f"flow_{k}.npz")["point_cloud"]
        rs = np.array([[chamfer_l2_sq(x, y) for y in samples] for x in true])
        assert rows["flow", "test shapes"]["mmd"]["values"][k] == pytest.approx(mmd_cov(rs).mmd, rel=1e-5)
    floor = next(one for one in comparison.competitors if one.label == "floor: training shapes")
    parts = [one.load() for one in floor.sets]
    assert abs(parts[0] - parts[1]).max() > 0.01  # other shapes
    training = sets.training_set().load()
    assert training.shape == (7, 60, 3)
    for cloud in parts[0]:
        assert min(np.abs(np.sort(cloud, axis=0) - np.sort(one, axis=0)).max() for one in training) == 0


def former_results_of(folder: Path, report: dict) -> dict:
    (folder / "results.json").write_text(json.dumps(report))
    return former_results(folder / "results.json")


def test_a_task_run_alone_keeps_the_results_of_the_others(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = tiny_config(root).experiment.evaluation
    (folder / "results.json").write_text('{"tables": {"networks": {}}}')  # of an earlier version: no facts, replaced
    assert list(run(root, "--tasks", "networks")["tables"]) == ["networks"]
    report = run(root, "--tasks", "generation", "--emd", "none")
    generation = ["generation_cd", "nearest_training", "wholeness", "wholeness_per_shape"]
    assert list(report["tables"]) == ["networks", *generation]
    assert report["error_of_approximate_emd"] == {}
    for broken in ({"rows": 5}, {"columns": [[1]]}, {"rows": [{"mmd": {"mean": "x"}}]}):
        damaged = json.loads((folder / "results.json").read_text())
        damaged["tables"]["generation_cd"] |= broken
        assert former_results_of(tmp_path, damaged) == {}
    capsys.readouterr()
    more = run(root, "--tasks", "reconstruction", "--num_eval_points", "50")
    printed = capsys.readouterr()
    assert list(more["tables"]) == ["networks", "reconstruction", "reconstruction_per_shape", *generation]
    assert "Reconstruction: test" in printed.out and "Networks" not in printed.out and "note" not in printed.err
    for name, table in report["tables"].items():
        assert more["tables"][name] == table
        assert table["title"] in (folder / "results.md").read_text() or name.endswith("_per_shape")
    assert more["parts"]["generation"] == report["parts"]["generation"]
    assert more["parts"]["generation"]["made_of"]["options"]["num_eval_points"] == 60  # not of this run
    assert more["protocol"] == report["protocol"] and more["config"]["num_eval_points"] == 50
    assert "generation_cd,flow,test shapes,cd" in (folder / "results.csv").read_text()
    report = run(root, "--tasks", "generation", "--emd", "none", "--num_whole_shapes", "0")
    assert "wholeness" not in report["tables"]


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """A copy of the experiment and its shapes, for tests that change them."""
    shutil.copytree(root, tmp_path / "copy")
    parts = np.load(tmp_path / "copy" / "split.npz")
    names = {part: [str(tmp_path / "copy" / "data" / Path(name).name) for name in parts[part]] for part in parts}
    write_npz(tmp_path / "copy" / "split.npz", **names)
    (tmp_path / "copy" / "experiments" / "test" / "evaluation" / "results.json").unlink(missing_ok=True)
    return tmp_path / "copy"


def change_cloud(root: Path, name: str) -> None:
    """Another input cloud for a shape, as preprocessing makes it of another mesh."""
    path = next((root / "data" / name).glob("voxelized*"))
    write_npz(path, point_cloud=0.9 * np.load(path)["point_cloud"])


def test_results_of_other_shapes_are_left_out_with_a_line(copied: Path, capsys: pytest.CaptureFixture):
    run(copied, "--tasks", "reconstruction", "likelihood")
    change_cloud(copied, "sphere1")  # of training
    flows = tiny_config(copied).experiment.rnvp_checkpoints
    away = flows.rename(flows.with_name("away"))  # step 4 would refuse other codes beside it
    encode(tiny_config(copied, **SMALL))
    away.rename(flows)
    capsys.readouterr()
    assert list(run(copied, "--tasks", "networks")["tables"]) == [
        "networks", "reconstruction", "reconstruction_per_shape",
    ]  # fmt: skip
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert says(line, "likelihood train_clouds") and "reconstruction" not in line.partition("results.json")[0]


def test_without_reconstructions_all_else_is_done_and_a_line_tells_how_to_make_them(
    copied: Path, capsys: pytest.CaptureFixture
):
    shutil.rmtree(tiny_config(copied).experiment.reconstruction)
    assert list(run(copied, "--tasks", "networks", "reconstruction")["tables"]) == ["networks"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert says(line, "reconstruction left out", "generate.py --mode reconstruct")


def test_codes_and_reconstructions_of_former_shapes_are_refused(copied: Path):
    cfg = tiny_config(copied, **SMALL)
    path = cfg.experiment.reconstruction / "index.json"
    index = json.loads(path.read_text())
    digests = shape_digests(split_folders(cfg)["test"], cfg)
    index["facts"] = [{"cloud": digests[name]} for name in index["shapes"]]
    path.write_text(json.dumps(index))
    run(copied, "--tasks", "reconstruction")
    change_cloud(copied, index["shapes"][1])
    with pytest.raises(UserError, match=naming(index["shapes"][1], "cloud generate.py --mode reconstruct")):
        run(copied, "--tasks", "reconstruction")
    parts = {part: list(names) for part, names in np.load(copied / "split.npz").items()}
    parts["train"], parts["test"] = parts["train"] + parts["test"][:1], parts["test"][1:]
    write_npz(copied / "split.npz", **parts)
    with pytest.raises(UserError, match=naming("test.json sphere8 train_rnvp.py")):
        run(copied, "--tasks", "likelihood")


@pytest.mark.parametrize("folder", ["checkpoints_ndf", "checkpoints_rnvp"])
def test_shapes_that_a_network_was_trained_on_are_refused(copied: Path, folder: str):
    cfg = tiny_config(copied, **SMALL)
    path = best_checkpoint(cfg.experiment.root / folder)
    digests = shape_digests(split_folders(cfg)["test"], cfg)
    names = list(digests)
    state = load_checkpoint(path)
    known = {"train": {"another": digests[names[1]], names[3]: "0"}, "val": {names[0]: "0"}, "test": {}}
    torch.save(state | {"shapes": known}, path)
    before = cfg.experiment.evaluation / "results.json"
    before.unlink(missing_ok=True)
    make = {"checkpoints_ndf": "NDF", "checkpoints_rnvp": "flow"}[folder]
    for task in ("networks", "reconstruction", "generation", "likelihood"):
        with pytest.raises(UserError, match=naming(make, "2 4 test", names[1], "--allow_trained_on")):
            run(copied, "--tasks", task)
    assert not before.exists()
    if folder == "checkpoints_rnvp":
        report = run(copied, "--tasks", "networks", "--allow_trained_on", "true")
        assert says(report["tables"]["networks"]["note"], "flow trained 2 test")
        assert report["parts"]["networks"]["made_of"]["trained_on"] == {"test": {"the flow": 2}}


def test_extra_cars_count_as_trained_on(tmp_path: Path):
    path = tmp_path / "best.tar"
    sources = [{"demo_cars": 3, "demo_seed": 7}, {"folder": "x", "meshes": 1}]
    shapes = {"train": {}, "extra": {"mine": "ab"}}
    torch.save({"model_state_dict": {}, "trained_on": {"sources": sources}, "shapes": shapes}, path)
    asked = dict.fromkeys(("demo_s7_00002", "demo_s7_00003", "demo_s8_00000", "mine"), "") | {"other": "ab"}
    assert trained_on(path, asked) == ["demo_s7_00002", "mine", "other"]
    torch.save({"model_state_dict": {}}, path)  # an earlier version tells nothing
    assert trained_on(path, asked) == []
    torch.save({"model_state_dict": {}, "shapes": {"train": 5}}, path)
    with pytest.raises(UserError, match=naming(path)):
        trained_on(path, asked)


def test_every_option_of_the_tables_belongs_to_a_part():
    known = {name for part in (*TASKS, *ANALYSES) for name in part.options}
    of_folders = {"normalised_samples"}
    assert known == set(deciding("tables")) - {"tasks", "analyses"} - of_folders
    assert [part.name for part in TASKS] == list(ALL_TASKS) and {part.name for part in ANALYSES} == set(ALL_ANALYSES)


def test_box_compares_every_cloud_in_its_own_box(root: Path):
    cfg = tiny_config(root, protocol="box", emd="none", **SMALL)
    comparison = ExperimentSets(cfg, Networks(cfg)).comparison()
    sets = [one.load() for competitor in comparison.competitors for one in competitor.sets]
    sets += [one.load() for one in comparison.references.values()]
    for clouds in sets:
        sides = clouds.max(axis=1) - clouds.min(axis=1)
        np.testing.assert_allclose(sides.max(axis=1), 1, rtol=1e-5)


def test_pointflow_takes_the_validation_split_and_says_the_training_statistics(root: Path):
    with pytest.raises(UserError, match=naming("num_eval_points 60 pointflow 2048")):
        run(root, "--tasks", "generation", "--protocol", "pointflow")
    cfg = tiny_config(root, protocol="pointflow", num_eval_points=2048)
    with pytest.raises(UserError, match=naming("1 2 val 7")):
        ExperimentSets(cfg, Networks(cfg))
    training = split_folders(cfg)["train"]
    protocol = experiment_protocol(cfg, training)
    assert protocol.split == "val"
    assert protocol.statistics == training_statistics(surface_points(folder, 2048, 0, cfg.data) for folder in training)
    assert protocol.statistics.shapes == 7


def test_stored_points_serve_where_they_are_enough(root: Path):
    cfg = tiny_config(root, num_eval_points=40, **SMALL)
    sets = ExperimentSets(cfg, Networks(cfg))
    stored = {point.tobytes() for point in read_cloud(next(sets.folders["train"][2].glob("voxelized*")))}
    cloud = sets.training_set().load()[2]
    assert len({point.tobytes() for point in cloud}) == 40
    assert {point.tobytes() for point in cloud} <= stored


def test_reconstructions_of_another_ndf_are_refused(root: Path):
    path = tiny_config(root).experiment.reconstruction / "index.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | {"ndf_sha256": "0" * 64}))  # as if the NDF had been trained on
    with pytest.raises(UserError, match=naming("ndf_sha256 generate.py --mode reconstruct")):
        run(root, "--tasks", "reconstruction")
    path.write_text(text)


def test_missing_steps_are_named(root: Path):
    cfg = tiny_config(root)
    options = ["--config", cfg.run.config, "--exp_name", "nothing"]
    ndf = str(Networks(cfg).ndf_path)
    for command, missing in (("train_ndf.py", []), ("train_rnvp.py", ["--ndf_checkpoint", ndf])):
        with pytest.raises(UserError, match=naming(command, "--config")):
            evaluate.main([*options, *missing])
    with pytest.raises(UserError, match=naming("generate.py --mode reconstruct")):
        evaluate.main([*options, "--tasks", "reconstruction"])
