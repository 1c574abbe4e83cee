"""One training of a kind per experiment: a lock file says which process, on which machine, is at it.

It works on network file systems too, without their locks: a file of another name is linked to the lock's, which fails
if that is there (link(2); Callaghan, "NFS Illustrated", 2000, ch. 3). While the run lasts it sets the file's time anew
every `BEAT_S` seconds. A lock is stale if its process has ended on this machine; of any other it is stale if its time
is `STALE_S` seconds back and does not change for `WATCH_S` more, or does not change for `STALE_S`, since clocks may
differ. So is a copy of a lock, as in a copied experiment, which no process sets anew. A stale one is taken over, by one
of those who try.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.errors import UserError, fail, note
from runtime.files import remove_spares, spare_path
from runtime.processes import boot, is_running, machine, started_at

BEAT_S = 20.0
WATCH_S = 50.0  # two signs, and some time to spare
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
    beating = threading.Thread(target=lock.beat_until, args=(ended,), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join(POLL_S)  # a sign may take long, where the disk is away
        lock.release()


def refuse_while_held(path: Path, what: str, instead: str) -> None:
    """Raise UserError, as `only_run` does, if another process that runs holds the lock file `path`."""
    if path.is_file():
        _Lock(path, what, instead).check()


class _Lock:
    def __init__(self, path: Path, what: str, instead: str):
        self.path, self.what, self.instead = path, what, instead
        me = {"machine": machine(), "boot": boot(), "pid": os.getpid(), "started": started_at(os.getpid())}
        self.owner: dict[str, Any] = me
        self.spare = spare_path(path)

    def acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_spares(self.path.parent)
        try:
            self._write(self.spare, "w")
            while not self._link():
                if not self._is_stale():
                    continue  # gone: whoever held it has ended
                self.spare.replace(self.path)
                time.sleep(SETTLE_S)
                if self._read() == self.owner:
                    return
                self._write(self.spare, "w")
        finally:
            self.spare.unlink(missing_ok=True)

    def check(self) -> None:
        try:
            self.spare.write_text("")
            self._is_stale()
        finally:
            self.spare.unlink(missing_ok=True)

    def release(self) -> None:
        for _ in range(2):  # a call may fail once; and what stays is stale as soon as this process has ended
            with suppress(OSError):
                if self._read() == self.owner:
                    self.path.unlink(missing_ok=True)
                    return

    def beat_until(self, ended: threading.Event) -> None:
        """Give signs. Ends this process, with status 2, if another one has the lock or signs fail for `STALE_S`."""
        latest, failed = time.monotonic(), 0
        while not ended.wait(BEAT_S):
            owner = self._read()
            if owner and owner != self.owner:
                os._exit(fail(f"{self._told(owner)} since this machine gave no sign for a while; this run ends"))
            try:
                self._give_sign()
                latest, failed = time.monotonic(), 0
            except OSError as error:  # a server that is away for a moment
                failed += 1
                reason = f"{self.path} cannot be set anew ({error.strerror})"
                if time.monotonic() - latest > STALE_S - BEAT_S:  # before another machine takes it
                    os._exit(
                        fail(f"{reason}, so that another run could start beside this one, which ends; run it again")
                    )
                if failed == 2:
                    note(f"{reason}; this run ends in {STALE_S - (time.monotonic() - latest):.0f} s if that stays so")

    def _give_sign(self) -> None:
        try:
            os.utime(self.path)
        except FileNotFoundError:  # tidied away by somebody
            try:
                self._write(self.spare, "w")
                self._link()
            finally:
                self.spare.unlink(missing_ok=True)

    def _write(self, path: Path, mode: str) -> None:
        """Write the owner, who tells the file's number: a copy has another one."""
        with open(path, mode) as file:
            self.owner["inode"] = os.fstat(file.fileno()).st_ino
            file.write(json.dumps(self.owner) + "\n")

    def _link(self) -> bool:
        try:
            os.link(self.spare, self.path)
        except FileExistsError:
            return self.spare.stat().st_nlink == 2  # done, although the server's answer to it was lost
        except OSError:  # a file system without links
            try:
                self._write(self.path, "x")
            except FileExistsError:
                return False
        return True

    def _is_stale(self) -> bool:
        """True as soon as the lock is stale, False if it is gone. Raises UserError if its owner runs."""
        first, begun, told = None, time.monotonic(), False
        while (owner := self._read()) is not None:
            try:
                found = self.path.stat()
                os.utime(self.spare)
                beat, now = found.st_mtime, self.spare.stat().st_mtime
            except FileNotFoundError:
                return False
            if owner.get("machine") == machine() and owner.get("boot", boot()) == boot():
                runs = is_running(owner["pid"]) and started_at(owner["pid"]) == owner["started"]
                if not runs or self._is_mine(owner):
                    return True
                if owner.get("inode", found.st_ino) == found.st_ino:
                    raise UserError(f"{self._told(owner)}; wait for it, or {self.instead}")
            first = beat if first is None else first
            if beat != first:
                raise UserError(f"{self._told(owner)}; wait for it, or {self.instead}")
            left = begun - time.monotonic() + (WATCH_S if now - beat > STALE_S else STALE_S)
            if left < 0:
                return True
            if not told:
                told = True
                note(f"{self._told(owner)}, or was; waiting up to {left:.0f} s for a sign of it")
            time.sleep(POLL_S)
        return False

    def _is_mine(self, owner: dict[str, Any]) -> bool:
        return all(owner[key] == self.owner[key] for key in ("machine", "pid", "started"))

    def _read(self) -> dict[str, Any] | None:
        """Who holds the lock: nothing known ({}) if the file cannot be read, None if there is none."""
        try:
            owner = json.loads(self.path.read_text())
            is_one = type(owner["pid"]) is int and 0 < owner["pid"] < 2**31 and {"machine", "started"} <= owner.keys()
            return owner if is_one else {}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _told(self, owner: dict[str, Any]) -> str:
        who = f"process {owner['pid']} on {owner['machine']}" if owner else "another process"
        return f"{self.path.parent}: {who} is {self.what}"
