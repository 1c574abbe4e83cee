"""What both trainers share: the learning rate, the stop signal, averaged weights, and saving and resuming.

The step is the only clock. All randomness in a step derives from (seed, step), so that a resumed run equals an
uninterrupted one, bit for bit on a CPU, without saving the state of any generator.
"""

import copy
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor, nn

from configs.config_loader import config_as_text
from configs.options import Config
from frozen.checkpoint_files import load_weights
from runtime.devices import Model
from runtime.errors import UserError, note
from runtime.files import write_text
from runtime.reading import reading
from training.bad_steps import BadSteps
from training.checkpoints import current_commit, delete_older, latest_whole, save_checkpoint
from training.distributed import any_of, exchange, first_only, mean_of
from training.same_training import Differences, Wanted

GRAD_CLIP = 1.0  # bound on the norm of the gradient
# What a weight's state in an optimiser holds by its kind, where it is not Adam's.
MOMENTS = {"RMSprop": "square_avg", "Muon": "momentum"}
NEEDED = ("optimizer_state_dict", "training_time", "step", "best", "best_step")  # of a checkpoint, to go on from it
EXIT_STOPPED = 85  # exit status of a training that was asked to stop and can be resumed; slurm scripts requeue on it


def learning_rate(step: int, num_steps: int, peak: float, warmup_steps: int) -> float:
    """Linear warm-up, then cosine decay to 1 % of the peak. Steps count from 0."""
    warmup_steps = min(warmup_steps, num_steps // 2)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class StopRequest:
    """Set by SIGTERM, SIGUSR1 (slurm's warning before the time limit) or SIGHUP: the trainer saves and exits.

    SIGHUP comes when the terminal is closed, unless the run was started by nohup, which stays as it is.
    """

    def __init__(self) -> None:
        self.requested = False
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def heard(self) -> bool:
        """Whether this process, or another one of the training, was asked to stop: to be asked by all at each step."""
        return any_of(self.requested)

    def _note(self, number: int, frame: object) -> None:
        self.requested = True
        if number == signal.SIGHUP:  # whatever is still said would end the run: there is nobody to hear it
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for terminal in self._terminals:
                os.dup2(nowhere, terminal)
            os.close(nowhere)


class AveragedWeights(Generic[Model]):
    """Exponential moving average of a model's weights, in a copy of the model."""

    def __init__(self, model: Model, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # early on the average forgets its random start quickly
        pairs = list(zip(tensors_of(self.model), tensors_of(model), strict=True))  # state_dict takes far longer
        numbers = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        mine, theirs = (list(column) for column in zip(*numbers, strict=True))
        torch._foreach_lerp_(mine, theirs, 1 - decay)  # in one call, with the numbers of one lerp_ each
        for kept, new in pairs:
            if not kept.dtype.is_floating_point:
                kept.copy_(new)


def tensors_of(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


class TrainingRun:
    """The state of one training: model, optimiser, step, best value, and the folder of its checkpoints."""

    def __init__(self, wanted: Wanted, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.wanted, self.cfg, self.folder, self.model, self.optimizer = wanted, wanted.cfg, folder, model, optimizer
        self.differences = Differences()
        self.step = 0
        self.best = math.inf
        self.best_step = 0
        self.gradient_norm = math.nan  # of the latest step, before clipping
        self.bad_steps = BadSteps(model)
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._damaged: list[Path] = []  # checkpoints, to be deleted as soon as there is another one

    def resume(self) -> dict[str, Any] | None:
        """Resume from the latest checkpoint of the folder that is whole, if there is one. Returns its state.

        Raises UserError if its training cannot go on as it is wanted, or if there are checkpoints and none is whole.
        """
        path, state, damaged = latest_whole(self.folder)
        self._check_seen_by_all(path)
        if path is None:
            return None
        self._damaged = [error.path for error in damaged]
        for newer in self._damaged:
            print(f"{newer} is damaged; going on from {path.name}")
        self.differences = self.wanted.compared(state, self.folder)
        if lacking := [name for name in NEEDED if name not in state]:
            raise UserError(
                f"{path} has no {lacking[0]}: it can be used (--ndf_checkpoint), not trained further; give another"
                " --exp_name, or move it away"
            )
        load_optimizer(self.optimizer, state["optimizer_state_dict"], path)
        with reading(path, "delete it to go on from an earlier one, or from the start"):
            load_weights(self.model, state["model_state_dict"], path)
            self.step, self.best, self.best_step = state["step"], state["best"], state["best_step"]
            self._seconds_before = state["training_time"]
            self.bad_steps.total = int(state.get("bad_steps", 0))
        if not damaged:
            delete_older(self.folder, self.cfg.training.keep_checkpoints)  # a killed run may have left one too many
        return state

    @first_only
    def _tell(self, message: str) -> None:
        note(f"the training in {self.folder} {message}")

    def go_on(self, finished: bool) -> None:
        """Tell how the training differs from what it was; where it is measured otherwise, its best value starts anew.

        finished: nothing is trained any more; all that differs is without effect.
        """
        best, course = self.differences
        if finished and (best or course):
            self._tell(f"is finished, and stays as it is: {', '.join(filter(None, (best, course)))}")
            return
        if course:
            self._tell(f"goes on with {course}")
        if best:
            self._tell(f"goes on with {best}: its best validation value, {self.best:.4f}, starts anew")
            self.best, self.best_step = math.inf, self.step

    def _check_seen_by_all(self, path: Path | None) -> None:
        """Raise UserError if the processes of a training on several machines do not see the same files."""
        names = exchange(path.name if path else "none")
        if len(set(names)) > 1:
            raise UserError(
                f"the processes see different latest checkpoints in {self.folder}: {', '.join(names)}; the folder has"
                " to be on a file system that all machines share (--exp_root)"
            )

    @property
    def seconds(self) -> float:
        """Seconds of training, including those before a resume."""
        return self._seconds_before + time.monotonic() - self._started

    def note_value(self, value: float) -> bool:
        """Record a validation value; True if it is the best so far."""
        is_best = value < self.best
        if is_best:
            self.best, self.best_step = value, self.step
        return is_best

    @first_only
    def save(self, is_best: bool, **more: Any) -> Path:
        state = {
            "model_state_dict": self.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "epoch": self.step,  # expected by NDF's own code
            "training_time": self.seconds,
            "step": self.step,
            "best": self.best,
            "best_step": self.best_step,
            "bad_steps": self.bad_steps.total,
            "config": self.cfg.values(),
            "commit": current_commit(),
            **self.wanted.entries(),
            **more,
        }
        path = save_checkpoint(self.folder, state, is_best, self.cfg.training.keep_checkpoints + len(self._damaged))
        for newer in set(self._damaged) - {path}:
            newer.unlink(missing_ok=True)
        self._damaged = []
        return path

    def optimise(self, loss: Tensor, rate: float, shapes: Callable[[], Sequence[str]]) -> Tensor:
        """One optimiser step at learning rate `rate`; it is left out if the loss or its gradient is not finite.

        loss: of this process's part of the batch. Returns that of the whole batch.
        shapes: gives the names of the shapes of the batch. Raises UserError after many such steps in a row.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), GRAD_CLIP)
        self.gradient_norm = norm.item()
        loss = mean_of(loss.detach())  # of all processes, and so is the gradient: they leave out the same steps
        self.step += 1
        if math.isfinite(self.gradient_norm) and bool(torch.isfinite(loss)):
            self.optimizer.step()
            self.bad_steps.good()
        else:  # one bad batch must not corrupt the weights
            self.optimizer.zero_grad(set_to_none=True)
            self.bad_steps.bad(self.step, loss.item(), self.gradient_norm, shapes())
        return loss


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any], path: Path) -> None:
    """Load the state of an optimiser. Raises UserError if it is that of another kind, or of other weights."""
    moment = MOMENTS.get(type(optimizer).__name__, "exp_avg")
    with reading(path, "set the option optimizer as it was, or give another --exp_name"):
        try:
            optimizer.load_state_dict(saved)
            fits = all(state[moment].shape == weight.shape for weight, state in optimizer.state.items())
        except (KeyError, AttributeError):
            fits = False
        if not fits:
            raise ValueError("the state of its optimiser is of another one")


@first_only
def record_config(cfg: Config, step_name: str) -> None:
    """Write the merged configuration of a step to the experiment's folder, as a config file."""
    write_text(cfg.experiment.root / f"config_{step_name}.txt", config_as_text(cfg))
