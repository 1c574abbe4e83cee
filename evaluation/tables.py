"""Tables of numbers: as aligned text, Markdown, and long-format csv at full precision."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.errors import one_line

Row = Mapping[str, Any]
FORMULA = ("=", "+", "-", "@", "|", "%")  # first letters that make a spreadsheet compute

CSV_COLUMNS = ("table", "set", "reference", "distance", "item", "measure", "statistic", "value")


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation (n - 1) of a measure over sample sets, with the values; sd is None for one value."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "values": [float(value) for value in values]}


@dataclass(frozen=True)
class Column:
    """A key of the rows, its title, and how its numbers are shown: multiplied by `scale`, formatted by `spec`."""

    key: str
    title: str
    spec: str = ""
    scale: float = 1

    def text(self, row: Row) -> str:
        value = row.get(self.key)
        if value is None:
            return "-"
        if isinstance(value, Mapping):
            mean, sd = (None if value[key] is None else self._number(value[key]) for key in ("mean", "sd"))
            return str(mean) if sd is None else f"{mean} ± {sd}"
        return self._number(value) if self.spec else str(value)

    def _number(self, value: float) -> str:
        return format(value * self.scale, self.spec)


@dataclass(frozen=True)
class Table:
    """One table of the results. name: its key in results.json; title above, note below; rows may have further keys."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    def cells(self) -> list[list[str]]:
        """Titles, then one line per row."""
        return [[column.title for column in self.columns]] + [
            [column.text(row) for column in self.columns] for row in self.rows
        ]

    def text(self) -> str:
        """Aligned for a terminal: words left, numbers right."""
        cells = self.cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        lines = []
        for line in cells:
            aligned = [
                cell.rjust(width) if column.spec else cell.ljust(width)
                for cell, width, column in zip(line, widths, self.columns, strict=True)
            ]
            lines.append("  ".join(aligned).rstrip())
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])]) + "\n"

    def markdown(self) -> str:
        """For a README."""
        titles, *lines = [[as_markdown(cell) for cell in line] for line in self.cells()]
        rule = ["---:" if column.spec else "---" for column in self.columns]
        table = "\n".join("| " + " | ".join(line) + " |" for line in (titles, rule, *lines))
        return f"**{self.title}**\n\n{table}\n" + (f"\n{self.note}\n" if self.note else "")

    def long_rows(self) -> Iterator[dict[str, Any]]:
        """One row per number, neither scaled nor rounded, under `CSV_COLUMNS`.

        statistic: value; or, for a measure over sample sets, mean, sd, and set 0, set 1, ...
        """
        for row in self.rows:
            item = as_words(row.get("measure") or row.get("shape") or row.get("part") or "")
            labels = {key: as_words(row.get(key, "")) for key in ("set", "reference", "distance")}
            for key, value in row.items():
                for statistic, number in _numbers(value):
                    named = {"table": self.name, "item": item, "measure": key, "statistic": statistic}
                    yield labels | named | {"value": number}


def as_words(value: Any) -> Any:
    """A word of a csv cell, which no spreadsheet takes for a formula: shapes may be named `=1+1`.

    Such a word gets an apostrophe before it, which a spreadsheet does not show. Numbers stay as they are.
    """
    if not isinstance(value, str):
        return value
    word = one_line(value)
    return f"'{word}" if word.startswith(FORMULA) else word


def as_markdown(cell: str) -> str:
    """A cell of a Markdown table, without markup and links that a name may bring along."""
    return re.sub(r"([|\\`*\[\]])", r"\\\1", one_line(cell)).replace("<", "&lt;")


def long_csv(tables: Sequence[Table]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(table.long_rows())
    return out.getvalue()


def _numbers(value: Any) -> Iterator[tuple[str, float | None]]:
    """The numbers of a cell with their statistic; words and lists give none."""
    if isinstance(value, Mapping):
        yield from (("mean", value["mean"]), ("sd", value["sd"]))
        yield from ((f"set {n}", number) for n, number in enumerate(value["values"]))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "value", value
