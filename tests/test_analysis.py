"""The latent-space study of tiny experiments with every kind of code."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import analyse_codes
from configs.options import Config
from dataprocessing.split import split_folders
from evaluation.latent_space import neighbours, paths
from evaluation.latent_space.attribute_table import COLUMNS as ATTRIBUTE_COLUMNS
from evaluation.latent_space.code_map import body_style, choose_shapes, map_panels
from evaluation.latent_space.code_table import COLUMNS, all_experiments, code_rows
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.latent_space.neighbours import nearest_shapes
from evaluation.latent_space.paths import SPACES, field_values, measure_paths, path_codes, random_pairs
from evaluation.latent_space.projector import THUMBNAIL
from evaluation.latent_space.temperatures import FLOOR, temperature_rows
from evaluation.metrics import chamfer_l2_sq
from evaluation.tables import spread
from frozen.checkpoint_files import best_checkpoint, fingerprint, load_checkpoint
from frozen.codes import load_codes
from generation.latents import latents_of
from generation.networks import Networks
from generation.sampling import sampled_codes
from lab.small.helpers import write_config
from lab.small.tiny_experiment import TINY, save_random_ndf, tiny_config, train_flow, write_shapes
from runtime.errors import UserError
from runtime.files import write_json
from runtime.layout import DEMO_PARAMETERS

SMALL = {
    "num_analysis_points": 40, "num_paths": 3, "path_steps": 3, "num_map_shapes": 9, "num_neighbour_samples": 3,
    "temperatures": [0.5, 1.0], "num_curve_shapes": 4,
}  # fmt: skip
KINDS = {
    "grid": {"latent_dim": 2, "out_resolution": 4, "decoder_resolution": [4, 8], "decoder_channels": [4, 3]},
    "fused": {"out_resolution": 4},
}


@pytest.fixture(scope="module")
def cfg(root: Path) -> Config:
    return tiny_config(root).changed(**SMALL)


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain pictures instead of rendered ones, which `test_rendering` looks at."""

    def picture(points: np.ndarray, *args: object, size: tuple[int, int] = (48, 30), **options: object) -> np.ndarray:
        shade = int(255 * abs(float(points.mean())) % 200)
        return np.full((size[1], size[0], 3), shade, np.uint8)

    for module in (
        "visualization.contact_sheet",
        "evaluation.latent_space.neighbours",
        "evaluation.latent_space.projector",
    ):
        monkeypatch.setattr(f"{module}.render_cloud", picture)


@pytest.fixture
def copied(cfg: Config, tmp_path: Path) -> Config:
    """A copy of the experiment, for tests that change its files."""
    shutil.copytree(cfg.run.exp_root, tmp_path / "experiments")
    return cfg.changed(exp_root=str(tmp_path / "experiments"))


def results_of(cfg: Config, label: str, **checkpoints: str) -> dict:
    """What evaluate.py writes, cut down to what the table reads."""
    parts = zip(("whole", "interior", "exterior"), (1e-4, 2e-4, 3e-4), strict=True)
    reconstruction = [
        {"set": label, "part": part, "chamfer_udf_mean": value, "f_score_0.005_mean": 0.5, "f_score_0.01_mean": 0.75}
        for part, value in parts
    ]
    other = {"set": "input points", "part": "whole", "chamfer_udf_mean": 9.0}
    generation = [
        {"set": name, "reference": reference, "nna_acc": spread([a, a + 0.1]), "mmd": spread([a]), "cov": spread([a])}
        for name, reference, a in (
            ("flow", "test shapes", 0.8),
            ("flow", "test shapes, decoded", 0.6),
            ("else", "x", 0),
        )
    ]
    tables = {"reconstruction": {"rows": [other, *reconstruction]}, "generation_cd": {"rows": generation}}
    return {"checkpoints": checkpoints, "tables": tables}


def test_row_of_an_experiment_without_results_says_what_makes_them(cfg: Config) -> None:
    (experiment,) = all_experiments(cfg)
    (row,), note = code_rows([experiment])
    assert list(row) == [column.key for column in COLUMNS]
    assert (row["set"], row["code_kind"], row["numbers"], row["bytes"], row["shapes"]) == ("test", "vector", 5, 20, 7)
    assert 1 <= row["dimensions_0.95"] <= row["dimensions_0.99"] <= row["dimensions_0.999"] <= 5
    assert row["ndf_minutes"] == pytest.approx(1 / 60) and 0 < row["flow_minutes"] < 10
    assert all(row[f"nll_{key}"] is not None for key in ("train", "val", "gaussian"))
    assert all(row[key] is None for key in ("chamfer_udf_whole", "f_score_0.01", "nna_true", "cov_decoded"))
    assert "[-] no results.json of test: python generate.py --mode reconstruct and python evaluate.py" in note


def test_row_takes_its_measures_from_the_results_of_the_same_checkpoints(copied: Config) -> None:
    folder = copied.experiment
    ndf, flow = (fingerprint(path / "best.tar") for path in (folder.ndf_checkpoints, folder.rnvp_checkpoints))
    path, label = folder.evaluation / "results.json", "vector code, 5 numbers (test)"
    write_json(path, results_of(copied, label, ndf_sha256=ndf, rnvp_sha256=flow))
    (row,), note = code_rows(all_experiments(copied))
    assert [row[f"chamfer_udf_{part}"] for part in ("whole", "interior", "exterior")] == [1e-4, 2e-4, 3e-4]
    assert (row["f_score_0.005"], row["f_score_0.01"]) == (0.5, 0.75)
    assert row["nna_true"]["values"] == [0.8, 0.9] and row["nna_decoded"]["mean"] == pytest.approx(0.65)
    assert (row["mmd_true"]["mean"], row["cov_decoded"]["mean"]) == (0.8, 0.6)
    assert "[-]" not in note

    write_json(path, results_of(copied, label, ndf_sha256=ndf, rnvp_sha256="another"))
    (row,), note = code_rows(all_experiments(copied))
    assert row["nna_true"] is None and row["chamfer_udf_whole"] is None
    assert "results.json of test is of other checkpoints" in note
    path.write_text("{")
    with pytest.raises(UserError, match=r"results\.json: cannot be read as json.*delete it"):
        code_rows(all_experiments(copied))


def test_other_experiments_get_rows_with_and_without_codes(copied: Config) -> None:
    root = Path(copied.run.exp_root)
    shutil.copytree(root / "test", root / "other")
    shutil.rmtree(root / "other" / "checkpoints_rnvp")
    plain = tiny_config(root.parent, code_kind="none", exp_name="plain")
    save_random_ndf(plain.changed(split_file=copied.data.split_file, data_dir=copied.data.data_dir))
    copied = copied.changed(compare_experiments=["other", "test", "plain", "other"])
    experiments = all_experiments(copied)
    rows, note = code_rows(experiments)
    assert [row["set"] for row in rows] == ["test", "other", "plain"]
    np.testing.assert_array_equal(experiments[0].spectrum, experiments[1].spectrum)
    assert rows[1]["nll_val"] is None and rows[1]["numbers"] == 5
    assert "[-] no flow of other: python train_rnvp.py --config (the config of other)" in note
    assert (rows[2]["code_kind"], rows[2]["numbers"], rows[2]["nll_val"]) == ("none", None, None)
    assert rows[2]["ndf_minutes"] is not None and "no flow of plain" not in note


def test_missing_experiments_and_codes_are_named(copied: Config) -> None:
    copied = copied.changed(compare_experiments=["nobody"])
    with pytest.raises(UserError, match="no experiment 'nobody' in .*, which has test; .*train_ndf.py"):
        all_experiments(copied)
    copied = copied.changed(compare_experiments=None)
    shutil.rmtree(copied.experiment.codes)
    with pytest.raises(UserError, match="no shape codes in .*train_rnvp.py"):
        all_experiments(copied)


def test_pairs_use_no_shape_twice() -> None:
    pairs = random_pairs(9, 3, seed=0)
    assert len(pairs) == 3 and len(set(sum(pairs, ()))) == 6 and set(sum(pairs, ())) <= set(range(9))
    assert len(random_pairs(5, 100, seed=1)) == 2
    assert random_pairs(9, 3, seed=0) == pairs != random_pairs(9, 3, seed=1)
    with pytest.raises(UserError, match="needs 2 test shapes, the test split has 1"):
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


def test_clouds_are_decoded_once(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = sampled_codes(networks, 2, 0)
    first = decoded_clouds(networks, codes, 31, "once", "test")
    assert first.shape == (2, 31, 3)
    calls = []
    decode_each = "evaluation.latent_space.decoded.decode_each"
    monkeypatch.setattr(decode_each, lambda _, codes, num, *rest: calls.append(num) or iter(first[:, :num]))
    np.testing.assert_array_equal(decoded_clouds(networks, codes, 31, "once", "test"), first)
    assert not calls
    decoded_clouds(networks, codes, 30, "once", "test")  # other points,
    decoded_clouds(networks, codes + 1e-3, 30, "once", "test")  # other codes,
    (networks.experiment.analysis_cache / "once.npz").write_bytes(b"PK")  # and a damaged file
    decoded_clouds(networks, codes + 1e-3, 30, "once", "test")
    assert calls == [30, 30, 30]


def test_map_shows_shapes_of_all_splits_with_their_styles(copied: Config) -> None:
    copied = copied.changed(num_map_shapes=100)
    folders = split_folders(copied)["test"]
    files = [folder / DEMO_PARAMETERS for folder in folders[:2]]
    try:
        files[0].write_text('{"style": "estate"}')
        files[1].write_text("[1]")
        shown = choose_shapes(copied)
    finally:
        for file in files:
            file.unlink()
    assert shown.column("split") == ["train"] * 7 + ["val"] + ["test"] * 4
    assert shown.column("style") == ["-"] * 8 + ["estate"] + ["-"] * 3
    np.testing.assert_array_equal(shown.codes[8:], load_codes(copied, "test").codes)
    copied = copied.changed(num_map_shapes=5)
    few = choose_shapes(copied)
    assert len(few.codes) == len(set(few.column("name"))) == 5
    for code, name in zip(few.codes, few.column("name"), strict=True):
        np.testing.assert_array_equal(code, shown.codes[shown.column("name").index(name)])
    panels = map_panels(Networks(copied), shown)
    assert [panel.shapes.shape for panel in panels] == [(12, 2)] * 2
    assert all(panel.samples.shape[1] == 2 and np.isfinite(panel.samples).all() for panel in panels)


def test_style_beside_the_mesh_of_a_shape_that_was_processed_elsewhere(cfg: Config, tmp_path: Path) -> None:
    apart = cfg.changed(data_dir=str(tmp_path / "meshes"), processed_dir=str(tmp_path / "made"))
    folder = tmp_path / "meshes" / "car" / "models"
    folder.mkdir(parents=True)
    (folder / DEMO_PARAMETERS).write_text('{"style": "van"}')
    assert body_style(tmp_path / "made" / "car" / "models", apart) == "van"
    assert body_style(tmp_path / "made" / "other", apart) == "-"


def test_nearest_shapes_are_found_by_all_points(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    training = [rng.normal(size=(23, 3)) * scale for scale in rng.uniform(0.5, 2, 11)]
    samples = [training[4] + 1e-3, training[9][:17]]
    monkeypatch.setattr(neighbours, "COARSE_POINTS", 12)
    monkeypatch.setattr(neighbours, "PRESELECTED", 8)
    which, values = nearest_shapes(samples, training)
    assert which[:, 0].tolist() == [4, 9] and which.shape == values.shape == (2, 3)
    expected = [[chamfer_l2_sq(sample, training[j]) for j in row] for sample, row in zip(samples, which, strict=True)]
    np.testing.assert_allclose(values, expected)
    assert (np.diff(values, axis=1) >= 0).all()
    assert nearest_shapes(samples, training[:2])[0].shape == (2, 2)


def test_temperatures_have_a_row_each_and_a_floor(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = temperature_rows(networks)
    assert [row["set"] for row in rows] == ["T = 0.5", "T = 1", FLOOR]
    assert all(row["shapes"] == 4 and 0 <= row["nna_acc"] <= 1 and 0.25 <= row["cov"] <= 1 for row in rows)
    assert len({row["mmd"] for row in rows}) == 3
    monkeypatch.setattr(networks, "cfg", networks.cfg.changed(num_curve_shapes=1))
    with pytest.raises(UserError, match="1 shape to compare, 2 or more expected: 4 test and 7 training shapes"):
        temperature_rows(networks)


def call(cfg: Config, **options: object) -> int:
    folder = Path(cfg.run.exp_root).parent
    places = {name: cfg.value(name) for name in ("data_dir", "split_file")}
    path = write_config(folder, **TINY | SMALL | places | options)
    return analyse_codes.main(["--config", str(path)])


def test_script_writes_everything_and_a_second_run_decodes_nothing(
    copied: Config, quick_pictures: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(neighbours, "PICTURE_POINTS", 300)
    assert call(copied) == 0
    folder = copied.experiment.analysis
    printed = capsys.readouterr().out
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    pictures = {f"{name}.png" for name in ("spectrum", "paths", "paths_pictures", "map", "neighbours", "temperatures")}
    assert set(files) == pictures | {"codes.json", "codes.csv", "codes.md"}
    for name in pictures:
        with Image.open(folder / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 5  # not blank
    report = json.loads(files["codes.json"])
    assert list(report["tables"]) == ["codes", "paths", "neighbours", "temperatures"]
    assert len(report["paths"]["z"]["jumps"]) == 2 and len(report["spectra"]["test"]) == 5
    for table in report["tables"].values():
        assert table["title"] in printed and table["title"] in files["codes.md"].decode()
    assert "codes,test,,,,numbers,value,5" in files["codes.csv"].decode()

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("evaluation.latent_space.decoded.decode_each", refuse)
    monkeypatch.setattr("evaluation.latent_space.projector.render_cloud", refuse)
    assert call(copied) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files


def test_an_analysis_run_alone_keeps_the_results_of_the_others(copied: Config, quick_pictures: None) -> None:
    assert call(copied, analyses="[table, temperatures]") == 0
    path = copied.experiment.analysis / "codes.json"
    before = json.loads(path.read_text())
    assert call(copied, analyses="[paths]", num_curve_shapes=3) == 0
    after = json.loads(path.read_text())
    assert list(after["tables"]) == ["codes", "paths", "temperatures"]
    assert {name: after["tables"][name] for name in before["tables"]} == before["tables"]
    assert after["spectra"] == before["spectra"] and "pairs" in after["paths"]
    assert after["parts"]["temperatures"]["made_of"]["options"]["num_curve_shapes"] == 4
    flow = best_checkpoint(copied.experiment.rnvp_checkpoints)
    torch.save(load_checkpoint(flow) | {"step": 99}, flow)
    assert call(copied, analyses="[projector]") == 0
    assert json.loads(path.read_text())["tables"] == {}  # of another flow


def test_projector_has_codes_names_and_thumbnails(copied: Config) -> None:
    call(copied, analyses="[projector]")
    call(copied, analyses="[projector]")  # takes the place of the first
    folder = copied.experiment.projector
    (found,) = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    assert list(found.sprite.single_image_dim) == [THUMBNAIL] * 2
    lines = (folder / found.metadata_path).read_text().splitlines()
    assert lines[0] == "name\tstyle\tsplit" and len(lines) == 1 + 9
    assert np.loadtxt(folder / found.tensor_path).shape == (9, 5)
    with Image.open(folder / found.sprite.image_path) as sprite:
        assert sprite.size == (3 * THUMBNAIL,) * 2
    assert not list(folder.parent.glob(".*"))
    assert json.loads((copied.experiment.analysis / "codes.json").read_text())["tables"] == {}


@pytest.mark.parametrize("kind", KINDS)
def test_codes_of_every_kind(kind: str, tmp_path: Path, quick_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "PICTURE_POINTS", 300)
    write_shapes(tmp_path, count=7, num_test=2)
    for n, folder in enumerate(sorted((tmp_path / "data").iterdir())):
        (folder / DEMO_PARAMETERS).write_text(json.dumps({"size": n + 0.5, "style": "ab"[n % 2]}))
    cfg = tiny_config(tmp_path, code_kind=kind, flow_steps=2, flow_val_every=2, **KINDS[kind])
    save_random_ndf(cfg)
    train_flow(cfg)
    assert call(cfg, code_kind=kind, num_curve_shapes=2, temperatures=[1.0], path_steps=2, **KINDS[kind]) == 0
    rows = json.loads((cfg.experiment.analysis / "codes.json").read_text())["tables"]["codes"]["rows"]
    assert rows[0]["code_kind"] == kind
    assert rows[0]["numbers"] == {"grid": 2 * 4**3, "fused": 8 * 4**3}[kind]
    assert rows[0]["dimensions_0.999"] <= 3  # of four training shapes
    tables = json.loads((cfg.experiment.analysis / "codes.json").read_text())["tables"]
    measured = [(row["set"], row["measure"]) for row in tables["attributes"]["rows"]]
    assert measured == [("size", "R2"), ("style", "balanced accuracy"), ("style", "AUC")]
    keys = [column.key for column in ATTRIBUTE_COLUMNS if column.spec and column.key != "base_rate"]
    assert np.isfinite([[row[key] for key in keys] for row in tables["attributes"]["rows"]]).all()
    assert [row["set"] for row in tables["attributes_sampled"]["rows"]] == ["size", "style", "style"]
