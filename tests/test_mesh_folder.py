"""Any layout of mesh files: which are found, and that each has a name of its own."""

import itertools
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import trimesh
from facts import naming, says

from dataprocessing import create_split, preprocess
from dataprocessing.extra_shapes import mesh_source
from dataprocessing.mesh_folder import mesh_name, path_below, shapes_below, stream_name, tell_others
from dataprocessing.shapes import shape_name
from lab.small.helpers import open_box, read_config, write_config, write_obj
from runtime.errors import UserError

FILES = {  # below a folder -> the name of its shape, and what its random numbers belong to
    "bus.obj": ("bus.obj", "bus"),
    "red car.STL": ("red car.STL", "red car"),
    "Größe 1.5.glb": ("Größe 1.5.glb", "Größe 1.5"),
    "sedans/a.ply": ("sedans__a.ply", "sedans__a"),
    "vans/a.ply": ("vans__a.ply", "vans__a"),
    "03f4/models/model_normalized.obj": ("03f4", "03f4"),
    "index.json/models/model_normalized.obj": ("index.json__models__model_normalized.obj", "index.json"),
    "index.json.obj": ("index.json.obj", "index.json"),
    "old/model.obj": ("old__model.obj", "old"),
    "model.obj": ("model.obj", "model"),
    "twin.obj": ("twin.obj", "twin"),
    "twin.off": ("twin.off", "twin"),
    "sedans__b.obj": ("sedans__b.obj~b93488bc", "sedans__b"),
    "sedans/b.obj": ("sedans__b.obj", "sedans__b"),
    "ids/model.obj": ("ids__model.obj", "ids"),
    "ids/model_normalized.obj": ("ids__model_normalized.obj", "ids"),
}
OTHERS = ["notes.txt", "car.mtl", ".hidden.obj", "._bus.obj", ".cache/x.obj", "03f4/models/model_normalized_scaled.off",
          "out/bus/dense_point_cloud.ply", "out/bus/mesh.ply"]  # fmt: skip


def fill(folder: Path) -> None:
    for name in [*FILES, *OTHERS]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_every_mesh_is_found_and_named_once(tmp_path: Path):
    fill(tmp_path)
    found = shapes_below(tmp_path, left_out=tmp_path / "out").shapes
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(FILES)
    below = [path_below(path, tmp_path) for path in found]
    assert {str(path): (mesh_name(path), stream_name(path)) for path in below} == FILES
    one = tmp_path / "vans" / "a.ply"
    assert mesh_name(path_below(one, one)) == "a.ply"


def test_no_two_paths_have_one_name():
    """Whatever the parts: underscores at their ends, generic ones, what looks like a digest or like another name."""
    parts = ["a", "_", "a_", "_a", "a__b", "models", "model_normalized.obj", "a.obj", "b.obj", "a__b.obj", "a~0123abcd"]
    paths = [PurePosixPath(*some) for length in (1, 2, 3, 4) for some in itertools.product(parts, repeat=length)]
    hashed = PurePosixPath(mesh_name(PurePosixPath("a__b.obj")), "models", "model_normalized.obj")
    meshes = {path for path in [*paths, hashed] if path.suffix == ".obj"}
    names = [mesh_name(path) for path in meshes]
    assert len(set(names)) == len(names)
    assert all("/" not in name and not name.startswith(".") and name != "models" for name in names)


def test_a_very_deep_folder_still_gives_a_name_that_a_disk_takes():
    deep = [PurePosixPath(*["ü" * 60] * 4, f"{n}.obj") for n in range(2)]
    for function in (mesh_name, stream_name):
        one, two = map(function, deep)
        assert one != two and max(len(one.encode()), len(two.encode())) <= 200
    assert mesh_name(PurePosixPath("v\udce9hicule.obj")) == "v\udce9hicule.obj"  # a name that is no text


def test_a_folder_without_meshes_says_what_it_holds(tmp_path: Path):
    with pytest.raises(UserError, match=naming(tmp_path, ".obj .ply .stl .glb .gltf .off")):
        shapes_below(tmp_path)
    for name in ("a.fbx", "b.FBX", "readme"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=naming("3 .fbx ending a.fbx Autodesk")):
        shapes_below(tmp_path)
    with pytest.raises(UserError, match=naming(tmp_path / "gone")):
        shapes_below(tmp_path / "gone")


def test_text_that_looks_like_points_is_told_with_what_to_do(tmp_path: Path, capsys):
    write_obj(tmp_path / "a.obj", *open_box(np.random.default_rng(0)))
    for name, text in {
        "scan.txt": "1.5 2 3 255\n" * 9,
        "b.CSV": "x;y;z\n" + "1;2;3\n" * 9,
        "notes.txt": "1. a b c\n" * 9,
        "short.txt": "1 2\n" * 9,
    }.items():
        (tmp_path / name).write_text(text)
    tell_others(shapes_below(tmp_path), tmp_path)
    told = capsys.readouterr().out
    assert says(told, "1 .csv three 1 .txt three .xyz 2 .txt") and "left out" not in told


def own_cars(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.obj", "b.obj", "x/a.obj", "y/deep er/a.obj"):
        write_obj(folder / name, *open_box(rng))
    trimesh.Trimesh(*open_box(rng), process=False).export(folder / "c.stl")
    (folder / "bad.obj").write_text("hello")


def test_steps_1_and_2_take_any_layout_and_write_nothing_beside_the_meshes(tmp_path: Path, capsys):
    own_cars(tmp_path / "data")
    before = sorted((tmp_path / "data").rglob("*"))
    options = ["--config", str(write_config(tmp_path, input_data_glob="any", up="z"))]
    assert preprocess.main(options) == 1
    assert says(capsys.readouterr().out, "5 ready")
    assert sorted((tmp_path / "data").rglob("*")) == before
    assert create_split.main(options) == 0
    with np.load(tmp_path / "split.npz") as file:
        folders = [Path(name) for part in ("train", "val", "test") for name in file[part]]
    assert {shape_name(folder) for folder in folders} == {"a.obj", "b.obj", "c.stl", "x__a.obj", "y__deep er__a.obj"}
    assert {folder.parent for folder in folders} == {tmp_path / "data_processed"}
    assert preprocess.main(options) == 1  # finished files are kept
    assert "0 files made" in capsys.readouterr().out


def test_up_turns_the_mesh_in_step_1(tmp_path: Path):
    vertices, faces = open_box(np.random.default_rng(0))
    write_obj(tmp_path / "data" / "y" / "model.obj", vertices, faces)
    write_obj(tmp_path / "data" / "z" / "model.obj", vertices @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]], faces)  # z up
    for name, up, front in (("y", "y", "-z"), ("z", "z", "y")):
        options = {"input_data_glob": f"/{name}/model.obj", "processed_dir": tmp_path / "out", "up": up, "front": front}
        assert preprocess.main(["--config", str(write_config(tmp_path, **options))]) == 0
    assert (tmp_path / "out/y/model_normalized_scaled.off").read_text() == (
        tmp_path / "out/z/model_normalized_scaled.off"
    ).read_text()


def test_extra_shapes_take_any_layout_too(tmp_path: Path):
    own_cars(tmp_path / "more")
    found = mesh_source(str(tmp_path / "more"), "any", {"b"})
    assert {shape.stream for shape in found.shapes} == {"a", "c", "x__a", "y__deep er__a", "bad"}
    assert {shape.name for shape in found.shapes} == {"a.obj", "c.stl", "x__a.obj", "y__deep er__a.obj", "bad.obj"}


def shapes_of(tmp_path: Path, **options: object) -> list[str]:
    """The names of the shapes that steps 1 and 2 give."""
    words = ["--config", str(write_config(tmp_path, input_data_glob="any", **options))]
    assert preprocess.main(words) == 0 and create_split.main(words) == 0
    with np.load(tmp_path / "split.npz") as file:
        return sorted(shape_name(folder) for part in ("train", "val", "test") for folder in file[part])


def test_a_deleted_mesh_and_one_in_another_format_leave_each_car_once(tmp_path: Path, capsys):
    rng = np.random.default_rng(0)
    for name in "abcdef":
        write_obj(tmp_path / "data" / f"{name}.obj", *open_box(rng))
    assert shapes_of(tmp_path) == [f"{name}.obj" for name in "abcdef"]
    trimesh.Trimesh(*open_box(rng), process=False).export(tmp_path / "data" / "a.stl")
    (tmp_path / "data" / "a.obj").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "data_processed" / "b.obj").iterdir()}
    capsys.readouterr()
    assert shapes_of(tmp_path) == ["a.stl", *(f"{name}.obj" for name in "bcdef")]
    assert says(capsys.readouterr().out, "1 meshes", tmp_path / "data")
    assert (tmp_path / "data_processed" / "a.obj" / "uniform_samples.npz").is_file()  # nothing is deleted
    assert {path: path.read_bytes() for path in before} == before
    shutil.rmtree(tmp_path / "data")  # the data are away, not deleted one by one: all shapes count
    assert create_split.main(["--config", str(tmp_path / "config.txt")]) == 0
    assert says(capsys.readouterr().out, 7)


def test_folders_that_an_earlier_version_named_stay_in_use(tmp_path: Path, capsys):
    own_cars(tmp_path / "data")
    (tmp_path / "data" / "bad.obj").unlink()
    new = shapes_of(tmp_path)
    former = {"a.obj": "a", "b.obj": "b", "c.stl": "c", "x__a.obj": "x__a", "y__deep er__a.obj": "y__deep er__a"}
    for name in new:
        folder = (tmp_path / "data_processed" / name).rename(tmp_path / "data_processed" / former[name])
        (folder / "made_of.json").unlink()
    capsys.readouterr()
    assert shapes_of(tmp_path) == sorted(former.values())
    assert "0 files made, 0 made again" in capsys.readouterr().out
    write_obj(tmp_path / "data" / "a.ply.obj", *open_box(np.random.default_rng(1)))
    (tmp_path / "data" / "a.obj").rename(tmp_path / "data" / "a.off.obj")
    (tmp_path / "data" / "b.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    assert shapes_of(tmp_path) == sorted({*former.values(), "a.ply.obj", "a.off.obj", "b.off"} - {"a"})


def test_two_meshes_of_one_folder_are_told_of_any(tmp_path: Path):
    own_cars(tmp_path / "data")
    with pytest.raises(UserError, match=naming("a.obj b.obj input_data_glob any")):
        preprocess.main(["--config", str(write_config(tmp_path, input_data_glob="/[ab].obj"))])
    assert read_config(tmp_path, input_data_glob="any").data.input_data_glob == "any"


def test_what_was_made_of_a_mesh_counts_only_where_the_mesh_is_gone(tmp_path: Path):
    for name in ("a/model.obj", "a/model_scaled.off", "b/model_scaled.off", "c/voxelized_point_cloud_9res_5points.npz",
                 "a/voxelized_point_cloud_9res_5points.npz", "c/boundary_0.1_samples.npz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = shapes_below(tmp_path, clouds=True)
    assert [path.relative_to(tmp_path).as_posix() for path in found.shapes] == [
        "a/model.obj", "b/model_scaled.off", "c/voxelized_point_cloud_9res_5points.npz"
    ]  # fmt: skip
    assert sum(found.no_shapes.values()) == 3


def test_what_shapenet_has_beside_its_meshes_is_known(tmp_path: Path):
    for name in ("models/model_normalized.obj", "models/model_normalized.json", "models/model_normalized.mtl",
                 "models/model_normalized.solid.binvox", "models/model_normalized.surface.binvox",
                 "images/texture0.jpg"):  # fmt: skip
        (tmp_path / "1a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "1a" / name).write_text("x")
    found = shapes_below(tmp_path)
    assert len(found.shapes) == 1 and not found.unknown and not found.left_out
    assert sum(found.no_shapes.values()) == 5
