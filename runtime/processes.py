"""Which process a file belongs to, and whether that process still runs."""

import os
import socket
from functools import cache
from pathlib import Path

FIRST_PID_NAMESPACE = "pid:[4026531836]"  # Linux' own, of all that is in no container


@cache
def machine() -> str:
    """The name of this machine; inside a container also the container's set of process numbers.

    Two containers may share a host's name, and each counts its processes from 1.
    """
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115, not a path
    except OSError:  # no Linux
        namespace = FIRST_PID_NAMESPACE
    inside = "" if namespace == FIRST_PID_NAMESPACE else "+" + "".join(c for c in namespace if c.isdigit())
    return (socket.gethostname() or "unnamed").replace("/", "-").replace("@", "-") + inside


@cache
def boot() -> str | None:
    """Which start of which machine this is: machines may share a name, and the numbers of processes begin anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return None


@cache
def host() -> str:
    """`machine`, and which start of which machine it is, if that is known: for names of files."""
    return f"{machine()}+{start[:13]}" if (start := boot()) else machine()


def is_running(pid: int) -> bool:
    """Whether this machine has a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # somebody else's
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"  # a zombie is dead
    except (OSError, IndexError):
        return True


def started_at(pid: int) -> float | None:
    """When the process of that number started, in seconds of Linux since the machine did; None if that is unknown.

    Numbers are used again: a number and its start tell a process for good.
    """
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_started_at() -> float | None:
    """When this machine started, in seconds since 1970; None if that is unknown."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("btime "))
    except (OSError, StopIteration, ValueError):
        return None
