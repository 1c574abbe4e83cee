"""The threads of training steps, chosen by timing them (`runtime/threads.py`), where that changes no number.

What depends on the number of threads is known only by trial: sums over large batches and gradients of 3-D convolutions
do, the networks of configs/demo_cars.txt do not. So one step is worked out with each count and compared bit by bit;
counts that give other bits than all threads are not chosen from, and a resumed training equals an undisturbed one.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from runtime.ranks import alone
from runtime.threads import ThreadChoice, fewer_threads
from training.task import Batch, Task


def choose_threads(
    task: Task, batches: Iterator[Batch], seed: int, clip: float, tell: Callable[[str], object]
) -> tuple[ThreadChoice, Iterator[Batch]]:
    """The choice for the steps of a training, and its batches, to be used instead of those that are given.

    seed, clip: of the next step, the bound on the norm of its gradient. On a GPU and among several processes, whose
    steps wait for each other, there is nothing to choose.
    """
    most = torch.get_num_threads()
    counts = fewer_threads(most) if task.device.type == "cpu" and alone() else [most]
    if len(counts) > 1 and task.num_steps - task.run.step > 1:
        torch.manual_seed(seed)
        batch = next(batches)
        drawn = torch.get_rng_state()
        counts = same_bits(task, batch, counts, clip)
        batches = _again(batch, drawn, batches)
    return ThreadChoice(counts, torch.set_num_threads, tell), batches


def _again(batch: Batch, drawn: Tensor, batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batch once more, with torch's generator as it was left by drawing it; then the others."""
    torch.set_rng_state(drawn)
    yield batch
    yield from batches


def same_bits(task: Task, batch: Batch, counts: list[int], clip: float) -> list[int]:
    """The counts of threads with which a step on the batch gives what it gives with the first of them, bit for bit.

    The training is left as it was.
    """
    run, drawn = task.run, torch.get_rng_state()
    weights, optimizer = copy.deepcopy(run.model.state_dict()), copy.deepcopy(run.optimizer.state_dict())

    def step(count: int) -> str:
        torch.set_num_threads(count)
        torch.set_rng_state(drawn)
        try:
            return _digest_of_step(task, batch, clip)
        finally:
            torch.set_num_threads(counts[0])
            run.optimizer.zero_grad(set_to_none=True)
            run.model.load_state_dict(weights)
            run.optimizer.load_state_dict(copy.deepcopy(optimizer))  # which takes the tensors themselves

    digests = {count: step(count) for count in counts}
    torch.set_rng_state(drawn)
    return [count for count in counts if digests[count] == digests[counts[0]]]


def _digest_of_step(task: Task, batch: Batch, clip: float) -> str:
    """Of the loss, the gradient, its norm and the weights after the step."""
    run = task.run
    run.optimizer.zero_grad(set_to_none=True)
    loss = task.loss(batch)
    loss.backward()
    gradient = [weight.grad.clone() for weight in run.model.parameters() if weight.grad is not None]
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), clip)
    run.optimizer.step()
    digest = hashlib.sha256()
    for numbers in (loss, norm, *gradient, *run.model.state_dict().values()):
        digest.update(numbers.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
