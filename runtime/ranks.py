"""Which of several processes this is, where torchrun has started more than one of them for a training.

Only the trainers join others (`join`); any other script is one process alone, whatever has started it.
"""

import os
import signal
import time
from dataclasses import dataclass

TELLING_S = 3.0  # in which torchrun ends the others after the first process has failed


@dataclass(frozen=True)
class Ranks:
    """Process number `rank` of `count`, and number `local_rank` of the `local_count` on this machine, from 0."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1


_joined = [Ranks()]


def ranks() -> Ranks:
    return _joined[-1]


def alone() -> bool:
    """Whether this process is the only one of its training."""
    return ranks().count == 1


def is_first() -> bool:
    """Whether this process is the one that writes files and tells of the training."""
    return ranks().rank == 0


def join() -> Ranks:
    """Be one of the processes that torchrun has started; alone if it has not."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if all(os.environ.get(name, "").isdigit() for name in names):
        _joined.append(Ranks(*(int(os.environ[name]) for name in names)))
    return ranks()


def let_the_first_tell() -> None:
    """Called before a mistake is told that all processes make alike: the first one tells it, and torchrun ends us."""
    if os.environ.get("RANK", "0") != "0" and "TORCHELASTIC_RUN_ID" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(TELLING_S)
