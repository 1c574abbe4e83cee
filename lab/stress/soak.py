"""Both trainings for minutes on end, with validations, checkpoints and TensorBoard: does anything grow?

    python -m lab.stress.soak --minutes 10

Prints memory (resident), open files, threads, the size of the checkpoint folder and the training steps in a second of
processor time every half minute, then asks both trainings to stop, and lets each go on for a moment. Linux only. Exit
status 1 if, after the first third of the time, memory has grown by more than 5 %, or any of the other numbers at all,
or steps take 1.25 times as long, or a training did not stop or go on as asked.
"""

import argparse
import atexit
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from frozen.checkpoint_files import latest_checkpoint, load_checkpoint
from lab.stress.kills import LIMIT_S, ROOT, STEPS, Chaos
from runtime.errors import UserError
from training.stopping import EXIT_STOPPED

VAL_EVERY = 50  # steps
LONG = {  # both trainings go on until they are asked to stop
    "train_ndf": {"num_epochs": 10_000_000, "val_every": VAL_EVERY, "num_pictures": 1000},
    "train_rnvp": {
        "flow_steps": 10_000_000,
        "flow_val_every": VAL_EVERY,
        "flow_patience": 10_000_000,
        "num_pictures": 1000,
    },
}
EVERY_S = 30
GROWTH = {"memory_mb": 1.05, "open_files": 1.0, "threads": 1.0, "checkpoints": 1.0, "checkpoints_kb": 1.01}
NDF = "ndf"  # a copy of the short training's, for the flow: that of the experiment is trained on
SLOWER = 1.25  # processor time of a step, in the last third of the time by that in the second: caches are shared


@dataclass
class Watched:
    step: str
    process: subprocess.Popen
    checkpoints: Path
    rows: list[dict[str, float]] = field(default_factory=list)

    def step_now(self) -> int:
        """The step of the latest checkpoint, which may be replaced by another one meanwhile."""
        while True:
            with suppress(UserError, OSError):
                return load_checkpoint(latest_checkpoint(self.checkpoints))["step"]

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def note(self) -> dict[str, float]:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        numbers = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
        files = [path.stat().st_size for path in self.checkpoints.glob("*.tar")]
        row = {
            "memory_mb": int(numbers["VmRSS"]) / 1024,
            "open_files": len(os.listdir(f"/proc/{self.process.pid}/fd")),  # noqa: PTH208
            "threads": int(numbers["Threads"]),
            "checkpoints": len(files),
            "checkpoints_kb": sum(files) / 1024,
            "step": self.step_now(),
            "cpu_s": self.cpu_s(),
        }
        self.rows.append(row)
        return row

    def grown(self) -> list[str]:
        """Numbers that in the last third exceed those of the second third by more than allowed.

        Of memory the greatest: it goes up and down between two levels, which has no meaningful median, and a leak
        raises both. Of the others the median: while a checkpoint is being saved, there is one more, and one more open
        file.
        """
        third = len(self.rows) // 3
        found = []
        for name, factor in GROWTH.items():
            typical = max if name == "memory_mb" else median
            middle, last = (
                typical(row[name] for row in part) for part in (self.rows[third:-third], self.rows[-third:])
            )
            if last > factor * middle:
                found.append(f"{self.step}: {name} grew from {middle:.1f} to {last:.1f}")
        middle, last = steps_per_cpu_s(self.rows[third:-third]), steps_per_cpu_s(self.rows[-third:])
        print(f"{self.step}: {middle:.1f} steps in a second of processor time, then {last:.1f}")
        if last * SLOWER < middle:
            found.append(f"{self.step}: became slower")
        return found

    def stop(self) -> list[str]:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT_S)
        return [] if status == EXIT_STOPPED else [f"{self.step} ended with status {status}, {EXIT_STOPPED} expected"]


def steps_per_cpu_s(rows: list[dict[str, float]]) -> float:
    return (rows[-1]["step"] - rows[0]["step"]) / max(rows[-1]["cpu_s"] - rows[0]["cpu_s"], 1e-9)


def start(chaos: Chaos, step: str) -> Watched:
    options = [f"--{name}={value}" for name, value in LONG[step].items()]
    options += [f"--ndf_checkpoint={chaos.work / NDF}"] if step == "train_rnvp" else []
    command = [sys.executable, *chaos.command(step), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    name = {"train_ndf": "checkpoints_ndf", "train_rnvp": "checkpoints_rnvp"}[step]
    return Watched(step, process, chaos.work / "experiments" / "miniature" / name)


def goes_on(chaos: Chaos, stopped: Watched) -> list[str]:
    """Start a stopped training again until its next checkpoint."""
    step = stopped.step_now()
    print(f"{stopped.step}: {step} steps, {step // VAL_EVERY} validations")
    again, until = start(chaos, stopped.step), time.monotonic() + LIMIT_S
    while again.step_now() <= step and again.process.poll() is None and time.monotonic() < until:
        time.sleep(1)
    wrong = [] if again.step_now() > step else [f"{stopped.step} did not go on from step {step}"]
    return wrong + again.stop()


def killed(trainings: list[Watched]) -> None:
    for training in trainings:
        training.process.kill()


def prepare(chaos: Chaos) -> None:
    """A short training of the NDF, for the flow, which the long one then continues."""
    chaos.work.mkdir()
    for step in list(STEPS)[:4]:
        child = chaos.start(step)
        if status := child.end():
            sys.exit(f"error: {step} ended with status {status}: {child.last_line()}")
    shutil.copytree(chaos.work / "experiments" / "miniature" / "checkpoints_ndf", chaos.work / NDF)


def main() -> int:
    parser = argparse.ArgumentParser(description="See the head of this file.")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak_") as folder:
        chaos = Chaos(Path(folder), random.Random(0), fresh=True, interrupt=False, num_cpus=1)
        prepare(chaos)
        trainings = [start(chaos, step) for step in LONG]
        atexit.register(killed, trainings)
        while not all(list(training.checkpoints.glob("*.tar")) for training in trainings):
            time.sleep(1)
        wrong, until = [], time.monotonic() + 60 * options.minutes
        print(f"{'minute':>6}  {'step':12}" + "".join(f"{name:>16}" for name in (*GROWTH, "step", "cpu_s")), flush=True)
        while time.monotonic() < until:
            time.sleep(EVERY_S)
            for training in trainings:
                minute = options.minutes - (until - time.monotonic()) / 60
                row = "".join(f"{value:16.0f}" for value in training.note().values())
                print(f"{minute:6.1f}  {training.step:12}{row}", flush=True)
        for training in trainings:
            wrong += training.grown() + training.stop() + goes_on(chaos, training)
    print("\n".join(wrong) or "nothing grew, and both went on")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
