"""The table of `axes_file`: which axes of a mesh file point up and to the front, for folders of mixed files."""

import csv
import io
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from configs.options.data import AUTO, AXES, same_line
from dataprocessing.frames import front_of
from runtime.errors import UserError
from runtime.layout import given_path
from runtime.reading import DamagedFile, read_text

COLUMNS = ("file", "up", "front")
SEPARATORS = (",", ";", "\t")


class Row(NamedTuple):
    """file: a path, or a pattern whose * stands for anything; up and front as the options take them."""

    file: str
    up: str
    front: str

    def fits(self, below: PurePosixPath) -> bool:
        return self.file == str(below) or fnmatchcase(str(below), self.file)


def axes_in_table(path: str, below: PurePosixPath) -> tuple[str, str] | None:
    """up and front of the first row that fits a mesh at this path below its folder; None if none does."""
    return next(((row.up, row.front) for row in read_table(path) if row.fits(below)), None)


def rows_without_file(path: str, belows: Iterable[PurePosixPath]) -> list[str]:
    """What is told of the rows that decide the axes of none of these meshes, each in a line."""
    paths, rows = list(belows), read_table(path)
    winners = {row for below in paths if (row := next((row for row in rows if row.fits(below)), None))}
    told = []
    for row in dict.fromkeys(rows):
        if row not in winners:
            none = f"fits none of {len(paths)} meshes"
            why = "earlier rows have all that it fits" if any(map(row.fits, paths)) else none
            told.append(f"{path}: {row.file}: {why}")
    return told


def read_table(path: str) -> tuple[Row, ...]:
    """The rows of a table, checked. Raises UserError, with the line, for what is none."""
    place = given_path(path)
    try:
        found = place.stat()
    except OSError as error:
        raise UserError(f"no axes_file {place}; give a csv with the columns {', '.join(COLUMNS)}") from error
    return _rows(place, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _rows(path: Path, *_marks: int) -> tuple[Row, ...]:
    try:
        text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
        first = text.partition("\n")[0]  # table programs write what their country takes for a comma
        separator = max(SEPARATORS, key=first.count)
        lines = csv.reader(io.StringIO(text), strict=True, delimiter=separator)
        header = [name.strip().lower() for name in next(lines, [])]
        if sorted(header) != sorted(COLUMNS):
            found = ",".join(header) or "nothing"
            raise UserError(f"{path}: first line {found!r} found, {','.join(COLUMNS)!r} expected")
        rows = []
        for words in lines:
            if any(word.strip() for word in words):
                rows.append(_row(header, [word.strip() for word in words], f"{path}, line {lines.line_num}"))
    except csv.Error as error:
        raise UserError(f"{path}: no csv: {error}; lines such as vans/a.obj,z,-y expected") from error
    except DamagedFile as error:
        raise UserError(f"{path}: {error.reason}; a csv with the columns {', '.join(COLUMNS)} expected") from error
    return tuple(rows)


def _row(header: list[str], words: list[str], where: str) -> Row:
    if len(words) != len(header):
        raise UserError(f"{where}: {len(words)} values found, {len(header)} expected: {','.join(header)}")
    row = dict(zip(header, words, strict=True))
    if not row["file"]:
        raise UserError(f"{where}: no file; give its path below the folder of the meshes, or a pattern such as *.glb")
    for name in ("up", "front"):
        if row[name] not in (*AXES, AUTO) and not (name == "front" and not row[name]):
            raise UserError(f"{where}: {name} is {row[name]!r}, one of {', '.join((*AXES, AUTO))} expected")
    if same_line(row["up"], row["front"] or None):
        raise UserError(f"{where}: up {row['up']} and front {row['front']} are along one axis; give two different ones")
    return Row(row["file"], row["up"], front_of(row["up"], row["front"] or None))
