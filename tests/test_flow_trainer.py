"""The flow's trainer: resuming bit for bit, early stop, codes of another network, what it reports."""

import os
import signal
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from tiny_experiment import make_experiment, save_random_ndf, tiny_config, train_flow

import train_rnvp
from configs.errors import UserError
from configs.layout import Experiment
from frozen.checkpoint_files import best_checkpoint, latest_checkpoint, load_checkpoint
from frozen.codes import load_codes, read_index
from frozen.loading import load_flow
from training.code_nna import nna_while_training
from training.flow_trainer import FlowTrainer, code_quantiles, noised_nll
from training.training_run import EXIT_STOPPED

CPU = torch.device("cpu")


@pytest.fixture
def codes_only(tmp_path: Path) -> Path:
    """An experiment with codes; its flow is to be trained anew."""
    experiment = Experiment(make_experiment(tmp_path))
    for path in experiment.rnvp_checkpoints.iterdir():
        path.unlink()
    return tmp_path


def config(folder: Path, **options: object) -> Namespace:
    return tiny_config(folder, flow_dropout=0.2, flow_steps=4, flow_val_every=3, **options)


def test_four_steps_are_two_and_a_resume_and_two(codes_only: Path, monkeypatch: pytest.MonkeyPatch):
    cfg = config(codes_only)
    folder = Experiment(cfg).rnvp_checkpoints
    assert FlowTrainer(cfg).train() == 0
    whole = load_checkpoint(latest_checkpoint(folder))
    for path in folder.iterdir():
        path.unlink()

    stopped = FlowTrainer(cfg)
    plain_step = stopped.train_step

    def step_then_signal() -> torch.Tensor:
        nll = plain_step()
        if stopped.run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return nll

    monkeypatch.setattr(stopped, "train_step", step_then_signal)
    assert stopped.train() == EXIT_STOPPED
    torch.randn(100)  # whatever else drew random numbers in between
    resumed = FlowTrainer(cfg)
    assert resumed.run.step == 2
    assert resumed.train() == 0
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
    trainer = FlowTrainer(cfg)
    before = noised_nll(trainer.average.model, trainer.plain_codes, trainer.noise, cfg)
    new_flow = noised_nll(trainer.average.model, trainer.val_codes, trainer.noise, cfg)
    trainer.train()
    after = noised_nll(trainer.average.model, trainer.plain_codes, trainer.noise, cfg)
    assert after < before - 0.05
    stored = load_checkpoint(latest_checkpoint(trainer.run.folder))["nll_nats_per_dim"]
    assert stored["train"] == pytest.approx(after, abs=1e-5)
    assert stored["gaussian"] == pytest.approx(new_flow, abs=0.1)  # a new flow is the Gaussian, up to drawn noise


def test_the_checkpoint_tells_quantiles_of_the_training_codes(codes_only: Path):
    cfg = tiny_config(codes_only)
    trainer = FlowTrainer(cfg)
    trainer.train()
    found = load_checkpoint(latest_checkpoint(trainer.run.folder))["quantiles"]
    flow, codes = trainer.average.model, trainer.plain_codes
    assert found == code_quantiles(flow, codes, trainer.noise, cfg)
    clean = code_quantiles(flow, codes, 0.0, cfg)
    norms, nll = flow(codes)[0].norm(dim=1), flow.nats_per_dim(codes)
    for name, values in (("z_norm", norms), ("nll_nats_per_dim", nll)):
        assert list(found[name]) == ["0.5", "0.99", "0.999"]
        assert clean[name]["0.5"] == pytest.approx(values.median().item(), rel=1e-5)
        assert values.sort().values[-2] < clean[name]["0.99"] < clean[name]["0.999"] < values.max()
        assert found[name] != clean[name]


def test_stops_when_validation_no_longer_improves(codes_only: Path, capsys: pytest.CaptureFixture):
    cfg = tiny_config(codes_only, flow_steps=4000, flow_val_every=5, flow_patience=3, flow_lr=0.05, flow_ema=0.0)
    trainer = FlowTrainer(cfg)
    trainer.train()
    assert trainer.run.step < 4000
    assert trainer.run.step - trainer.run.best_step == 15
    best = load_checkpoint(best_checkpoint(trainer.run.folder))
    assert best["step"] == trainer.run.best_step
    assert best["nll_nats_per_dim"]["val"] == trainer.run.best
    capsys.readouterr()
    assert FlowTrainer(cfg).train() == 0
    assert f"already trained: {trainer.run.step} steps" in capsys.readouterr().out


def test_one_nna_of_codes_is_a_curve_beside_the_nll(codes_only: Path):
    cfg = config(codes_only)
    trainer = FlowTrainer(cfg)
    trainer.val_codes = trainer.train_codes[:6]
    trainer.train()
    events = EventAccumulator(str(Experiment(cfg).summary / "rnvp"))
    events.Reload()
    expected = nna_while_training(trainer.average.model, trainer.val_codes, cfg)
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


def test_codes_are_encoded_once(codes_only: Path):
    cfg = tiny_config(codes_only)
    path = Experiment(cfg).codes / "train.npy"
    before = path.stat().st_mtime_ns
    train_flow(cfg)
    assert path.stat().st_mtime_ns == before
    train_flow(tiny_config(codes_only, code_mirror=False, exp_name="test"))
    assert path.stat().st_mtime_ns > before


def test_flow_of_another_networks_codes_is_refused(codes_only: Path):
    cfg = tiny_config(codes_only)
    train_flow(cfg)
    path = best_checkpoint(Experiment(cfg).rnvp_checkpoints)
    sha256 = read_index(Experiment(cfg).codes, "train")["sha256"]
    assert load_flow(path, cfg, (5,), sha256, CPU).dim == 5
    with pytest.raises(UserError, match="the flow in .*: of another NDF checkpoint.* delete the folder"):
        load_flow(path, cfg, (5,), "0" * 64, CPU)
    with pytest.raises(UserError, match="is no checkpoint of a flow"):
        load_flow(best_checkpoint(Experiment(cfg).ndf_checkpoints), cfg, (5,), sha256, CPU)
    save_random_ndf(cfg, seed=7)
    with pytest.raises(UserError, match="the flow in .*: of another NDF checkpoint"):
        train_flow(cfg)


def test_missing_inputs_name_the_command(codes_only: Path):
    arguments = ["--config", str(codes_only / "config.txt")]
    with pytest.raises(UserError, match="code_kind = none is plain NDF"):
        train_rnvp.main([*arguments, "--code_kind", "none"])
    with pytest.raises(UserError, match="no NDF checkpoint in .*train_ndf.py --config"):
        train_rnvp.main([*arguments, "--exp_name", "empty"])
    with pytest.raises(UserError, match="no shape codes in .*train_rnvp.py --config"):
        load_codes(tiny_config(codes_only, exp_name="empty"), "train")
