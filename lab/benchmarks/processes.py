"""Processes of their own: for a group of rows, a worker's share, or the peak memory of one piece of work."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from runtime.pool import start_worker

STATUS = Path("/proc/self/status")


@contextmanager
def pool(workers: int, one_thread: bool = False) -> Iterator[ProcessPoolExecutor]:
    """Workers that end with this process, and at once when the block is left by an exception, such as Ctrl-C."""
    begin = start_with_one_thread if one_thread else start_worker
    executor = ProcessPoolExecutor(workers, get_context("spawn"), begin)
    try:
        yield executor
    except BaseException:
        for process in list((executor._processes or {}).values()):
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def start_with_one_thread() -> None:
    """libigl asks for its number of threads when it first works."""
    os.environ["IGL_NUM_THREADS"] = "1"
    start_worker()


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments) in a process of its own, which nothing else has warmed or filled."""
    with pool(1) as executor:
        return executor.submit(function, *arguments).result()


def peak_memory(function: Callable[..., Any], *arguments: Any) -> float:
    """The most bytes that a process holds which does nothing but function(*arguments), libraries included."""
    return float(in_process(_peak_after, function, arguments))


def _peak_after(function: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    function(*arguments)
    return peak()


def peak() -> float:
    """The most memory that this process has held so far, bytes.

    Linux counts what a parent held before the start of a process as the process's own in getrusage, not in VmHWM.
    """
    if STATUS.is_file():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
