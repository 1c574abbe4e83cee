"""How many cores a step may use."""

import os

from runtime.ranks import ranks


def num_workers(num_cpus: int) -> int:
    """Worker processes for the option num_cpus; -1: all cores that this job may use.

    The processes of one training share the cores of their machine.
    """
    if num_cpus <= 0:
        num_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS
    return max(1, num_cpus // ranks().local_count)
