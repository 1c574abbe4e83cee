"""Checkpoints: one file holds weights, optimiser, step, best validation value, configuration and commit.

Files are read with `weights_only=True`: an untrusted checkpoint cannot run code. Names are NDF's
`checkpoint_{h}h_{m}m_{s}s_{seconds}.tar`, without its colons (which some file systems forbid); both are read.
"""

import io
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from frozen.checkpoint_files import BEST, DamagedCheckpoint, load_checkpoint, timed_checkpoints, timed_name
from frozen.checkpoint_seal import write_sealed
from runtime.files import atomic_path, remove_spares
from runtime.layout import ROOT

MOST_SIZE, MOST_LAYERS = 2**16, 1000  # of an option that sizes a network, and that counts its layers


def latest_whole(folder: Path) -> tuple[Path | None, dict[str, Any], list[DamagedCheckpoint]]:
    """The newest checkpoint of a folder that is whole, its state, and what is wrong with newer ones.

    The last resort is the best. None and no state if there is no file; raises DamagedCheckpoint if none is whole.
    """
    damaged: list[DamagedCheckpoint] = []
    best = [folder / BEST] if (folder / BEST).is_file() else []
    for path in [*reversed(timed_checkpoints(folder)), *best]:
        try:
            return path, load_checkpoint(path), damaged
        except DamagedCheckpoint as error:
            damaged.append(error)
    if damaged:
        raise DamagedCheckpoint(damaged[0].path, f"is damaged, and so are all others; delete {folder} to train anew")
    return None, {}, damaged


def save_checkpoint(folder: Path, state: dict[str, Any], is_best: bool, keep: int = 1) -> Path:
    """Write `state` as the latest checkpoint (and the best, if it is), then delete all but the `keep` latest.

    The best comes first: killed in between, a training goes on before it and makes the same best again. The other way
    round its checkpoint would name a best that never was written.
    """
    path = folder / timed_name(state["training_time"])
    write_state(state, *[folder / BEST, path] if is_best else [path])
    delete_older(folder, keep)
    return path


def delete_older(folder: Path, keep: int) -> None:
    """Delete all timed checkpoints but the `keep` latest, and what killed runs left half-written."""
    for old in timed_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    remove_spares(folder)


def write_state(state: dict[str, Any], *targets: Path, compress: bool = False) -> None:
    """Write `state` to each of the files, sealed, completely or not at all, one after the other."""
    content = io.BytesIO()  # via memory: on a full disk torch.save raises no OSError
    torch.save(state, content)
    content = deflated(content) if compress else content
    for target in targets:
        with atomic_path(target, durable=True) as spare, open(spare, "wb") as file:
            write_sealed(content, file)


def deflated(archive: io.BytesIO) -> io.BytesIO:
    """The zip archive that torch.save wrote, compressed: torch.load reads it as well. The same bytes at any time."""
    smaller = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(smaller, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name)  # of a fixed date
            target.writestr(entry, source.read(name), zipfile.ZIP_DEFLATED, compresslevel=9)
    return smaller


@cache
def current_commit() -> str:
    """The commit of the code, or "unknown" outside a git checkout. Asked once: the code that runs stays the same."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "unknown"
