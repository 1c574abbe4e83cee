"""Training steps beside other busy processes: how much longer they take than alone.

    python -m lab.measurements.contention --config configs/demo_cars.txt
    python -m lab.measurements.contention --fixed 2 --trainings flow      # two threads, without a choice

Whole steps of both trainings on random batches of the sizes that a config, and options of train_ndf.py, say, by the
loop's own step and choice of threads. Beside them run 0, 1, ... busy processes, every other one a loop of Python, every
other one of products of matrices on one thread. Rounds of all numbers alternate. Printed are medians over the rounds of
the milliseconds and the processor's milliseconds of a step, after the choice was made, and the ratio to alone. What
else the machine does counts as well: each measurement is printed with the machine's load as it comes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from configs.config_loader import get_config
from configs.options import Config
from lab.measurements.time_ndf_training import random_batch
from models.real_nvp import build_flow, flow_options
from models.shape_codes import build_ndf
from runtime.cores import num_threads
from runtime.devices import pick_device, place
from runtime.threads import ThreadChoice
from training.flow_task import WEIGHT_DECAY
from training.loop import GRAD_CLIP, seed_of_step, train_step
from training.ndf_loss import training_loss
from training.ndf_task import make_optimizer
from training.same_training import TrainingFacts
from training.step_threads import choose_threads
from training.task import Batch, Task, Validation
from training.training_run import TrainingRun

LOOP = (
    "import os\nparent = os.getppid()\n{}\nwhile os.getppid() == parent: {}"  # killed or not, it ends with its parent
)
BUSY = (
    LOOP.format("", "pass"),
    LOOP.format("import torch\ntorch.set_num_threads(1)\na = torch.randn(500, 500)", "a @ a"),
)
LOADING_S = 4.0  # until a busy process is busy
CODES = 4096


class NDFSteps(Task):
    """The steps of an NDF's training, on random batches: no files."""

    name = "NDF"

    def __init__(self, cfg: Config):
        super().__init__(cfg, pick_device(cfg.run))
        torch.manual_seed(0)
        model = place(build_ndf(cfg.values()), self.device).train()
        optimizer = make_optimizer(cfg.ndf_training.optimizer, model, cfg.ndf_training.lr)
        self.run = TrainingRun(TrainingFacts("ndf", cfg), Path("nowhere"), model, optimizer)
        self.learning_rate, self.num_steps = cfg.ndf_training.lr, 10**6

    def batches(self) -> Iterator[Batch]:
        while True:
            yield random_batch(self.cfg, self.device)

    def loss(self, batch: Batch) -> Tensor:
        return training_loss(self.run.model, batch, self.cfg)

    def progress(self) -> str:
        return ""

    def prepare(self) -> None:
        pass

    def suspects(self, batch: Batch) -> list[str]:
        return []

    def validate(self) -> Validation:
        raise NotImplementedError


class FlowSteps(NDFSteps):
    """The steps of a flow's training, on random vectors as codes."""

    name = "RealNVP"

    def __init__(self, cfg: Config):
        Task.__init__(self, cfg, pick_device(cfg.run))
        torch.manual_seed(0)
        dim = cfg.network.latent_dim
        self.codes = torch.randn(CODES, dim) * torch.linspace(2, 0.05, dim)
        self.flow = build_flow("vector", (dim,), **flow_options(cfg.values()))
        self.flow.fit_whitening(self.codes, cfg.flow.flow_noise)
        self.flow.to(self.device).train()
        optimizer = torch.optim.AdamW(
            self.flow.parameters(), lr=cfg.flow.flow_lr, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.run = TrainingRun(TrainingFacts("flow", cfg), Path("nowhere"), self.flow, optimizer)
        self.learning_rate, self.num_steps = cfg.flow.flow_lr, 10**6

    def batches(self) -> Iterator[Batch]:
        while True:
            codes = self.codes[torch.randint(CODES, (self.cfg.flow.flow_batch_size,))]
            yield {"w": self.flow.whiten_noised(codes, self.cfg.flow.flow_noise)}

    def loss(self, batch: Batch) -> Tensor:
        return -self.flow.log_prob_whitened(batch["w"]).mean() / self.flow.dim


TRAININGS = {"ndf": NDFSteps, "flow": FlowSteps}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many busy processes of one thread run beside the block."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY[n % len(BUSY)]]) for n in range(count)]
    try:
        time.sleep(LOADING_S if count else 0)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def measure(task: Task, steps: int, fixed: int | None) -> tuple[float, float, int]:
    """Of a step: milliseconds, the processor's milliseconds, and threads, after they were chosen."""
    torch.set_num_threads(fixed or num_threads(task.cfg.run.num_cpus))
    if fixed:
        choice, batches = ThreadChoice([fixed], torch.set_num_threads, print), task.batches()
    else:
        choice, batches = choose_threads(task, task.batches(), seed_of_step(task), GRAD_CLIP, lambda line: None)

    def step() -> None:
        with choice.step():
            train_step(task, batches)

    step()
    while not choice.settled:
        step()
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    return 1e3 * seconds / steps, 1e3 * processor / steps, choice.count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/demo_cars.txt", help="where the sizes come from")
    parser.add_argument("--trainings", nargs="+", choices=list(TRAININGS), default=list(TRAININGS))
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2, 4], help="numbers of busy processes")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are printed")
    parser.add_argument("--steps", type=int, default=40, help="timed steps in a round")
    parser.add_argument("--fixed", type=int, help="threads, without a choice")
    args, options = parser.parse_known_args()
    cfg = get_config([*options, "--config", args.config, "--device", "cpu"], "train_ndf")
    tasks = {name: TRAININGS[name](cfg) for name in args.trainings}
    found: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    for number in range(args.rounds):
        for count in args.busy:
            with busy(count):
                for name, task in tasks.items():
                    row = measure(task, args.steps, args.fixed)
                    found.setdefault((name, count), []).append(row)
                    print(
                        f"round {number + 1}, {name}, {count} busy, load {os.getloadavg()[0]:.1f}: {row[0]:.1f} ms,"
                        f" {row[1]:.1f} of the processor, {row[2]} threads",
                        file=sys.stderr,
                    )
    print(f"{'training':10} {'busy':>5} {'ms a step':>10} {'least':>7} {'processor ms':>13} {'x alone':>8} threads")
    for (name, count), rows in found.items():
        wall, processor, _ = (statistics.median(column) for column in zip(*rows, strict=True))
        alone = statistics.median(row[0] for row in found[name, args.busy[0]])
        threads = " ".join(str(row[2]) for row in rows)
        least = min(row[0] for row in rows)
        print(f"{name:10} {count:5} {wall:10.1f} {least:7.1f} {processor:13.1f} {wall / alone:8.2f} {threads}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
