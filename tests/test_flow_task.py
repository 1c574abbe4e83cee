"""The flow's task: resuming bit for bit, early stop, codes of another network, what it reports."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from training_steps import stopped_after

import train_rnvp
from configs.options import Config
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud, shape_digests
from frozen.checkpoint_files import best_checkpoint, latest_checkpoint, load_checkpoint
from frozen.codes import SPLITS, load_codes, read_index
from frozen.loading import load_flow
from lab.small.tiny_experiment import encode, save_random_ndf, tiny_config, train_flow
from runtime.errors import UserError
from runtime.files import write_npz
from runtime.layout import voxelized_point_cloud
from training.checkpoints import write_state
from training.code_nna import nna_while_training
from training.encoding import input_cloud
from training.flow_nll import code_quantiles, noised_nll
from training.flow_task import FlowTask
from training.loop import train
from training.stopping import EXIT_STOPPED

CPU = torch.device("cpu")


@pytest.fixture
def codes_only(experiment_once: Path, tmp_path: Path) -> Path:
    """An experiment with codes, and its shapes; its flow is to be trained anew."""
    shutil.copytree(experiment_once, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tiny_config(tmp_path).experiment.rnvp_checkpoints)
    with np.load(tmp_path / "split.npz") as split:
        moved = {part: [name.replace(str(experiment_once), str(tmp_path)) for name in split[part]] for part in split}
    write_npz(tmp_path / "split.npz", **moved)
    return tmp_path


def config(folder: Path, **options: object) -> Config:
    return tiny_config(folder, flow_dropout=0.2, flow_steps=4, flow_val_every=3, **options)


def test_four_steps_are_two_and_a_resume_and_two(codes_only: Path):
    cfg = config(codes_only)
    folder = cfg.experiment.rnvp_checkpoints
    assert train(FlowTask(cfg)) == 0
    whole = load_checkpoint(latest_checkpoint(folder))
    for path in folder.iterdir():
        path.unlink()

    with stopped_after(2):
        assert train(FlowTask(cfg)) == EXIT_STOPPED
    torch.randn(100)  # whatever else drew random numbers in between
    resumed = FlowTask(cfg)
    assert resumed.run.step == 2
    assert train(resumed) == 0
    halves = load_checkpoint(latest_checkpoint(folder))
    assert whole["step"] == halves["step"] == 4
    for key in ("model_state_dict", "ema_state_dict"):
        for name, value in whole[key].items():
            assert torch.equal(value, halves[key][name]), name
    for number, moments in whole["optimizer_state_dict"]["state"].items():
        for name, value in moments.items():
            assert torch.equal(value, halves["optimizer_state_dict"]["state"][number][name])


def test_training_lowers_the_nll_of_training_codes(codes_only: Path):
    cfg = tiny_config(codes_only, flow_steps=300, flow_val_every=50, flow_lr=0.01, flow_patience=100, flow_ema=0.9)
    task = FlowTask(cfg)
    before = noised_nll(task.average.model, task.plain_codes, task.noise, cfg)
    new_flow = noised_nll(task.average.model, task.val_codes, task.noise, cfg)
    train(task)
    after = noised_nll(task.average.model, task.plain_codes, task.noise, cfg)
    assert after < before - 0.05
    stored = load_checkpoint(latest_checkpoint(task.run.folder))["nll_nats_per_dim"]
    assert stored["train"] == pytest.approx(after, abs=1e-5)
    assert stored["gaussian"] == pytest.approx(new_flow, abs=0.1)  # a new flow is the Gaussian, up to drawn noise


def test_the_checkpoint_tells_quantiles_of_the_training_codes(codes_only: Path):
    cfg = tiny_config(codes_only)
    task = FlowTask(cfg)
    train(task)
    found = load_checkpoint(latest_checkpoint(task.run.folder))["quantiles"]
    flow, codes = task.average.model, task.plain_codes
    assert found == code_quantiles(flow, codes, task.noise, cfg)
    clean = code_quantiles(flow, codes, 0.0, cfg)
    norms, nll = flow(codes)[0].norm(dim=1), flow.nats_per_dim(codes)
    for name, values in (("z_norm", norms), ("nll_nats_per_dim", nll)):
        assert list(found[name]) == ["0.5", "0.99", "0.999"]
        assert clean[name]["0.5"] == pytest.approx(values.median().item(), rel=1e-5)
        assert values.sort().values[-2] < clean[name]["0.99"] < clean[name]["0.999"] < values.max()
        assert found[name] != clean[name]


def test_stops_when_validation_no_longer_improves(codes_only: Path, capsys: pytest.CaptureFixture):
    cfg = tiny_config(codes_only, flow_steps=4000, flow_val_every=5, flow_patience=3, flow_lr=0.05, flow_ema=0.0)
    task = FlowTask(cfg)
    train(task)
    assert task.run.step < 4000
    assert task.run.step - task.run.best_step == 15
    best = load_checkpoint(best_checkpoint(task.run.folder))
    assert best["step"] == task.run.best_step
    assert best["nll_nats_per_dim"]["val"] == task.run.best
    capsys.readouterr()
    assert train(FlowTask(cfg)) == 0
    assert f"already trained: {task.run.step} steps" in capsys.readouterr().out


def test_one_nna_of_codes_is_a_curve_beside_the_nll(codes_only: Path):
    cfg = config(codes_only)
    task = FlowTask(cfg)
    task.val_codes = task.train_codes[:6]
    train(task)
    events = EventAccumulator(str(cfg.experiment.summary / "rnvp"))
    events.Reload()
    expected = nna_while_training(task.average.model, task.val_codes, cfg.run.seed)
    assert set(expected) == {"nna_codes_percent", "nna_codes_leading_percent"}
    for name, value in expected.items():
        points = events.Tensors(f"rnvp/{name}")
        assert [one.step for one in points][-2:] == [3, 4]  # at every validation
        assert float(make_ndarray(points[-1].tensor_proto)) == pytest.approx(value)


def test_codes_hold_mirror_images_and_draws_for_training_only(codes_only: Path):
    train_flow(tiny_config(codes_only, code_draws=2))
    train, val = load_codes(tiny_config(codes_only), "train"), load_codes(tiny_config(codes_only), "val")
    assert [(row["mirrored"], row["draw"]) for row in train.rows[:: len(train.one_per_shape().rows)]] == [
        (False, 0), (True, 0), (False, 1), (True, 1),
    ]  # fmt: skip
    assert len(val.rows) == len(val.one_per_shape().rows) == 1
    num = len(train.one_per_shape().rows)
    same_shape = [torch.from_numpy(train.codes[i * num].copy()) for i in range(4)]
    assert len({tuple(code.tolist()) for code in same_shape}) == 4


def test_further_draws_are_of_the_stretched_shape(codes_only: Path):
    cfg = tiny_config(codes_only, code_draws=2, code_stretch=0.2)
    job = {"folder": split_folders(cfg)["train"][0], "mirrored": False, "draw": 1}
    plain, wide = (input_cloud(job, cfg.changed(code_stretch=share)) for share in (0.0, 0.2))
    sides = np.ptp(wide, axis=0) / np.ptp(plain, axis=0)
    assert 1.01 < sides.max() / sides.min() < 1.2 / 0.8 + 0.1
    assert 0.9 < np.ptp(wide, axis=0).max() <= 1.0001  # of few points
    np.testing.assert_array_equal(
        input_cloud(job | {"draw": 0}, cfg), input_cloud(job | {"draw": 0}, tiny_config(codes_only))
    )
    np.testing.assert_array_equal(input_cloud(job | {"mirrored": True}, cfg), wide * np.float32([-1, 1, 1]))


def test_codes_are_encoded_once(codes_only: Path):
    cfg = tiny_config(codes_only)
    path = cfg.experiment.codes / "train.npy"
    before = path.stat().st_mtime_ns
    train_flow(cfg)
    assert path.stat().st_mtime_ns == before
    shutil.rmtree(cfg.experiment.rnvp_checkpoints)
    train_flow(tiny_config(codes_only, code_mirror=False))
    assert path.stat().st_mtime_ns > before


def replace_cloud(folder: Path, cfg: Config) -> None:
    """Other input points of a shape, as after its mesh was replaced."""
    path = folder / voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points)
    write_npz(path, point_cloud=0.9 * read_input_cloud(folder, cfg))


def times(cfg: Config) -> dict[str, int]:
    return {split: (cfg.experiment.codes / f"{split}.npy").stat().st_mtime_ns for split in SPLITS}


@pytest.mark.parametrize(
    ("options", "again"),
    [
        ({"code_draws": 2}, ["train"]),
        ({"precision": "float32"}, ["train", "val", "test"]),
        ({"seed": 1}, []),  # no further draws
        ({"batch_size": 3}, []),
    ],
)
def test_codes_of_other_facts_are_made_again_and_told(
    codes_only: Path, capsys: pytest.CaptureFixture, options: dict, again: list[str]
):
    before = times(tiny_config(codes_only))
    capsys.readouterr()
    encode(tiny_config(codes_only, **options))
    assert [split for split, time in times(tiny_config(codes_only)).items() if time != before[split]] == again
    told = capsys.readouterr().err
    assert [split for split in SPLITS if f"codes of {split} made again: {next(iter(options))}" in told] == again


def test_codes_of_an_earlier_version_are_made_again_the_same_and_their_flow_goes_on(codes_only: Path):
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    before = {path.name: path.read_bytes() for path in cfg.experiment.codes.glob("*.npy")}
    for path in cfg.experiment.codes.glob("*.json"):
        index = json.loads(path.read_text())
        del index["made_of"]
        path.write_text(json.dumps(index))
    for path in cfg.experiment.rnvp_checkpoints.iterdir():
        state = load_checkpoint(path)
        assert state.pop("codes") and state.pop("shapes")
        write_state(state, path)
    train_flow(cfg)
    assert {path.name: path.read_bytes() for path in cfg.experiment.codes.glob("*.npy")} == before
    assert read_index(cfg.experiment.codes, "train")["made_of"]["options"]["num_points"] == 53
    for path in cfg.experiment.codes.glob("*.json"):  # neither codes nor flow record it: its configuration tells
        path.unlink()
    with pytest.raises(UserError, match="code_draws 1 -> 2"):
        train_flow(tiny_config(codes_only, code_draws=2))
    assert not (cfg.experiment.codes / "train.json").exists()


def test_other_facts_than_the_flows_are_refused_before_its_codes_are_replaced(codes_only: Path):
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    before = times(cfg)
    for option, value in {"code_draws": 2, "code_mirror": False, "flow_noise": 0.5, "flow_hidden": 9}.items():
        with pytest.raises(UserError, match=rf"\b{option}\b"):
            train_flow(tiny_config(codes_only, **{option: value}, flow_steps=30))
    replace_cloud(split_folders(cfg)["train"][0], cfg)
    with pytest.raises(UserError, match="training shapes: 1 changed"):
        train_flow(cfg)
    assert times(cfg) == before


def test_replaced_test_shapes_are_encoded_again_and_validation_shapes_start_the_best_anew(
    codes_only: Path, capsys: pytest.CaptureFixture
):
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    before = times(cfg)
    folders = split_folders(cfg)
    replace_cloud(folders["test"][1], cfg)
    capsys.readouterr()
    train_flow(cfg)
    assert re.search(r"codes of test .*\b1 changed", capsys.readouterr().err)
    assert [split for split, time in times(cfg).items() if time != before[split]] == ["test"]
    replace_cloud(folders["val"][0], cfg)
    longer = tiny_config(codes_only, flow_steps=30)
    encode(longer)
    task = FlowTask(longer)
    old = task.run.best
    train(task)
    assert re.search(r"validation shapes: 1 changed.*best .*anew", capsys.readouterr().err)
    best = load_checkpoint(best_checkpoint(task.run.folder))
    assert best["step"] == 30 and best["best"] == best["nll_nats_per_dim"]["val"] != old
    assert best["shapes"]["val"] == shape_digests(folders["val"], cfg)


def test_a_run_killed_between_codes_and_flow_ends_with_the_same(codes_only: Path):
    """Validation shapes were replaced: their codes are there when it is killed, the flow's best is still the old."""
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    replace_cloud(split_folders(cfg)["val"][0], cfg)
    longer = tiny_config(codes_only, flow_steps=30)
    shutil.copytree(cfg.experiment.root, codes_only / "kept")
    train_flow(longer)
    whole = load_checkpoint(best_checkpoint(cfg.experiment.rnvp_checkpoints))
    shutil.rmtree(cfg.experiment.root)
    (codes_only / "kept").rename(cfg.experiment.root)
    encode(longer)
    train_flow(longer)
    again = load_checkpoint(best_checkpoint(cfg.experiment.rnvp_checkpoints))
    assert again["best"] == whole["best"] and again["step"] == whole["step"] == 30
    for name, value in whole["ema_state_dict"].items():
        assert torch.equal(value, again["ema_state_dict"][name])


def test_test_shapes_that_the_ndf_was_trained_on_are_told(codes_only: Path, capsys: pytest.CaptureFixture):
    cfg = tiny_config(codes_only)
    folders = split_folders(cfg)
    for path in cfg.experiment.ndf_checkpoints.iterdir():
        state = load_checkpoint(path)
        write_state(state | {"shapes": {"train": shape_digests(folders["test"][:2], cfg)}}, path)
    encode(cfg)
    assert "2 of 4 test shapes" in capsys.readouterr().err


def test_folders_of_codes_come_from_the_split(codes_only: Path):
    cfg = tiny_config(codes_only)
    stored = load_codes(cfg, "train")
    assert all("folder" not in row for row in stored.rows)
    assert stored.folders(cfg) == 2 * split_folders(cfg)["train"]
    arrays = {part: [str(folder) for folder in folders] for part, folders in split_folders(cfg).items()}
    write_npz(Path(cfg.data.split_file), **arrays | {"train": arrays["train"][::-1]})
    assert stored.folders(cfg) == 2 * split_folders(cfg)["train"][::-1]
    write_npz(Path(cfg.data.split_file), **arrays | {"train": arrays["train"][2:]})
    with pytest.raises(UserError, match=r"\b2 shapes"):
        stored.folders(cfg)


def test_flow_of_another_networks_codes_is_refused(codes_only: Path):
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    path = best_checkpoint(cfg.experiment.rnvp_checkpoints)
    sha256 = read_index(cfg.experiment.codes, "train")["sha256"]
    assert load_flow(path, cfg, (5,), sha256, CPU).dim == 5
    with pytest.raises(UserError, match="flow in .*another NDF"):
        load_flow(path, cfg, (5,), "0" * 64, CPU)
    with pytest.raises(UserError, match="is no checkpoint of a flow"):
        load_flow(best_checkpoint(cfg.experiment.ndf_checkpoints), cfg, (5,), sha256, CPU)
    save_random_ndf(cfg, seed=7)
    with pytest.raises(UserError, match="flow in .*another NDF"):
        train_flow(cfg)


def test_missing_inputs_name_the_command(codes_only: Path):
    arguments = ["--config", str(codes_only / "config.txt")]
    with pytest.raises(UserError, match="code_kind = none"):
        train_rnvp.main([*arguments, "--code_kind", "none"])
    with pytest.raises(UserError, match=r"empty.*train_ndf\.py --config"):
        train_rnvp.main([*arguments, "--exp_name", "empty"])
    with pytest.raises(UserError, match=r"empty.*train_rnvp\.py --config"):
        load_codes(tiny_config(codes_only, exp_name="empty"), "train")
