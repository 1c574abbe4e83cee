"""Workers: each task once, results in order or as they come, few tasks begun before they are wanted, deaths told.

The workers import this file: it needs nothing that is slow to import.
"""

import errno
import os
import signal
import time

import pytest
from facts import naming, says

from runtime.errors import UserError, message_for_user
from runtime.pool import run_in_order, run_tasks


def slow_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0.0)
    return number**2


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", f"file{number}")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks_which_are_taken_as_needed(workers: int):
    taken = []

    def tasks():
        for number in range(40):
            taken.append(number)
            yield (number,)

    results = run_in_order(slow_first, tasks(), workers, ahead=5)
    for number in range(7):
        assert next(results) == number**2
        assert len(taken) <= number + 5
    assert list(results) == [number**2 for number in range(7, 40)]


@pytest.mark.parametrize("run", [run_in_order, run_tasks])
def test_a_killed_worker_is_told(run):
    with pytest.raises(UserError, match=naming("killed memory --num_cpus 2")):
        list(run(die_at_three, [(n,) for n in range(8)], 2))


def one_number(shared: object, number: int) -> tuple[object, int]:
    return shared, number


def test_what_all_tasks_need_reaches_each_worker(monkeypatch: pytest.MonkeyPatch):
    shared = {"weights": list(range(50))}
    found = list(run_in_order(one_number, [(n,) for n in range(3)], 2, shared=(shared,)))
    assert found == [(shared, n) for n in range(3)]


@pytest.mark.parametrize("run", [run_in_order, run_tasks])
def test_workers_that_cannot_be_started_are_told(run, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("_multiprocessing.SemLock", full)  # on a full /dev/shm
    with pytest.raises(UserError, match=naming("/dev/shm No space left --num_cpus 1")):
        list(run(slow_first, [(n,) for n in range(3)], 2))


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError()])
def test_a_helper_that_is_gone_is_no_success(error: OSError):
    assert says(message_for_user(error), "process memory")


def test_workers_do_each_task_once_and_pass_errors_on():
    before = dict(os.environ)
    assert sorted(run_tasks(slow_first, [(n,) for n in range(9)], 2)) == [n**2 for n in range(9)]
    with pytest.raises(OSError, match="No space left") as caught:
        list(run_tasks(refuse, [(n,) for n in range(9)], 2))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename.startswith("file")
    assert dict(os.environ) == before
