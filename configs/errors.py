"""What a script says when its user made a mistake: one line, exit status 2, no traceback."""

import errno
import os
import sys
from collections.abc import Callable

IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)  # a plain file where a folder is to be made


class UserError(Exception):
    """A mistake that the user can mend. The message says what was found, what was expected, what to do."""


def run(main: Callable[[], int]) -> None:
    """Call a script's `main` and exit with its status; a UserError or a full disk becomes one line and status 2."""
    try:
        status = main()
    except UserError as error:
        status = fail(str(error))
    except BrokenPipeError:  # `script.py | head`: the reader left, which is no error of ours
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, python flushes it at exit
        status = 0
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        status = 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, *IN_THE_WAY):
            raise
        status = fail(describe_os_error(error))
    sys.exit(status)


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
