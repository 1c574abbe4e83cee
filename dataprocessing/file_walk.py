"""All files below a folder, links to folders followed, whatever circles they make."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Walk(NamedTuple):
    """Folders and files at any depth; how many hidden ones were passed over; what cannot be read, with the reason."""

    folders: list[Path]
    files: list[Path]
    hidden: int
    left_out: dict[Path, str]


def walk(folder: Path, left_out: Path | None = None) -> Walk:
    """All folders and files below a folder, but those below `left_out`. Links to folders are followed, but for those to
    a folder around them, as that would be read whole; each folder is read once: first where it is, then by the links to
    it."""
    found, top = Walk([], [], 0, {}), Path(os.path.realpath(folder))
    hidden, waiting, links = 0, [folder], list[Path]()
    seen = {os.path.realpath(left_out): left_out} if left_out else {}
    while waiting or links:
        place = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(place)
        if real in seen:
            if seen[real] != left_out:
                found.left_out[place] = f"a link to a folder that is read already, {seen[real]}"
            continue
        if place != folder and (top.is_relative_to(real) or Path(os.path.realpath(place.parent)).is_relative_to(real)):
            found.left_out[place] = f"a link to a folder around it, {real}"
            continue
        seen[real] = place
        found.folders.append(place)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            found.left_out[place] = f"cannot be read: {error.strerror}"
            continue
        for entry in entries:
            path = place / entry.name
            try:
                if entry.name.startswith("."):
                    hidden += 1
                elif path.is_dir():  # of an entry it would raise for a link to itself
                    (links if entry.is_symlink() else waiting).append(path)
                elif path.is_file():
                    found.files.append(path)
                else:
                    found.left_out[path] = "a link to nothing" if entry.is_symlink() else "no plain file"
            except OSError as error:  # a link into a folder that is closed, or anything in one that is listed alone
                found.left_out[path] = f"cannot be read: {error.strerror}"
    return found._replace(hidden=hidden)


def matching(root: Path, pattern: str) -> Iterator[Path]:
    """`root.glob(pattern)` that follows links at `**` too."""
    head, deep, tail = pattern.partition("**/")
    if not deep:
        yield from root.glob(pattern)
        return
    seen = set()
    for top in root.glob(head) if head else [root]:
        for folder in walk(top).folders if top.is_dir() else ():
            for path in matching(folder, tail):
                if path not in seen:
                    seen.add(path)
                    yield path
