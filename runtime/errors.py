"""What a script says when its user made a mistake: one line, exit status 2, no traceback."""

import errno
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from runtime.ranks import let_the_first_tell
from runtime.streams import flush_all, make_lasting, printable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EROFS, errno.EPERM)
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)  # a plain file where a folder is to be made
# Of the disk, perhaps for a moment: they say nothing of the file, which must not be taken for a damaged one.
DISK_AWAY = (
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.EMFILE,
    errno.ENFILE,
)  # fmt: skip
# Of the place, not of the program: gone, or something else than was expected, or out of reach.
AWAY = (
    errno.ENOENT, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG, errno.ENODEV, errno.ENXIO, *DISK_AWAY,
)  # fmt: skip
HELPER_GONE = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError)
LOST_WORKER = ("DataLoader worker (pid", "DataLoader timed out")  # torch's words
LONGEST = 2000  # characters of an error: what a file brings along may have any length
_interrupts: list[int] = []  # the signal's number, once for each Ctrl-C


class UserError(Exception):
    """A mistake that the user can mend. The message says what was found, what was expected, what to do."""


def run(main: Callable[[], int]) -> None:
    """Call a script's `main` and exit with its status.

    A UserError, a full disk, a folder that is gone, or too little memory becomes one line and status 2, Ctrl-C one line
    and status 130. Nobody reading what it prints ends nothing.
    """
    make_lasting()
    threading.excepthook = _leave_to_main
    _note_interrupts()
    try:
        sys.exit(_status_of(main))
    finally:
        try:
            flush_all()
        except OSError as error:
            sys.exit(fail(message_for_user(error) or str(error)))


def _status_of(main: Callable[[], int]) -> int:
    """The exit status of a script, which has told why if it is not 0. Raises what is a mistake of the program."""
    try:
        return main()
    except BaseException as error:
        if _interrupts or isinstance(error, KeyboardInterrupt):  # libraries turn it into errors of their own
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # another one ends it at once
            print("\nstopped; run the same command again to go on", file=sys.stderr)
            return 130
        if isinstance(error, Exception) and (message := message_for_user(error)) is not None:
            let_the_first_tell()
            return fail(message)
        raise


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed: to be called wherever errors of any kind are passed over.

    A C library that is interrupted, most of all while it is loaded, may make an error of its own of it.
    """
    if _interrupts:
        raise KeyboardInterrupt


def _note_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as ever, and remember it."""
    _interrupts.clear()

    def note(number: int, frame: object) -> NoReturn:
        _interrupts.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored, as in a background job
        signal.signal(signal.SIGINT, note)


def _leave_to_main(found: threading.ExceptHookArgs) -> None:
    """Keep quiet of a thread's error that its user will raise again, as TensorBoard's writer does of a full disk."""
    if found.exc_value is None or message_for_user(found.exc_value) is None:
        threading.__excepthook__(found)


def message_for_user(error: BaseException) -> str | None:
    """What the user is told of an exception; None for a mistake of the program, which keeps its traceback."""
    lines = str(error).strip().split("\n")
    of_worker = lines[-1].partition(": ")[2] if "Original Traceback (most recent call last):" in lines else None
    if isinstance(error, UserError):
        return of_worker or str(error)
    if isinstance(error, OSError) and error.errno is None and of_worker:
        return f"cannot read samples: {of_worker}; put it right and run the same command again"
    if isinstance(error, HELPER_GONE):  # no stream of ours breaks: runtime/streams.py
        return "a helper process ended before its work, perhaps for lack of memory; run the same command again"
    if isinstance(error, RuntimeError) and str(error).startswith(LOST_WORKER):
        return (
            f"a process that reads samples ended before its work, or takes too long ({one_line(str(error))[:200]}),"
            " perhaps for lack of memory; run the same command again, with a lower --num_cpus, or a higher"
            " --ram_cache_gb, which needs no such processes"
        )
    if isinstance(error, OSError) and error.errno in (*FULL, *FORBIDDEN, *IN_THE_WAY, *AWAY):
        return describe_os_error(error)
    return describe_out_of_memory(error) if is_out_of_memory(error) else None


def describe_os_error(error: OSError) -> str:
    """Say a full disk, a spent quota, a read-only or vanished folder, a file in the way in one line, and what to do."""
    place = error.filename or "the output folder"
    if error.errno in FULL:
        return f"no space left while writing {place}; free some and run the same command again, finished files are kept"
    if error.errno in IN_THE_WAY:
        return f"cannot make the folder {place}: a plain file is in the way; move it away"
    if error.errno in FORBIDDEN:
        return f"cannot write {place} ({error.strerror}); choose a writable folder with --processed_dir or --exp_root"
    return f"cannot use {place} ({error.strerror}); put it right and run the same command again"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory did not suffice: Python's, numpy's and torch's, on a CPU or a GPU."""
    if isinstance(error, MemoryError):
        return True
    words = ("out of memory", "not enough memory", "can't allocate memory", "std::bad_alloc", "_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def describe_out_of_memory(error: BaseException) -> str:
    """Say in one line that memory did not suffice, with what to do about it."""
    reason = one_line(str(error)).partition(". ")[0][:200]
    return (
        f"not enough memory{f' ({reason})' if reason else ''}; close other programs, or lower --batch_size,"
        " --num_sample_points_generation, --num_output_points or --num_cpus; finished files are kept"
    )


def one_line(text: str) -> str:
    """A text in one line; what a terminal would not show, or obey, is escaped: names of files may hold anything."""
    return printable(" ".join(text.split()))


def note(message: str) -> None:
    """Something that the user should know, though the script goes on: one line on stderr."""
    print("note: " + one_line(message), file=sys.stderr)


def fail(message: str) -> int:
    line = one_line(message)
    print(f"error: {line if len(line) <= LONGEST else line[:LONGEST] + ' ...'}", file=sys.stderr)
    return 2
