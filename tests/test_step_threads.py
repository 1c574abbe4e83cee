"""Threads of training steps: they are chosen only from those that give the same bits, and the training is unchanged."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from training_steps import final_state, stopped_after

from lab.small.tiny_experiment import ndf_task
from runtime import cores
from training import step_threads
from training.loop import GRAD_CLIP, seed_of_step, train
from training.ndf_task import NDFTask
from training.step_threads import choose_threads, same_bits
from training.stopping import EXIT_STOPPED

# Without 3-D convolutions, whose gradients depend on threads, as does Muon's product of such small odd matrices.
PCA = {"code_encoder": "pca", "latent_dim": 3, "pca_resolution": 5, "decoder_resolution": [4], "decoder_channels": [3]}


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    for name in cores.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    yield
    torch.set_num_threads(before)


def task_of(folder: Path, **options: object) -> NDFTask:
    return ndf_task(folder, num_cpus=4, **options)


def begun(folder: Path, **options: object) -> NDFTask:
    """A training before its first step, with all threads."""
    task = task_of(folder, **options)
    task.prepare()
    task.run.model.train()
    return task


@contextmanager
def loss_that_depends_on_threads(of: Callable[[int], float]) -> Iterator[None]:
    plain = NDFTask.loss

    def loss(task: NDFTask, batch: dict[str, Tensor]) -> Tensor:
        return plain(task, batch) * of(torch.get_num_threads())

    with patch.object(NDFTask, "loss", loss):
        yield


@pytest.mark.parametrize("options", [{}, PCA, {**PCA, "optimizer": "Muon"}])
def test_a_trial_of_bits_leaves_the_training_as_it_was(four_cores: None, shapes: Path, options: dict):
    task = begun(shapes, **options)
    before = {name: value.clone() for name, value in task.run.model.state_dict().items()}
    torch.manual_seed(3)
    batch = next(task.batches())
    drawn = torch.get_rng_state()
    assert 4 in same_bits(task, batch, [4, 2, 1], GRAD_CLIP)
    assert torch.get_num_threads() == 4
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in task.run.model.state_dict().items())
    assert not task.run.optimizer.state_dict()["state"]
    assert all(weight.grad is None for weight in task.run.model.parameters())


def test_counts_with_other_bits_are_left_out(four_cores: None, shapes: Path):
    task = begun(shapes, **PCA)
    batch = next(task.batches())
    with loss_that_depends_on_threads(lambda count: 1.0):
        assert same_bits(task, batch, [4, 2, 1], GRAD_CLIP) == [4, 2, 1]
    with loss_that_depends_on_threads(lambda count: 1.0 + (count == 2) * 2**-20):
        assert same_bits(task, batch, [4, 2, 1], GRAD_CLIP) == [4, 1]
    with loss_that_depends_on_threads(lambda count: 1.0 / count):
        choice, _ = choose_threads(task, task.batches(), seed_of_step(task), GRAD_CLIP, print)
    assert choice.counts == [4]


@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop"])
def test_a_training_on_chosen_threads_is_that_on_all_of_them_bit_for_bit(
    four_cores: None, shapes: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
):
    """All counts are timed; code noise and hard points use torch's generator after the batch was drawn."""
    used = []
    options = {"num_epochs": 6, "code_noise": 0.1, "optimizer": optimizer, **PCA}
    plain = NDFTask.loss
    monkeypatch.setattr(NDFTask, "loss", lambda *args: used.append(torch.get_num_threads()) or plain(*args))
    assert train(task_of(shapes, exp_name="chosen", **options)) == 0
    assert set(used[3:15]) == {4, 2, 1}  # after the three that are compared
    used.clear()
    with patch.object(step_threads, "fewer_threads", lambda most: [most]):
        assert train(task_of(shapes, exp_name="all", **options)) == 0
    assert set(used) == {4}
    with stopped_after(5):
        assert train(task_of(shapes, exp_name="resumed", **options)) == EXIT_STOPPED
    assert train(task_of(shapes, exp_name="resumed", **options)) == 0
    everything = final_state(shapes, "all")
    for name in ("chosen", "resumed"):
        for key in ("model_state_dict", "optimizer_state_dict", "best", "best_step", "step"):
            torch.testing.assert_close(final_state(shapes, name)[key], everything[key], rtol=0, atol=0)
