"""The training loop, one for both networks.

The step is the only clock. All randomness of a step derives from (seed, step), so that a resumed run equals an
uninterrupted one, bit for bit on a CPU, without saving the state of any generator.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from tqdm import tqdm

from runtime.errors import note
from runtime.seeds import step_seed
from training.distributed import mean_of
from training.progress_log import ProgressLog
from training.step_threads import choose_threads
from training.stopping import EXIT_STOPPED, StopRequest
from training.task import Batch, Task
from training.training_run import TrainingRun

GRAD_CLIP = 1.0  # bound on the norm of the gradient


def train(task: Task) -> int:
    """Train until the task is finished. Returns 0, or EXIT_STOPPED if asked to stop earlier."""
    run, stop = task.run, StopRequest()
    run.note_differences(task.finished)
    if task.finished:
        print(f"already trained: {task.progress()} in {run.folder}")
        return 0
    task.prepare()
    run.model.train()
    bar = tqdm(total=task.num_steps, initial=run.step, desc=task.name, unit="step", mininterval=1, disable=None)
    threads, batches = choose_threads(task, task.batches(), seed_of_step(task), GRAD_CLIP, told_beside(bar))
    with ProgressLog(task.experiment.summary, run, task.curves, task.draw) as log, bar:
        while not task.finished:
            with threads.step():
                loss = train_step(task, batches)
            bar.update()
            if log.step(loss):
                bar.set_postfix(loss=f"{loss.item():.5f}", best=f"{run.best:.5f}")
            due = run.step % task.val_every == 0 or run.step == task.num_steps
            stopping = stop.heard_by_any()
            if due or stopping:
                validate_and_save(task, log, due)
            if stopping and not task.finished:
                print(f"asked to stop: saved step {run.step} of {task.num_steps}; run the same command to go on")
                return EXIT_STOPPED
        log.draw_last()
    task.conclude()
    log.print_summary()
    return 0


def told_beside(bar: tqdm) -> Callable[[str], None]:
    """`note`, which leaves a progress bar whole."""

    def tell(line: str) -> None:
        with bar.external_write_mode():
            note(line)

    return tell


def seed_of_step(task: Task) -> int:
    return step_seed(task.cfg.run.seed, task.run.step)


def train_step(task: Task, batches: Iterator[Batch]) -> Tensor:
    """One step. Returns the loss of the whole batch, ()."""
    run = task.run
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(run.step, task.num_steps, task.learning_rate, task.cfg.training.warmup_steps)
    torch.manual_seed(seed_of_step(task))
    batch = next(batches)
    loss = optimise(run, task.loss(batch), lambda: task.suspects(batch))
    task.after_step()
    run.step += 1
    return loss


def optimise(run: TrainingRun, part_loss: Tensor, suspects: Callable[[], Sequence[str]]) -> Tensor:
    """Change the weights, unless the loss or its gradient is not finite. Returns the loss of the whole batch, ().

    part_loss: of this process's part of the batch, (); suspects: gives the names of the shapes that may be why it is
    not finite. Raises UserError after many such steps in a row.
    """
    run.optimizer.zero_grad(set_to_none=True)
    part_loss.backward()
    run.gradient_norm = nn.utils.clip_grad_norm_(run.model.parameters(), GRAD_CLIP).item()
    loss = mean_of(part_loss.detach())  # of all processes, as the gradient is: they leave out the same steps
    if math.isfinite(run.gradient_norm) and bool(torch.isfinite(loss)):
        run.optimizer.step()
        run.bad_steps.good()
    else:  # one bad batch must not corrupt the weights
        run.optimizer.zero_grad(set_to_none=True)
        run.bad_steps.bad(run.step + 1, loss.item(), run.gradient_norm, suspects())
    return loss


def validate_and_save(task: Task, log: ProgressLog, due: bool) -> None:
    """due: whether a training that was not asked to stop would validate here too; else it cannot be the best."""
    run, validation = task.run, task.validate()
    is_best = due and run.note_value(validation.loss)
    log.chart(validation.chart)
    log.scalars(validation.curves | {task.curves.best: run.best})
    log.flush()
    run.save(is_best, **validation.stored)
    log.restart_clock()
    tqdm.write(f"{task.name} step {run.step}/{task.num_steps}, {run.seconds / 60:.1f} min: {validation.text}")


def learning_rate(step: int, num_steps: int, peak: float, warmup_steps: int) -> float:
    """Linear warm-up, then cosine decay to 1 % of the peak. Steps count from 0."""
    warmup_steps = min(warmup_steps, num_steps // 2)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
