"""Writing files so that a killed run, or a full disk, never leaves a half-written one under a good name.

A file is written under a spare name, which tells its writer, and then renamed. What a killed run left under a spare
name is deleted by the next one that writes to the same folder; what another run is writing is left alone.
"""

import json
import os
import re
import time
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.processes import host, is_running, machine_started_at, started_at

SPARE_SUFFIX = ".part"
MOST_PAUSE_S = 3600  # of a writer on another machine, or before this one's start: a spare file is nobody's after that
_OWNER = re.compile(r"\.(\d+)@([^/@]+)\.part$")
_tidied: set[Path] = set()  # folders, by this process


@contextmanager
def atomic_path(path: Path | str, durable: bool = False) -> Iterator[Path]:
    """Give a spare path in the same folder; rename it to `path` when the block ends well, delete it otherwise.

    The folder is made. The spare name carries process and host, so two runs never share one. Several npz/npy writers
    add their own suffix to a bare name: hand them an open file, not the path.
    durable: also after a power cut `path` is the old file or the whole new one, and the order in which such files were
    written holds. It takes about 10 ms per file on a disk, so files that are cheap to make again go without.
    """
    path = Path(path)
    spare = spare_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _tidied:
            _tidied.add(path.parent)
            remove_spares(path.parent)
        yield spare
        if durable:
            sync(spare)
        spare.replace(path)
        if durable:
            sync(path.parent)
    except OSError as error:
        if error.filename in (None, str(spare), spare):  # a full disk does not say where
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # where the folder is gone or read-only: that is told already
            spare.unlink(missing_ok=True)


def spare_path(path: Path) -> Path:
    """The spare name under which this process writes `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}@{host()}{SPARE_SUFFIX}")


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def remove_spares(folder: Path) -> None:
    """Delete what killed runs left half-written in a folder. Call it before this process writes there."""
    for spare in folder.glob(f".*{SPARE_SUFFIX}"):
        if spare.is_file() and is_left_behind(spare):
            spare.unlink(missing_ok=True)


def is_left_behind(spare: Path) -> bool:
    """Whether the process that wrote a spare file has ended: told by its number here, by the file's age elsewhere."""
    owner = _OWNER.search(spare.name)
    try:
        changed = spare.stat().st_mtime
    except FileNotFoundError:
        return False
    if owner is None or owner[2] != host():
        return time.time() - changed > MOST_PAUSE_S
    pid = int(owner[1])
    if pid == os.getpid() or not is_running(pid):
        return True
    started, machine_started = started_at(pid), machine_started_at()
    if started is None or machine_started is None:
        return False
    return machine_started + started > changed + 2  # seconds; a process that came later has got the writer's number


def write_npz(
    path: Path | str, compressed: bool | Collection[str] = False, durable: bool = False, **arrays: Any
) -> None:
    """What `numpy.savez` writes, under a spare name, then renamed. compressed: all arrays, none, or these."""
    import numpy as np

    packed = compressed if isinstance(compressed, Collection) else arrays if compressed else ()
    with atomic_path(path, durable) as spare, zipfile.ZipFile(spare, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def write_text(path: Path | str, text: str, durable: bool = False) -> None:
    with atomic_path(path, durable) as spare:
        spare.write_text(text, encoding="utf-8", errors="surrogateescape")  # names of files may be no text


def write_json(path: Path | str, value: Any, durable: bool = False) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n", durable)
