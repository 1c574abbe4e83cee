"""Rounds, medians, and the rows of the table."""

import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Work = Callable[[], object]
Clock = Callable[[], float]
SIZES = ("tiny", "quick", "full")  # tiny: for the tests


@dataclass
class Row:
    """One comparison. ours, theirs, least: costs of the same work, seconds or (unit B) bytes: less is better.

    work, peer: in words. theirs: None where the peer is not installed. wanted: the least ratio theirs / ours. least: a
    lower limit of the cost, by arithmetic or bytes (`least_by`), None without one. note: what a reader has to know.
    """

    work: str
    peer: str
    ours: float
    theirs: float | None
    wanted: float
    unit: str = "s"
    least: float | None = None
    least_by: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the peer's cost is ours; above 1 ours is better."""
        return None if self.theirs is None else self.theirs / self.ours

    @property
    def share(self) -> float | None:
        """The lower limit's share of our cost, in [0, 1]: 1 cannot be improved."""
        return None if self.least is None else self.least / self.ours


@dataclass(frozen=True)
class Machine:
    """What this machine can do with so many threads, measured: float32 FLOP/s of matrix products, and bytes/s (read
    plus written) of copies in memory. The lower limits are made of these."""

    threads: int
    flops_per_s: float
    bytes_per_s: float
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def clock(self) -> Clock:
        """Seconds; with one thread those that the processor spent on this process, which other jobs disturb less."""
        return time.process_time if self.threads == 1 else time.perf_counter

    def least(self, flops: float = 0.0, num_bytes: float = 0.0) -> float:
        """Seconds that so much arithmetic, or moving so many bytes, takes at least."""
        return max(flops / self.flops_per_s, num_bytes / self.bytes_per_s)


@dataclass(frozen=True)
class Growth:
    """How a cost grows: sizes of the work, seconds and bytes of memory at each (empty: not measured)."""

    work: str
    grows_with: str
    sizes: Sequence[float]
    seconds: Sequence[float]
    memory: Sequence[float] = ()

    @property
    def time_exponent(self) -> float:
        return exponent(self.sizes, self.seconds)

    @property
    def memory_exponent(self) -> float | None:
        return exponent(self.sizes, self.memory) if self.memory else None


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log size, by least squares: 1 is linear growth, 2 quadratic."""
    x, y = [math.log(size) for size in sizes], [math.log(max(cost, 1e-12)) for cost in costs]
    return statistics.linear_regression(x, y).slope


def alternate(
    works: Mapping[str, Work], rounds: int, warm: bool = True, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each work over rounds in which all take turns, so that other jobs slow all alike.

    Each round begins with another one. warm: every work runs once before, unmeasured. clock: `Machine.clock` for works
    in this process.
    """
    names = list(works)
    if warm:
        for name in names:
            works[name]()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(seconds_of(works[name], clock))
    return {name: statistics.median(values) for name, values in taken.items()}


def seconds_of(work: Work, clock: Clock) -> float:
    start = clock()
    work()
    return clock() - start


def repeated(work: Work, times: int) -> Work:
    """The work several times: for works of milliseconds, that a clock and a cold cache would disturb."""

    def run() -> None:
        for _ in range(times):
            work()

    return run


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def row_against(
    seconds: Mapping[str, float],
    peers: Mapping[str, str],
    work: str,
    wanted: float,
    scale: float = 1.0,
    **more: object,
) -> list[Row]:
    """A row for each peer (key of `seconds` -> its name in the table), ours being seconds["ours"].

    scale: by which all costs are multiplied, as from rounds of several items to one. A peer that was not measured is
    not installed.
    """
    return [
        Row(work, name, seconds["ours"] * scale, scaled(seconds.get(key), scale), wanted, **more)  # type: ignore[arg-type]
        for key, name in peers.items()
    ]


def scaled(seconds: float | None, scale: float) -> float | None:
    return None if seconds is None else seconds * scale
