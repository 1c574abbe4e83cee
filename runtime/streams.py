"""What a script prints reaches whoever reads it; nobody reading, or a stream that is closed, never ends its work."""

import errno
import io
import os
import select
import sys
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.ESTALE)  # `script.py | head`, a terminal that is closed, a log's disk away
NAMES = ("stdin", "stdout", "stderr")


def printable(text: str) -> str:
    """A text whose lines stay, and what a terminal would not show, or obey, is escaped."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


class _LastingFile(io.FileIO):
    """A stream whose text goes nowhere once its reader is gone."""

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        while left:
            try:
                written = super().write(left)
                if written is None:  # another process made it non-blocking, and its reader is slow
                    select.select([], [self], [])
                left = left[written or 0 :]
            except OSError as error:
                lead_nowhere(self.fileno())
                if error.errno not in GONE:  # a full disk, told once
                    error.filename = "what is printed"
                    raise
        return memoryview(data).nbytes


class _Shown(io.TextIOWrapper):
    """Text in which what a terminal would obey is escaped: names of files may hold anything."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)


def make_lasting() -> None:
    """Let stdin, stdout and stderr be there, and outlive their readers. What pytest or others put there stays."""
    for number, name in enumerate(NAMES):
        if getattr(sys, name) is None:  # closed by `2>&-`: the next file that is opened must not get its number
            if not _is_open(number):
                lead_nowhere(number)
            nowhere = open(os.devnull, "w" if number else "r", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
            setattr(sys, name, nowhere)
    for name, kind in (("stdout", _Shown), ("stderr", io.TextIOWrapper)):  # bars on stderr move the cursor
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue
        stream.flush()
        raw = _LastingFile(stream.fileno(), "wb", closefd=False)
        buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)  # -u, PYTHONUNBUFFERED
        buffering = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
        setattr(sys, name, kind(buffer, stream.encoding, "backslashreplace", **buffering))  # names may be no text


def flush_all() -> None:
    """Write what is still in memory. Raises OSError if that fails, as on a full disk; what was left is lost then."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def lead_nowhere(number: int) -> None:
    """Let what is written to a descriptor vanish; one that is read is empty."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
