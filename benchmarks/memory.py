"""Peak memory of one piece of work, in a process of its own."""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def alone(function: Callable[..., Any], *arguments: Any) -> tuple[float, float, float]:
    """Seconds of function(*arguments) in a new process, its peak memory, and that before the call, bytes."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, function, arguments).result()


def _measured(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float, float]:
    before = peak()
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start, peak(), before


def peak() -> float:
    """The most memory that this process has held so far, bytes.

    Linux counts what a parent held before the start of a process as the process's own in getrusage, not in VmHWM.
    """
    if STATUS.is_file():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
