"""What a script says when its user made a mistake: one line, exit status 2, no traceback."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)  # a plain file where a folder is to be made
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, *IN_THE_WAY)
_interrupts: list[int] = []  # the signal's number, once for each Ctrl-C


class UserError(Exception):
    """A mistake that the user can mend. The message says what was found, what was expected, what to do."""


def run(main: Callable[[], int]) -> None:
    """Call a script's `main` and exit with its status.

    A UserError or a full disk becomes one line and status 2, Ctrl-C one line and status 130.
    """
    _note_interrupts()
    try:
        status = main()
    except BaseException as error:
        if _interrupts or isinstance(error, KeyboardInterrupt):  # libraries turn it into errors of their own
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # another one ends it at once
            print("\nstopped; run the same command again to go on", file=sys.stderr)
            status = 130
        elif isinstance(error, UserError):
            status = fail(str(error))
        elif isinstance(error, BrokenPipeError):  # `script.py | head`: the reader left, which is no error of ours
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, python flushes it at exit
            status = 0
        elif isinstance(error, OSError) and error.errno in UNWRITABLE:
            status = fail(describe_os_error(error))
        else:
            raise
    sys.exit(status)


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


def describe_os_error(error: OSError) -> str:
    """Say a full disk, a spent quota, a read-only folder or a file in the way in one line, with what to do about it."""
    place = error.filename or "the output folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left while writing {place}; free some and run the same command again, finished files are kept"
    if error.errno in IN_THE_WAY:
        return f"cannot make the folder {place}: a plain file is in the way; move it away"
    return f"cannot write {place} ({error.strerror}); choose a writable folder with --processed_dir or --exp_root"


def note(message: str) -> None:
    """Something that the user should know, though the script goes on: one line on stderr."""
    print("note: " + " ".join(message.split()), file=sys.stderr)


def fail(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2
