"""Numbers of text files, read at once."""

import re
import warnings

import numpy as np

MOST_TEXT = 2**28  # bytes; what is read of a text takes up to seven times as much memory on the way
DOS_END = b"\x1a"  # how text ended under DOS, and ends in files of programs from then
_NOT_FINITE = re.compile(rb"\d\.#(INF)?[A-Z]*\d*(?![^\s])")  # how Visual C++ wrote what is no number


def plain(data: bytes, padded: bool = False) -> bytes:
    """The content of a text file in ASCII or UTF-8: lines end in newlines, no byte order mark, NaN written so.

    padded: zeros at its end, to which some programs fill a block, are left out; they may also stand for what was lost,
    so this is for formats that tell where they end. Raises ValueError for text in UTF-16, for other zero bytes, and for
    more than `MOST_TEXT`.
    """
    data = ((data.rstrip(b"\0") if padded else data) or data).removesuffix(DOS_END)
    if len(data) > MOST_TEXT:
        raise ValueError(
            f"{len(data) / 1e6:,.0f} MB of text, at most {MOST_TEXT / 1e6:.0f} MB are read: save it as a binary .ply"
        )
    start = data[:64]
    zeros_between = any(start) and (not any(start[1::2]) or not any(start[::2])) and len(start) > 1
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or zeros_between:
        raise ValueError("text in UTF-16, with zero bytes: save it as UTF-8 or ASCII")
    if b"\0" in data:
        raise ValueError("not a mesh, or damaged: zero bytes in a text file")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for space in (b"\v", b"\f"):
        if space in data:
            data = data.replace(space, b" ")
    if b".#" in data:  # a # that starts no comment
        data = _NOT_FINITE.sub(lambda found: b"inf" if found[1] else b"nan", data)
    return data


def flat_numbers(text: bytes) -> np.ndarray:
    """All numbers of a text, (T,) float64. Raises ValueError, naming the first word that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that it stopped at a wrong word
        try:
            flat = np.fromstring(text, sep=" ") if text.strip() else np.zeros(0)
        except (DeprecationWarning, ValueError) as error:
            raise ValueError(_wrong_word(text)) from error
    return flat


def numbers(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of a text, (T,) float64, and how many each of its lines has, (L,), also 0. Raises ValueError."""
    flat = flat_numbers(text)
    content = np.frombuffer(text, dtype=np.uint8)
    first = content > 32  # letters of words, then the first of each
    first[1:] &= content[:-1] <= 32
    places = np.flatnonzero(first)
    if len(flat) != len(places):
        raise ValueError(_wrong_word(text))
    ends = np.append(np.flatnonzero(content == 10), len(content))
    return flat, np.diff(np.searchsorted(places, ends), prepend=0)


def without_comments(text: bytes) -> bytes:
    """The text without what follows a # on a line. One within a word is left there: no number, then, in any case."""
    return re.sub(rb"(?:^|(?<=\s))#[^\n]*", b"", text) if b"#" in text else text


def _wrong_word(text: bytes) -> str:
    """What to say of a text in which a word is no number."""
    words = (word[0] for word in re.finditer(rb"\S+", text))
    wrong = next((word for word in words if not _is_number(word)), b"")
    shown = ascii(wrong[:40].decode("latin-1"))
    hint = ", a comma for a point" if re.fullmatch(rb"[-+]?\d+,\d+", wrong) else ""
    return f"not a mesh, or damaged: words where numbers are expected ({shown}{hint})"


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word


def whole(values: np.ndarray, what: str) -> np.ndarray:
    """Numbers as int64. Raises ValueError where one is no whole number that a file could mean."""
    good = (np.abs(values) < 2**53) & (values == np.floor(values))
    if not good.all():
        raise ValueError(f"damaged: {what} is {values[~good][0]:g}")
    return values.astype(np.int64)


def vertex_rows(text: bytes) -> np.ndarray:
    """The first three numbers of each line, (V, 3). Raises ValueError."""
    flat, counts = numbers(text)
    if counts.min() < 3:
        raise ValueError(f"truncated or damaged: vertex {int(np.argmin(counts)) + 1} has fewer than three coordinates")
    starts = np.cumsum(counts) - counts
    return flat.reshape(-1, 3) if len(flat) == 3 * len(counts) else flat[starts[:, None] + np.arange(3)]
