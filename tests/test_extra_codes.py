"""Codes of extra shapes: those that steps 0 and 1 would lead to, the same after any interruption, used by the flow."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facts import naming
from numpy.testing import assert_array_equal

import train_rnvp
from configs.options import Config
from dataprocessing import make_demo_cars
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.extra_shapes import ExtraShape, find_extras
from dataprocessing.mesh_io import NO_FACES, load_mesh
from dataprocessing.shape_files import write_files
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from evaluation.baselines import draw_mixtures, neighbour_codes
from evaluation.sample_sets import sampled_recipes
from frozen.checkpoint_files import (
    best_checkpoint,
    fingerprint,
    latest_checkpoint,
    load_checkpoint,
    ndf_checkpoint_path,
)
from frozen.codes import EXTRA, StoredCodes, flow_codes_sha256, has_extra, load_codes, load_flow_codes, read_index
from frozen.loading import encode_clouds, load_frozen_ndf
from generation.networks import Networks
from lab.small.tiny_experiment import tiny_config, train_flow
from runtime.errors import UserError
from runtime.layout import voxelized_point_cloud
from training import extra_codes
from training.checkpoints import write_state
from training.encoding import input_cloud
from training.extra_codes import encode_extras, extra_facts
from training.flow_task import FlowTask
from training.loop import train

CPU = torch.device("cpu")


@pytest.fixture
def own(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny experiment without its flow; parts of two shapes."""
    shutil.copytree(root, tmp_path / "own")
    for path in tiny_config(tmp_path / "own").experiment.rnvp_checkpoints.iterdir():
        path.unlink()
    monkeypatch.setattr(extra_codes, "PART", 2)
    return tmp_path / "own"


def encode(cfg: Config) -> StoredCodes:
    path, sources = ndf_checkpoint_path(cfg), find_extras(cfg, split_folders(cfg))
    made_of = extra_facts(sources, cfg, fingerprint(path))
    encode_extras(load_frozen_ndf(path, cfg, CPU), path, sources, made_of, cfg, CPU)
    return load_codes(cfg, EXTRA)


def parts(cfg: Config) -> dict[str, int]:
    """When each part was written."""
    folder = cfg.experiment.codes / "extra_parts"
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


def cars(folder: Path, count: int, **options: object) -> Config:
    return tiny_config(folder, extra_demo_cars=count, **options)


def write_cars(folder: Path, cfg: Config) -> list[Path]:
    """The extra cars as step 0 writes them, below `folder`; their folders."""
    numbers = ["--demo_seed", str(cfg.codes.extra_demo_seed), "--num_demo_cars", str(cfg.codes.extra_demo_cars)]
    make_demo_cars.main(
        ["--config", cfg.run.config, "--data_dir", str(folder), "--num_cpus", "1", *numbers, "--extra_demo_cars", "0"]
    )
    return sorted(folder.glob("*/models"))


def test_codes_are_those_of_cars_that_are_written_and_sampled(own: Path):
    cfg = cars(own, 4)
    stored = encode(cfg)
    assert [(row["name"], row["mirrored"]) for row in stored.rows] == [
        (f"demo_s1000_{i:05d}", mirrored) for i in range(4) for mirrored in (False, True)
    ]
    folders = write_cars(own / "written", cfg)
    for folder in folders:
        mesh = scale_mesh(load_mesh(folder / make_demo_cars.MESH))
        write_files(
            mesh, folder, [voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points)], shape_name(folder), cfg
        )
    model = load_frozen_ndf(ndf_checkpoint_path(cfg), cfg, CPU)
    for k, mirrored in enumerate((False, True)):
        clouds = [input_cloud({"folder": folder, "draw": 0, "mirrored": mirrored}, cfg) for folder in folders]
        expected = [encode_clouds(model, np.stack(clouds[i : i + 2]), cfg, CPU).numpy() for i in (0, 2)]
        assert_array_equal(stored.codes[k::2], np.concatenate(expected))
    assert np.abs(stored.codes[::2] - stored.codes[1::2]).min(axis=0).max() > 1e-4  # mirroring is seen


def test_meshes_on_disk_give_the_codes_of_the_same_cars_in_memory(own: Path):
    cfg = cars(own, 3)
    in_memory = encode(cfg).codes.copy()
    write_cars(own / "more", cfg)
    from_files = encode(tiny_config(own, extra_data_dir=own / "more"))
    assert_array_equal(from_files.codes, in_memory)
    assert {row["name"] for row in from_files.rows} == {f"demo_s1000_{i:05d}" for i in range(3)}


def test_neither_order_nor_codes_depend_on_the_number_of_workers(own: Path):
    alone = encode(cars(own, 5, num_cpus=1))
    shutil.rmtree(cars(own, 5).experiment.codes / "extra_parts")
    (cars(own, 5).experiment.codes / "extra.json").unlink()
    threads = torch.get_num_threads()
    together = encode(cars(own, 5, num_cpus=2))
    assert torch.get_num_threads() == threads
    assert_array_equal(together.codes, alone.codes)
    assert together.rows == alone.rows


def test_clouds_that_workers_make_for_a_gpu_give_the_same_codes(own: Path):
    cfg = cars(own, 5)
    path = ndf_checkpoint_path(cfg)
    model, shapes = load_frozen_ndf(path, cfg, CPU), find_extras(cfg, split_folders(cfg))[0].shapes
    broken = ExtraShape("broken", str(own / "none.obj"))
    batches = [shapes[:2], [broken, shapes[2]], [broken]]
    clouds = (extra_codes.extra_clouds(batch, cfg) for batch in batches)
    for_gpu = list(extra_codes.on_gpu(model, batches, clouds, cfg, CPU))
    with extra_codes.encoding(model, batches, cfg, CPU) as encoded:
        for one, same in zip(encoded, for_gpu, strict=True):
            assert_array_equal(one.codes, same.codes)
            assert one.failures == same.failures and one.num_shapes == same.num_shapes
    assert [len(one.codes) for one in for_gpu] == [4, 2, 0] and list(for_gpu[2].failures) == [broken.name]


def test_a_killed_run_loses_one_part_and_ends_with_the_same_codes(own: Path, monkeypatch: pytest.MonkeyPatch):
    cfg = cars(own, 7, code_mirror=False)
    whole = encode(cfg)
    codes, rows, files = whole.codes.copy(), whole.rows, cfg.experiment.codes
    assert len(parts(cfg)) == 4
    shutil.rmtree(files / "extra_parts")
    for path in files.glob("extra.*"):
        path.unlink()
    plain, calls = extra_codes.encode_mirrored, []

    def dies_in_the_third_part(*arguments: object) -> np.ndarray:
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(extra_codes, "encode_mirrored", dies_in_the_third_part)
    with pytest.raises(KeyboardInterrupt):
        encode(cfg)
    before = parts(cfg)
    assert list(before) == ["demo_s1000_0000.npz", "demo_s1000_0001.npz"] and not has_extra(cfg.experiment)
    resumed = encode(cfg)
    assert_array_equal(resumed.codes, codes)
    assert resumed.rows == rows and len(calls) == 5
    assert before.items() <= parts(cfg).items()


def test_a_damaged_part_is_made_again(own: Path):
    cfg = cars(own, 4)
    codes, before = encode(cfg).codes.copy(), parts(cfg)
    path = cfg.experiment.codes / "extra_parts" / "demo_s1000_0001.npz"
    path.write_bytes(path.read_bytes()[:-30])
    (cfg.experiment.codes / "extra.json").unlink()
    assert_array_equal(encode(cfg).codes, codes)
    assert [name for name, time in parts(cfg).items() if time != before[name]] == [path.name]


def test_more_cars_are_added_to_those_that_are_there(own: Path):
    at_once = encode(cars(own, 6))
    codes, rows, folder = at_once.codes.copy(), at_once.rows, cars(own, 6).experiment.codes
    shutil.rmtree(folder / "extra_parts")
    few = encode(cars(own, 3))
    assert few.rows == rows[:6]
    before = parts(cars(own, 3))
    many = encode(cars(own, 6))
    assert_array_equal(many.codes, codes)
    assert many.rows == rows
    after = parts(cars(own, 6))
    assert len(after) == 3 and after["demo_s1000_0000.npz"] == before["demo_s1000_0000.npz"]
    assert_array_equal(encode(cars(own, 4)).codes, codes[:8])  # fewer again: a part is left over
    assert parts(cars(own, 6)) == after


@pytest.mark.parametrize("options", [{"seed": 1}, {"code_mirror": False}, {"num_points": 54}, {"extra_demo_seed": 5}])
def test_other_options_give_other_codes(own: Path, options: dict):
    written = cars(own, 2).experiment.codes / "extra.npy"
    encode(cars(own, 2))
    before = written.read_bytes()
    time = written.stat().st_mtime_ns
    encode(cars(own, 2))
    assert written.stat().st_mtime_ns == time
    encode(cars(own, 2, **options))
    assert written.read_bytes() != before


def test_broken_meshes_are_reported_and_left_out(own: Path, capsys: pytest.CaptureFixture):
    folders = write_cars(own / "more", cars(own, 4))
    broken = folders[1] / make_demo_cars.MESH
    broken.write_text("v 0 0 0\n")
    cfg = tiny_config(own, extra_data_dir=own / "more")
    stored = encode(cfg)
    assert [row["name"] for row in stored.rows[::2]] == [f"demo_s1000_{i:05d}" for i in (0, 2, 3)]
    text = capsys.readouterr().out
    assert "3 encoded, 1 could not be used" in text and f"{broken}  no faces" in text
    assert read_index(cfg.experiment.codes, EXTRA)["failures"] == {str(broken): NO_FACES}
    for folder in folders:
        (folder / make_demo_cars.MESH).write_text("")
    shutil.rmtree(cfg.experiment.codes / "extra_parts")
    (cfg.experiment.codes / "extra.json").unlink()
    with pytest.raises(UserError, match="none of the extra meshes can be used"):
        encode(cfg)


def test_the_flow_is_trained_on_all_codes_and_says_so(own: Path, capsys: pytest.CaptureFixture):
    cfg = cars(own, 3)
    train_flow(cfg)
    assert re.search(r"\b7 shapes .*\b3 extra .*\b20 codes", capsys.readouterr().out)
    task = FlowTask(cfg)
    both = [load_codes(cfg, split).codes for split in ("train", EXTRA)]
    assert_array_equal(task.train_codes.numpy(), np.concatenate(both))
    assert len(task.plain_codes) == 10
    state = load_checkpoint(latest_checkpoint(task.run.folder))
    sources = [{"demo_cars": 3, "demo_seed": 1000}]
    assert state["trained_on"] == {"train": 7, "extra": 3, "sources": sources}
    assert train(task) == 0
    assert re.search(r"already trained: 20 steps .*\b7 shapes .*\b3 extra", capsys.readouterr().out)


def test_the_nll_of_training_codes_is_of_a_share_of_many(own: Path, monkeypatch: pytest.MonkeyPatch):
    train_flow(cars(own, 4))
    every = FlowTask(cars(own, 4)).plain_codes
    monkeypatch.setattr("training.flow_task.MOST_TRAIN_CODES", 5)
    assert torch.equal(FlowTask(cars(own, 4)).plain_codes, every[::3])


def test_other_extra_shapes_than_the_flows_are_refused_before_codes_are_replaced(own: Path):
    train_flow(cars(own, 2))
    arguments = ["--config", str(own / "config.txt"), "--device", "cpu"]
    for option, other in (("extra_demo_cars", 3), ("extra_demo_cars", 0), ("extra_demo_seed", 7), ("code_draws", 2)):
        with pytest.raises(UserError, match=rf"{option} \d+ -> {other}; .* delete that folder"):
            train_rnvp.main([*arguments, "--extra_demo_cars", "2", f"--{option}", str(other)])
    assert len(load_codes(cars(own, 2), EXTRA).rows) == 4
    shutil.rmtree(cars(own, 2).experiment.rnvp_checkpoints)
    assert train_rnvp.main([*arguments, "--extra_demo_cars", "0"]) == 0
    assert not has_extra(cars(own, 0).experiment)
    assert load_flow_codes(cars(own, 0)).rows == load_codes(cars(own, 0), "train").rows


def test_a_flow_of_an_earlier_version_was_trained_on_no_extra_shapes(own: Path):
    train_flow(tiny_config(own))
    folder = tiny_config(own).experiment.rnvp_checkpoints
    for path in (best_checkpoint(folder), latest_checkpoint(folder)):
        state = load_checkpoint(path)
        assert state.pop("trained_on")["extra"] == 0
        assert state.pop("codes") and state.pop("shapes")
        write_state(state, path)
    assert FlowTask(tiny_config(own)).run.step == 20
    encode(cars(own, 2))
    with pytest.raises(UserError, match="extra_demo_cars 0 -> 2"):
        FlowTask(tiny_config(own))


def test_interpolated_neighbours_use_the_codes_of_the_flow(own: Path):
    train_flow(cars(own, 2))
    networks = Networks(cars(own, 2))
    training = load_flow_codes(networks.cfg)
    mixtures = draw_mixtures(networks, training, 60)
    assert any(mixture.a >= 14 for mixture in mixtures) and any(mixture.b >= 14 for mixture in mixtures)
    assert all(training.rows[a]["name"] != training.rows[b]["name"] for a, b, _ in mixtures)
    assert neighbour_codes(networks, 3).shape == (3, 5)
    with_extra = flow_codes_sha256(networks.cfg.experiment)
    assert sampled_recipes(networks, 2)["neighbours"][0].facts["codes"] == with_extra
    (networks.experiment.codes / "extra.json").unlink()
    assert flow_codes_sha256(networks.cfg.experiment) == with_extra.split("+")[0]


def test_extra_meshes_are_known_by_their_content(own: Path):
    folders = write_cars(own / "more", cars(own, 3))
    cfg = tiny_config(own, extra_data_dir=own / "more")
    train_flow(cfg)
    written = cfg.experiment.codes / "extra.npy"
    before = written.stat().st_mtime_ns
    (own / "more").rename(own / "moved")
    moved = tiny_config(own, extra_data_dir=own / "moved")
    train_flow(moved)
    assert written.stat().st_mtime_ns == before
    mesh = own / "moved" / folders[1].relative_to(own / "more") / make_demo_cars.MESH
    mesh.write_text(mesh.read_text() + "\n")
    with pytest.raises(UserError, match="extra meshes: 1 changed"):
        train_flow(moved)
    assert written.stat().st_mtime_ns == before


def test_meshes_that_have_not_changed_are_not_read_again(own: Path, monkeypatch: pytest.MonkeyPatch):
    meshes = {name: own / f"{name}.obj" for name in "abc"}
    for name, path in meshes.items():
        path.write_text(name)
    found = extra_codes.mesh_digests(meshes, own / "kept.json")
    assert len(set(found.values())) == 3
    read: list[Path] = []
    plain = extra_codes.mesh_sha256
    monkeypatch.setattr(extra_codes, "mesh_sha256", lambda path: read.append(path) or plain(path))
    assert extra_codes.mesh_digests(meshes, own / "kept.json") == found and not read
    meshes["b"].write_text("other")
    again = extra_codes.mesh_digests(meshes, own / "kept.json")
    assert set(extra_codes.mesh_digests({"gone": own / "gone.obj"}, own / "other" / "kept.json")) == {"gone"}
    assert read == [meshes["b"]] and [name for name in meshes if again[name] != found[name]] == ["b"]


def test_more_codes_than_the_disk_can_hold_are_refused_before_any_goes(own: Path, monkeypatch: pytest.MonkeyPatch):
    cfg = tiny_config(own, extra_demo_cars=3)
    encode(cfg)
    before = (cfg.experiment.codes / "extra.npy").read_bytes()
    free, taken = SimpleNamespace(free=0), 2 * len(before)  # once in parts
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    encode(cfg)  # all is there
    more = tiny_config(own, extra_demo_cars=6)
    with pytest.raises(UserError, match=naming("codes of 6 extra shapes", "GB", "--extra_demo_cars")):
        encode(more)
    assert (cfg.experiment.codes / "extra.npy").read_bytes() == before
    free.free = 2 * taken
    assert len({row["name"] for row in encode(more).rows}) == 6
