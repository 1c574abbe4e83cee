"""Run one function over many tasks in worker processes of one thread each, and survive the death of a worker."""

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from runtime.errors import HELPER_GONE, UserError
from runtime.streams import make_lasting


def run_tasks(function: Callable[..., Any], tasks: Sequence[tuple], workers: int) -> Generator[Any, None, None]:
    """Yield function(*task) for each task, in the order in which they end. One worker: in this process.

    An exception of a task ends the run and is raised here; tasks that had not begun are dropped.
    Raises UserError if a worker was killed.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from (function(*task) for task in tasks)
        return
    with _executor(workers) as executor:
        for future in as_completed([executor.submit(function, *task) for task in tasks]):
            yield future.result()


def run_in_order(
    function: Callable[..., Any], tasks: Iterable[tuple], workers: int, ahead: int = 256, shared: tuple = ()
) -> Generator[Any, None, None]:
    """Yield function(*shared, *task) for each task, in the order of the tasks; otherwise as `run_tasks`.

    At most `ahead` tasks are begun before their results are asked for, so that many large results never are in memory.
    shared: what all tasks need, sent to each worker once.
    """
    if workers <= 1:
        yield from (function(*shared, *task) for task in tasks)
        return
    with _executor(workers, shared) as executor:
        begun: deque[Future] = deque()
        for task in tasks:
            begun.append(executor.submit(_with_shared, function, *task))
            if len(begun) >= ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


_shared: list[tuple] = [()]  # of a worker


def _with_shared(function: Callable[..., Any], *task: Any) -> Any:
    return function(*_shared[-1], *task)


@contextmanager
def _executor(workers: int, shared: tuple = ()) -> Iterator[ProcessPoolExecutor]:
    with _one_thread_each():
        # spawned, not forked: a fork of a process with threads (tqdm's, Open3D's) may hang
        executor = _new_executor(workers, shared)
        try:
            yield executor
        except (BrokenProcessPool, *HELPER_GONE) as error:
            raise UserError(
                "a worker process was killed, perhaps for lack of memory; finished files are kept: run the same"
                f" command again, with less than --num_cpus {workers} if it happens again"
            ) from error
        finally:
            executor.shutdown(cancel_futures=True)


def _new_executor(workers: int, shared: tuple) -> "_Executor":
    try:
        # Packed here: multiprocessing would send tensors through /dev/shm.
        return _Executor(workers, get_context("spawn"), start_worker, (pickle.dumps(shared),))
    except OSError as error:
        raise UserError(f"worker processes cannot be started: {no_locks(error)}, or give --num_cpus 1") from error


def no_locks(error: OSError) -> str:
    """Why processes cannot share locks, which lie in /dev/shm, and what to do."""
    return f"/dev/shm: {error.strerror}; free it (a container has 64 MB of it unless it is started with --shm-size)"


class _Executor(ProcessPoolExecutor):
    """Its workers, which `submit` starts, hear no Ctrl-C while they load; a terminal sends it to all processes."""

    def submit(self, *args: Any, **kwargs: Any) -> Future:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return super().submit(*args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(shared: bytes | None = None) -> None:
    """Leave Ctrl-C to the parent, and do not outlive it. shared: see `run_in_order`, pickled."""
    _shared.append(pickle.loads(shared) if shared else ())
    make_lasting()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent_process().join()
    os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers start with one thread for numpy and OpenMP: there are as many workers as cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
