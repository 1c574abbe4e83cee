"""Files that a mesh file names, taken from its own folder or below and from nowhere else."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from runtime.reading import read_bytes

MOST_BESIDE = 2**29  # bytes of all files that another one names


def read_beside(path: Path, reference: str, most: int = MOST_BESIDE) -> bytes:
    """The content, of `most` bytes, of the file that `reference`, a relative URI, means in the file at `path`.

    Names are taken percent-encoded, as the formats demand, or as they are. Raises ValueError for a web address and
    for a name that leads out of the folder of `path`, also through a link; OSError where no such file is.
    """
    place = found_beside(path, reference)
    if place is None:
        raise ValueError(f"the file {reference[:200]!r} that it names is not beside it; keep them together")
    return read_bytes(place, most)


def found_beside(path: Path, reference: str) -> Path | None:
    """The file that `read_beside` reads, None if it is not there. Raises ValueError as that does."""
    for name in dict.fromkeys([os.fsdecode(unquote_to_bytes(reference)), reference]):
        place = _place(path.parent, name)
        if place is not None and place.is_file():
            return place
        if place is None:
            raise ValueError(f"it names {reference[:200]!r}; files of its own folder, or below it, are read alone")
    return None


def _place(folder: Path, name: str) -> Path | None:
    """The path of a file in a folder or below it, None for one elsewhere."""
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or ":" in parts[0] or name.startswith("/") or ".." in parts:
        return None
    for part in (part for part in parts if part not in ("", ".")):
        folder = folder / part
        if folder.is_symlink():
            return None
    return folder
