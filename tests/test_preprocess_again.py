"""What a second run of preprocessing makes again: for other options, other meshes and damaged files; nothing else."""

import errno
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from test_preprocess import preprocess, times

from dataprocessing.mesh_record import geometry_files
from dataprocessing.shapes import find_shapes
from lab.small.helpers import contents, open_box, read_config
from runtime import layout
from training.shape_samples import read_samples


def counts(capsys: pytest.CaptureFixture, reason: str = "") -> tuple[int, ...]:
    """How many files the last run made, made again for a reason, and skipped."""
    line = [line for line in capsys.readouterr().out.splitlines() if "skipped" in line][-1]
    assert reason in line
    return tuple(int(n) for n in re.findall(r"(\d+) (?:files made|made again|skipped)", line))


def test_finished_files_are_skipped_and_other_counts_made_again(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    before = times(tmp_path / "data")
    assert preprocess(tmp_path) == 0
    assert times(tmp_path / "data") == before
    assert counts(capsys) == (0, 0, 30)
    assert preprocess(tmp_path, num_uniform_samples=99, sample_std_dev=[0.08, 0.02]) == 0
    assert counts(capsys, "num_uniform_samples 101 -> 99") == (5, 5, 20)
    assert len(np.load(meshes[0].parent / "uniform_samples.npz")["df"]) == 99
    assert preprocess(tmp_path, num_uniform_samples=99, bb_max=0.6) == 0
    assert counts(capsys, "bb_max 0.5 -> 0.6") == (0, 5, 25)
    assert float(np.load(meshes[0].parent / layout.voxelized_point_cloud(16, 53))["bb_max"]) == 0.6


def test_grid_coords_are_left_out_on_request_and_made_where_they_are_wanted_and_missing(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    full = contents(tmp_path / "data")
    assert preprocess(tmp_path, grid_coords="false") == 0
    assert contents(tmp_path / "data") == full  # files that hold more will do
    assert preprocess(tmp_path, grid_coords="false", processed_dir=tmp_path / "out") == 0
    for path in (tmp_path / "out").rglob("*.npz"):
        with np.load(path) as few, np.load(tmp_path / "data" / path.relative_to(tmp_path / "out")) as all_:
            assert set(all_) - set(few) == ({"grid_coords"} if "samples" in path.name else set())
            assert all(np.array_equal(few[name], all_[name]) for name in few)
    few = read_samples(tmp_path / "out" / "car0" / "models", read_config(tmp_path))
    assert few["cloud"].shape == (53, 3) and [len(df) for _, df in few["sets"]] == [301, 301, 101, 71]
    capsys.readouterr()
    assert preprocess(tmp_path, processed_dir=tmp_path / "out") == 0
    assert counts(capsys, "grid_coords false -> true") == (0, 20, 10)
    source = {name: data for name, data in full.items() if not name.endswith(".obj")}
    assert contents(tmp_path / "out") == source  # the same samples as before


def samples(mesh: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*mesh.parent.glob("*.npz"), *mesh.parent.glob("*.off")]}


def test_files_are_made_again_from_another_mesh_and_with_another_seed(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    before = [samples(mesh) for mesh in meshes]
    shutil.copy(meshes[0], meshes[1])  # another mesh
    meshes[2].touch()  # the same, with another time
    capsys.readouterr()
    assert preprocess(tmp_path) == 0
    assert counts(capsys, "mesh") == (0, 6, 24)
    after = [samples(mesh) for mesh in meshes]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True, True, True]
    assert after[1][layout.SCALED_MESH] == after[0][layout.SCALED_MESH]
    assert preprocess(tmp_path, seed=1) == 0
    assert counts(capsys, "seed 0 -> 1") == (0, 25, 5)  # scaled meshes have no seed
    assert preprocess(tmp_path, up="z", front="-y", seed=1) == 0
    assert counts(capsys) == (0, 30, 0)
    assert preprocess(tmp_path, up="z", seed=1) == 0  # the front that is usual then
    assert counts(capsys) == (0, 0, 30)


def test_files_without_a_record_are_taken_unless_the_mesh_was_another_one(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    for mesh in meshes:
        mesh.with_name("made_of.json").unlink()  # as NDF or an earlier version left them
    before = samples(meshes[0])
    assert preprocess(tmp_path, num_points=40) == 0
    assert counts(capsys) == (5, 0, 25)
    assert before.items() <= samples(meshes[0]).items()
    shutil.copy(meshes[1], meshes[0])
    assert preprocess(tmp_path, num_points=40) == 0
    assert preprocess(tmp_path) == 0  # the cloud of 53 points, of which no record tells, is of the former mesh
    former, there = (path[layout.voxelized_point_cloud(16, 53)] for path in (before, samples(meshes[0])))
    assert former != there
    assert preprocess(tmp_path) == 0
    assert counts(capsys) == (0, 0, 30)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: [],
        lambda record: {"mesh": None},
        lambda record: record | {"mesh": {"of": {}, "files": [], "found": {"path": 5, "stream": [], "marks": "x"}}},
        lambda record: {name: entry | {"files": ["../victim"]} for name, entry in record.items()},
        lambda record: {name: entry | {"files": [[]]} for name, entry in record.items()},
        lambda record: {name: {"of": {"options": 5}, "files": [], "finished": True} for name in record},
    ],
)
def test_a_damaged_record_does_no_harm(damage, meshes, tmp_path):
    assert preprocess(tmp_path) == 0
    before = samples(meshes[0])
    record = meshes[0].with_name("made_of.json")
    whole = record.read_text()
    record.write_text(json.dumps(damage(json.loads(whole))))
    assert len(find_shapes(read_config(tmp_path)).folders) == 5
    assert preprocess(tmp_path) == 0
    assert samples(meshes[0]) == before and record.read_text() == whole


def test_finished_files_in_a_folder_that_is_read_only_need_no_record(meshes, tmp_path, monkeypatch, capsys):
    assert preprocess(tmp_path) == 0
    for mesh in meshes:
        mesh.with_name("made_of.json").unlink()

    def refuse(path, *more):
        raise PermissionError(errno.EACCES, "no", str(path))

    monkeypatch.setattr("runtime.artefacts.write_json", refuse)
    assert preprocess(tmp_path) == 0
    assert counts(capsys) == (0, 0, 30)


def test_a_shape_whose_mesh_broke_is_no_shape_until_it_is_mended(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    whole = meshes[1].read_bytes()
    meshes[1].write_bytes(whole[:-40] + b"f 1 2 99")
    assert preprocess(tmp_path) == 1
    found = find_shapes(read_config(tmp_path))
    assert (meshes[1].parent not in found.folders, len(found.folders), found.lacking) == (True, 4, 1)
    meshes[1].write_bytes(whole)
    assert preprocess(tmp_path) == 0
    assert len(find_shapes(read_config(tmp_path)).folders) == 5


def test_a_cut_file_is_made_again_also_a_scaled_mesh(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    before = samples(meshes[0])
    for name in (layout.SCALED_MESH, layout.GAP_SAMPLES):
        path = meshes[0].with_name(name)
        path.write_bytes(path.read_bytes()[:-9])
    assert preprocess(tmp_path) == 0
    assert counts(capsys, "damaged") == (0, 2, 28)
    assert samples(meshes[0]) == before


def test_a_gltf_changes_with_its_buffers(tmp_path, capsys):
    def write(seed: int) -> None:
        scene = trimesh.Scene(trimesh.Trimesh(*open_box(np.random.default_rng(seed)), process=False))
        scene.export(tmp_path / "data" / "car.gltf")

    (tmp_path / "data").mkdir()
    write(0)
    assert preprocess(tmp_path, input_data_glob="any") == 0
    text = (tmp_path / "data" / "car.gltf").read_bytes()
    write(1)
    (tmp_path / "data" / "car.gltf").write_bytes(text)  # the buffers alone are others
    preprocess(tmp_path, input_data_glob="any")
    assert counts(capsys, "mesh") == (0, 6, 0)


def test_buffers_in_other_folders_and_with_other_names_are_of_a_mesh_too(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "my car.bin").write_bytes(b"1")
    (tmp_path / "secret.bin").write_bytes(b"1")
    mesh = tmp_path / "a" / "car.gltf"
    for folder, uri, files in (
        (tmp_path, "parts/my%20car.bin", ["parts/my car.bin"]),
        (tmp_path, "./parts/my car.bin", ["parts/my car.bin"]),
        (tmp_path / "a", "../secret.bin", []),
        (tmp_path, "gone.bin", []),
    ):
        mesh = folder / "car.gltf"
        folder.mkdir(exist_ok=True)
        mesh.write_text(json.dumps({"buffers": [{"uri": uri}, {"uri": uri}, {}]}))
        assert geometry_files(mesh) == [mesh, *(tmp_path / name for name in files)]


def test_a_deleted_mesh_of_shapenets_layout_leaves_no_shape(meshes, tmp_path):
    assert preprocess(tmp_path) == 0
    meshes[2].unlink()
    found = find_shapes(read_config(tmp_path))
    assert (meshes[2].parent in found.folders, len(found.folders), found.gone) == (False, 4, 1)
