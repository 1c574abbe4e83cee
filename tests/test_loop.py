"""The training loop: resuming bit for bit, stopping on a signal, the learning rate."""

import signal
from pathlib import Path

import pytest
import torch
from training_steps import final_state, stopped_after

from lab.small.tiny_experiment import ndf_task as task_of
from runtime.seeds import step_seed
from training.loop import learning_rate, train
from training.stopping import EXIT_STOPPED

PCA = {"latent_dim": 3, "pca_resolution": 5}


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "Muon"}, {"code_encoder": "pca", **PCA}, {"code_encoder": "both", "pca_dims": 1, **PCA}],
)
def test_four_steps_are_two_and_a_resume_and_two(shapes: Path, options: dict):
    assert train(task_of(shapes, exp_name="whole", **options)) == 0
    stopped = task_of(shapes, exp_name="halves", **options)
    with stopped_after(2, signal.SIGUSR1):
        assert train(stopped) == EXIT_STOPPED
    assert stopped.run.step == 2
    torch.randn(100)  # whatever else drew random numbers in between
    resumed = task_of(shapes, exp_name="halves", **options)
    assert resumed.run.step == 2
    assert train(resumed) == 0
    whole, halves = final_state(shapes, "whole"), final_state(shapes, "halves")
    assert whole["step"] == halves["step"] == 4
    for key in ("model_state_dict", "optimizer_state_dict", "step"):
        torch.testing.assert_close(whole[key], halves[key], rtol=0, atol=0)


def test_a_stop_between_validations_leaves_the_best_of_an_uninterrupted_run(shapes: Path):
    """What a run validates only because it was asked to stop must not become its best."""
    assert train(task_of(shapes, exp_name="whole", val_every=4)) == 0
    for step in (1, 3):
        task = task_of(shapes, exp_name="stopped", val_every=4)
        with stopped_after(step, signal.SIGHUP):
            assert train(task) == EXIT_STOPPED
        assert not (task.run.folder / "best.tar").is_file()
    assert train(task_of(shapes, exp_name="stopped", val_every=4)) == 0
    whole, stopped = final_state(shapes, "whole"), final_state(shapes, "stopped")
    for key in ("model_state_dict", "optimizer_state_dict", "best", "best_step"):
        torch.testing.assert_close(whole[key], stopped[key], rtol=0, atol=0)


def test_learning_rate_warms_up_and_decays():
    rates = [learning_rate(step, 1000, 2.0, 100) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[100] == pytest.approx(2.0, rel=1e-3)
    assert rates[-1] == pytest.approx(0.02, rel=0.01)
    assert all(a >= b for a, b in zip(rates[100:], rates[101:], strict=False))


def test_seeds_of_steps_differ():
    assert len({step_seed(seed, step) for seed in range(10) for step in range(1000)}) == 10_000
