"""The job scripts on a real Slurm: `make slurm-check`, a few minutes on one core.

Exit status: 0, 1 with what failed, or 2 if there is no Slurm.

What must hold, for small networks and eight demo cars:

- steps 1 to 7 in one submission give clouds and tables; preprocessing, generation and evaluation as job arrays;
- an array task that fails is told with its reason, and the command that is told does it alone, and then what follows;
- clouds made by array tasks are those of one process, bit for bit;
- both trainings, sent back to the queue by Slurm's warning, end with the files of undisturbed ones, bit for bit;
- a job that meets its time limit, or is killed for lack of memory, says so, and what to do.

It takes the Slurm that answers here, else one of its own on this machine (cluster.sh) if slurmctld, slurmd and munge
are installed; `--install` installs them (Debian, Ubuntu; as root). Other arguments go to sbatch, such as
--partition=debug. Files: build/slurm_check and, of jobs that failed, slurm_scripts/logs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.stress.files_of_a_run import differences, digests
from runtime.layout import DENSE_POINT_CLOUD, ROOT

CONFIG = "lab/slurm/cars.txt"
HERE = ROOT / "build" / "slurm_check"
EXPERIMENT = HERE / "slurm_check"
LOGS = ROOT / "slurm_scripts" / "logs"
CLUSTER = ROOT / "lab" / "slurm" / "cluster.sh"
SMALL = ["--gres=none", "--cpus-per-task=1", "--mem=1500M", "--time=30"]
LONGEST_S = 300  # that jobs may take, on a busy machine
DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")


class Failure(Exception):
    """What did not hold, in one line."""


def main() -> int:
    words = sys.argv[1:]
    if "--install" in words:
        words.remove("--install")
        if os.geteuid() == 0 and not answers() and not installed():
            subprocess.call(["bash", str(CLUSTER), "install"])
    if not answers() and not installed():
        print(
            "no slurm here: no sbatch that a cluster answers to, and not all of " + ", ".join(DAEMONS) + " to start one"
        )
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `finally` ends the cluster
    shutil.rmtree(HERE, ignore_errors=True)
    started, check = time.monotonic(), Check(SMALL + words)
    try:
        with cluster():
            for one in (check.broken_mesh, check.chain, check.chunks, check.requeue, check.time_limit, check.memory):
                begun = time.monotonic()
                print(f"{one.__name__}: {one()} ({time.monotonic() - begun:.0f} s)", flush=True)
    except Failure as failure:
        print(f"FAILED: {failure}; logs: {LOGS}", file=sys.stderr)
        return 1
    check.remove_logs()
    print(f"all that was expected of slurm holds ({time.monotonic() - started:.0f} s)")
    return 0


def installed() -> bool:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return all(shutil.which(name, path=path) for name in DAEMONS)


def answers() -> bool:
    """Whether there is a Slurm whose controller answers."""
    if shutil.which("sbatch") is None:
        return False
    try:
        return " is UP" in subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextmanager
def cluster() -> Iterator[None]:
    """The cluster that answers, else one of our own for as long as it is needed."""
    if answers():
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="slurm_check_"))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        if subprocess.call(["bash", str(CLUSTER), "start", str(folder)]) != 0:
            raise Failure(f"no cluster could be started in {folder}")
        yield
    finally:
        subprocess.call(["bash", str(CLUSTER), "stop", str(folder)])
        del os.environ["SLURM_CONF"]
    shutil.rmtree(folder)  # after a failure it stays


def call(*command: str | Path, **variables: str) -> str:
    """What a command prints. Raises Failure if it fails."""
    result = subprocess.run(
        [str(word) for word in command], cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True
    )
    if result.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: status {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def wait_for(condition: Callable[[], object], what: str, seconds: float = LONGEST_S) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise Failure(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.3)


def expect(holds: object, what: str) -> None:
    if not holds:
        raise Failure(what)


class Check:
    """The checks, in their order: each finds what those before have left. Each returns a line of what it found."""

    def __init__(self, sbatch: list[str]):
        self.sbatch, self.jobs, self.again = sbatch, set[str](), ""

    def submit_all(self, **variables: str) -> list[str]:
        """Submit by submit_all.sh; the numbers of its jobs."""
        out = call("bash", "slurm_scripts/submit_all.sh", CONFIG, *self.sbatch, **variables)
        return self.note(re.findall(r" job (\d+)$", out, flags=re.MULTILINE))

    def submit(self, step: str, *options: str) -> str:
        """Submit one step with other options of its script; the number of its job."""
        script = f"slurm_scripts/{step}.sh"
        job = call("sbatch", "--parsable", *self.sbatch, script, CONFIG, *options).strip().partition(";")[0]
        return self.note([job])[0]

    def note(self, jobs: list[str]) -> list[str]:
        self.jobs |= set(jobs)
        return jobs

    def finish(self, jobs: list[str]) -> str:
        """Wait until jobs have left the queue; what report.sh says of them."""
        waiting = ["squeue", "--noheader", "--format=%F", "--me"]
        wait_for(lambda: not set(jobs) & set(call(*waiting).split()), f"the end of jobs {' '.join(jobs)}")
        command = ["bash", "slurm_scripts/report.sh", *jobs]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout

    def log(self, job: str) -> str:
        """The log of a job; empty before there is one."""
        return "".join(path.read_text() for path in LOGS.glob(f"*_{job}.out"))

    def remove_logs(self) -> None:
        for job in self.jobs:
            for path in [*LOGS.glob(f"*_{job}.out"), *LOGS.glob(f"*_{job}_*.out")]:
                path.unlink()

    def broken_mesh(self) -> str:
        call(sys.executable, "dataprocessing/make_demo_cars.py", "--config", CONFIG)
        self.mesh = sorted((HERE / "cars").glob("*/models/*.obj"))[5]  # of chunk 2 of 3
        self.whole = self.mesh.read_bytes()
        self.mesh.write_text("v 0 0 0\n")
        jobs = self.submit_all(CHUNKS="3", GENERATE_CHUNKS="2", EVALUATE_CHUNKS="2")
        report = self.finish(jobs)
        told = re.search(r"_2: 1_preprocess, task 2 of 3: FAILED with status 1 after .*again: (.*) \(slurm_sc", report)
        expect(told and str(self.mesh) in report, f"the broken mesh is not told: {report}")
        expect(report.count(": done after ") == 2, f"the other two tasks are not done: {report}")
        expect(report.count("never started") == len(jobs) - 1, f"later steps have run: {report}")
        self.again = told.group(1)
        return f"task 2 of 3 failed and names it, {len(jobs) - 1} jobs after it never started"

    def chain(self) -> str:
        self.mesh.write_bytes(self.whole)
        jobs = self.note(re.findall(r" job (\d+)$", call("bash", "-c", self.again), flags=re.MULTILINE))
        report = self.finish(jobs)
        expect(len(jobs) == 8 and report.count(": done after ") == 10, f"not all is done: {report}")
        expect(report.count("1_preprocess, task") == 1, f"not one preprocessing task alone: {report}")
        evaluation = EXPERIMENT / "evaluation"
        for name in ("results.json", "generation/contact_sheet.png", "reconstruction/index.json"):
            expect((evaluation / name).is_file(), f"no {name} in {evaluation}")
        clouds = len(list(evaluation.glob(f"*/*/{DENSE_POINT_CLOUD}")))
        expect(clouds == 6, f"{clouds} clouds, 6 expected")
        return "the command that was told: 1 task again, steps 2 to 7 after it, 6 clouds, all tables"

    def chunks(self) -> str:
        folders = [EXPERIMENT / "evaluation" / kind for kind in ("generation", "reconstruction")]
        expected = [digests(folder) for folder in folders]
        for folder in folders:
            shutil.rmtree(folder)
        report = self.finish(self.submit_all(FIRST_STEP="6", LAST_STEP="6"))
        expect(report.count(": done after ") == 1, f"step 6 is not done: {report}")
        wrong = [
            line for folder, one in zip(folders, expected, strict=True) for line in differences(one, digests(folder))
        ]
        expect(not wrong, f"arrays and one process differ: {'; '.join(wrong)}")
        return f"{sum(map(len, expected))} files of step 6 the same from 2 array tasks as from one process"

    def requeue(self) -> str:
        """The flow's training starts from the undisturbed NDF, whose file it names."""
        found = [
            self.retrain("3", "NDF", ["checkpoints_ndf"], times=2),
            self.retrain("4", "RealNVP", ["checkpoints_rnvp", "codes"], times=1),
        ]
        return "; ".join(found)

    def retrain(self, step: str, network: str, folders: list[str], times: int) -> str:
        """Repeat a training, disturbed, and compare with the files of the undisturbed one, which then come back."""
        undisturbed = HERE / "undisturbed"
        undisturbed.mkdir(exist_ok=True)
        for name in folders:
            (EXPERIMENT / name).rename(undisturbed / name)
        jobs = self.submit_all(FIRST_STEP=step, LAST_STEP=step)
        stops = self.disturb(jobs[0], network, times)
        report = self.finish(jobs)
        expect(report.count(": done after ") == 1, f"the training is not done: {report}")
        wrong, same = [], 0
        for name in folders:
            expected = digests(undisturbed / name)
            wrong += differences(expected, digests(EXPERIMENT / name))
            same += len(expected)
            shutil.rmtree(EXPERIMENT / name)
            (undisturbed / name).rename(EXPERIMENT / name)
        expect(not wrong, f"the requeued training of {network} differs from the undisturbed one: {'; '.join(wrong)}")
        return f"{network} stopped and requeued at step {stops}: all {same} files the same as undisturbed"

    def disturb(self, job: str, network: str, times: int) -> str:
        """Warn a training as before its time limit, after it has trained for a while. Where it was stopped, as text."""
        for count in range(1, times + 1):
            begun = f"(start {count - 1})"
            wait_for(lambda begun=begun: self.steps(job, network, begun), f"the first steps of job {job} {begun}")
            call("scancel", "--signal=USR1", "--batch", job)
            wait_for(lambda count=count: self.log(job).count("back to the queue") == count, f"job {job} to stop", 60)
        wait_for(lambda: f"(start {times})" in self.log(job), f"job {job} to start again")
        return ", ".join(re.findall(r"asked to stop: saved step (\d+)", self.log(job)))

    def steps(self, job: str, network: str, begun: str) -> list[str]:
        """The validations that the log tells of since a start of the training."""
        return re.findall(rf"^{network} step (\d+)", self.log(job).partition(begun)[2], flags=re.MULTILINE)

    def time_limit(self) -> str:
        job = self.submit("6_generate", "--num_output_points", "30000000")
        wait_for(lambda: "python generate.py" in self.log(job), f"job {job} to start")
        subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=1"], capture_output=True)
        subprocess.run(["scontrol", "update", f"JobId={job}", "EndTime=now"], capture_output=True)  # an administrator's
        report = self.finish([job])
        expect("its time limit was reached; finished work is kept" in report, f"the time limit is not told: {report}")
        return told_in(report)

    def memory(self) -> str:
        """Python killed as the kernel kills it, and Slurm's own limit where it is watched."""
        job = self.submit("6_generate", "--num_output_points", "30000000")
        wait_for(lambda: pids_of(job, "generate.py"), f"python of job {job}")
        for pid in pids_of(job, "generate.py"):
            os.kill(pid, 9)
        report = self.finish([job])
        expect("killed, nearly always for lack of memory" in report, f"not told: {report}")
        told = f"python killed: {told_in(report)}"
        if "OverMemoryKill" not in call("scontrol", "show", "config"):
            return f"{told} Slurm's own limit was not tried, since it is not watched by OverMemoryKill"
        small = [word for word in self.sbatch if not word.startswith("--mem")]
        job = Check([*small, "--mem=100M"]).submit("7_evaluate")
        report = self.finish(self.note([job]))
        expect("slurm killed it for lack of memory" in report, f"not told: {report}")
        return f"{told} 100 MB for the job: {told_in(report)}"


def pids_of(job: str, script: str) -> list[int]:
    """The processes of a job on this machine that run a script; none before it has started."""
    found = []
    listed = subprocess.run(["scontrol", "listpids", job], capture_output=True, text=True).stdout
    for line in listed.splitlines()[1:]:
        pid = line.split()[0]
        command = Path("/proc", pid, "cmdline")
        if pid.isdigit() and command.exists() and script in command.read_text():
            found.append(int(pid))
    return found


def told_in(report: str) -> str:
    return report.partition(": ")[2].partition(" To do it again")[0].strip()


if __name__ == "__main__":
    sys.exit(main())
