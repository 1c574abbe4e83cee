"""How many threads the steps of a long work take: the fastest of some counts, by timing the steps themselves.

Beside other work on the same cores more threads are slower than fewer. What else runs changes, so the choice is made
again when steps get much slower or faster. It costs no step: only the slower of those timed take longer than need be.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

WARM, TIMED, ROUNDS = 1, 2, 4  # steps of a count in a round of a trial: not timed, and timed; rounds
HOPELESS = 1.5  # times the fastest: not timed again in this trial
WORTH_IT = 1.05  # more threads are taken if fewer take this many times as long
CHANGED = 1.5  # factor of the time of a step after which the choice is made again
WINDOW = 20  # steps whose median is compared
MOST_SHARE = 0.02  # of all time, that trials may take beyond what the same steps would have taken
MOST_REST_S = 600.0  # after a trial, whatever it took: a machine may have slept meanwhile


def fewer_threads(most: int) -> list[int]:
    """The counts to choose from: most, half of it, and so on to 1."""
    counts = [most]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    return counts


class ThreadChoice:
    """Which of `counts`, the largest first, the next step takes.

    set_count(count): sets the threads of this process; tell(line): is called when the choice changes; clock: seconds.
    """

    def __init__(
        self,
        counts: Sequence[int],
        set_count: Callable[[int], object],
        tell: Callable[[str], object],
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.counts, self.count = list(counts), counts[0]
        self._set_count, self._tell, self._clock = set_count, tell, clock
        self._chosen, self._seconds, self._not_before = counts[0], 0.0, 0.0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._trial: Iterator[int] = iter(())
        self._in_trial = False
        if len(counts) > 1:
            self._begin_trial()

    @property
    def settled(self) -> bool:
        """Whether the choice is made, and no trial goes on."""
        return not self._in_trial

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around each step: sets its threads; after it there are again as many as at first."""
        if len(self.counts) == 1:
            yield
            return
        self._set_count(self.count)
        started = self._clock()
        try:
            yield
        finally:
            self._set_count(self.counts[0])
        self._took(self._clock() - started)

    def _took(self, seconds: float) -> None:
        self._recent.append(seconds)
        if self._in_trial:
            following = next(self._trial, None)  # at the end of the trial the choice is made
            self.count = self._chosen if following is None else following
        elif len(self._recent) == WINDOW and self._clock() >= self._not_before:
            now = statistics.median(self._recent)
            if not self._seconds / CHANGED < now < self._seconds * CHANGED:
                self._begin_trial()

    def _begin_trial(self) -> None:
        self._in_trial, self._trial = True, self._counts_of_a_trial()
        self.count = next(self._trial)

    def _counts_of_a_trial(self) -> Iterator[int]:
        """The threads of each step of a trial; at its end the choice is made."""
        taken: dict[int, list[float]] = {count: [] for count in self.counts}
        left, spent = list(self.counts), []
        for _ in range(ROUNDS):
            for count in left:
                for step in range(WARM + TIMED):
                    yield count
                    spent.append(self._recent[-1])
                    if step >= WARM:
                        taken[count].append(self._recent[-1])
            medians = {count: statistics.median(taken[count]) for count in self.counts}
            least = min(medians[count] for count in left)
            left = [count for count in left if medians[count] <= HOPELESS * least]
            if len(left) == 1:
                break
        self._choose(min(count for count in left if medians[count] <= WORTH_IT * least), medians)
        lost = sum(max(0.0, seconds - medians[self._chosen]) for seconds in spent)
        self._not_before = self._clock() + min(MOST_REST_S, lost / MOST_SHARE)

    def _choose(self, count: int, medians: dict[int, float]) -> None:
        if count != self._chosen:
            times = ", ".join(f"{1e3 * medians[other]:.0f} ms on {other}" for other in self.counts)
            self._tell(f"going on with {count} of {self.counts[0]} threads: a step takes {times}")
        self._chosen, self._seconds, self._in_trial = count, medians[count], False
        self._recent.clear()
