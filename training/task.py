"""What a training loop (`training/loop.py`) has to know of a network: what `NDFTask` and `FlowTask` give it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from configs.options import Config
from training.progress_log import Curves, Draw
from training.training_run import TrainingRun

Batch = dict[str, Tensor]


class Validation(NamedTuple):
    """What a validation finds, the same in all processes of a training.

    loss: the lower, the better the network; curves: name -> value, each a curve of its own; chart: name -> value, of
    one chart (`ProgressLog.chart`); stored: further entries of the checkpoint; text: goes on the progress line.
    """

    loss: float
    curves: dict[str, float]
    text: str
    chart: dict[str, float] = {}
    stored: dict[str, Any] = {}


class Task(ABC):
    """A network to train, with its optimiser, its batches, its loss and its validation.

    A subclass sets in its constructor: run, resumed if there is a checkpoint; num_steps, the most that are trained;
    learning_rate, the peak of its schedule; val_every, the steps between validations; curves, the names in TensorBoard.
    """

    name: str  # of the network, in messages
    run: TrainingRun
    num_steps: int
    learning_rate: float
    val_every: int
    curves: Curves
    draw: Draw | None = None  # logs pictures of the network as it is

    def __init__(self, cfg: Config, device: torch.device):
        self.cfg, self.device, self.experiment = cfg, device, cfg.experiment

    @property
    def finished(self) -> bool:
        return self.run.step >= self.num_steps

    @abstractmethod
    def progress(self) -> str:
        """How far the training has come, in words: steps, and the best validation loss."""

    @abstractmethod
    def prepare(self) -> None:
        """What is read, fitted and recorded before the first step of this process."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """This process's part of the batch of each step, from `run.step` on, on the device.

        The loop seeds torch's generator before it asks for each of them.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The mean loss of this process's part of a batch, ()."""

    @abstractmethod
    def suspects(self, batch: Batch) -> list[str]:
        """The names of the shapes, of all processes, that may be why the loss of a batch is not finite."""

    def after_step(self) -> None:  # noqa: B027 (an NDF needs neither this nor `conclude`)
        """What follows each step, whether the optimiser has taken it or left it out."""

    @abstractmethod
    def validate(self) -> Validation:
        """To be called by all processes."""

    def conclude(self) -> None:  # noqa: B027
        """What is printed at the end of a whole training."""
