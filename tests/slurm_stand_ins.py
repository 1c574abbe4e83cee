"""Stand-ins for Slurm and for the Python steps, for tests of the job scripts: they write down how they were called."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab.small.helpers import STEPS
from runtime.layout import ROOT

SCRIPTS = sorted((ROOT / "slurm_scripts").glob("*.sh"))  # of them common.sh, ending.sh and settings.sh are only read
JOBS = sorted((ROOT / "slurm_scripts").glob("[1-9]_*.sh"))
RECORD = """\
import json, signal, sys, time
with open("calls.jsonl", "a") as file:
    print(json.dumps(sys.argv), file=file)
"""
WAIT_FOR_SIGNAL = """\
def stop(number, frame):
    time.sleep(0.2)  # as if it saved a checkpoint
    sys.exit(85)
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, stop)
open("ready", "w").close()
time.sleep(600)
"""
FAKE_SBATCH = """\
#!/bin/bash
printf '%s\\n' "$*" >> submitted
[ ! -e refuse ] || { echo 'sbatch: error: Batch job submission failed' >&2; exit 1; }
echo $((100 + $(wc -l < submitted)))
"""
FAKE_SCONTROL = """\
#!/bin/bash
if [ "$1" = show ]; then
  cat job 2> /dev/null || exit 1
else
  printf '%s\\n' "$*" >> requeued
fi
"""


def make_repository(tmp_path: Path) -> Path:
    """A folder with the real job scripts, stand-ins of the steps, and stand-ins of sbatch and scontrol in bin/."""
    (tmp_path / "slurm_scripts").mkdir()
    for script in SCRIPTS:
        shutil.copy(script, tmp_path / "slurm_scripts")
    for step in STEPS:
        (tmp_path / step).parent.mkdir(exist_ok=True)
        (tmp_path / step).write_text(RECORD)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "cars.txt").touch()
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", FAKE_SBATCH), ("scontrol", FAKE_SCONTROL)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def start(repository: Path, *command: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))}
    environment = {**clean, "PATH": f"{repository / 'bin'}:{os.environ['PATH']}", **variables}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["bash", *command], cwd=cwd or repository, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def call(repository: Path, *command: str, cwd: Path | None = None, **variables: str) -> tuple[int, str, str]:
    """Run a bash script to its end; gives its exit status, stdout, stderr."""
    process = start(repository, *command, cwd=cwd, **variables)
    out, err = process.communicate()
    return process.returncode, out, err


def wait_until_ready(repository: Path, process: subprocess.Popen[str]) -> None:
    """Until a stand-in of a step has made the file `ready`."""
    while not (repository / "ready").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def calls(repository: Path) -> list[list[str]]:
    path = repository / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def option(arguments: list[str], name: str) -> str:
    """The value that argparse would take: the last one given."""
    last = len(arguments) - 1 - arguments[::-1].index(name)
    return arguments[last + 1]


def run_array(
    repository: Path, ids: list[int], *extra: str, name: str = "1_preprocess", **more: str
) -> list[tuple[int, str, str]]:
    """Run tasks of a job's array one after the other; exit status, stdout and stderr of each."""
    shared = {"SLURM_ARRAY_TASK_MIN": min(ids), "SLURM_ARRAY_TASK_MAX": max(ids), "SLURM_ARRAY_TASK_COUNT": len(ids)}
    results = []
    for task in ids:
        variables = {key: str(value) for key, value in shared.items()} | {"SLURM_ARRAY_TASK_ID": str(task)} | more
        variables |= {"SLURM_CPUS_PER_TASK": "3", "SLURM_JOB_NAME": name}
        results.append(call(repository, f"slurm_scripts/{name}.sh", "configs/cars.txt", *extra, **variables))
    return results
