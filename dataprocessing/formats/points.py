"""Points without faces: arrays of numpy, and lines of numbers."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from runtime.reading import open_npz, read_npy, require_file

# Of the array that holds the points, the likeliest first; and of such as have three numbers for each of them besides.
KEYS = ("point_cloud", "points", "xyz", "pos", "positions", "coords", "coordinates", "vertices", "verts", "pc", "cloud")
OTHER_KEYS = re.compile("normal|colou?r|rgb|face|tri|label|^(n|c|f|vn)$", re.I)
DISTANCES = "df"  # key of what NDF's and this project's samples beside a surface have
MOST_COLUMNS = 10  # of points with normals, colours and so on behind their places
MOST_TEXT = 2**29  # bytes of a text file
MOST_HEAD = 1_000  # lines before the first point
LONGEST_LINE = 10_000  # letters, of those before the first point
LONGEST_PART = 2**16  # letters, of which one ends a line
QUOTES = " \t\r\n\"'"
SEPARATORS = (";", ",")  # else white space
COMMENTS = ("#", "//")


def choose_array(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The key of the array that holds points, by its name, or else the only (N, 3) or (S, N, 3). Raises ValueError.

    shapes: of each key.
    """
    names = {key.lower(): key for key in reversed(list(shapes))}
    if found := next((names[key] for key in KEYS if key in names), None):
        if DISTANCES in names:
            raise ValueError(f"{found} are samples beside a surface, with distances {DISTANCES}; points of it expected")
        return found
    likely = [key for key, shape in shapes.items() if len(shape) in (2, 3) and shape[-1] == 3]
    chosen = [key for key in likely if not OTHER_KEYS.search(key)]
    if len(chosen) > 1:
        raise ValueError(f"several arrays of points, {', '.join(chosen[:5])}; keep one, or call it {KEYS[1]}")
    if chosen:
        return chosen[0]
    all_found = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
    raise ValueError(f"no array {' or '.join(KEYS[:3])}, and no other one of points, among {all_found or 'none'}")


def read_arrays(path: Path) -> np.ndarray:
    """The points of an .npz or .npy file, as they are in it: unchecked, of any type.

    Of rows of up to `MOST_COLUMNS` numbers these are the first three; of rows with names those called x, y and z.
    """
    if path.suffix.lower() == ".npy":
        points = read_npy(path)
    else:
        with open_npz(path) as arrays:
            points = arrays[choose_array({key: arrays.shape(key) for key in arrays})]
    if points.dtype.names and {"x", "y", "z"} <= set(points.dtype.names):
        points = np.stack([points[axis].ravel().astype(np.float64) for axis in "xyz"], axis=1)
    points = points[0] if points.ndim == 3 and len(points) == 1 else points
    return points[:, :3] if points.ndim == 2 and 3 < points.shape[1] <= MOST_COLUMNS else points


class Head(NamedTuple):
    """What stands before the points of a text file: how many lines, the number of points, if it is told, what separates
    words (None: white space), and in which columns x, y and z are."""

    lines: int
    num_points: int | None
    separator: str | None
    columns: tuple[int, int, int]


def read_lines(path: Path) -> np.ndarray:
    """Three numbers of each line, (N, 3) float64; separated by white space, commas or semicolons.

    They are the first three, or those below x, y and z in a line of names before them. What follows `#` or `//` is a
    comment. A line of one number alone before all others is their count. Raises ValueError for a line with fewer
    numbers, for other words, and another count.
    """
    if require_file(path) > MOST_TEXT:
        raise ValueError(f"more than {MOST_TEXT / 1e9:.1f} GB of text; save the points as .npy or .ply")
    _check_lines(path)
    with open(path, encoding="utf-8-sig", errors="replace") as file:  # comments may be in any encoding
        head = _head(file)
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without numbers, which has 0 points
            try:
                rows = np.loadtxt(
                    file, dtype=np.float64, usecols=head.columns, ndmin=2, delimiter=head.separator, comments=COMMENTS,
                    skiprows=head.lines,
                )  # fmt: skip
            except ValueError as error:
                raise ValueError(f"lines of three numbers expected ({error})") from error
    if head.num_points is not None and head.num_points != len(rows):
        raise ValueError(f"truncated or damaged: {head.num_points} points are announced, {len(rows)} follow")
    return rows


def _check_lines(path: Path) -> None:
    """Raise ValueError for UTF-16, and for lines of which each would take many times its length in memory."""
    with open(path, "rb") as file:
        if b"\0" in file.read(64):
            raise ValueError("zero bytes in text, as of UTF-16: save it as UTF-8 or ASCII")
        while len(part := file.read(LONGEST_PART)) == LONGEST_PART:
            if b"\n" not in part and b"\r" not in part:
                raise ValueError(f"a line of more than {LONGEST_PART:,} letters; a point a line expected")


def _head(file: TextIO) -> Head:
    """What stands before the first point. Raises ValueError for a line of other names than x, y and z."""
    count, named, remark, lines = None, list[str](), list[str](), 0
    separator, words = None, list[str]()
    while lines < MOST_HEAD:
        line = file.readline(LONGEST_LINE)
        content = re.split("#|//", line)[0]
        separator = next((mark for mark in SEPARATORS if mark in content), None)
        words = [word.strip(QUOTES) for word in content.strip().split(separator)] if content.strip() else []
        if len(words) == 1 and words[0].isdecimal() and count is None:
            count = int(words[0])
        elif not line or named or (words and not words[0][:1].isalpha()):
            break
        elif words:
            named = _names(" ".join(words))
            if not {*"xyz"} <= {*named}:
                found = content.strip()[:40]
                raise ValueError(f"lines of three numbers expected, or names with x, y, z first ({found!r} found)")
        elif line.strip():
            remark = _names(line)
        lines += 1
    names = named or (remark if len(remark) == len(words) and {*"xyz"} <= {*remark} else ["x", "y", "z"])
    x, y, z = (names.index(axis) for axis in "xyz")
    return Head(lines, count, separator, (x, y, z))


def _names(line: str) -> list[str]:
    """The words of a line that names columns, without units such as [m]."""
    return re.sub(r"\[.*?\]|\(.*?\)|[#/,;\"']", " ", line).lower().split()


def looks_like_points(path: Path) -> bool:
    """Whether a text file of any ending holds lines of three numbers or more: its second to fourth one do."""
    try:
        with open(path, "rb") as file:
            head = file.read(LONGEST_LINE).decode("latin-1")
        lines = [re.sub("[;,]", " ", line).split() for line in head.splitlines()[1:4]]
        return len(lines) == 3 and all(len(line) > 2 and np.isfinite(list(map(float, line))).all() for line in lines)
    except (OSError, ValueError):
        return False
