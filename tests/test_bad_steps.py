"""Losses that are not finite: such steps change nothing, are counted, and many in a row end the training."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from configs.options import Config
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from frozen.checkpoint_files import latest_checkpoint, load_checkpoint
from lab.small.tiny_experiment import make_experiment, tiny_config
from lab.small.tiny_experiment import ndf_task as task_of
from runtime.errors import UserError
from training import shape_samples
from training.bad_steps import MOST_IN_A_ROW, BadSteps, shortened, suspects
from training.flow_task import FlowTask
from training.loop import optimise, train
from training.same_training import TrainingFacts
from training.training_run import TrainingRun


def spoil(monkeypatch: pytest.MonkeyPatch, bad: list[Path]) -> None:
    """Samples whose distances are no numbers, which no reader lets through, for the shapes in these folders."""
    read = shape_samples.read_samples

    def read_samples(folder: Path, cfg: Config) -> dict:
        samples = read(folder, cfg)
        if folder in bad:
            samples["sets"] = [(points, np.full_like(df, np.nan)) for points, df in samples["sets"]]
        return samples

    monkeypatch.setattr(shape_samples, "read_samples", read_samples)


def test_the_shape_to_blame_is_found():
    good, bad = torch.zeros(3, 4, 2), torch.zeros(3, 5)
    assert suspects("abc", [good, bad]) == ["a", "b", "c"]  # nothing wrong with the data: all
    bad[1, 3] = math.inf
    assert suspects("abc", [good, bad]) == ["b"]
    assert shortened([str(n) for n in range(15)]).endswith("10, 11 and 3 more")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_step_changes_neither_weights_nor_statistics_nor_moments(bad: float):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    run = TrainingRun(TrainingFacts("ndf", Config()), Path("nowhere"), model, optimizer)
    optimise(run, model(torch.randn(8, 3)).square().mean(), list)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    moments = {name: value.clone() for name, value in optimizer.state[model[0].weight].items()}
    x = torch.randn(8, 3)
    x[2, 1] = bad
    optimise(run, model(x).square().mean(), lambda: ["a"])
    assert run.bad_steps.total == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, moments[name]) for name, value in optimizer.state[model[0].weight].items())
    assert run.bad_steps.summary().startswith("1 ")


def test_many_in_a_row_stop_with_the_names_of_the_shapes_and_some_do_not():
    steps = BadSteps(nn.Linear(1, 1))
    for _ in range(3):
        for n in range(MOST_IN_A_ROW - 1):
            steps.bad(n, math.nan, math.nan, [f"car{n % 2}"])
        steps.good()
    assert steps.total == 3 * (MOST_IN_A_ROW - 1)
    for n in range(MOST_IN_A_ROW - 1):
        steps.bad(n, math.nan, math.nan, [f"car{n % 2}"])
    with pytest.raises(UserError, match=r"10 steps .*loss nan.*car0, car1\b"):
        steps.bad(9, math.nan, math.nan, ["car1"])


def test_one_bad_shape_of_the_training_is_left_out_and_named(
    shapes: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    run = task_of(shapes, num_epochs=3, val_every=2)
    bad = split_folders(run.cfg)["train"][1]
    spoil(monkeypatch, [bad])
    assert train(run) == 0
    out = capsys.readouterr().out
    assert f"is left out: loss nan, on {shape_name(bad)}\n" in out
    assert "3 steps were left out" in out  # once an epoch
    state = load_checkpoint(latest_checkpoint(run.run.folder))
    assert state["bad_steps"] == 3
    assert all(torch.isfinite(value).all() for value in state["model_state_dict"].values())


def test_a_training_of_bad_shapes_only_stops_and_keeps_its_checkpoint(shapes: Path, monkeypatch: pytest.MonkeyPatch):
    train(task_of(shapes, num_epochs=1, val_every=1))
    run = task_of(shapes, num_epochs=30, val_every=50)
    path = latest_checkpoint(run.run.folder)
    spoil(monkeypatch, split_folders(run.cfg)["train"])
    with pytest.raises(UserError, match="10 steps"):
        train(run)
    assert latest_checkpoint(run.run.folder) == path
    assert load_checkpoint(path)["step"] == 2


def test_a_flow_that_diverges_stops_with_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_experiment(tmp_path)
    cfg = tiny_config(tmp_path, flow_steps=100, flow_val_every=50)
    for path in cfg.experiment.rnvp_checkpoints.iterdir():
        path.unlink()
    flow = FlowTask(cfg)
    log_prob = flow.flow.log_prob_whitened
    monkeypatch.setattr(flow.flow, "log_prob_whitened", lambda w: log_prob(w) * math.nan)
    with pytest.raises(UserError, match=rf"on the shapes .*{flow.names[0]}.*; look"):
        train(flow)
    assert latest_checkpoint(flow.run.folder) is None
