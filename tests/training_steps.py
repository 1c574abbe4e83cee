"""Trainings that end early, or whose losses are recorded: what happens around the steps of the loop."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

from frozen.checkpoint_files import latest_checkpoint, load_checkpoint
from training import loop
from training.task import Task


@contextmanager
def around_steps(before: Callable[[Task], None], after: Callable[[Task, Tensor], None]) -> Iterator[None]:
    """before(task) and after(task, loss) are called around each step of the trainings in the block."""
    plain = loop.train_step

    def train_step(task: Task, batches: Iterator) -> Tensor:
        before(task)
        loss = plain(task, batches)
        after(task, loss)
        return loss

    with patch.object(loop, "train_step", train_step):
        yield


@contextmanager
def stopped_after(step: int, number: int = signal.SIGTERM) -> Iterator[None]:
    """The training in the block is asked to stop after a step."""

    def ask(task: Task, loss: Tensor) -> None:
        if task.run.step == step:
            os.kill(os.getpid(), number)

    with around_steps(lambda task: None, ask):
        yield


@contextmanager
def killed_after(step: int) -> Iterator[None]:
    """The training in the block fails after a step, as if killed: nothing is saved. The block swallows the error."""

    def fail(task: Task) -> None:
        if task.run.step == step:
            raise KeyboardInterrupt

    failed = False
    with around_steps(fail, lambda task, loss: None):
        try:
            yield
        except KeyboardInterrupt:
            failed = True
    assert failed


def final_state(folder: Path, exp_name: str) -> dict[str, Any]:
    """The latest checkpoint of the NDF of an experiment below a folder of `write_shapes`."""
    return load_checkpoint(latest_checkpoint(folder / "experiments" / exp_name / "checkpoints_ndf"))
