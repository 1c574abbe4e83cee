"""Runs one case of hostile input in a forked process: short of memory and time, watched for what it touches."""

import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from runtime.errors import run

MOST_SECONDS = 30  # of processor time; beside other work a case may wait as often as that
WAITS = 10
MOST_MEMORY = 2 << 30  # bytes that a case may take beyond what Python and torch take without it
NOBODY = 65534  # user whom a case stands for that needs files it may not read: root may read all
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.symlink", "os.link", "os.truncate", "os.chmod")
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.startfile", "socket.connect", "socket.bind")


@dataclass(frozen=True)
class Case:
    """One broken input. prepare: makes it in a copy of a template folder; script: whose main is called there.

    allowed: the only paths below which it may write, relative to the folder. statuses: that it may end with.
    reported: words of which one has to be in the output, for example the name of a mesh that was left out.
    """

    reader: str
    name: str
    prepare: Callable[[Path], None]
    script: ModuleType
    words: Sequence[str]
    allowed: Sequence[str]
    statuses: Sequence[int] = (2,)
    reported: Sequence[str] = ()
    as_nobody: bool = False


@dataclass
class Ending:
    """How a case ended. problems: what it may not do, empty if all is well; line: its error."""

    case: Case
    status: int
    seconds: float
    memory: int  # bytes, the peak of its resident set
    line: str
    problems: list[str] = field(default_factory=list)


def run_case(case: Case, template: Path | None, folder: Path, logs: Path | None = None) -> Ending:
    """Copy the template, if there is one, to `folder`, break it, and run the case there.

    What it said is kept beside the folder, or in `logs`; it and the folder are deleted if all is well (without `logs`).
    """
    if template is not None:
        shutil.copytree(template, folder, symlinks=True)
    case.prepare(folder)
    if case.as_nobody:
        for place in (folder, *folder.rglob("*")):
            os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
    out, err = ((logs or folder.parent) / f"{folder.name}.{name}" for name in ("out", "err"))
    pid = os.fork()
    if pid == 0:
        _child(case, folder, out, err)
    _, ended, usage = os.wait4(pid, 0)
    status = os.waitstatus_to_exitcode(ended)
    stdout, stderr = (path.read_text(errors="replace") for path in (out, err))
    ending = Ending(case, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, last_line(stderr))
    ending.problems = problems_of(case, status, stdout, stderr)
    if not ending.problems and logs is None:
        shutil.rmtree(folder)
        out.unlink(), err.unlink()
    return ending


def problems_of(case: Case, status: int, stdout: str, stderr: str) -> list[str]:
    """What is wrong with the ending of a case: all that the documents promise not to happen."""
    found = []
    if status in (-signal.SIGXCPU, -signal.SIGALRM):
        found.append(f"did not end within {MOST_SECONDS} s")
    elif status not in case.statuses:
        found.append(f"status {status}, {' or '.join(map(str, case.statuses))} expected")
    if "Traceback" in stdout + stderr:
        found.append("a traceback")
    lines = [line for line in stderr.splitlines() if line and not line.startswith("note: ")]
    if status == 2 and (len(lines) != 1 or not lines[0].startswith("error: ") or len(lines[0]) > 3000):
        found.append(f"{len(lines)} lines of error")
    if status in (0, 1) and lines:
        found.append(f"noise: {lines[0][:100]}")
    if any(not character.isprintable() for character in "".join(lines)):
        found.append("characters that a terminal obeys")
    if status in (0, 1) and case.reported and not any(word in stdout for word in case.reported):
        found.append(f"says nothing of {case.reported[0]!r}")
    return found


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _child(case: Case, folder: Path, out: Path, err: Path) -> None:
    """Never returns."""
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    status = 70
    try:
        os.chdir(folder)
        for name in ("TMPDIR", "MPLCONFIGDIR"):
            os.environ[name] = str(folder / "scratch")
        tempfile.tempdir = None
        (folder / "scratch").mkdir(exist_ok=True)
        if case.as_nobody:
            os.chown(folder / "scratch", NOBODY, NOBODY)
            os.seteuid(NOBODY)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MOST_MEMORY, size + MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 5))
        signal.alarm(WAITS * MOST_SECONDS)
        _watch([folder / place for place in (*case.allowed, "scratch")])
        words = [word.replace("FOLDER", str(folder)) for word in case.words]
        run(lambda: case.script.main(words))
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _watch(allowed: list[Path]) -> None:
    """End the process with a line where it writes outside of `allowed`, or runs something."""
    roots = [os.path.realpath(path) for path in allowed] + ["/dev/null"]
    busy = False

    def inside(path: object, followed: bool = True) -> bool:
        """followed: whether what a link leads to is meant, and not the link."""
        if isinstance(path, int):  # a file that is open already
            return True
        place = Path(os.fsdecode(path))
        real = os.path.realpath(place) if followed else str(place.parent.resolve() / place.name)
        # making the folders that lead to an allowed place is no harm
        return any(real == root or real.startswith(root + "/") or root.startswith(real + "/") for root in roots)

    def end(what: str) -> None:
        os.write(2, f"VIOLATION {what}\n".encode(errors="backslashreplace"))
        os._exit(71)

    def hook(event: str, arguments: tuple) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            if event == "open":
                path, mode, flags = arguments
                if (flags or 0) & WRITES and not inside(path):
                    end(f"opens {path} to write")
            elif event in CHANGES:
                places = arguments[:2] if event == "os.rename" else arguments[1:2] if "link" in event else arguments[:1]
                if not all(inside(place, followed=event == "os.truncate") for place in places):
                    end(f"{event} {places}")
            elif event in RUNS or (event == "subprocess.Popen" and arguments[1][:2] != ["git", "rev-parse"]):
                end(f"{event} {arguments[:2]}")
        finally:
            busy = False

    sys.addaudithook(hook)
