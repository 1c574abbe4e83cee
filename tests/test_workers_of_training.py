"""Processes that read samples for a training: what comes through them, and what happens when they cannot, or die."""

import errno
import os
import signal
from pathlib import Path

import pytest
import torch
from facts import says
from torch.utils.data import get_worker_info

from dataprocessing.split import split_folders
from lab.small.helpers import read_config
from runtime.errors import UserError, message_for_user
from training import shape_samples
from training.shape_samples import ShapeSteps, step_batches


def steps_of(shapes: Path, **options: object) -> ShapeSteps:
    cfg = read_config(shapes, num_cpus=2, ram_cache_gb=0, num_epochs=2, **options)
    return ShapeSteps(split_folders(cfg)["train"], cfg)


def message(steps: ShapeSteps) -> str:
    """What the user is told of the error with which the batches end."""
    try:
        list(step_batches(steps, 0))
    except Exception as error:
        told, kept = message_for_user(error), repr(error)
    assert told is not None, kept
    return told


class Failing(ShapeSteps):
    """`fail` is called in the workers, before each step."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        assert get_worker_info() is not None
        self.fail()
        return super().__getitem__(step)


def failing(shapes: Path, fail: object) -> Failing:
    steps = steps_of(shapes)
    steps.__class__, steps.fail = Failing, fail
    return steps


def test_batches_of_processes_are_those_of_one_and_need_no_shared_memory(shapes: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device: /dev/shm")

    monkeypatch.setattr("torch.multiprocessing.reductions.reduce_storage", refuse)
    steps = steps_of(shapes)
    found = list(step_batches(steps, 1))
    assert len(found) == len(steps) - 1 > 0
    for step, batch in enumerate(found, start=1):
        expected = steps[step]
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_without_locks_the_training_reads_by_itself(shapes: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    steps = steps_of(shapes)
    monkeypatch.setattr("_multiprocessing.SemLock", full)
    found = list(step_batches(steps, 0))
    assert all(torch.equal(batch["points"], steps[step]["points"]) for step, batch in enumerate(found))
    assert says(capsys.readouterr().err, "note", "/dev/shm", os.strerror(errno.ENOSPC))


def test_a_worker_that_is_killed_is_told(shapes: Path):
    told = message(failing(shapes, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    assert says(told, "memory --num_cpus --ram_cache_gb") and "\n" not in told


def test_a_worker_without_an_answer_is_told(shapes: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shape_samples, "LONGEST_READ_S", 0.5)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)  # until it is ended by force
    assert says(message(failing(shapes, lambda: signal.pause())), "--num_cpus")


def raise_error(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE), "a/samples.npz"), "Stale a/samples.npz"),
        (OSError(errno.EIO, os.strerror(errno.EIO), "a/samples.npz"), "error a/samples.npz"),
        (MemoryError("Unable to allocate 3 GiB"), "memory --num_cpus"),
        (UserError("a/samples.npz is damaged"), "a/samples.npz damaged"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_error_of_a_worker_is_told_in_one_line(shapes: Path, error: Exception, facts: str):
    told = message(failing(shapes, lambda: raise_error(error)))
    assert says(told, facts) and "\n" not in told and "Traceback" not in told, told


def test_a_mistake_of_the_program_in_a_worker_keeps_its_traceback(shapes: Path):
    with pytest.raises(AssertionError, match="shapes do not match"):
        message(failing(shapes, lambda: raise_error(RuntimeError("shapes do not match"))))
