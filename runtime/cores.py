"""How many cores a step may use, and how many threads one process of it.

What limits them, the least of all: the option num_cpus, the cores that this process may run on (taskset, Slurm), the
quota of its control groups (containers), shared with the other processes of a training on this machine; of threads also
OMP_NUM_THREADS and MKL_NUM_THREADS. Worker processes have one thread each, so these two do not limit their number.
"""

import os
from pathlib import Path

from runtime.ranks import ranks

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
GROUPS_OF_THIS = Path("/proc/self/cgroup")


def num_workers(num_cpus: int) -> int:
    """Worker processes for the option num_cpus; -1: all cores that this job may use.

    The processes of one training share the cores of their machine.
    """
    return max(1, (num_cpus if num_cpus > 0 else usable_cores()) // ranks().local_count)


def num_threads(num_cpus: int) -> int:
    """Threads of one process for the option num_cpus; -1: as many as cores that this job may use."""
    limits = [_first_number(os.environ.get(name, "")) for name in THREAD_VARIABLES]
    share = max(1, usable_cores() // ranks().local_count)
    return min(num_workers(num_cpus), share, *(limit for limit in limits if limit))


def usable_cores() -> int:
    """Cores that this process may run on, no more than its quota of processor time pays for (rounded down), and 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS
    return max(1, min(cores, int(quota())))


def quota() -> float:
    """Seconds of processor time a second that the control groups of this process allow; infinite without a limit."""
    try:
        lines = GROUPS_OF_THIS.read_text().splitlines()
    except OSError:  # no Linux
        return 1e9
    found = [1e9]
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CONTROL_GROUPS / controllers if controllers else CONTROL_GROUPS
        inner = root / name.lstrip("/")
        # A container may see its own group as the root, under the name that its host gave it.
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                found.append(_quota_of(folder))
    return min(found)


def _quota_of(folder: Path) -> float:
    """Of one group: cpu.max of version 2, or the two files of version 1."""
    try:
        if (folder / "cpu.max").is_file():
            limit, period = (folder / "cpu.max").read_text().split()
        else:
            limit, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        seconds = int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit: no such file, or "max"
        return 1e9
    return seconds if seconds > 0 else 1e9


def _first_number(text: str) -> int:
    """The threads of the outermost level, as in OMP_NUM_THREADS=4,1; 0 where the text names none."""
    first = text.split(",")[0].strip()
    return int(first) if first.isdecimal() and len(first) < 10 else 0
