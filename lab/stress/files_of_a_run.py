"""What the files of a run hold, for lab/stress/kills.py: equal digests, equal results."""

import hashlib
import re
from pathlib import Path
from typing import Any

import torch

from frozen.checkpoint_files import load_checkpoint
from runtime.artefacts import RECORDS
from runtime.layout import INDEX
from runtime.reading import read_json

TIMED = re.compile(r"checkpoint_\d+h_\d+m_\d+s_([\d.]+)\.tar$")
# Keys of a checkpoint; of a record: times of the mesh file, how long its mesh took, the digest of an index that says so
OF_THIS_RUN = {"training_time", "commit", "marks", "seconds", "content"}


def digests(folder: Path) -> dict[str, str]:
    """Relative path -> what the file holds. Checkpoints are numbered, not named by their time.

    Of TensorBoard's folders one entry each: a resumed run has more files there, with the times of their points.
    """
    found = {}
    timed: dict[Path, int] = {}
    for path in sorted((path for path in folder.rglob("*") if path.is_file()), key=in_order_of_time):
        name = path.relative_to(folder)
        if path.name.startswith("events.out.tfevents"):
            found[str(name.parent / "events")] = "there"
        elif path.suffix == ".tar":
            if TIMED.fullmatch(path.name):
                timed[name.parent] = timed.get(name.parent, 0) + 1
                name = name.with_name(f"checkpoint {timed[name.parent]}.tar")
            found[str(name)] = digest(load_checkpoint(path))
        elif path.name in (RECORDS, INDEX):
            found[str(name)] = digest(read_json(path))
        else:
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def in_order_of_time(path: Path) -> tuple[str, float, str]:
    timed = TIMED.fullmatch(path.name)
    return str(path.parent), float(timed[1]) if timed else 0.0, path.name


def digest(value: Any) -> str:
    """SHA-256 of nested dictionaries and lists of tensors, numbers and text, without `OF_THIS_RUN`."""
    total = hashlib.sha256()
    if isinstance(value, dict):
        for key in sorted(set(value) - OF_THIS_RUN, key=str):
            total.update(f"{key}:{digest(value[key])}".encode())
    elif isinstance(value, list | tuple):
        for one in value:
            total.update(digest(one).encode())
    elif isinstance(value, torch.Tensor):
        total.update(f"{value.dtype}{tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes())
    else:
        total.update(repr(value).encode())
    return total.hexdigest()


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    lines = [f"missing: {name}" for name in sorted(expected.keys() - found.keys())]
    lines += [f"left behind: {name}" for name in sorted(found.keys() - expected.keys())]
    return lines + [
        f"differs: {name}" for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]
    ]
