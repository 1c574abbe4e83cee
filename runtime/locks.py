"""One training of a kind per experiment: a lock file says which process, on which machine, is at it.

It works on network file systems too, without their locks: a file of another name is linked to the lock's, which fails
if that is there (link(2); Callaghan, "NFS Illustrated", 2000, ch. 3). While the run lasts it sets the file's time anew
every `BEAT_S` seconds. A lock is stale if its process has ended on this machine, or if it has not been set anew by
another machine for `STALE_S` seconds of the file system's clock; a stale one is taken over, by one of those who try.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import UserError, fail
from runtime.files import remove_spares, spare_path
from runtime.processes import is_running, machine, started_at

BEAT_S = 20.0
STALE_S = 120.0  # longer than network file systems keep a file's time in their cache (60 s)
POLL_S = 2.0
SETTLE_S = 0.5  # after taking over a stale lock: another process may do so at the same time


@contextmanager
def only_run(path: Path, what: str, instead: str = "give another --exp_name") -> Iterator[None]:
    """Hold the lock file `path` while the block lasts. Raises UserError if another process that runs holds it.

    what: what the block does, and instead: what to do beside waiting, for the message. If the machine slept so long
    that another one has taken the lock over, this process ends at once, with status 2: whatever it was writing is left
    under a spare name.
    """
    lock = _Lock(path, what, instead)
    lock.acquire()
    ended = threading.Event()
    threading.Thread(target=lock.beat_until, args=(ended,), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        lock.release()


def refuse_while_held(path: Path, what: str, instead: str) -> None:
    """Raise UserError, as `only_run` does, if another process that runs holds the lock file `path`."""
    if path.is_file():
        _Lock(path, what, instead).check()


class _Lock:
    def __init__(self, path: Path, what: str, instead: str):
        self.path, self.what, self.instead = path, what, instead
        self.owner = {"machine": machine(), "pid": os.getpid(), "started": started_at(os.getpid())}
        self.spare = spare_path(path)

    def acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_spares(self.path.parent)
        try:
            self.spare.write_text(json.dumps(self.owner) + "\n")
            while not self._link():
                if not self._is_stale():
                    continue  # gone: whoever held it has ended
                self.spare.replace(self.path)
                time.sleep(SETTLE_S)
                if self._read() == self.owner:
                    return
                self.spare.write_text(json.dumps(self.owner) + "\n")
        finally:
            self.spare.unlink(missing_ok=True)

    def check(self) -> None:
        try:
            self.spare.write_text("")
            self._is_stale()
        finally:
            self.spare.unlink(missing_ok=True)

    def release(self) -> None:
        if self._read() == self.owner:
            self.path.unlink(missing_ok=True)

    def beat_until(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S):
            owner = self._read()
            if owner == self.owner:
                os.utime(self.path)
            elif owner:
                os._exit(fail(f"{self._told(owner)} since this machine gave no sign for a while; this run ends"))

    def _link(self) -> bool:
        try:
            os.link(self.spare, self.path)
        except FileExistsError:
            return self.spare.stat().st_nlink == 2  # done, although the server's answer to it was lost
        except OSError:  # a file system without links
            try:
                with open(self.path, "x") as file:
                    file.write(json.dumps(self.owner) + "\n")
            except FileExistsError:
                return False
        return True

    def _is_stale(self) -> bool:
        """True as soon as the lock is stale, False if it is gone. Raises UserError if its owner runs."""
        first, told = None, False
        while (owner := self._read()) is not None:
            if owner.get("machine") == machine():
                if is_running(owner["pid"]) and started_at(owner["pid"]) == owner["started"] and owner != self.owner:
                    raise UserError(f"{self._told(owner)}; wait for it, or {self.instead}")
                return True
            try:
                os.utime(self.spare)
                beat, now = self.path.stat().st_mtime, self.spare.stat().st_mtime
            except FileNotFoundError:
                return False
            if now - beat > STALE_S:
                return True
            first = beat if first is None else first
            if beat != first:
                raise UserError(f"{self._told(owner)}; wait for it, or {self.instead}")
            if not told:
                told = True
                left = STALE_S - (now - beat)
                print(f"{self._told(owner)}; waiting up to {left:.0f} s for a sign of it", file=sys.stderr)
            time.sleep(POLL_S)
        return False

    def _read(self) -> dict[str, Any] | None:
        """Who holds the lock: nothing known ({}) if the file cannot be read, None if there is none."""
        try:
            owner = json.loads(self.path.read_text())
            return owner if isinstance(owner["pid"], int) and {"machine", "started"} <= owner.keys() else {}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _told(self, owner: dict[str, Any]) -> str:
        who = f"process {owner['pid']} on {owner['machine']}" if owner else "another process"
        return f"{self.path.parent}: {who} is {self.what}"
