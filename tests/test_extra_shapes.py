"""Shapes beyond the split's: which are found, under which names, and which are refused or left out."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from facts import naming, says

from dataprocessing import extra_shapes
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.extra_shapes import ExtraShape, describe, extra_cloud, find_extras, mesh_source
from dataprocessing.mesh_io import load_mesh
from lab.small.helpers import open_box, read_config, write_obj
from runtime.errors import UserError


def split_of(*names: str) -> dict[str, list[Path]]:
    return {"train": [], "val": [], "test": [Path("data") / name / "models" for name in names]}


def facts_of(cfg, *names: str) -> list[dict]:
    return [source.facts for source in find_extras(cfg, split_of(*names))]


def test_there_are_none_by_default(tmp_path: Path):
    assert find_extras(read_config(tmp_path), split_of("a")) == []
    assert describe([]) == "no extra shapes"


def test_cars_of_a_seed_in_the_split_are_refused(tmp_path: Path):
    cfg = read_config(tmp_path, extra_demo_cars=2, extra_demo_seed=10)
    (source,) = find_extras(cfg, split_of("demo_s1_00000", "demo_s100_00000"))
    assert [shape.name for shape in source.shapes] == ["demo_s10_00000", "demo_s10_00001"]
    with pytest.raises(UserError, match=naming("10 demo_s10_00007")):
        find_extras(cfg, split_of("demo_s1_00000", "demo_s10_00007"))


def test_a_car_does_not_depend_on_how_many_are_asked_for(tmp_path: Path):
    few, many = (find_extras(read_config(tmp_path, extra_demo_cars=count), split_of())[0].shapes for count in (2, 5))
    assert many[:2] == few
    clouds = [extra_cloud(shape, read_config(tmp_path)) for shape in many]
    assert all(cloud.shape == (53, 3) and cloud.dtype == np.float32 for cloud in clouds)
    assert len({cloud.tobytes() for cloud in clouds}) == 5
    assert extra_cloud(many[0], read_config(tmp_path, seed=1)).tobytes() != clouds[0].tobytes()


def test_meshes_are_named_as_in_preprocessing_and_those_of_the_split_left_out(meshes: list[Path], tmp_path: Path):
    cfg = read_config(tmp_path, extra_data_dir=tmp_path / "data", extra_demo_cars=3)
    demo, source = find_extras(cfg, split_of("car1", "car4"))
    assert source.shapes == [ExtraShape(f"car{i}", str(meshes[i]), stream=f"car{i}") for i in (0, 2, 3)]
    assert says(describe([demo.facts, source.facts]), "3 demo cars 1000 3 meshes", tmp_path / "data")
    assert facts_of(cfg, "car1", "car4") == [demo.facts, source.facts] != facts_of(cfg, "car1", "car3")
    cloud = extra_cloud(source.shapes[0], cfg)
    vertices = scale_mesh(load_mesh(meshes[0])).vertices
    assert np.all((vertices.min(axis=0) - 1e-6 < cloud) & (cloud < vertices.max(axis=0) + 1e-6))
    with pytest.raises(UserError, match=naming("5 extra_data_dir")):
        find_extras(cfg, split_of(*(f"car{i}" for i in range(5))))


def test_meshes_of_one_folder_are_named_by_their_files(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name in ("b", "a"):
        write_obj(tmp_path / "more" / f"{name}.obj", *open_box(rng))
    found = mesh_source(str(tmp_path / "more"), "*.obj", set())
    assert [(shape.name, shape.stream) for shape in found.shapes] == [("a.obj", "a"), ("b.obj", "b")]
    (tmp_path / "more" / "a.off").write_text("OFF")
    (tmp_path / "more" / "a.mtl").write_text("no mesh")
    assert [shape.name for shape in mesh_source(str(tmp_path / "more"), "/*", set()).shapes] == [
        "a.obj",
        "a.off",
        "b.obj",
    ]
    for name in ("x/below/one", "x/below/two", "y/below/one"):
        write_obj(tmp_path / "more" / f"{name}.obj", *open_box(rng))
    found = mesh_source(str(tmp_path / "more"), "/*/*/*.obj", set())
    names = ["x__below__one.obj", "x__below__two.obj", "y__below__one.obj"]
    assert [(shape.name, shape.stream) for shape in found.shapes] == [(name, "below") for name in names]
    with pytest.raises(UserError, match=naming("3 extra_data_dir")):  # the folders' names, as step 1 gives
        mesh_source(str(tmp_path / "more"), "/*/*/*.obj", {"below"})


def test_a_folder_without_meshes_is_told(tmp_path: Path):
    with pytest.raises(UserError, match=naming("extra_data_dir", tmp_path / "gone")):
        mesh_source(str(tmp_path / "gone"), "*", set())
    with pytest.raises(UserError, match=naming("extra_data_dir", tmp_path, "extra_data_glob '/*/x.obj'")):
        mesh_source(str(tmp_path), "/*/x.obj", set())


def test_a_broken_mesh_is_a_line_that_says_why(tmp_path: Path):
    (tmp_path / "empty.obj").write_text("")
    (tmp_path / "odd.ply").write_text("ply")
    cfg = read_config(tmp_path)
    assert extra_cloud(ExtraShape("empty", str(tmp_path / "empty.obj")), cfg).startswith("empty")
    assert says(extra_cloud(ExtraShape("odd", str(tmp_path / "odd.ply")), cfg), "mesh")


def test_a_mesh_whose_disk_is_away_is_not_left_out_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `extra_cloud` says of a broken mesh is kept with the codes, and not tried again."""

    def away(path: str) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)

    monkeypatch.setattr(extra_shapes, "load_mesh", away)
    with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
        extra_cloud(ExtraShape("a", str(tmp_path / "a.obj")), read_config(tmp_path))
