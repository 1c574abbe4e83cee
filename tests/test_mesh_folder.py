"""Any layout of mesh files: which are found, and that each has a name of its own."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers import open_box, read_config, write_config, write_obj

from configs.errors import UserError
from dataprocessing import create_split, preprocess
from dataprocessing.extra_shapes import mesh_source
from dataprocessing.mesh_folder import meshes_below, names_of
from dataprocessing.shapes import shape_name

FILES = {  # below a folder -> the name of its shape
    "bus.obj": "bus",
    "red car.STL": "red car",
    "Größe 1.5.glb": "Größe 1.5",
    "sedans/a.ply": "sedans__a",
    "vans/a.ply": "vans__a",
    "03f4/models/model_normalized.obj": "03f4",
    "old/model.obj": "old",
    "model.obj": "model",
    "twin.obj": "twin.obj",
    "twin.off": "twin.off",
    "Twin.stl": "Twin.stl",
    "sedans__b.obj": "sedans__b.obj_2",
    "sedans/b.obj": "sedans__b.obj",
    "ids/model.obj": "ids__model.obj",
    "ids/model_normalized.obj": "ids__model_normalized.obj",
}
OTHERS = ["notes.txt", "car.mtl", ".hidden.obj", "._bus.obj", ".cache/x.obj", "03f4/models/model_normalized_scaled.off",
          "out/bus/dense_point_cloud.ply", "out/bus/mesh.ply"]  # fmt: skip


def fill(folder: Path) -> None:
    for name in [*FILES, *OTHERS]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_every_mesh_is_found_and_named_once(tmp_path: Path):
    fill(tmp_path)
    found = meshes_below(tmp_path, left_out=tmp_path / "out")
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(FILES)
    names = {path.relative_to(tmp_path).as_posix(): name for path, name in names_of(found, tmp_path).items()}
    assert names == FILES
    assert len({name.casefold() for name in names.values()}) == len(FILES)
    assert names_of([tmp_path / "vans" / "a.ply"], tmp_path / "vans" / "a.ply").popitem()[1] == "a"


def test_a_very_deep_folder_still_gives_a_name_that_a_disk_takes(tmp_path: Path):
    deep = [tmp_path.joinpath(*["ü" * 60] * 4, f"{n}.obj") for n in range(2)]
    one, two = names_of(deep, tmp_path).values()
    assert one != two and max(len(one.encode()), len(two.encode())) <= 200


def test_a_folder_without_meshes_says_what_it_holds(tmp_path: Path):
    with pytest.raises(UserError, match=r"no mesh in .*: nothing found, .obj, .ply, .stl, .glb, .gltf, .off expected"):
        meshes_below(tmp_path)
    for name in ("a.fbx", "b.FBX", "readme"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=r"3 files \(.fbx, no ending\) found"):
        meshes_below(tmp_path)
    with pytest.raises(UserError, match=r"no folder or file .*gone; give the folder"):
        meshes_below(tmp_path / "gone")


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
    assert "5 shapes are ready" in capsys.readouterr().out
    assert sorted((tmp_path / "data").rglob("*")) == before
    assert create_split.main(options) == 0
    with np.load(tmp_path / "split.npz") as file:
        folders = [Path(name) for part in ("train", "val", "test") for name in file[part]]
    assert {shape_name(folder) for folder in folders} == {"a", "b", "c", "x__a", "y__deep er__a"}
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
    assert {shape.name for shape in found.shapes} == {"a", "c", "x__a", "y__deep er__a", "bad"}


def test_two_meshes_of_one_folder_are_told_of_any(tmp_path: Path):
    own_cars(tmp_path / "data")
    with pytest.raises(UserError, match=r"a.obj and b.obj are both in .*or to any for all"):
        preprocess.main(["--config", str(write_config(tmp_path, input_data_glob="/[ab].obj"))])
    assert read_config(tmp_path, input_data_glob="any").input_data_glob == "any"
