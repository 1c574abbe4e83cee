import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming, says

from dataprocessing import distances, shape_files
from dataprocessing.mesh_io import load_mesh
from dataprocessing.preprocess import main
from dataprocessing.shapes import expected_files, find_meshes, find_shapes, shape_name
from lab.small.helpers import contents, open_box, read_config, write_config, write_obj
from lab.small.triangles import brute_force_distance
from runtime import layout
from runtime.errors import UserError
from runtime.files import atomic_path
from training.shape_samples import read_samples


def preprocess(folder: Path, **options: object) -> int:
    return main(["--config", str(write_config(folder, **options))])


def counts(capsys: pytest.CaptureFixture, reason: str = "") -> tuple[int, ...]:
    """How many files the last run made, made again for a reason, and skipped."""
    line = [line for line in capsys.readouterr().out.splitlines() if "skipped" in line][-1]
    assert reason in line
    return tuple(int(n) for n in re.findall(r"(\d+) (?:files made|made again|skipped)", line))


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_all_files_have_the_keys_types_and_shapes_that_ndf_reads(meshes, tmp_path, capsys):
    assert preprocess(tmp_path) == 0
    assert says(capsys.readouterr().out, "5 ready")
    for mesh in meshes:
        folder = mesh.parent
        scaled = load_mesh(folder / "model_normalized_scaled.off")
        for name, count in [("boundary_0.08", 301), ("boundary_0.003", 301), ("uniform", 101), ("gap", 71)]:
            with np.load(folder / f"{name}_samples.npz", allow_pickle=False) as file:
                points, df, grid_coords = file["points"], file["df"], file["grid_coords"]
            assert (points.shape, df.shape, grid_coords.shape) == ((count, 3), (count,), (count, 3))
            assert {points.dtype, df.dtype, grid_coords.dtype} == {np.dtype(np.float32)}
            assert np.array_equal(grid_coords, 2 * points[:, ::-1])
            np.testing.assert_allclose(df, brute_force_distance(points, *scaled), atol=5e-7)
        with np.load(folder / "voxelized_point_cloud_16res_53points.npz", allow_pickle=False) as file:
            assert file["point_cloud"].shape == (53, 3)
            assert file["point_cloud"].dtype == np.float32
            occupancies = np.reshape(np.unpackbits(file["compressed_occupancies"]), (16,) * 3)  # as NDF's loader does
            nodes = np.rint((file["point_cloud"].astype(float) + 0.5) * 15).astype(int)
        assert set(map(tuple, np.argwhere(occupancies))) == set(map(tuple, nodes))
        np.testing.assert_allclose(brute_force_distance(nodes / 15 - 0.5, *scaled), 0, atol=np.sqrt(3) / 30 + 1e-6)


def test_chunks_partition_the_meshes(meshes, tmp_path):
    made = []
    for chunk in range(3):
        assert preprocess(tmp_path, processed_dir=tmp_path / f"out{chunk}", num_chunks=3, current_chunk=chunk) == 0
        made.append({path.name for path in (tmp_path / f"out{chunk}").iterdir()})
    assert sorted(name for names in made for name in names) == [f"car{i}" for i in range(5)]
    assert preprocess(tmp_path, processed_dir=tmp_path / "all") == 0
    merged = {key: data for chunk in range(3) for key, data in contents(tmp_path / f"out{chunk}").items()}
    assert merged == contents(tmp_path / "all")


def test_more_chunks_than_meshes_leave_an_empty_chunk(meshes, tmp_path, capsys):
    assert preprocess(tmp_path, num_chunks=9, current_chunk=8) == 0
    assert says(capsys.readouterr().out, "0 5 meshes")


def test_two_workers_write_the_same_as_one(meshes, tmp_path):
    assert preprocess(tmp_path, processed_dir=tmp_path / "one", num_cpus=1) == 0
    assert preprocess(tmp_path, processed_dir=tmp_path / "two", num_cpus=2) == 0
    one = contents(tmp_path / "one")
    assert len(one) == 5 * 7
    assert one == contents(tmp_path / "two")


def test_random_numbers_belong_to_seed_shape_and_file(meshes, tmp_path):
    shutil.copy(meshes[0], meshes[1])  # the same mesh under two names
    assert preprocess(tmp_path, processed_dir=tmp_path / "a") == 0
    assert preprocess(tmp_path, processed_dir=tmp_path / "b", seed=1) == 0
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    for key in a:
        assert (a[key] == b[key]) == key.endswith(".off"), key
    draws = [np.load(path)["points"][:71] for path in sorted((tmp_path / "a" / "car0").rglob("*samples.npz"))]
    draws.append(np.load(tmp_path / "a" / "car1" / "models" / "uniform_samples.npz")["points"][:71])
    assert len({draw.tobytes() for draw in draws}) == 5


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


def test_no_uniform_and_no_gap_samples_on_request(meshes, tmp_path):
    assert preprocess(tmp_path, num_uniform_samples=0, num_gap_samples=0) == 0
    assert not [*tmp_path.rglob("uniform*"), *tmp_path.rglob("gap*")]


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


def test_a_deleted_mesh_of_shapenets_layout_leaves_no_shape(meshes, tmp_path):
    assert preprocess(tmp_path) == 0
    meshes[2].unlink()
    found = find_shapes(read_config(tmp_path))
    assert (meshes[2].parent in found.folders, len(found.folders), found.gone) == (False, 4, 1)


def test_a_run_after_a_kill_finishes_and_cleans_up(meshes, tmp_path):
    """Killed without notice while a file is half-written; one older file was cut off by a lost disk."""
    config = write_config(tmp_path)
    code = (
        "import os, signal, sys, dataprocessing.shape_files as files, dataprocessing.preprocess as step\n"
        "from runtime.files import atomic_path\n"
        "def write_npz(path, **arrays):\n"
        "    with atomic_path(path) as spare:\n"
        "        spare.write_bytes(b'half')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_npz = write_npz\n"
        "step.main(['--config', sys.argv[1]])\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL
    assert [path.name for path in meshes[0].parent.glob(".*.part")]  # the test would prove nothing otherwise
    cut = meshes[1].parent / "boundary_0.08_samples.npz"
    cut.write_bytes(b"PK\3\4 cut off")
    assert main(["--config", str(config)]) == 0
    names = {Path(name).name for name in contents(tmp_path / "data")}
    assert names == {"model_normalized.obj", "made_of.json", *expected_files(read_config(tmp_path))}
    assert len(np.load(cut)["df"]) == 301


def test_broken_meshes_are_listed_and_the_others_done(meshes, tmp_path, capsys):
    meshes[1].write_text("")
    meshes[3].write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 7\n")
    assert preprocess(tmp_path, processed_dir=tmp_path / "out") == 1
    out = capsys.readouterr().out
    assert says(out, "3 ready 2 failed")
    (empty,), (damaged,) = ([line for line in out.splitlines() if str(meshes[n]) in line] for n in (1, 3))
    assert says(empty, "empty") and says(damaged, "vertex 7 3")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["car0", "car2", "car4"]


def test_an_unforeseen_error_of_one_mesh_does_not_stop_the_others(meshes, tmp_path, capsys, monkeypatch):
    def fail_once(mesh, folder, *more, write_files=shape_files.write_files):
        if "car2" in str(folder):
            raise ZeroDivisionError("odd\nmesh")
        write_files(mesh, folder, *more)

    monkeypatch.setattr(shape_files, "write_files", fail_once)
    assert preprocess(tmp_path) == 1
    assert re.search(r"car2\S+ +ZeroDivisionError: odd mesh$", capsys.readouterr().out, re.M)
    assert (meshes[4].parent / "uniform_samples.npz").is_file()


def test_source_folder_is_not_touched(meshes, tmp_path):
    source = tmp_path / "data"
    for path in [source, *source.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = contents(source), times(source)
    try:
        assert preprocess(tmp_path, processed_dir=tmp_path / "deep" / "out") == 0
        assert (contents(source), times(source)) == before
    finally:
        for path in [source, *source.rglob("*")]:
            path.chmod(0o755)
    assert len(contents(tmp_path / "deep" / "out" / "car3" / "models")) == 7


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_or_read_only_disk_stops_at_once_and_names_the_place(code, meshes, tmp_path, monkeypatch):
    calls = []

    def write_npz(path, **arrays):
        calls.append(path)
        with atomic_path(path) as spare:
            spare.write_bytes(b"half")
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(shape_files, "write_npz", write_npz)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        preprocess(tmp_path, processed_dir=tmp_path / "out")
    assert caught.value.errno == code
    assert str(tmp_path / "out") in str(caught.value.filename)
    assert len(calls) == 1
    assert not list(tmp_path.rglob(".*.part"))


def test_mistakes_are_told_with_what_to_do(meshes, tmp_path):
    with pytest.raises(UserError, match=naming("data_dir", tmp_path / "nowhere")):
        preprocess(tmp_path, data_dir=tmp_path / "nowhere")
    (tmp_path / "hollow").mkdir()
    with pytest.raises(UserError, match=naming(tmp_path / "hollow")):
        preprocess(tmp_path, data_dir=tmp_path / "hollow")
    with pytest.raises(UserError, match=naming("'/*/model.obj' car0, car1, car2 2")):
        preprocess(tmp_path, input_data_glob="/*/model.obj")
    with pytest.raises(UserError, match="input_data_glob"):
        preprocess(tmp_path, input_data_glob="/")
    write_obj(meshes[0].with_name("other.obj"), *open_box(np.random.default_rng(0)))
    with pytest.raises(UserError, match=naming("model_normalized.obj other.obj", meshes[0].parent)):
        preprocess(tmp_path, input_data_glob="/*/models/*.obj")


def test_layouts_of_both_shapenet_versions(tmp_path):
    write_obj(tmp_path / "data" / "abc" / "model.obj", *open_box(np.random.default_rng(0)))
    cfg = read_config(tmp_path, input_data_glob="/*/model.obj")
    assert find_meshes(cfg) == [tmp_path / "data" / "abc" / "model.obj"]
    assert shape_name(tmp_path / "abc") == shape_name(tmp_path / "abc" / "models") == "abc"


def test_real_cars_pass_through(real_cars, tmp_path):
    kept = real_cars[:2]
    source = kept[0].parents[2]
    pattern = f"/[{kept[0].parents[1].name[0]}{kept[1].parents[1].name[0]}]*/models/model_normalized.obj"
    before = {path: path.read_bytes() for path in kept}
    assert preprocess(tmp_path, data_dir=source, processed_dir=tmp_path / "out", input_data_glob=pattern) == 0
    assert {path: path.read_bytes() for path in kept} == before
    for path in kept:
        df = np.load(tmp_path / "out" / path.parent.relative_to(source) / "boundary_0.003_samples.npz")["df"]
        assert 0.001 < np.sqrt((df**2).mean()) < 0.003 * 1.1  # a displacement is at least the distance


def test_preprocessing_without_open3d_says_so_once_and_what_to_do(meshes, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    distances._auto_backend.cache_clear()
    few = {"num_boundary_samples": 9, "num_uniform_samples": 9, "num_gap_samples": 0, "num_cpus": 1, "device": "cpu"}
    assert preprocess(tmp_path, **few, processed_dir=tmp_path / "a") == 0
    notes = capsys.readouterr().err
    assert notes.count("note: ") == 1
    assert says(notes, "Open3D CPU runtime/check_system.py --distance_backend torch")
    assert preprocess(tmp_path, **few, processed_dir=tmp_path / "a") == 0  # nothing to measure
    assert preprocess(tmp_path, **few, processed_dir=tmp_path / "b", distance_backend="torch") == 0  # it is meant
    assert "note" not in capsys.readouterr().err
    distances._auto_backend.cache_clear()
