"""Training steps whose loss is not a finite number: they are left out, and many in a row end the training."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from runtime.errors import UserError
from training.distributed import exchange

MOST_IN_A_ROW = 10
MOST_LINES = 5  # bad steps with a line of their own
MOST_NAMES = 12  # shapes named in the last line


def suspects(names: Sequence[str], tensors: Iterable[Tensor]) -> list[str]:
    """The names of those shapes of a batch that have a number in `tensors` (B, ...) that is not finite; else all.

    names, tensors: of this process's part of the batch; the shapes of all parts are returned.
    """
    finite = torch.ones(len(names), dtype=torch.bool)
    for tensor in tensors:
        finite &= torch.isfinite(tensor).reshape(len(names), -1).all(dim=1).cpu()
    bad = [name for name, good in zip(names, finite.tolist(), strict=True) if not good]
    parts = exchange([bad, list(names)])
    return [name for bad, _ in parts for name in bad] or [name for _, names in parts for name in names]


class BadSteps:
    """Counts the steps that are left out, and keeps what a forward pass alone changes in a model: running statistics.

    total: over the whole training, over resumes too.
    """

    def __init__(self, model: nn.Module):
        self.total = 0
        norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
        self._statistics = [buffer for layer in norms for buffer in layer.buffers()]
        self._kept = [buffer.clone() for buffer in self._statistics]
        self._in_a_row, self._names = 0, list[str]()

    def good(self) -> None:
        """A step went well."""
        self._in_a_row, self._names = 0, []
        for buffer, kept in zip(self._statistics, self._kept, strict=True):
            kept.copy_(buffer)

    def bad(self, step: int, loss: float, gradient_norm: float, names: Sequence[str]) -> None:
        """Step number `step`, on the shapes `names`, is left out: its loss or gradient is no finite number.

        Raises UserError with the names of the shapes if it is the `MOST_IN_A_ROW`th in a row.
        """
        for buffer, kept in zip(self._statistics, self._kept, strict=True):
            buffer.copy_(kept)
        self.total += 1
        self._in_a_row += 1
        self._names = list(dict.fromkeys([*self._names, *names]))
        what = f"gradient {gradient_norm}" if math.isfinite(loss) else f"loss {loss}"
        if self._in_a_row >= MOST_IN_A_ROW:
            raise UserError(
                f"{self._in_a_row} steps in a row had no finite loss (step {step}: {what}), on the shapes"
                f" {shortened(self._names)}; look at their files, or lower the learning rate; the last checkpoint is"
                " kept, and the same command goes on from it"
            )
        if self.total <= MOST_LINES:
            tqdm.write(f"step {step} is left out: {what}, on {shortened(list(dict.fromkeys(names)))}")

    def summary(self) -> str:
        """How many steps were left out, as a sentence, or nothing."""
        return f"{self.total} steps were left out: their loss was no finite number" if self.total else ""


def shortened(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
