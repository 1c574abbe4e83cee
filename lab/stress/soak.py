"""Both trainings for minutes on end, with validations, checkpoints and TensorBoard: does anything grow?

    python -m lab.stress.soak --minutes 10

Prints memory (resident), open files, threads and the size of the checkpoint folder every half minute, then asks both
trainings to stop. Linux only. Exit status 1 if, after the first third of the time, memory has grown by more than 5 %,
or any of the other numbers at all, or a training did not stop as asked.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from frozen.checkpoint_files import latest_checkpoint, load_checkpoint
from lab.stress.kills import LIMIT_S, ROOT, STEPS, Chaos

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


@dataclass
class Watched:
    step: str
    process: subprocess.Popen
    checkpoints: Path
    rows: list[dict[str, float]] = field(default_factory=list)

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
        return found


def start(chaos: Chaos, step: str) -> Watched:
    options = [f"--{name}={value}" for name, value in LONG[step].items()]
    command = [sys.executable, *chaos.command(step), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    name = {"train_ndf": "checkpoints_ndf", "train_rnvp": "checkpoints_rnvp"}[step]
    return Watched(step, process, chaos.work / "experiments" / "miniature" / name)


def prepare(chaos: Chaos) -> None:
    """A short training of the NDF, for the flow, which the long one then continues."""
    chaos.work.mkdir()
    for step in list(STEPS)[:4]:
        child = chaos.start(step)
        if status := child.wait(LIMIT_S):
            sys.exit(f"error: {step} ended with status {status}: {child.last_line()}")


def main() -> int:
    parser = argparse.ArgumentParser(description="See the head of this file.")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak_") as folder:
        chaos = Chaos(Path(folder), random.Random(0), fresh=True, interrupt=False, num_cpus=1)
        prepare(chaos)
        trainings = [start(chaos, "train_rnvp")]
        while not list(trainings[0].checkpoints.glob("*.tar")):  # its NDF must not change while it encodes
            time.sleep(1)
        trainings.append(start(chaos, "train_ndf"))
        wrong, until = [], time.monotonic() + 60 * options.minutes
        print(f"{'minute':>6}  {'step':12}" + "".join(f"{name:>16}" for name in GROWTH), flush=True)
        while time.monotonic() < until:
            time.sleep(EVERY_S)
            for training in trainings:
                minute = options.minutes - (until - time.monotonic()) / 60
                row = "".join(f"{value:16.0f}" for value in training.note().values())
                print(f"{minute:6.1f}  {training.step:12}{row}", flush=True)
        for training in trainings:
            training.process.send_signal(signal.SIGTERM)
        for training in trainings:
            wrong += training.grown()
            if (status := training.process.wait(LIMIT_S)) != 85:
                wrong.append(f"{training.step} ended with status {status}, 85 expected")
            step = load_checkpoint(latest_checkpoint(training.checkpoints))["step"]
            print(f"{training.step}: {step} steps, {step // VAL_EVERY} validations")
    print("\n".join(wrong) or "nothing grew")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
