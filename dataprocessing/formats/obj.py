"""Wavefront OBJ."""

import re
from pathlib import Path

import numpy as np

from dataprocessing.formats.polygons import Polygons
from dataprocessing.formats.text import numbers, plain, vertex_rows, whole, without_comments

_WORDS = (b"usemtl", b"mtllib", b"usemap", b"maplib", b"bevel", b"c_interp", b"d_interp", b"shadow_obj", b"trace_obj")
SPACES = 16  # before or after the words of a line, usually less
AT_ONCE = 2**22  # bytes of faces looked at in one go
MOST_UNKNOWN = 10**6  # lines that start with a word that is not known
# What a line may start with: a letter alone or, of longer words, the first two.
_LETTERS, _PAIRS = b"vflpogs", b"vtvnvpfousmtmgmalobec_d_shtrctstdebmcscuparehoscspencobzbscdcasuneKaKdKsKeNiNsTfTril"
_CALLS, _FREE_FORM = (b"call", b"csh"), (b"surf", b"bzp", b"bsp")


def read(data: bytes, path: Path) -> Polygons:
    """Wavefront OBJ: `v` and `f` lines, indices from 1 or, if negative, from the end of the vertices so far.

    Points and lines are no surface and passed over, as colours, weights, textures, normals, names. Raises ValueError
    for free-form surfaces, which are not read, and for calls of other files and programs, which are not made.
    """
    whole_lines = data.endswith((b"\n", b"\r"))
    lines = _Lines(_joined(_unindented(plain(data))))
    lines.check_others()
    if not lines.vertices.any():
        raise ValueError("not a mesh: no vertices in it")
    vertices = vertex_rows(without_comments(lines.text(lines.vertices)))
    flat, sizes = _corners(without_comments(lines.text(lines.faces)))
    ending = _check_end(lines.last(), whole_lines)
    if ending == b"f" and sizes[-1] < 3:
        raise ValueError("truncated: the file ends in the middle of a face")
    if not sizes.all():
        raise ValueError(f"damaged: face {int(np.argmin(sizes)) + 1} has no corners")
    if (flat < 0).any():
        so_far = np.cumsum(lines.vertices)[lines.faces]
        flat = np.where(flat < 0, flat + np.repeat(so_far, sizes) + 1, flat)
    corners = whole(flat, "a corner of a face") - 1
    if ending == b"v" and not whole_lines and len(corners) and corners.max() < len(vertices) - 1:
        raise ValueError("truncated: the file ends within a line, and no face uses its last vertices")
    return Polygons(vertices, corners, sizes)


def _unindented(data: bytes) -> bytes:
    """Lines that start with their first word, without empty ones."""
    for _ in range(SPACES):  # each match of an expression would take memory
        if b"\n " not in data and b"\n\t" not in data:
            break
        data = data.replace(b"\n ", b"\n").replace(b"\n\t", b"\n")
    if data[:1] in (b" ", b"\t") or b"\n " in data or b"\n\t" in data:
        data = re.sub(rb"^[ \t]+", b"", data, flags=re.M)
    return re.sub(rb"\n\n+", b"\n", data) if b"\n\n\n" in data else data


def _joined(data: bytes) -> bytes:
    """Lines of numbers that go on after a backslash, in one; a comment or a name that ends in one ends there."""
    if not re.search(rb"\\[ \t]*\n", data):
        return data
    data = _unindented(without_comments(data))
    for _ in range(SPACES):
        if b" \n" not in data:
            break
        data = data.replace(b" \n", b"\n")
    data = re.sub(rb"\\[ \t]+\n", b"\\\n", data)
    while b"\\\n\\\n" in data:  # nothing goes on
        data = data.replace(b"\\\n\\\n", b"\\\n")
    lines = _Lines(data)
    goes_on = (lines.content[lines.ends - 1] == ord("\\")) & (lines.starts < lines.ends)
    begins = np.insert(~goes_on[:-1], 0, True)
    first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))  # of the lines that are one
    ends = lines.ends[goes_on & lines.of_numbers()[first]]
    content = lines.content[: len(data)].copy()
    content[ends - 1] = 32
    content[ends[ends < len(data)]] = 32
    return content.tobytes()


class _Lines:
    """The lines of a file by their first words: which of them are `vertices` and `faces`, (L,) bool each."""

    def __init__(self, data: bytes):
        self.content = np.frombuffer(data + b"\n\n\n", dtype=np.uint8)  # room for the three letters looked at
        self.ends = np.flatnonzero(self.content[:-2] == 10)
        self.starts = np.concatenate([[0], self.ends[:-1] + 1])
        first, second, third = (self.content[self.starts + place] for place in range(3))
        letter = first | 32  # in lower case
        self.old = (first == ord("f")) & (second == ord("o")) & (third <= 32)  # "fo": as faces were called once
        self.vertices = (letter == ord("v")) & (second <= 32)
        self.faces = (letter == ord("f")) & (second <= 32) | self.old
        self.stray = (first >= ord("0")) & (first <= ord("9")) | np.isin(first, np.frombuffer(b"+-.", np.uint8))
        self.special = np.zeros(len(first), dtype=bool)
        known = np.zeros((256, 256), dtype=bool)
        known[np.frombuffer(_LETTERS + _LETTERS.upper(), np.uint8), :33] = True
        known[tuple(np.frombuffer(_PAIRS + _PAIRS.upper(), np.uint8).reshape(-1, 2).T)] = True
        of_vertex = (letter == ord("v")) & (second > 32)
        self.unknown = ~known[first, second] & (first != 10) & (first != ord("#")) | of_vertex & (third > 32)
        for word in _CALLS + _FREE_FORM:
            self.special |= (first == word[0]) & (second == word[1])

    def of_numbers(self) -> np.ndarray:
        """Which lines are of numbers, not of names, (L,) bool: f, fo, l, p, v, and v followed by one of n, p, t."""
        first, second, third = (self.content[self.starts + place] for place in range(3))
        ends, beyond = ((letter <= 32) | (letter == ord("\\")) for letter in (second, third))
        short = np.isin(first | 32, np.frombuffer(b"flpv", np.uint8)) & ends
        of_vertex = (first | 32 == ord("v")) & np.isin(second | 32, np.frombuffer(b"npt", np.uint8)) & beyond
        return short | of_vertex | self.old

    def line(self, number: int) -> bytes:
        return self.content[self.starts[number] : self.ends[number]].tobytes()

    def last(self) -> bytes:
        """The last line that is not empty."""
        return self.line(int(np.flatnonzero(self.starts < self.ends)[-1]))

    def text(self, chosen: np.ndarray) -> bytes:
        """The chosen lines (L,), each without its first word."""
        lengths = self.ends - self.starts + 1
        text = self.content[: len(self.content) - 2][np.repeat(chosen, lengths)]
        starts = np.cumsum(lengths[chosen]) - lengths[chosen]
        text[starts] = 32
        text[starts[self.old[chosen]] + 1] = 32
        return text[:-1].tobytes()

    def check_others(self) -> None:
        """Raise ValueError for lines that mean more than is read, or that are no statements."""
        for number in np.flatnonzero(self.special):
            word = self.line(number).split()[0]
            if word in _CALLS:
                raise ValueError(f"it calls other files or programs ({_shown(self.line(number))}), which is not done")
            if word in _FREE_FORM:
                raise ValueError(f"free-form surfaces ({_shown(word)}) are not read: save them as polygons")
        if self.stray.any():
            line = self.line(int(np.argmax(self.stray)))
            raise ValueError(f"damaged: a line of numbers without a statement ({_shown(line)})")
        unknown = np.flatnonzero(self.unknown)
        if len(unknown) > MOST_UNKNOWN:
            raise ValueError(f"not a mesh: {len(unknown):,} lines that are not known ({_shown(self.line(unknown[0]))})")
        for line in map(self.line, unknown):  # words may be anybody's; numbers could be a vertex or a face
            if re.fullmatch(rb"\S+(\s+[-+.]*\d\S*){2,}\s*", line):
                raise ValueError(f"damaged: a statement that is not known ({_shown(line)})")


def _corners(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of all faces as numbers (C,), and how many each face has; of 1/2/3, the 1 is the vertex."""
    if not text:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    if b"/" in text:
        if any(space + b"/" in text for space in (b" ", b"\t", b"\n")):
            raise ValueError("damaged: a slash without a number before it in a face")
        content, start = np.frombuffer(text, dtype=np.uint8).copy(), 0
        while start < len(content):
            end = text.find(b"\n", start + AT_ONCE)
            part = content[start : end if end >= 0 else len(content)]
            places = np.arange(1, len(part) + 1, dtype=np.int32)
            of_slash = np.maximum.accumulate(np.where(part == ord("/"), places, 0))
            part[of_slash > np.maximum.accumulate(np.where(part <= 32, places, 0))] = 32
            start += len(part) + 1
        text = content.tobytes()
    return numbers(text)


def _check_end(last: bytes, whole_lines: bool) -> bytes:
    """What the last line is of: f, a face; v, a vertex, its normal or texture; b"", another.

    Raises ValueError if it is cut off. One that is cut within a number cannot be told from a whole one.
    """
    words = without_comments(last).split() or [b""]
    part = len(words[0]) > 1 and words[0] not in _WORDS and any(word.startswith(words[0]) for word in _WORDS)
    if part and not whole_lines:
        raise ValueError(f"truncated: the file ends within a line ({_shown(words[0])})")
    if words[0] in (b"f", b"fo", b"F"):
        forms = set() if whole_lines else {re.sub(rb"\d+", b"0", word.replace(b"-", b"")) for word in words[1:]}
        if len(forms) > 1 or (not whole_lines and last.endswith((b"/", b"-"))):
            raise ValueError("truncated: the file ends within a line, in the middle of a face")
        return b"f"
    return b"v" if words[0].lower() in (b"v", b"vt", b"vn") else b""


def _shown(line: bytes) -> str:
    return ascii(line.strip()[:40].decode("latin-1"))[1:-1]
