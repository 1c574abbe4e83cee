"""The choice of the number of threads, on a clock that tests set."""

import pytest
from facts import says

from runtime.threads import MOST_REST_S, MOST_SHARE, WINDOW, ThreadChoice, fewer_threads


class Machine:
    """Steps take seconds[count]; what a choice sets and says is kept."""

    def __init__(self, seconds: dict[int, float]):
        self.seconds, self.now = dict(seconds), 100.0
        self.count = max(seconds)
        self.counts: list[int] = []
        self.lines: list[str] = []
        self.choice = ThreadChoice(sorted(seconds, reverse=True), self.set_count, self.lines.append, lambda: self.now)

    def set_count(self, count: int) -> None:
        self.count = count

    def steps(self, number: int) -> list[int]:
        """The threads of each of so many steps."""
        counts = []
        for _ in range(number):
            with self.choice.step():
                counts.append(self.count)
                self.now += self.seconds[self.count]
            assert self.count == max(self.seconds), "threads outside of steps are all of them"
        self.counts += counts
        return counts

    def settled(self) -> int:
        """The threads after a first trial."""
        assert not self.choice.settled
        self.steps(100)
        assert self.choice.settled
        return self.steps(1)[0]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({2: 0.01, 1: 0.02}, 2),
        ({2: 0.20, 1: 0.03}, 1),
        ({2: 0.0199, 1: 0.02}, 1),  # not worth a thread
        ({8: 0.05, 4: 0.02, 2: 0.021, 1: 0.07}, 4),
        ({3: 0.5, 1: 0.2}, 1),
    ],
)
def test_the_fastest_number_is_taken_and_told_if_it_is_not_all(seconds: dict[int, float], expected: int):
    machine = Machine(seconds)
    assert machine.settled() == expected
    assert set(machine.counts) == set(seconds)  # each was tried
    assert len(machine.lines) == (expected != max(seconds))
    if machine.lines:
        assert says(machine.lines[0], f"{expected} of {max(seconds)} threads")
        assert f"{1e3 * seconds[expected]:.0f} ms on {expected}" in machine.lines[0]


def test_a_hopeless_number_is_timed_in_one_round_only():
    machine = Machine({2: 5.0, 1: 0.1})
    machine.settled()
    assert machine.counts.count(2) == 3
    assert Machine({2: 0.1, 1: 0.11}).steps(24).count(1) == 12  # a close race: all rounds


def test_it_is_chosen_again_when_steps_get_slower_and_when_they_get_faster():
    machine = Machine({2: 0.010, 1: 0.016})
    assert machine.settled() == 2
    machine.seconds = {2: 0.200, 1: 0.040}
    machine.steps(WINDOW + 30)
    assert machine.steps(50) == [1] * 50
    machine.seconds = {2: 0.010, 1: 0.016}
    machine.now += 1000  # the rest after the second trial
    machine.steps(WINDOW + 30)
    assert machine.steps(50) == [2] * 50
    assert len(machine.lines) == 2


def test_a_steady_machine_is_left_alone_and_single_slow_steps_are_no_reason():
    machine = Machine({2: 0.010, 1: 0.016})
    machine.settled()
    for n in range(40):
        machine.seconds[2] = 0.5 if n % 4 == 0 else 0.010
        assert machine.steps(5) == [2] * 5


def test_trials_take_a_small_share_of_the_time_on_a_restless_machine():
    machine = Machine({2: 0.02, 1: 0.02})
    while machine.now < 1100:
        machine.seconds[1] = 0.02 if int(machine.now / 7) % 2 else 0.08  # two threads always take ten times as long
        machine.seconds[2] = 10 * machine.seconds[1]
        machine.steps(1)
    assert 3 <= machine.counts.count(2) < 0.02 * len(machine.counts)
    assert MOST_SHARE <= 0.02


def test_a_machine_that_slept_during_a_trial_is_tried_again_all_the_same():
    machine = Machine({2: 0.010, 1: 0.016})
    machine.steps(4)
    machine.seconds[1] = 8 * 3600.0
    machine.steps(1)
    machine.seconds[1] = 0.016
    assert machine.settled() == 2
    machine.seconds = {2: 0.2, 1: 0.1}
    machine.steps(int(MOST_REST_S / 0.2) + WINDOW + 30)
    assert machine.steps(9) == [1] * 9


def test_one_number_is_no_choice():
    machine = Machine({1: 0.1})
    assert machine.steps(50) == [1] * 50 and not machine.lines


def test_counts_to_choose_from():
    assert [fewer_threads(n) for n in (1, 2, 6)] == [[1], [2, 1], [6, 3, 1]]


def test_an_error_of_a_step_is_passed_on_and_leaves_all_threads():
    machine = Machine({2: 0.1, 1: 0.1})
    machine.steps(3)
    with pytest.raises(ZeroDivisionError), machine.choice.step():
        assert machine.count == 1
        _ = 1 / 0
    assert machine.count == 2
