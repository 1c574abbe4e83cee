"""One call of the operating system fails, as on network disks, on full ones, and on those that break.

Calls by path, and what is read from, written to, and closed after it, of a file that Python opened. What C++ opens by
itself is not seen.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable
from typing import Any

CALLS = (
    *("utime", "replace", "rename", "link", "mkdir", "unlink", "remove", "rmdir", "stat", "lstat", "open", "fsync"),
    *("listdir", "scandir", "statvfs"),
)
NO_ROOM = {"open to write", "replace", "rename", "link", "mkdir", "write", "close", "fsync"}  # these may lack room
Fail = Callable[[str, Any], None]  # of a call's name and its path or descriptor: raises OSError if its time has come


def let_fail(below: str, number: int, error: int) -> list[str]:
    """Let call number `number`, from 1, that touches a path below a folder raise OSError(error); 0: none.

    A full disk (ENOSPC) is an input/output error (EIO) of calls that take no room. Returns the list to which every such
    call is added, in this process.
    """
    seen: list[str] = []

    def fail(name: str, place: Any) -> None:
        path = path_of(place)
        if path is None or not path.startswith(below):
            return
        seen.append(f"{name} {path}")
        if len(seen) == number:
            found = errno.EIO if error == errno.ENOSPC and name not in NO_ROOM else error
            seen[-1] += f" {errno.errorcode[found]}"
            raise OSError(found, os.strerror(found), *([] if isinstance(place, int) else [path]))

    for name in CALLS:
        setattr(os, name, failing(name, getattr(os, name), fail))
    builtins.open = io.open = opening(builtins.open, below, fail)  # type: ignore[assignment]
    return seen


def path_of(place: Any) -> str | None:
    """The path that a call names, or of the descriptor that it takes; None if that is none."""
    if isinstance(place, int):
        try:
            return _readlink(f"/proc/self/fd/{place}")
        except OSError:
            return None
    return os.fspath(place) if isinstance(place, str | os.PathLike) else None


_readlink = os.readlink


def failing(name: str, call: Callable[..., Any], fail: Fail) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **words: Any) -> Any:
        if arguments:
            fail(name, arguments[0])
        return call(*arguments, **words)

    return wrapped


class FaultyFile(io.FileIO):
    """A file of which reading, writing and closing may fail; what could not be written once cannot be again."""

    fail: Fail
    broken: OSError | None = None

    def readinto(self, buffer: Any) -> int | None:
        self.fail("read", self.name)
        return super().readinto(buffer)

    def readall(self) -> bytes | None:
        self.fail("read", self.name)
        return super().readall()

    def write(self, data: Any) -> int | None:
        if self.broken is None:
            try:
                self.fail("write", self.name)
                return super().write(data)
            except OSError as error:
                self.broken = error
                content = memoryview(data).cast("B")
                super().write(content[: len(content) // 2])  # as much as there is room for
        raise OSError(self.broken.errno, self.broken.strerror)

    def close(self) -> None:
        written = not self.closed and self.writable()
        super().close()
        if written:
            self.fail("close", self.name)


def opening(call: Callable[..., Any], below: str, fail: Fail) -> Callable[..., Any]:
    """`open`, whose files below a folder are of `FaultyFile`."""

    def wrapped(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
        closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        path = None if isinstance(file, int) else path_of(file)
        if path is None or not path.startswith(below):
            return call(file, mode, buffering, encoding, errors, newline, closefd, opener)
        writes = bool(set(mode) & set("wax+"))
        fail("open to write" if writes else "open", file)
        raw = FaultyFile(path, mode.replace("t", "").replace("b", ""), closefd, opener)
        raw.fail = fail
        if not buffering:
            return raw
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if writes else io.BufferedReader
        buffered = kind(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    return wrapped
