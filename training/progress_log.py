"""What TensorBoard shows of a training while it runs: curves, and now and then pictures (docs/tensorboard.md).

A training resumes from its last checkpoint, so what a killed run logged beyond that is logged again: it is purged, and
everything up to a checkpoint is on disk before the checkpoint is. No point is doubled, none is missing.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from runtime.files import SPARE_SUFFIX
from runtime.ranks import is_first
from training.training_run import TrainingRun

MOST_SHARE = 0.03  # of the time of a step, 3 or 4, that its pictures may take
STARTED = time.monotonic()  # about when this process did
POINT_SIZE = 0.02  # of the Mesh tab's points, mesh units

Draw = Callable[["ProgressLog"], None]  # logs pictures of the network as it is


@dataclass(frozen=True)
class Curves:
    """How the curves of a training are named, and when they get their points.

    group: first part of all tags, and the folder of the event files below summary/; loss: tag of the loss of a step;
    best: of the best validation loss; every: steps between points of what is logged of single steps; unit: what a step
    takes `batch_size` of; chart: tag of the curves that share a chart, one for each of `lines`; drawn_at: the steps
    after which pictures are drawn.
    """

    group: str
    loss: str
    best: str
    every: int
    batch_size: int
    unit: str
    chart: str = ""
    lines: tuple[str, ...] = ()
    drawn_at: set[int] = field(default_factory=set)


def picture_steps(num_steps: int, count: int, before_the_first: bool = False) -> set[int]:
    """The `count` steps of a training of `num_steps` after which pictures are drawn: n^2 / count^2 of the way.

    More often at first, when most changes. before_the_first: at step 0 too.
    """
    steps = {max(1, round(num_steps * (n / count) ** 2)) for n in range(1, count + 1)}
    return steps | {0} if count and before_the_first else steps


class NoWriter:
    """Takes what a SummaryWriter does, and writes nothing: of all processes of a training but the first."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def new_writer(folder: Path, first_step: int) -> SummaryWriter | NoWriter:
    return SummaryWriter(folder, purge_step=first_step) if is_first() else NoWriter()


class ProgressLog:
    """The event files of one training: of its folder, and of folders below it whose curves share a chart.

    run: gives the step; draw(log): logs pictures, after the steps `curves.drawn_at`, unless they would take more than
    `MOST_SHARE` of the time until then; at the last of them in any case. It must not use torch's or numpy's global
    random numbers. `drawing_seconds` is what it took.
    """

    def __init__(self, summary: Path, run: TrainingRun, curves: Curves, draw: Draw | None = None):
        self.run, self.curves, self.draw = run, curves, draw if is_first() else None
        folder, first = summary / curves.group, run.step + 1 if run.step else 0
        self.writer = new_writer(folder, first)
        self.lines = {name: new_writer(folder / name, first) for name in curves.lines}
        self.drawing_seconds = self._latest_seconds = 0.0
        self._drawn = -1
        self._first_step = run.step
        self.restart_clock()

    def __enter__(self) -> "ProgressLog":
        if self.run.step == 0:
            self._draw_if_due()
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers():
            writer.close()

    def flush(self) -> None:
        """Write everything to disk; to be called before a checkpoint is saved."""
        for writer in self._writers():
            writer.flush()

    def step(self, loss: Tensor) -> bool:
        """To be called after each step with its loss, (). Returns whether it was time for a point of the curves.

        Logs the loss, the learning rate, the gradient's norm, the steps left out until now, and the speed.
        """
        due = self.run.step % self.curves.every == 0
        if due:
            steps, seconds = self.run.step - self._clock[0], time.monotonic() - self._clock[1]
            values = {
                self.curves.loss: loss.item(),
                "learning_rate": self.run.optimizer.param_groups[0]["lr"],
                "gradient_norm": self.run.gradient_norm,
                "bad_steps": self.run.bad_steps.total,
                f"{self.curves.unit}_per_second": steps * self.curves.batch_size / max(seconds, 1e-9),
            }
            self.scalars(values)
            self.restart_clock()
        self._draw_if_due()
        return due

    def scalars(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(self._tag(name), value, self.run.step)

    def chart(self, values: Mapping[str, float]) -> None:
        """A value for each of `curves.lines`, in one chart: curves of the same tag in different folders."""
        for line, value in values.items():
            self.lines[line].add_scalar(self._tag(self.curves.chart), value, self.run.step)

    def picture(self, name: str, picture: NDArray[np.uint8]) -> None:
        """picture: (height, width, 3)."""
        self.writer.add_image(self._tag(name), picture, self.run.step, dataformats="HWC")

    def cloud(self, name: str, points: NDArray[np.float32], colors: NDArray[np.uint8]) -> None:
        """points: (N, 3), as the Mesh tab's camera sees them: x right, y up, looking along -z; colors: (N, 3)."""
        if not len(points):
            return
        material = {"material": {"cls": "PointsMaterial", "size": POINT_SIZE}}
        self.writer.add_mesh(
            self._tag(name),
            torch.from_numpy(points)[None],
            torch.from_numpy(colors.astype(np.int64))[None],
            config_dict=material,
            global_step=self.run.step,
        )

    def restart_clock(self) -> None:
        """Leave what was done since the last point, other than training steps, out of the speed."""
        self._clock = (self.run.step, time.monotonic())

    def draw_last(self) -> None:
        """The training ends here, before the last step perhaps: draw, unless that is done."""
        if self.curves.drawn_at and self._drawn != self.run.step:
            self._draw()

    def print_summary(self) -> None:
        """Print how many steps were left out and what the pictures took, if there are any."""
        if left_out := self.run.bad_steps.summary():
            print(left_out)
        if not self.drawing_seconds:
            return
        share = 100 * self.drawing_seconds / self._seconds()
        steps = self.run.step - self._first_step
        print(
            f"pictures for TensorBoard: {self.drawing_seconds:.1f} s, {share:.1f} % of the {self._seconds():.0f} s that"
            f" this took, with {steps} steps"
        )

    def _seconds(self) -> float:
        """Since this process started: encoding codes is part of step 4."""
        return max(time.monotonic() - STARTED, 1e-9)

    def _draw_if_due(self) -> None:
        if self.run.step not in self.curves.drawn_at:
            return
        expected = self.drawing_seconds + self._latest_seconds
        if expected <= MOST_SHARE * self._seconds() or self.run.step == max(self.curves.drawn_at):
            self._draw()

    def _draw(self) -> None:
        if self.draw is None:
            return
        self._drawn = self.run.step
        started = time.monotonic()
        self.draw(self)
        seconds = time.monotonic() - started
        self._latest_seconds = seconds if self.drawing_seconds else seconds / 2  # at first some things are done once
        self.drawing_seconds += seconds
        self.restart_clock()

    def _tag(self, name: str) -> str:
        return f"{self.curves.group}/{name}"

    def _writers(self) -> list[SummaryWriter | NoWriter]:
        return [self.writer, *self.lines.values()]


@contextmanager
def replaced_run(folder: Path) -> Iterator[SummaryWriter]:
    """A writer of what replaces the run in `folder`, if there is one, when the block ends well."""
    spare = folder.with_name(f".{folder.name}{SPARE_SUFFIX}")
    shutil.rmtree(spare, ignore_errors=True)
    try:
        with SummaryWriter(spare) as writer:
            yield writer
        shutil.rmtree(folder, ignore_errors=True)
        spare.rename(folder)
    finally:
        shutil.rmtree(spare, ignore_errors=True)
