"""Cases of one file, broken in many ways."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from lab.stress.hostile.damage import Damage, unreadable
from lab.stress.hostile.sandbox import Case

CONFIG = ("--config", "FOLDER/config.txt")
EXPERIMENT = "experiments/test"
NO_FILES = ("a folder", "a link to itself", "a link to /dev/zero", "a pipe")  # damages after which there is no file


def written(content: bytes | str) -> Damage:
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def broken(
    reader: str, file: str, damages: dict[str, Damage], script: ModuleType, words: tuple[str, ...], allowed: str,
    statuses: tuple[int, ...] = (2,), reported: tuple[str, ...] = (),
) -> Iterator[Case]:  # fmt: skip
    """The file, relative to the folder, with each of the damages; and, once, unreadable."""

    def at(damage: Damage) -> Callable[[Path], None]:
        return lambda folder: damage(folder / file)

    for name, damage in damages.items():
        yield Case(reader, name, at(damage), script, words, (allowed,), statuses, reported)
    if "a web page" in damages:
        yield Case(reader, "unreadable", at(unreadable), script, words, (allowed,), statuses, reported, as_nobody=True)
