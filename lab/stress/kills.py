"""Kills every step at random moments, starts it again, and compares what it leaves with an undisturbed run's files.

    python -m lab.stress.kills                                 # 100 kills, a few minutes
    python -m lab.stress.kills --kills 20 --seed 3             # what CI runs
    python -m lab.stress.kills --steps train_ndf --kills 50    # one step
    python -m lab.stress.kills --fresh --num_cpus 2            # new interpreters, worker processes; slower
    python -m lab.stress.kills --fresh --interrupt             # Ctrl-C instead: also one line, no traceback, status 130

Each step starts from the undisturbed files of the steps before it, is killed one to four times, and then left alone
until it ends. It must end with status 0, leave the same files with the same content, and nothing else. Of a checkpoint
everything counts but its training time; TensorBoard's logs only have to be there. A third of the kills come at a random
moment, a third just before a random change in the file system, and a third in the milliseconds after a file was opened
for writing. Exit status: 0, or 1 with a line for each difference.
"""

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")  # before torch: a process with threads must not fork

import numpy as np  # noqa: E402

from frozen.checkpoint_files import fingerprint  # noqa: E402
from lab.stress.files_of_a_run import differences, digests  # noqa: E402
from lab.stress.hostile.inputs_of_points import attributes  # noqa: E402
from runtime.layout import ROOT  # noqa: E402

QUICK = (
    *("--num_completion_points", "500", "--num_chains", "2", "--num_starts", "6"),
    *("--map_steps", "2", "--warmup", "2", "--draws", "2", "--leapfrog", "2"),
)
MESHES = ("--mesh", "--mesh_formats", "ply", "glb", "stl")
STEPS = {  # name -> script and its arguments
    "make_demo_cars": ["dataprocessing/make_demo_cars.py"],
    "preprocess": ["dataprocessing/preprocess.py"],
    "create_split": ["dataprocessing/create_split.py"],
    "train_ndf": ["train_ndf.py"],
    "train_rnvp": ["train_rnvp.py"],
    "reconstruct": ["generate.py", "--mode", "reconstruct"],
    "generate": ["generate.py"],
    "evaluate": ["evaluate.py"],
    "own_meshes": [
        "generate.py",
        "--own_meshes",
        "WORK/mine",
        "--mesh",
        "--html",
        "--mesh_formats",
        "ply",
        "glb",
        "stl",
    ],
    "edit": [
        "generate.py",
        "--mode",
        "edit",
        "--attribute",
        "size",
        "--by",
        "1",
        "--edit_shapes",
        "0",
        "--movie",
        "gif",
    ],
    "complete": ["complete.py", "--scan", "WORK/scan.npy", "--fit", *MESHES, *QUICK],
}
SMALL = {  # than configs/miniature.txt
    **{"num_demo_cars": 8, "n_val": 2, "n_test": 2, "num_boundary_samples": 300, "num_uniform_samples": 100},
    **{"num_gap_samples": 50, "num_points": 300, "num_epochs": 12, "batch_size": 2, "val_every": 5, "num_pictures": 2},
    **{"flow_steps": 30, "flow_val_every": 6, "extra_demo_cars": 5, "num_shapes": 2, "num_output_points": 500},
    **{"num_eval_shapes": 2, "num_eval_points": 64, "num_eval_points_dense": 200, "num_map_shapes": 4},
    **{"num_whole_shapes": 2, "mesh_resolution": 48},
}
CHANGES = {"open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.utime"}  # audit events
MOST_KILLS_A_ROUND = 4
LIMIT_S = 1200  # for one run of one step, beside other work


@dataclass
class Tally:
    step: str
    rounds: int = 0
    kills: int = 0
    at_changes: int = 0  # of the kills
    seconds: float = 0.0  # an undisturbed run
    changes: int = 0  # of the file system, in an undisturbed run
    wrong: list[str] = field(default_factory=list)


@dataclass
class Chaos:
    """One folder in which the steps run; everything random is drawn from `rng`."""

    folder: Path
    rng: random.Random
    fresh: bool
    interrupt: bool
    num_cpus: int

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def command(self, step: str) -> list[str]:
        script, *arguments = STEPS[step]
        places = {
            "data_dir": self.work / "data",
            "split_file": self.work / "split.npz",
            "exp_root": self.work / "experiments",
            "num_cpus": self.num_cpus,
        }
        options = [f"--{name}={value}" for name, value in (SMALL | places).items()]
        arguments = [word.replace("WORK", str(self.work)) for word in arguments]
        return [str(ROOT / script), "--config", str(ROOT / "configs" / "miniature.txt"), *options, *arguments]

    def prepare(self, step: str) -> None:
        """Write what a step needs that no step makes: a folder of meshes, attributes of the codes, a scan."""
        if step == "own_meshes":
            (self.work / "mine").mkdir()
            for mesh in sorted(self.work.glob("data/*/models/model_normalized.obj"))[:2]:
                shutil.copy(mesh, self.work / "mine" / f"{mesh.parts[-3]}.obj")
        experiment = self.work / "experiments" / "miniature"
        if step == "edit":
            ndf = fingerprint(experiment / "checkpoints_ndf" / "best.tar")
            (experiment / "attributes.npz").write_bytes(attributes(ndf, codes=8))
        if step == "complete":
            points = np.load(next(iter(sorted(self.work.glob("data/*/models/voxelized_*.npz")))))["point_cloud"]
            np.save(self.work / "scan.npy", points[points[:, 0] > 0])

    def start(self, step: str, harm: dict | None = None) -> "Child":
        log = self.folder / "log.txt"
        if self.fresh:
            with open(log, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, *self.command(step)], stdout=file, stderr=file, cwd=ROOT, start_new_session=True
                )
            return Child(process.pid, log)
        pid = os.fork()
        if pid == 0:
            be_step(self.command(step), log, self.work, harm or {})
        return Child(pid, log)

    def try_step(self, step: str, tally: Tally) -> None:
        """Run `step` on what an undisturbed run would find, kill it now and then, and compare."""
        before, after = self.folder / f"before_{step}", self.folder / f"after_{step}"
        shutil.rmtree(self.work)
        shutil.copytree(before, self.work, symlinks=True)
        tally.rounds += 1
        for _ in range(self.rng.randint(1, MOST_KILLS_A_ROUND)):
            at_change = not self.fresh and self.rng.random() < 2 / 3
            if self.disturbed(step, tally, at_change):
                break
            tally.kills += 1
            tally.at_changes += at_change
        else:
            child = self.start(step)
            if status := child.end():
                tally.wrong.append(f"after a kill: status {status}: {child.last_line()}")
        tally.wrong += differences(digests(after), digests(self.work))

    def disturbed(self, step: str, tally: Tally, at_change: bool) -> bool:
        """Start `step` and kill it at a random moment. True if it ended before that."""
        harm = {
            "number": self.rng.randint(1, max(1, tally.changes)),
            "after_ms": self.rng.choice([0, 2]) * self.rng.random(),
        }
        child, started = self.start(step, harm if at_change else None), time.monotonic()
        number = signal.SIGINT if self.interrupt else signal.SIGKILL
        status = child.wait(LIMIT_S) if at_change else child.wait(self.rng.uniform(0.1, 1) * tally.seconds)
        if status is None:
            (os.killpg if self.interrupt else os.kill)(child.pid, number)  # a terminal tells all processes of a step
            status = child.wait(LIMIT_S)
        elif status == 0:  # a busy machine may have become a quick one
            tally.seconds = (tally.seconds + time.monotonic() - started) / 2
        if self.interrupt and status == 130:
            if (
                "Traceback" in child.text()
                or "Exception" in child.text()
                or child.last_line() != "stopped; run the same command again to go on"
            ):
                tally.wrong.append(f"Ctrl-C: {child.text()[-2000:]}")
            return False
        if status not in (0, -number):
            tally.wrong.append(f"status {status}: {child.last_line()}")
        return status != -number


@dataclass
class Child:
    pid: int
    log: Path

    def wait(self, seconds: float) -> int | None:
        """Its exit status, negative for a signal; None if it still runs after `seconds`."""
        until = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > until:
                return None
            time.sleep(0.002)

    def end(self) -> int:
        """Its exit status; after `LIMIT_S` it is killed, since what it still writes would be taken for another's."""
        status = self.wait(LIMIT_S)
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            status = self.wait(LIMIT_S)
        return -signal.SIGKILL if status is None else status

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def last_line(self) -> str:
        return self.text().replace("\r", "\n").rstrip().rpartition("\n")[2]


def be_step(command: list[str], log: Path, work: Path, harm: dict) -> None:
    """In a forked process: become the step. Modules are imported already, so that kills hit the step and not those."""
    import runpy

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    changes = watch_changes(str(work), harm)
    sys.argv = command
    status = 1
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        log.with_suffix(".changes").write_text("\n".join(changes))
        os._exit(status)


def watch_changes(work: str, harm: dict) -> list[str]:
    """Note the changes below `work` in the list that is returned, and kill this process at number harm["number"]."""
    seen: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        if event not in CHANGES or not isinstance(arguments[0], str | os.PathLike):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if not os.fspath(arguments[0]).startswith(work):
            return
        seen.append(f"{event} {arguments[0]}")
        if len(seen) == harm.get("number"):
            if harm["after_ms"]:
                threading.Timer(harm["after_ms"] / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


def import_all() -> None:
    """All that the steps import, so that each forked process has it."""
    import importlib

    names = ["open3d", "torch.utils.tensorboard", "matplotlib.figure", "scipy.optimize", "scipy.spatial", "scipy.stats"]
    rooms = ("runtime", "configs", "demo_cars", "dataprocessing", "models", "frozen", "visualization", "training")
    rooms += ("generation", "evaluation")
    files = [path.relative_to(ROOT) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    names += [".".join(path.with_suffix("").parts) for path in files if path.name != "__init__.py"]
    for name in names:
        if "experiments" not in name:
            importlib.import_module(name)


def undisturbed(chaos: Chaos, step: str) -> Tally:
    """Run a step alone; its files before and after it are kept."""
    chaos.prepare(step)
    shutil.copytree(chaos.work, chaos.folder / f"before_{step}", symlinks=True)
    started = time.monotonic()
    child = chaos.start(step)
    if status := child.end():
        sys.exit(f"error: {step} alone ended with status {status}:\n{child.text()[-3000:]}")
    tally = Tally(step, seconds=time.monotonic() - started)
    shutil.copytree(chaos.work, chaos.folder / f"after_{step}", symlinks=True)
    counted = child.log.with_suffix(".changes")
    tally.changes = len(counted.read_text().splitlines()) if counted.is_file() else 0
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill every step at random moments; see the head of this file.")
    parser.add_argument("--kills", type=int, default=100, help="at least as many in all, evenly over the steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--fresh", action="store_true", help="a new interpreter each time")
    parser.add_argument("--interrupt", action="store_true", help="SIGINT instead of SIGKILL; needs --fresh")
    parser.add_argument("--num_cpus", type=int, default=1, help="worker processes, where the step has them")
    options = parser.parse_args()
    if options.interrupt and not options.fresh:
        parser.error("--interrupt needs --fresh")
    sys.stdout.reconfigure(line_buffering=True)
    if not options.fresh:
        import_all()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the steps would inherit that it is ignored
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos_") as folder:
        chaos = Chaos(Path(folder), random.Random(options.seed), options.fresh, options.interrupt, options.num_cpus)
        tallies = list(try_steps(chaos, options.steps, math.ceil(options.kills / len(options.steps))))
    kills, wrong = sum(tally.kills for tally in tallies), sum(bool(tally.wrong) for tally in tallies)
    print(f"{kills} kills, {wrong} steps wrong, {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def try_steps(chaos: Chaos, steps: list[str], kills: int) -> Iterator[Tally]:
    """Kill each of `steps` at least `kills` times; those before them are run alone. Prints a line for each."""
    chaos.work.mkdir()
    print(f"{'step':16}{'alone, s':>10}{'changes':>10}{'kills':>8}{'at changes':>12}{'runs':>6}  result")
    last = max(list(STEPS).index(step) for step in steps)
    for step in list(STEPS)[: last + 1]:
        tally = undisturbed(chaos, step)
        while step in steps and tally.kills < kills and not tally.wrong:
            chaos.try_step(step, tally)
            if tally.rounds == 20 * kills:
                tally.wrong.append(f"only {tally.kills} of {kills} kills came before its end")
        result = "WRONG" if tally.wrong else "same files" if tally.rounds else "not tried"
        numbers = f"{tally.seconds:10.1f}{tally.changes:10}{tally.kills:8}{tally.at_changes:12}{tally.rounds:6}"
        print("\n  ".join([f"{step:16}{numbers}  {result}", *tally.wrong]))
        shutil.rmtree(chaos.work)
        shutil.copytree(chaos.folder / f"after_{step}", chaos.work, symlinks=True)
        yield tally


if __name__ == "__main__":
    sys.exit(main())
