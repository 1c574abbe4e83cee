"""One training per experiment: who is refused, which locks are stale, what happens to one that was taken over."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from facts import naming, says

from runtime import locks
from runtime.errors import UserError
from runtime.locks import only_run
from runtime.processes import machine, started_at


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT_S": 0.1, "WATCH_S": 0.3, "STALE_S": 1.0, "POLL_S": 0.05, "SETTLE_S": 0.05}.items():
        monkeypatch.setattr(locks, name, seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiment" / "train_ndf.lock"


def owned_by(path: Path, **owner: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine(), "pid": os.getppid(), "started": started_at(os.getppid())} | owner)
    )


def names(path: Path) -> list[str]:
    return [other.name for other in path.parent.iterdir()]


def test_the_lock_is_there_while_the_block_lasts_and_nothing_is_left(path: Path):
    with only_run(path, "training"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
        assert names(path) == ["train_ndf.lock"]
    assert names(path) == []
    with pytest.raises(ZeroDivisionError), only_run(path, "training"):
        raise ZeroDivisionError
    assert names(path) == []


def test_a_full_disk_leaves_nothing_of_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch):
    def write_nothing(value: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path.parent.mkdir()
    monkeypatch.setattr(locks.json, "dumps", write_nothing)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), only_run(path, "training"):
        raise AssertionError("not reached")
    assert names(path) == []


def test_a_run_beside_a_living_one_is_refused(path: Path):
    owned_by(path)
    before = path.read_text()
    holder = re.escape(f"process {os.getppid()} on {machine()} is training its NDF")
    with pytest.raises(UserError, match=holder), only_run(path, "training its NDF"):
        raise AssertionError("not reached")
    assert path.read_text() == before and names(path) == ["train_ndf.lock"]


@pytest.mark.parametrize(
    "owner",
    [{"pid": 2**22 + 1}, {"started": 1.25}, {"pid": os.getpid(), "started": 1.25}],
    ids=["a dead process", "a process that got the number later", "a former process of this number"],
)
def test_the_lock_of_a_dead_process_is_taken_over_at_once(path: Path, owner: dict):
    owned_by(path, **owner)
    with only_run(path, "training"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert names(path) == []


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"pid": "x"}', '{"pid": 1e400, "machine": 1, "started": 1}'])
@pytest.mark.parametrize("age_s, waited_s", [(86_400.0, 0.3), (0.0, 1.0), (-86_400.0, 1.0)])
def test_a_lock_of_another_machine_is_stale_if_it_gives_no_sign(
    path: Path, content: str | None, age_s: float, waited_s: float, capsys: pytest.CaptureFixture
):
    """However their clocks differ: a day behind, as ours, a day ahead."""
    owned_by(path, machine="elsewhere", pid=7)
    if content is not None:
        path.write_text(content)
    os.utime(path, (time.time() - age_s,) * 2)
    started = time.monotonic()
    with only_run(path, "training"):
        assert waited_s - 0.1 < time.monotonic() - started < waited_s + 0.6
        assert json.loads(path.read_text())["pid"] == os.getpid()
    holder = "process 7 on elsewhere" if content is None else "another process"
    assert re.search(rf"{holder} is training, or was; waiting up to \d s", capsys.readouterr().err)


@pytest.mark.parametrize("skew_s", [-86_400.0, 86_400.0])
def test_a_lock_is_kept_whose_holder_has_another_clock(path: Path, skew_s: float):
    owned_by(path, machine="elsewhere")
    os.utime(path, (time.time() + skew_s,) * 2)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.1):
            os.utime(path, (time.time() + skew_s,) * 2)

    threading.Thread(target=beat).start()
    try:
        with pytest.raises(UserError, match=naming("on elsewhere is training")), only_run(path, "training"):
            raise AssertionError("not reached")
    finally:
        ended.set()


def test_a_machine_of_the_same_name_has_processes_of_its_own(path: Path):
    """The number of the holder is that of another process here, or of none: its signs count."""
    for pid in (os.getppid(), 2**22 + 1):
        owned_by(path, pid=pid, boot="another start, or another machine")
        started = time.monotonic()
        with only_run(path, "training"):
            assert time.monotonic() - started > 0.8


def test_a_copied_lock_is_not_a_process_that_runs(path: Path, tmp_path: Path):
    process = holder(path)
    try:
        assert process.stdout.readline() == "holds\n"
        copy = tmp_path / "copy" / path.name
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        with only_run(copy, "training"):
            assert json.loads(copy.read_text())["pid"] == os.getpid()
        with pytest.raises(UserError, match=naming(f"process {process.pid}")), only_run(path, "training"):
            raise AssertionError("not reached")
    finally:
        process.communicate("")


def refused(monkeypatch: pytest.MonkeyPatch, times: int, number: int = errno.ESTALE) -> list[Path]:
    """Let so many calls of os.utime fail; the paths of all calls are added to the list that is returned."""
    calls, utime = [], os.utime

    def call(path: Path, *times_of_file: object) -> None:
        calls.append(path)
        if len(calls) <= times:
            raise OSError(number, os.strerror(number), str(path))
        utime(path, *times_of_file)

    monkeypatch.setattr(os, "utime", call)
    return calls


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_sign_that_fails_is_given_again(path: Path, monkeypatch: pytest.MonkeyPatch, number: int, capsys):
    with only_run(path, "training"):
        before = path.stat().st_mtime
        calls = refused(monkeypatch, 3, number)
        while path.stat().st_mtime == before:
            time.sleep(0.01)
        assert len(calls) >= 4
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and says(err, "note", str(path), os.strerror(number)), err


def test_a_run_that_cannot_give_signs_ends(path: Path):
    code = HOLD.replace("run(main)", "os.utime = away\nrun(main)").replace("import sys", AWAY)
    process = holder(path, code)
    started = time.monotonic()
    assert process.stdout.readline() == "holds\n"
    assert process.wait() == 2 and time.monotonic() - started < 30
    *notes, line = process.stderr.read().splitlines()
    assert len(notes) == 1 and says(line, "error", str(path), os.strerror(errno.ESTALE)), line


def test_a_lock_that_is_deleted_is_made_again(path: Path):
    with only_run(path, "training"):
        path.unlink()
        while not path.is_file():
            time.sleep(0.01)
    assert names(path) == []


def test_a_lock_of_another_machine_that_gives_a_sign_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "STALE_S", 3600.0)  # the sign ends the waiting, however late it comes
    owned_by(path, machine="elsewhere")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.2):
            os.utime(path)

    threading.Thread(target=beat).start()
    try:
        with pytest.raises(UserError, match="on elsewhere is training"), only_run(path, "training"):
            raise AssertionError("not reached")
    finally:
        ended.set()


def test_the_holder_gives_signs(path: Path):
    with only_run(path, "training"):
        os.utime(path, (1, 1))
        while path.stat().st_mtime == 1:
            time.sleep(0.01)


def test_without_links_the_lock_is_created(path: Path, monkeypatch: pytest.MonkeyPatch):
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with only_run(path, "training"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    owned_by(path)
    with pytest.raises(UserError, match=f"process {os.getppid()} "), only_run(path, "training"):
        raise AssertionError("not reached")


HOLD = """
import sys
from pathlib import Path
from runtime.errors import run
from runtime import locks
locks.BEAT_S, locks.STALE_S, locks.SETTLE_S = 0.1, 1.0, 2.0  # a busy machine may keep a process for a second
def main():
    with locks.only_run(Path(sys.argv[1]), "training"):
        print("holds", flush=True)
        sys.stdin.read()
    return 0
run(main)
"""


AWAY = """
import errno, os, sys
def away(path, *times):
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
"""


def holder(path: Path, code: str = HOLD) -> subprocess.Popen[str]:
    """A process that holds the lock until its input is closed."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_of_processes_that_start_at_the_same_time_after_a_kill_one_goes_on(path: Path):
    owned_by(path, pid=2**22 + 1)
    processes = [holder(path) for _ in range(4)]
    said = [process.stdout.readline() for process in processes]  # nothing of those that are refused: they end
    assert sorted(said) == ["", "", "", "holds\n"]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0 if line else 2 for line in said]
    for line, error in zip(said, errors, strict=True):
        assert (error == "") if line else (error.startswith("error: ") and error.count("\n") == 1)
    assert names(path) == []


def test_a_run_whose_lock_another_machine_took_over_ends(path: Path):
    process = holder(path)
    assert process.stdout.readline() == "holds\n"
    owned_by(path, machine="elsewhere", pid=7)
    assert process.wait() == 2  # by itself: its input is still open
    assert process.stderr.read().startswith(f"error: {path.parent}: process 7 on elsewhere is training")
    assert json.loads(path.read_text())["machine"] == "elsewhere"


def test_a_lock_is_released_although_a_call_fails_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    failed, unlink = [], Path.unlink

    def fail_once(self: Path, missing_ok: bool = False) -> None:
        if self == path and not failed:
            failed.append(self)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        unlink(self, missing_ok)

    with only_run(path, "training"):
        monkeypatch.setattr(Path, "unlink", fail_once)
    assert failed and names(path) == []
