"""NDF training by one process with two threads, and by two processes with one thread each, in one run.

    python -m lab.measurements.time_processes
    python -m lab.measurements.time_processes --config configs/demo_cars.txt --rounds 5
    python -m lab.measurements.time_processes --weak        # the work grows with the processes; one thread each

Whole steps on synthetic batches of the sizes that a config, and options of train_ndf.py, say, with all that processes
tell each other. Rounds of both alternate, so that another job on the machine slows both alike. Printed are medians over
the rounds: shapes per second, and per second of processor time, which depends less on other jobs.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch

from configs.config_loader import get_config
from configs.options import Config
from lab.measurements.time_ndf_training import random_batch
from models.shape_codes import build_ndf
from runtime.devices import pick_device, place
from runtime.layout import ROOT
from runtime.ranks import is_first, ranks
from training.distributed import all_processes, any_of, exchange, over_all
from training.loop import optimise
from training.ndf_loss import training_loss
from training.ndf_task import make_optimizer
from training.same_training import TrainingFacts
from training.training_run import TrainingRun

WARM_UP, STEPS = 5, 30
WAYS = {"1 process, 2 threads": 1, "2 processes, 1 thread": 2}
WEAK_WAYS = {"1 process": 1, "2 processes": 2}


def measure(cfg: Config, weak: bool) -> dict[str, float]:
    """Of STEPS steps of all processes: seconds, and seconds of their processors. weak: each has a whole batch."""
    device = pick_device(cfg.run)
    torch.manual_seed(0)
    model = place(build_ndf(cfg.values()), device).train()
    run = TrainingRun(
        TrainingFacts("ndf", cfg),
        Path("nowhere"),
        model,
        make_optimizer(cfg.ndf_training.optimizer, model, cfg.ndf_training.lr),
    )
    loss = over_all(model, partial(training_loss, cfg=cfg))
    part = cfg if weak else cfg.changed(batch_size=cfg.training.batch_size // ranks().count)
    batches = [random_batch(part, device) for _ in range(4)]
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            exchange(None)
            started, worked = time.perf_counter(), time.process_time()
        optimise(run, loss(batches[step % len(batches)]), list)
        any_of(False)
    worked = sum(exchange(time.process_time() - worked))
    return {"seconds": time.perf_counter() - started, "processor_seconds": worked}


def one_round(count: int, options: list[str]) -> dict[str, float]:
    """What the first of `count` new processes measures."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
    started = []
    for rank in range(count):
        numbers = {key: str(value) for key, value in {**shared, "RANK": rank, "LOCAL_RANK": rank}.items()}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **numbers}
        environment.pop("OMP_NUM_THREADS", None)
        environment |= {"OMP_NUM_THREADS": "1"} if "--weak" in options else {}
        command = [sys.executable, __file__, "--measure", *options]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in started]
    found_by_first: dict[str, float] = json.loads(said[0].splitlines()[-1])
    return found_by_first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/demo_cars.txt", help="where the sizes come from")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are printed")
    parser.add_argument("--weak", action="store_true", help="batch_size is of each process, not of all together")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args, options = parser.parse_known_args()
    options += ["--config", args.config, "--device", "cpu", "--num_cpus", "2"]
    cfg = get_config(options, "train_ndf")
    if args.measure:
        with all_processes(cfg.run):
            found = measure(cfg, args.weak)
        if is_first():
            print(json.dumps(found))
        return 0
    ways = WEAK_WAYS if args.weak else WAYS
    options += ["--weak"] if args.weak else []
    rounds = [{way: one_round(count, options) for way, count in ways.items()} for _ in range(args.rounds)]
    print(f"{'medians of ' + str(args.rounds) + ' rounds':24} {'shapes/s':>9} {'per s of processor':>19}")
    for way, count in ways.items():
        shapes = cfg.training.batch_size * STEPS * (count if args.weak else 1)
        wall, worked = (
            shapes / statistics.median(one[way][kind] for one in rounds) for kind in ("seconds", "processor_seconds")
        )
        print(f"{way:24} {wall:9.2f} {worked:19.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
