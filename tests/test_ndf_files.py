"""Files of NDF's scripts: float64, no record, the scaled mesh named after the mesh, looking where the meshes look."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from facts import naming, says

import evaluate
import generate
from configs.options import Config
from dataprocessing import create_split, preprocess
from dataprocessing.convert_to_scaled_off import write_off
from dataprocessing.distances import unsigned_distance
from dataprocessing.frames import turn_of
from dataprocessing.mesh_io import Mesh
from dataprocessing.ndf_files import input_cloud_file, scaled_mesh_file, turn_at_loading, turning_sentence
from dataprocessing.shapes import find_shapes, shape_name
from dataprocessing.split import load_split, split_folders
from dataprocessing.stored_points import read_input_cloud, read_turned, shape_digests
from dataprocessing.surface import sample_surface, scaled_mesh, surface_points
from lab.small.helpers import open_box, read_config, times, write_config, write_obj
from lab.small.tiny_experiment import TINY, save_random_ndf, tiny_config, train_flow
from runtime.errors import UserError
from runtime.layout import SCALED_MESH, boundary_samples, voxelized_point_cloud
from training.encoding import facts_of
from training.shape_samples import read_samples

LAYOUTS = {"v1": ("", "model"), "v2": ("models", "model_normalized")}  # below the shape's folder: where, which name
GLOBS = {"v1": "/*/model.obj", "v2": "/*/models/model_normalized.obj"}
SIGMAS = (0.08, 0.003)
OF_NDF = {"uniform_ratio": 0, "gap_ratio": 0}
POINTS = 53


def car(rng: np.random.Generator) -> Mesh:
    """An open box of the length 1, centred, that looks along +x: there stands a sheet across."""
    vertices, faces = open_box(rng)
    vertices = (vertices - vertices.min(0)) / np.ptp(vertices, axis=0) * [0.9, rng.uniform(0.2, 0.4), 0.3]
    front = np.array([[1, 0, 0], [1, 0, 0.3], [1, 0.1, 0.15]])
    vertices, faces = np.concatenate([vertices, front]), np.concatenate([faces, np.arange(3)[None] + len(vertices)])
    return Mesh(vertices - (vertices.min(0) + vertices.max(0)) / 2, faces)


def write_ndfs(folder: Path, name: str, mesh: Mesh, rng: np.random.Generator, points: int = POINTS) -> None:
    """What NDF's three scripts write beside NAME.obj."""
    write_obj(folder / f"{name}.obj", 7 * mesh.vertices + 3, mesh.faces)
    write_off(folder / f"{name}_scaled.off", mesh)
    write_cloud(folder, mesh, rng, points)
    for sigma in SIGMAS:
        near = sample_surface(mesh, 301, rng) + sigma * rng.standard_normal((301, 3))
        df = unsigned_distance(*mesh, near.astype(np.float32)).astype(float)
        np.savez(folder / boundary_samples(sigma), points=near, df=df, grid_coords=2 * near[:, ::-1])


def write_cloud(folder: Path, mesh: Mesh, rng: np.random.Generator, points: int = POINTS, res: int = 9) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cloud = sample_surface(mesh, points, rng)
    nodes = np.zeros((res,) * 3, bool)
    nodes[tuple(np.rint((cloud + 0.5) * (res - 1)).astype(int).clip(0, res - 1).T)] = True
    arrays = {"compressed_occupancies": np.packbits(nodes), "bb_min": -0.5, "bb_max": 0.5, "res": res}
    path = folder / voxelized_point_cloud(res, points)
    np.savez(path, point_cloud=cloud, **arrays)
    return path


def write_data(root: Path, layout: str, count: int = 1) -> list[Path]:
    rng = np.random.default_rng(5)
    below, name = LAYOUTS[layout]
    folders = [root / "data" / f"{n:x}0c1" / below for n in range(count)]
    for folder in folders:
        write_ndfs(folder, name, car(rng), rng)
    return folders


def config(root: Path, layout: str = "v1", **options: object) -> Config:
    return read_config(root, input_data_glob=GLOBS[layout], input_res=9, num_points=POINTS, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """That of one shape, in the layout of ShapeNet v1."""
    return write_data(tmp_path, "v1")[0]


@pytest.mark.usefixtures("coarse_lattice", "no_pictures", "no_plots")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_step_works_on_them(tmp_path: Path, layout: str, capsys: pytest.CaptureFixture):
    folders = write_data(tmp_path, layout, 9)
    before = times(tmp_path / "data")
    options = TINY | OF_NDF | {"input_data_glob": GLOBS[layout], "input_res": 9, "n_val": 1, "n_test": 2, "front": "x"}
    config = ["--config", str(write_config(tmp_path, **options))]
    assert create_split.main(config) == 0
    assert says(capsys.readouterr().out, "train 6 val 1 test 2 9 0 left out", "shapes 9 turned up y front x")
    cfg = tiny_config(tmp_path, **options)
    batch = read_samples(folders[0], cfg)
    assert [len(points) for points, _ in batch["sets"]] == [301, 301]
    save_random_ndf(cfg)
    train_flow(cfg)
    assert generate.main([*config, "--mode", "reconstruct"]) == 0
    assert not says(capsys.readouterr().err, "true surfaces")
    assert generate.main([*config, "--num_shapes", "1"]) == 0
    assert evaluate.main([*config, "--num_eval_shapes", "2", "--tasks", "reconstruction", "likelihood"]) == 0
    assert "true surface drawn twice" in capsys.readouterr().out
    assert times(tmp_path / "data") == before


def test_a_split_lists_what_can_be_trained_on(tmp_path: Path):
    folders = write_data(tmp_path, "v2", 3)
    (folders[1] / boundary_samples(0.003)).unlink()
    (folders[2] / "model_normalized_scaled.off").unlink()  # not needed for training
    found = find_shapes(config(tmp_path, "v2"))
    assert (found.folders, found.lacking) == ([folders[0], folders[2]], 1)
    (folders[0] / "uniform_samples.npz").touch()  # then they are no longer as NDF's scripts leave them
    assert find_shapes(config(tmp_path, "v2")).folders == [folders[2]]


def test_samples_that_ndf_does_not_make_are_told_of_with_their_option(tmp_path: Path, folder: Path):
    named = {"uniform_ratio": "uniform_samples.npz", "gap_ratio": "gap_samples.npz", "sharp_ratio": "sharp_samples.npz"}
    for option, name in named.items():
        with pytest.raises(UserError, match=naming(folder / name, option, 0, "preprocess.py")):
            read_samples(folder, config(tmp_path, **(OF_NDF | {option: 0.1, "num_sharp_samples": 9})))


def test_the_scaled_mesh_has_any_of_ndfs_names_and_ours_first(tmp_path: Path, folder: Path):
    data = config(tmp_path).data
    assert scaled_mesh_file(folder) == folder / "model_scaled.off"
    assert surface_points(folder, 7, 0, data).shape == (7, 3)
    write_off(folder / "other_scaled.off", scaled_mesh(folder, data))
    with pytest.raises(UserError, match=naming("model_scaled.off other_scaled.off")):
        scaled_mesh(folder, data)
    write_off(folder / SCALED_MESH, car(np.random.default_rng(1)))
    assert scaled_mesh_file(folder) == folder / SCALED_MESH
    for path in folder.glob("*.off"):
        path.unlink()
    with pytest.raises(UserError, match=naming(folder / SCALED_MESH, "_scaled.off", "true surface", "preprocess.py")):
        scaled_mesh(folder, data)


def test_further_draws_of_codes_need_it(tmp_path: Path, folder: Path):
    cfg = config(tmp_path, code_draws=2)
    one, other = (facts_of("train", [folder], cfg.changed(front=front), "sha") for front in ("-z", "x"))
    assert one["scaled_meshes"] == other["scaled_meshes"] and one["shapes"] != other["shapes"]
    (folder / "model_scaled.off").unlink()
    with pytest.raises(UserError, match=naming(folder, "code_draws 2 --code_draws 1 preprocess.py")):
        facts_of("train", [folder], cfg, "sha")
    facts_of("train", [folder], cfg.changed(code_draws=1), "sha")


def test_they_are_turned_at_loading_and_their_distances_stay_true(tmp_path: Path, folder: Path):
    plain, turned = config(tmp_path, **OF_NDF), config(tmp_path, **OF_NDF, front="x")
    before, after = scaled_mesh(folder, plain.data), scaled_mesh(folder, turned.data)
    turn = turn_of("y", "x")
    np.testing.assert_array_equal(after.vertices, before.vertices @ turn.T)
    assert after.vertices[after.faces[-1], 2] == pytest.approx(-0.5)  # the sheet in front: at -z
    np.testing.assert_array_equal(read_input_cloud(folder, turned), read_input_cloud(folder, plain) @ turn.T)
    assert unsigned_distance(*after, read_input_cloud(folder, turned)).max() < 1e-6
    samples = read_samples(folder, turned)
    np.testing.assert_array_equal(samples["cloud"], read_input_cloud(folder, turned))
    for points, df in samples["sets"]:
        np.testing.assert_allclose(unsigned_distance(*after, points), df, atol=1e-6)
        assert unsigned_distance(*before, points).mean() > df.mean() + 1e-3
    assert shape_digests([folder], turned) != shape_digests([folder], plain)  # so all that is made of them follows


def test_ours_are_never_turned_again(tmp_path: Path):
    rng = np.random.default_rng(3)
    write_obj(tmp_path / "data" / "a" / "model.obj", *car(rng))
    words = ["--config", str(write_config(tmp_path, input_data_glob=GLOBS["v1"], input_res=9, front="x"))]
    assert preprocess.main(words) == 0
    folder = tmp_path / "data" / "a"
    cfg = config(tmp_path, front="x")
    assert turn_at_loading(folder, cfg.data) is None
    np.testing.assert_array_equal(
        read_input_cloud(folder, cfg), np.load(folder / voxelized_point_cloud(9, POINTS))["point_cloud"]
    )
    assert turning_sentence([folder], cfg.data) == ""
    (folder / "made_of.json").unlink()  # as those of an earlier version, which kept no record: float32
    assert turn_at_loading(folder, cfg.data) is None
    assert says(turning_sentence([folder], cfg.data), "shapes 1 taken as turned already")
    assert turning_sentence([folder], config(tmp_path).data) == ""
    write_cloud(folder, car(rng), rng)
    assert turn_at_loading(folder, cfg.data) is not None


def test_axes_that_are_to_be_found_out_are_asked_for(tmp_path: Path, folder: Path):
    for axes in ({"front": "auto"}, {"up": "auto"}):
        data = dataclasses.replace(config(tmp_path).data, **axes)
        with pytest.raises(UserError, match=naming(folder, "auto --up --front preprocess.py")):
            turn_at_loading(folder, data)


@pytest.mark.parametrize("front", ["-z", "x"])
def test_preprocessing_takes_them_only_where_nothing_is_to_be_turned(tmp_path: Path, folder: Path, front: str, capsys):
    options = {"input_data_glob": GLOBS["v1"], "input_res": 9, "front": front, "grid_coords": False}
    before = times(folder, "*.npz")
    assert preprocess.main(["--config", str(write_config(tmp_path, **options))]) == 0
    kept = [name for name, time in times(folder, "*.npz").items() if before.get(name) == time]
    assert sorted(kept) == ([] if front == "x" else sorted(before))
    assert says(capsys.readouterr().out, 'front "-z" -> "x"') == (front == "x")
    cfg = config(tmp_path, front=front)
    mesh = scaled_mesh(folder, cfg.data)
    for path in folder.glob("*_samples.npz"):
        points, df = read_turned(path, cfg.data, "points", "df")
        np.testing.assert_allclose(unsigned_distance(*mesh, points), df, atol=1e-6)
    assert unsigned_distance(*mesh, read_input_cloud(folder, cfg)).max() < 1e-6
    assert (mesh.vertices[mesh.faces[-1], 2 if front == "x" else 0] == pytest.approx(-0.5)) == (front == "x")


def test_a_cloud_of_another_name_is_read_where_its_points_suffice(tmp_path: Path, folder: Path):
    cfg = config(tmp_path)
    own = read_input_cloud(folder, cfg)
    other = cfg.changed(input_res=11)  # the network's grid is made of the points, whatever the file's is
    np.testing.assert_array_equal(read_input_cloud(folder, other), own)
    write_cloud(folder, scaled_mesh(folder, cfg.data), np.random.default_rng(2), points=97)
    few = cfg.changed(num_points=31)
    np.testing.assert_array_equal(read_input_cloud(folder, few), own[:31])
    assert input_cloud_file(folder, cfg.changed(num_points=54).grid).name == voxelized_point_cloud(9, 97)
    with pytest.raises(UserError, match=naming(folder / voxelized_point_cloud(9, 97), 98, "--num_points 97")):
        read_input_cloud(folder, cfg.changed(num_points=98))
    path = folder / voxelized_point_cloud(9, POINTS)
    np.savez(path, point_cloud=np.load(path)["point_cloud"][:-1])
    with pytest.raises(UserError, match=naming(path, POINTS - 1, POINTS)):  # fewer than its name says
        read_input_cloud(folder, cfg)
    (folder / "made_of.json").write_text('{"mesh": {"of": {}, "files": []}}')  # ours: preprocess.py makes what is asked
    with pytest.raises(UserError, match=naming(folder / voxelized_point_cloud(9, 31), "preprocess.py")):
        read_input_cloud(folder, few)


@pytest.mark.parametrize("below", ["", "a1", "a1/models", "02958343/a1", "02958343/a1/models"])
def test_a_cloud_alone_is_a_shape(tmp_path: Path, below: str, capsys: pytest.CaptureFixture):
    rng = np.random.default_rng(6)
    mesh = car(rng)
    path = write_cloud(tmp_path / "data" / below, mesh, rng)
    cfg = read_config(tmp_path, split_file="none", input_res=16, num_points=POINTS)
    (folder,) = split_folders(cfg, needed=["test"])["test"]
    assert folder == path.parent and shape_name(folder) == ("a1" if below else "data")
    assert says(capsys.readouterr().err, "note:") == (below != "a1/models")
    np.testing.assert_array_equal(read_input_cloud(folder, cfg), np.load(path)["point_cloud"].astype(np.float32))
    with pytest.raises(UserError, match=naming("boundary_0.08_samples.npz")):
        find_shapes(cfg)
    np.savez(tmp_path / "split.npz", train=[], val=[], test=[str(folder)])
    assert load_split(tmp_path / "split.npz", tmp_path / "data")["test"] == [folder]


@pytest.mark.usefixtures("coarse_lattice", "no_pictures")
def test_a_cloud_alone_is_reconstructed_and_its_points_are_shown(root: Path, tmp_path: Path, monkeypatch, capsys):
    rng = np.random.default_rng(7)
    write_cloud(tmp_path / "data" / "b2", car(rng), rng)
    shown: list = []
    monkeypatch.setattr("generation.showcase.draw_shapes", lambda rows, path, *_: shown.extend(rows) or path.touch())
    words = ["--mode", "reconstruct", "--split_file", "none", "--data_dir", str(tmp_path / "data")]
    config = ["--config", tiny_config(root).run.config, "--out", str(tmp_path / "out")]
    assert generate.main([*config, *words]) == 0
    assert (tmp_path / "out" / "b2" / "dense_point_cloud.npz").is_file()
    assert says(capsys.readouterr().err, "no true surfaces", tmp_path / "data" / "b2" / SCALED_MESH)
    assert "input points" in shown[0].label and shown[0].shapes[0].shape == (POINTS, 3)
