"""How many cores and threads are taken: the option, the environment, affinity, quotas of control groups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import cores
from runtime.cores import num_threads, num_workers, quota, usable_cores
from runtime.ranks import Ranks


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of eight cores, of which nothing is taken."""
    for name in cores.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "GROUPS_OF_THIS", tmp_path / "none")


def control_groups(monkeypatch: pytest.MonkeyPatch, folder: Path, lines: str, files: dict[str, str]) -> None:
    """This process is in the control groups of these lines, and these are their files."""
    (folder / "groups").write_text(lines)
    monkeypatch.setattr(cores, "GROUPS_OF_THIS", folder / "groups")
    monkeypatch.setattr(cores, "CONTROL_GROUPS", folder / "fs")
    for name, text in files.items():
        path = folder / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"MKL_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5", "MKL_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "64"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"OMP_NUM_THREADS": "many", "MKL_NUM_THREADS": ""}, 8),
    ],
)
def test_the_environment_limits_threads_but_not_workers(monkeypatch: pytest.MonkeyPatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert num_threads(-1) == expected
    assert num_threads(2) == min(2, expected)
    assert num_workers(-1) == 8 and num_workers(3) == 3


def test_affinity_limits_threads_and_workers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 4, 6}, raising=False)
    assert num_threads(-1) == num_threads(5) == num_workers(-1) == 3
    assert num_workers(5) == 5  # as asked for


def test_processes_of_one_training_share_cores_and_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("runtime.ranks._joined", [Ranks(1, 6, 1, 3)])
    assert num_threads(-1) == num_workers(-1) == 2
    assert num_threads(5) == 1
    monkeypatch.setattr("runtime.ranks._joined", [Ranks(1, 20, 1, 20)])
    assert num_threads(-1) == num_workers(-1) == 1


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/job/step\n", {"job/cpu.max": "350000 100000\n", "job/step/cpu.max": "max 100000\n"}, 3),
        ("0::/job/step\n", {"job/cpu.max": "600000 100000\n", "job/step/cpu.max": "210000 100000\n"}, 2),
        ("0::/unseen\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 8),
        ("0::/\n", {}, 8),
        (
            "7:memory:/x\n4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "450000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("1:cpuset:/x\n", {"cpuset/x/cpu.max": "100000 100000\n"}, 8),
    ],
)
def test_quotas_of_control_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines, files, expected):
    control_groups(monkeypatch, tmp_path, lines, files)
    assert usable_cores() == num_threads(-1) == num_workers(-1) == expected


def test_without_linux_there_is_no_quota():
    assert quota() > 1e6


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "passive 1000"), ({"GOMP_SPINCOUNT": "7"}, "None 7"), ({"OMP_WAIT_POLICY": "active"}, "active None")],
)
def test_waiting_threads_sleep_unless_the_environment_says_otherwise(given: dict[str, str], expected: str):
    code = "import runtime, os; print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))"
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")} | given
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
