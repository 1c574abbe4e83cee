"""Results in the order of the tasks, with few tasks begun before their results are wanted."""

import os
import time

import pytest

from dataprocessing.pool import run_in_order
from runtime.errors import UserError


def slow_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0.0)
    return number**2


def die(number: int) -> None:
    os._exit(1)


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


def test_a_killed_worker_is_told():
    with pytest.raises(UserError, match="a worker process was killed.* less than --num_cpus 2"):
        list(run_in_order(die, [(0,), (1,)], 2))
