import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from facts import naming, says

from dataprocessing import distances, mesh_io, shape_files
from dataprocessing.mesh_io import load_mesh
from dataprocessing.preprocess import main
from dataprocessing.shapes import expected_files, find_meshes, shape_name
from lab.small.helpers import contents, open_box, read_config, write_config, write_obj
from lab.small.triangles import brute_force_distance
from runtime.errors import UserError
from runtime.files import atomic_path


def preprocess(folder: Path, **options: object) -> int:
    return main(["--config", str(write_config(folder, **options))])


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


def test_no_uniform_and_no_gap_samples_on_request(meshes, tmp_path):
    assert preprocess(tmp_path, num_uniform_samples=0, num_gap_samples=0) == 0
    assert not [*tmp_path.rglob("uniform*"), *tmp_path.rglob("gap*")]


def test_sharp_samples_on_request_change_no_other_file(meshes, tmp_path):
    assert preprocess(tmp_path, processed_dir=tmp_path / "a") == 0
    assert preprocess(tmp_path, processed_dir=tmp_path / "b", num_sharp_samples=61) == 0
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    more = sorted(b.keys() - a.keys())
    assert len(more) == len(meshes) and {Path(name).name for name in more} == {"sharp_samples.npz"}
    assert [name for name in a if a[name] != b[name] and not name.endswith("made_of.json")] == []
    for name in more:
        samples = np.load(tmp_path / "b" / name)
        mesh = load_mesh((tmp_path / "b" / name).with_name("model_normalized_scaled.off"))
        assert samples["points"].shape == (61, 3) and samples["points"].dtype == samples["df"].dtype == np.float32
        np.testing.assert_allclose(samples["df"], brute_force_distance(samples["points"], *mesh), atol=1e-6)
    times_before = times(tmp_path / "b")
    assert preprocess(tmp_path, processed_dir=tmp_path / "b", num_sharp_samples=61) == 0
    assert times(tmp_path / "b") == times_before
    assert preprocess(tmp_path, processed_dir=tmp_path / "b", num_sharp_samples=62) == 0
    assert {len(np.load(tmp_path / "b" / name)["df"]) for name in more} == {62}


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


@pytest.mark.parametrize(("share", "chunks", "status"), [(0.0, 1, 1), (0.2, 1, 1), (0.4, 1, 0), (0.2, 5, 0)])
def test_as_many_broken_meshes_as_the_share_allows_end_with_status_0(share, chunks, status, meshes, tmp_path, capsys):
    for n in (1, 3):
        meshes[n].write_text("")
    found = [
        preprocess(tmp_path, broken_share=share, num_chunks=chunks, current_chunk=chunk) for chunk in range(chunks)
    ]
    assert max(found) == status
    told = re.findall(r"(\d) of (\d) meshes cannot be used, (\d) may", capsys.readouterr().out)
    expected = [("2", "5", str(round(5 * share)))] if chunks == 1 else [("1", "1", "1")] * 2
    assert told == (expected if share else [])


def test_a_mesh_that_the_disk_cannot_read_is_listed_and_the_others_done(meshes, tmp_path, capsys, monkeypatch):
    def read(path, most, read=mesh_io.read_bytes):
        if Path(path) == meshes[2]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path, most)

    monkeypatch.setattr(mesh_io, "read_bytes", read)
    assert preprocess(tmp_path) == 1
    out = capsys.readouterr().out
    assert says(out, "4 ready 1 failed")
    assert re.search(rf"car2\S+ +cannot be read: {os.strerror(errno.EIO)}$", out, re.M)


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
    with pytest.raises(UserError, match=f"set data_dir to {tmp_path / 'data'},"):
        preprocess(tmp_path, data_dir=tmp_path)
    with pytest.raises(UserError, match="input_data_glob"):
        preprocess(tmp_path, input_data_glob="/")
    write_obj(meshes[0].with_name("other.obj"), *open_box(np.random.default_rng(0)))
    with pytest.raises(UserError, match=naming("model_normalized.obj other.obj", meshes[0].parent)):
        preprocess(tmp_path, input_data_glob="/*/models/*.obj")


def test_layouts_of_both_shapenet_versions(tmp_path):
    write_obj(tmp_path / "data" / "abc" / "model.obj", *open_box(np.random.default_rng(0)))
    cfg = read_config(tmp_path, input_data_glob="/*/model.obj")
    assert find_meshes(cfg.data) == [tmp_path / "data" / "abc" / "model.obj"]
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
