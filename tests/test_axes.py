"""Axes of each mesh in whole steps: found or from the table, they decide what up and front decide, and are told."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from car_like import car, joined
from facts import naming, says
from test_axes_table import table
from test_pose import in_axes
from test_preprocess import preprocess
from test_preprocess_again import counts

from configs.options import Config, Data
from dataprocessing import own_meshes, shape_files
from dataprocessing.axes import Axes, axes_of, fixed_axes, lines_of_found
from dataprocessing.extra_shapes import extra_cloud, find_extras
from dataprocessing.frames import frame_of_matrix
from dataprocessing.mesh_io import Mesh, load_mesh
from lab.small.helpers import read_config, write_obj
from runtime.errors import UserError
from training.extra_codes import extra_facts

TURNS = {"a.obj": ("y", "-z"), "sub/b.obj": ("z", "x"), "sub/c.obj": ("-x", "z")}
BOTH_AUTO = Data(up="auto")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Three cars, each in other axes."""
    for n, (name, axes) in enumerate(TURNS.items()):
        mesh = in_axes(Mesh(car().vertices * [1, 1 + 0.05 * n, 1], car().faces), *axes)
        write_obj(tmp_path / "data" / name, mesh.vertices, mesh.faces)
    return tmp_path / "data"


def all_rows(folder: Path, **others: tuple[str, str]) -> str:
    return table(folder, *(f"{name},{up},{front}" for name, (up, front) in (TURNS | others).items()))


def test_axes_are_those_of_the_row_then_of_the_options_then_found(tmp_path: Path):
    mesh, name = in_axes(car(), "z", "x"), PurePosixPath("car.obj")
    assert axes_of(mesh, name, Data(up="x", front="y")) == Axes("x", "y")
    assert axes_of(mesh, name, Data(up="z")) == Axes("z", "-y")
    assert axes_of(mesh, name, BOTH_AUTO) == axes_of(mesh, name, Data(up="z", front="auto")) == Axes("z", "x", True)
    path = table(tmp_path, "car.obj,-z,y", "*.obj,auto,-x")
    assert axes_of(mesh, name, Data(up="auto", axes_file=path)) == Axes("-z", "y")
    odd = axes_of(mesh, PurePosixPath("other.obj"), Data(axes_file=path))
    assert (odd.up, odd.front, odd.found) == ("z", "-x", True)


def test_doubts_are_told_with_what_to_type():
    axes = {f"{n}.obj": Axes("z", "x", True, "front may be -x (40 %)") for n in range(9)}
    lines = lines_of_found({**axes, "u.obj": Axes("y", "-z", True), "given.obj": Axes("x", "y")})
    assert says(lines[0], "z x", 9, "0.obj") and says(lines[1], "y -z", 1, "u.obj") and "given" not in str(lines)
    assert says(lines[2], "0.obj", "-x") and says(lines[-2], 4)
    assert says(lines[-1], "--up --front --axes_file")
    assert lines_of_found({"given.obj": Axes("x", "y")}) == []
    ball = Mesh(np.random.default_rng(0).standard_normal((900, 3)), np.arange(900).reshape(300, 3))
    assert says(axes_of(ball, PurePosixPath("ball.obj"), BOTH_AUTO).doubts, "side to side", "high as long")


def test_a_scan_needs_axes_that_are_named():
    assert fixed_axes(Data(up="z"), "it") == ("z", "-y")
    for data in (BOTH_AUTO, Data(front="auto")):
        with pytest.raises(UserError, match=naming("auto --up")):
            fixed_axes(data, "it")


@pytest.mark.parametrize("by", ["auto", "table"])
def test_own_meshes_of_mixed_axes_come_into_one(mixed: Path, tmp_path: Path, by: str, capsys):
    options = {"up": "auto"} if by == "auto" else {"axes_file": all_rows(tmp_path, **{"no/d.obj": ("x", "y")})}
    cfg = read_config(tmp_path, own_meshes=mixed, **options)
    own = own_meshes.read_own_meshes(cfg, tmp_path / "out")
    for one, facts in zip(own.meshes, own.facts(), strict=True):
        name = facts["mesh"]
        assert (facts["up"], facts["front"]) == TURNS[name]
        unit = frame_of_matrix(np.array(facts["own_from_unit"])).to_unit(load_mesh(one.path).vertices)
        low, high = unit.min(axis=0), unit.max(axis=0)
        assert high - low == pytest.approx([1.7 / 4.1, 1.5 / 4.1 * (1 + 0.05 * list(TURNS).index(name)), 1], abs=0.01)
        assert (unit[unit[:, 1] > high[1] - 0.01, 2] > -0.05).all()  # the roof is to the rear
        surface = own_meshes.true_surface(one, 500, cfg)
        assert (surface.min(axis=0) >= low - 1e-6).all() and (surface.max(axis=0) <= high + 1e-6).all()
    own_meshes.tell_axes_and_scale(own)
    told = capsys.readouterr().out
    assert says(told, "up front", 1, "sub/b.obj") if by == "auto" else says(told, "no/d.obj", 3)


def test_notes_on_sizes_come_with_own_meshes_and_with_step_1(mixed: Path, tmp_path: Path, capsys):
    far = load_mesh(mixed / "a.obj")
    write_obj(mixed / "a.obj", *joined(far, Mesh(1e-3 * far.vertices[:3] + 1e6, np.array([[0, 1, 2]]))))
    cfg = read_config(tmp_path, own_meshes=mixed)
    own_meshes.tell_axes_and_scale(own_meshes.read_own_meshes(cfg, tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and says(lines[0], "a.obj", "times 99 %")
    assert says(lines[1], "sub/b.obj", "longest side x", "--up z --front x?")
    assert preprocess(tmp_path, input_data_glob="any", up="auto") == 0
    told = capsys.readouterr().out
    assert says(told, "a.obj", "times 99 %", "axes found") and "longest" not in told


def test_step_1_looks_for_axes_once_and_makes_again_what_has_other_ones(
    mixed: Path, tmp_path: Path, capsys, monkeypatch
):
    options = {"input_data_glob": "any"}
    assert preprocess(tmp_path, up="auto", **options) == 0
    assert counts(capsys) == (18, 0, 0)
    for name in TURNS:
        unit = load_mesh(tmp_path / "data_processed" / name.replace("/", "__") / "model_normalized_scaled.off").vertices
        assert (unit[unit[:, 1] > unit[:, 1].max() - 0.01, 2] > -0.05).all()
    with monkeypatch.context() as patch:
        patch.setattr(shape_files, "load_mesh", None)
        assert preprocess(tmp_path, up="auto", **options) == 0
        assert counts(capsys) == (0, 0, 18)
        assert preprocess(tmp_path, axes_file=all_rows(tmp_path), **options) == 0  # the same, named
        assert counts(capsys) == (0, 0, 18)
    other = all_rows(tmp_path, **{"sub/c.obj": ("-x", "-z")})
    assert preprocess(tmp_path, axes_file=other, **options) == 0
    assert counts(capsys, '"z" -> "-z"') == (0, 6, 12)
    assert preprocess(tmp_path, up="auto", **options) == 0
    assert counts(capsys, '"-z" -> "z"') == (0, 6, 12)
    mesh = in_axes(car(), "z", "-x")
    write_obj(mixed / "sub" / "b.obj", mesh.vertices, mesh.faces)  # another mesh, in other axes
    assert preprocess(tmp_path, up="auto", **options) == 0
    assert counts(capsys) == (0, 6, 12)
    (mixed / "a.obj").write_text("hello")
    assert preprocess(tmp_path, up="auto", **options) == 1
    assert says(capsys.readouterr().out, "a.obj", "1 meshes failed")


def test_extra_meshes_have_axes_too_and_the_table_decides_those_it_names(mixed: Path, tmp_path: Path):
    cfg = read_config(tmp_path, extra_data_dir=mixed, extra_data_glob="any")

    def clouds(cfg: Config) -> list[np.ndarray]:
        return [extra_cloud(shape, cfg) for source in find_extras(cfg, {}) for shape in source.shapes]

    named = cfg.changed(axes_file=all_rows(tmp_path))
    found, given, plain = clouds(cfg.changed(up="auto")), clouds(named), clouds(cfg)
    assert all(np.array_equal(*both) for both in zip(found, given, strict=True))
    assert [np.array_equal(*both) for both in zip(plain, given, strict=True)] == [True, False, False]
    before, after = (extra_facts(find_extras(one, {}), one, "sha") for one in (cfg, named))
    assert before["options"] == after["options"]
    changed = {name for name, digest in before["shapes"].items() if after["shapes"][name] != digest}
    assert changed == {"sub__b.obj", "sub__c.obj"}
