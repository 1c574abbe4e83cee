"""The rows of the elements of PLY files, text and binary: numbers and lists of numbers, read at once."""

import struct
from array import array
from typing import Any, NamedTuple

import numpy as np

from dataprocessing.formats.text import whole

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f8": "d"}  # of struct, for lengths of lists
MOST_UNEVEN = 2 * 10**7  # rows whose lists differ in length: they are walked one by one


class Property(NamedTuple):
    """A number of each row, of a numpy type with its byte order; or a list of them, counted by a number of a type."""

    name: str
    kind: str
    counted: str | None = None


class Element(NamedTuple):
    """Its name, how many rows it has, and what each of them holds."""

    name: str
    rows: int
    properties: tuple[Property, ...]

    def least_bytes(self) -> int:
        """Bytes of a row whose lists are empty."""
        return sum(int((p.counted or p.kind)[2:]) for p in self.properties)


class Table:
    """The rows of one element in `data` from byte `start` on; `end`: the byte after them.

    Raises ValueError where they are not all there, before memory is taken for them.
    """

    def __init__(self, data: bytes | memoryview, start: int, element: Element):
        self.data, self.element = data, element
        left, least = len(data) - start, element.least_bytes()
        if element.rows and not least:
            raise ValueError(f"damaged: {element.rows} rows of {element.name} without properties are announced")
        if element.rows * least > left:
            raise ValueError(f"truncated: {element.rows} rows of {element.name} are announced, {left // least} fit")
        self.starts = {number: array("q") for number in self._lists()}
        self.sizes = {number: array("q") for number in self._lists()}
        self.even = self._even(start)
        if self.even is not None:
            self.end = start + self.even.nbytes
        else:
            self.end = self._walk(start)

    def _even(self, start: int) -> np.ndarray | None:
        """All rows as one structured array, if their lists are as long as those of the first row; None otherwise."""
        fields: list[Any] = []
        at = start
        for number, p in enumerate(self.element.properties):
            if p.counted and self.element.rows:
                size = self._length(at, p.counted)
                fields += [(f"n{number}", p.counted), (f"p{number}", p.kind, (size,))]
                at += int(p.counted[2:]) + size * int(p.kind[2:])
                if at > len(self.data):
                    raise self._cut(0)
            else:
                fields.append((f"p{number}", p.kind))
                at += int(p.kind[2:])
        kind = np.dtype(fields)
        if start + kind.itemsize * self.element.rows > len(self.data):
            return None
        if not self.element.rows:
            return np.zeros(0, dtype=kind)
        rows = np.frombuffer(self.data, kind, self.element.rows, start)
        lengths = [(rows[f"n{number}"], rows[f"p{number}"].shape[1]) for number in self._lists()]
        return rows if all((found == size).all() for found, size in lengths) else None

    def _lists(self) -> list[int]:
        if not self.element.rows:
            return []
        return [number for number, p in enumerate(self.element.properties) if p.counted]

    def _length(self, at: int, kind: str) -> int:
        try:
            (size,) = struct.unpack_from(kind[0] + CODES[kind[1:]], self.data, at)
            if size < 0 or size != int(size):
                raise ValueError
        except (struct.error, ValueError, OverflowError):
            raise self._cut(0) from None
        return int(size)

    def _cut(self, row: int) -> ValueError:
        return ValueError(
            f"truncated or damaged: {self.element.rows} rows of {self.element.name} are announced, "
            f"row {row + 1} is not whole"
        )

    def _walk(self, start: int) -> int:
        """Find every list, row by row: `starts` and `sizes` of each, bytes and numbers; returns where the rows end."""
        if self.element.rows * len(self._lists()) > MOST_UNEVEN:
            raise ValueError(
                f"{self.element.rows:,} rows of {self.element.name} with lists of several lengths, "
                f"at most {MOST_UNEVEN:,} expected"
            )
        steps, before = [], 0
        for number, p in enumerate(self.element.properties):
            if p.counted is None:
                before += int(p.kind[2:])
                continue
            unpack = struct.Struct(p.counted[0] + CODES[p.counted[1:]]).unpack_from
            found_at, found = self.starts[number].append, self.sizes[number].append
            steps.append((before, unpack, int(p.counted[2:]), int(p.kind[2:]), found_at, found))
            before = 0
        data, at, end, row = self.data, start, len(self.data), 0
        try:
            for row in range(self.element.rows):
                for gap, unpack, width, item, add_start, add_size in steps:
                    at += gap
                    (length,) = unpack(data, at)
                    size = int(length)
                    if size < 0 or size != length:
                        raise self._cut(row)
                    at += width
                    add_start(at)
                    add_size(size)
                    at += size * item
                at += before
                if at > end:
                    raise self._cut(row)
        except (struct.error, OverflowError):
            raise self._cut(row) from None
        return at

    def _number(self, name: str, is_list: bool) -> int:
        for number, p in enumerate(self.element.properties):
            if p.name == name and bool(p.counted) == is_list:
                return number
        names = ", ".join(p.name for p in self.element.properties) or "none"
        kind = "list " if is_list else ""
        raise ValueError(f"{self.element.name} has no {kind}property {name} (its properties: {names})")

    def column(self, name: str) -> np.ndarray:
        """The number of that name of each row, (count,), of its own type. Raises ValueError if there is none."""
        number = self._number(name, is_list=False)
        if self.even is not None:
            return self.even[f"p{number}"]
        # from the list before it on, whose end is known; rows start where the last list of the row before ends
        properties = self.element.properties
        lists = [n for n in self._lists() if n < number]
        p = properties[number]
        if lists:
            last = lists[-1]
            places = np.array(self.starts[last]) + np.array(self.sizes[last]) * int(properties[last].kind[2:])
            places += sum(int(q.kind[2:]) for q in properties[last + 1 : number])
        else:
            first = self._lists()[0]
            places = np.array(self.starts[first]) - int((properties[first].counted or "")[2:])
            places -= sum(int(q.kind[2:]) for q in properties[number:first])
        return self._gathered(places, p.kind)

    def lists(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """All numbers of the lists of that name, one list after another, (C,) int64, and their lengths, (count,).

        Raises ValueError if there is none, and for numbers that are not whole.
        """
        number = self._number(name, is_list=True)
        p = self.element.properties[number]
        values: np.ndarray
        sizes: np.ndarray
        if self.even is not None:
            table = self.even[f"p{number}"]
            if table.ndim == 1:  # no rows
                return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
            values = table.ravel()
            sizes = np.full(len(table), table.shape[1])
        else:
            starts, sizes = np.array(self.starts[number]), np.array(self.sizes[number])
            item = int(p.kind[2:])
            places = np.repeat(starts - item * (np.cumsum(sizes) - sizes), sizes) + item * np.arange(sizes.sum())
            values = self._gathered(places, p.kind)
        return whole(values, f"a number of {name}") if "f" in p.kind else values.astype(np.int64), sizes

    def _gathered(self, places: np.ndarray, kind: str) -> np.ndarray:
        """Numbers of a type at these bytes of the data."""
        raw = np.frombuffer(self.data, dtype=np.uint8)
        values = np.empty((len(places), int(kind[2:])), dtype=np.uint8)
        for byte in range(values.shape[1]):
            values[:, byte] = raw[places + byte]
        return values.view(kind).ravel()
