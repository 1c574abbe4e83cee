"""Is there room on the disk? Asked before work whose files would not fit."""

import shutil
from pathlib import Path

from runtime.errors import UserError


def check_room(folder: Path, wanted: int, what: str, instead: str) -> None:
    """Raise UserError if `wanted` bytes do not fit onto the disk of `folder`, which need not be there yet.

    what: whose files they are; instead: what to lower, for the message.
    """
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    present = shutil.disk_usage(there).free
    if wanted > present:
        raise UserError(
            f"{what} need {wanted / 1e9:,.1f} GB of disk at {folder}, free are {present / 1e9:,.1f} GB; {instead}"
        )
