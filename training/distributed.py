"""One training by several processes, which torchrun starts: PyTorch's DistributedDataParallel, over gloo and NCCL.

A batch is split over the processes, everything else of a step is the same in all of them: the random numbers, the
averaged gradient, the weights. The first process alone validates, writes files and prints (docs/reliability.md).
In one process each function here is a plain call, and torch.distributed is not loaded.
"""

import gc
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ParamSpec, TextIO, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from configs.options import Run
from runtime.devices import pick_device
from runtime.errors import UserError, fail
from runtime.ranks import alone, is_first, join, ranks

T = TypeVar("T")
P = ParamSpec("P")
# How long a process waits for another: for the first one's validation, or the codes of a part of the extra shapes.
# One that ends is noticed at once.
PATIENCE = timedelta(hours=2)
LOST = ("gloo", "Connection closed", "Connection reset", "Broken pipe", "Timed out waiting", "NCCL")


@contextmanager
def all_processes(run: Run) -> Iterator[None]:
    """The block is run by all processes that torchrun has started, whose options are `run`; only the first one prints.

    If another process is gone, this one says so in a line and exits with status 2.
    """
    if join().count == 1:
        yield
        return
    import torch.distributed as dist

    on_gpu = pick_device(run).type == "cuda"
    with _quiet_but_the_first():
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
            yield
            wait_for_all()  # nobody leaves before the others need it no more
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and not any(word in str(error) for word in LOST):
                raise
            sys.exit(fail(_of_the_lost(error)))
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # torchrun sends it to all others when the first of them has ended
    gc.collect()  # what still holds the group
    dist.destroy_process_group()


def _of_the_lost(error: RuntimeError) -> str:
    own = ranks()
    reason = re.sub(r"^\[[^]]*\] ", "", str(error).splitlines()[0]).partition(". ")[0][:200]  # without a place in gloo
    return (
        f"process {own.rank} of {own.count}: another process was killed, or tells its own error ({reason}); the last"
        " checkpoint is kept, and the same command goes on from it"
    )


class _NoTerminal:
    """A stream of text on which no progress bar is drawn."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _quiet_but_the_first() -> Iterator[None]:
    """No prints and no progress bars of the other processes; all of them print errors."""
    if is_first():
        yield
        return
    without_bars = cast(TextIO, _NoTerminal(sys.stderr))
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(without_bars):
        yield


def first_only(function: Callable[P, T]) -> Callable[P, T | None]:
    """The function, called by the first process alone; of the others it gives None."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T | None:
        return function(*args, **kwargs) if is_first() else None

    return called


@contextmanager
def entered_by_first(context: AbstractContextManager[Any]) -> Iterator[None]:
    """Only the first process enters the context; the others wait until it has."""
    with context if is_first() else nullcontext():
        wait_for_all()
        yield


def wait_for_all() -> None:
    exchange(None)


def from_first(function: Callable[[], T]) -> T:
    """What the function, called by the first process alone, gives, a value of JSON, in all of them."""
    return cast(T, exchange(function() if is_first() else None)[0])


def exchange(value: Any) -> list[Any]:
    """The values, of JSON, of all processes, in the order of their ranks."""
    if alone():
        return [value]
    text = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
    return [json.loads(bytes(other.tolist())) for other in _gathered(text)]


def any_of(flag: bool) -> bool:
    """Whether the flag is set in one of the processes."""
    return flag if alone() else bool(summed(torch.tensor([float(flag)])))


def mean_of(value: Tensor) -> Tensor:
    """The mean over the processes of a number (), the same in all of them; not finite if one of them is not."""
    return value if alone() else summed(value.detach().float().cpu()[None])[0] / ranks().count


def mapped(function: Callable[[T], NDArray[np.float32]], items: Sequence[T]) -> Iterator[NDArray[np.float32]]:
    """function(item) of each item, in their order, in all processes; each of them works on a share of the items."""
    if alone():
        yield from map(function, items)
        return
    count, rank = ranks().count, ranks().rank
    for start in range(0, len(items), count):
        chunk = items[start : start + count]
        own = function(chunk[rank]) if rank < len(chunk) else np.zeros(0, np.float32)
        shapes = exchange(own.shape)
        flat = _gathered(torch.from_numpy(own.reshape(-1)))
        yield from (flat[i].numpy().reshape(shapes[i]) for i in range(len(chunk)))


def share(items: Sequence[T]) -> Sequence[T]:
    """Every `count`th of the items: those of this process."""
    return items[ranks().rank :: ranks().count]


def own_part(batch_size: int, option: str) -> slice:
    """Which rows of a batch are this process's. Raises UserError if the batch cannot be split into equal parts.

    option: the one that sets the size of a batch, which may be smaller where there are fewer training shapes.
    """
    count = ranks().count
    if batch_size % count:
        raise UserError(
            f"{batch_size} shapes or codes in a batch found, a multiple of the {count} processes expected; give another"
            f" --{option}, or another --nproc_per_node to torchrun"
        )
    size = batch_size // count
    return slice(size * ranks().rank, size * (ranks().rank + 1))


def over_all(model: nn.Module, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """loss(model, *inputs) as a function of its inputs, in this process's part of a batch.

    Its `backward` gives the gradient of the mean over all processes. All start from the first one's weights.
    """
    if alone():
        return partial(loss, model)
    # Buffers change in batch norms alone, which are synchronised: they are sent around at first only.
    return nn.parallel.DistributedDataParallel(_LossOf(model, loss), forward_sync_buffers=False)


class _LossOf(nn.Module):
    """DistributedDataParallel works on what `forward` computes, which for an NDF would be distances."""

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor]):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *inputs: Any) -> Tensor:
        return self.loss(self.model, *inputs)


def summed(numbers: Tensor) -> Tensor:
    """The numbers, of the same shape in all processes, summed over them, in place."""
    import torch.distributed as dist

    dist.all_reduce(numbers)
    return numbers


def _gathered(numbers: Tensor) -> list[Tensor]:
    """The numbers (n,) of each process, where n may differ."""
    import torch.distributed as dist

    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(ranks().count)]
    dist.all_gather(sizes, torch.tensor([len(numbers)]))
    padded = numbers.new_zeros(int(max(sizes)))
    padded[: len(numbers)] = numbers
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    return [other[: int(size)] for other, size in zip(gathered, sizes, strict=True)]
