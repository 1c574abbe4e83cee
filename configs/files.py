"""Writing files so that a killed run, or a full disk, never leaves a half-written one under a good name."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SPARE_SUFFIX = ".part"


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a spare path in the same folder; rename it to `path` when the block ends well, delete it otherwise.

    The folder is made. The spare name carries the process number, so two runs never share one. Several npz/npy
    writers add their own suffix to a bare name: hand them an open file, not the path.
    """
    path = Path(path)
    spare = path.with_name(f".{path.name}.{os.getpid()}{SPARE_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield spare
        spare.replace(path)
    except OSError as error:
        if error.filename in (None, str(spare), spare):  # a full disk does not say where
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # where the folder is gone or read-only: that is told already
            spare.unlink(missing_ok=True)


def write_npz(path: Path | str, compressed: bool = False, **arrays: Any) -> None:
    """`numpy.savez` under a spare name, then renamed."""
    import numpy as np

    with atomic_path(path) as spare, open(spare, "wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


def write_text(path: Path | str, text: str) -> None:
    with atomic_path(path) as spare:
        spare.write_text(text, encoding="utf-8", errors="surrogateescape")  # names of files may be no text


def write_json(path: Path | str, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
