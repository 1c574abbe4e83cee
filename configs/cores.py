"""How many cores a step may use."""

import os


def num_workers(num_cpus: int) -> int:
    """Worker processes for the option num_cpus; -1: all cores that this job may use."""
    if num_cpus > 0:
        return num_cpus
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS lacks it
