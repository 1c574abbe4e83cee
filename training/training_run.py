"""The state of a training, saved and resumed."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.config_loader import config_as_text
from configs.options import Config
from frozen.checkpoint_files import load_weights
from runtime.errors import UserError, note
from runtime.files import write_text
from runtime.reading import reading
from training.bad_steps import BadSteps
from training.checkpoints import current_commit, delete_older, latest_whole, save_checkpoint
from training.distributed import exchange, first_only
from training.same_training import Differences, TrainingFacts

# What a weight's state in an optimiser holds by its kind, where it is not Adam's.
MOMENTS = {"RMSprop": "square_avg", "Muon": "momentum"}
NEEDED = ("optimizer_state_dict", "training_time", "step", "best", "best_step")  # of a checkpoint, to go on from it


class TrainingRun:
    """One training: model, optimiser, step, best validation value, and the folder of its checkpoints.

    facts: what it is to be made of, compared with what an earlier part of it was made of.
    """

    def __init__(self, facts: TrainingFacts, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.facts, self.cfg, self.folder, self.model, self.optimizer = facts, facts.cfg, folder, model, optimizer
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
        self._check_same_in_all_processes(path)
        if path is None:
            return None
        self._damaged = [error.path for error in damaged]
        for newer in self._damaged:
            print(f"{newer} is damaged; going on from {path.name}")
        self.differences = self.facts.differences(state, self.folder)
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

    def note_differences(self, finished: bool) -> None:
        """Say how the training differs from what it was; where it is measured otherwise, its best value starts anew.

        finished: nothing is trained any more; all that differs is without effect.
        """
        note_by_first, training = first_only(note), f"the training in {self.folder}"
        best, course = self.differences
        if finished and (best or course):
            note_by_first(f"{training} is finished, and stays as it is: {', '.join(filter(None, (best, course)))}")
            return
        if course:
            note_by_first(f"{training} goes on with {course}")
        if best:
            note_by_first(f"{training} goes on with {best}: its best validation value, {self.best:.4f}, starts anew")
            self.best, self.best_step = math.inf, self.step

    def _check_same_in_all_processes(self, path: Path | None) -> None:
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
            **self.facts.entries(),
            **more,
        }
        path = save_checkpoint(self.folder, state, is_best, self.cfg.training.keep_checkpoints + len(self._damaged))
        for newer in set(self._damaged) - {path}:
            newer.unlink(missing_ok=True)
        self._damaged = []
        return path


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
