"""Tables of numbers as aligned text, and as csv with every digit."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A key of the rows, its title in text, and how its numbers stand there: times `scale`, by `spec`."""

    key: str
    title: str
    spec: str = ""
    scale: float = 1

    def text(self, row: Row) -> str:
        value = row.get(self.key)
        if value is None:
            return "-"
        return format(value * self.scale, self.spec) if self.spec else str(value)


def table_text(title: str, columns: Sequence[Column], rows: Sequence[Row], note: str = "") -> str:
    """The table with its title above and its note below; words stand left, numbers right."""
    cells = [[column.title for column in columns]] + [[column.text(row) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = []
    for line in cells:
        aligned = [
            cell.rjust(width) if column.spec else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        lines.append("  ".join(aligned).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([title, *lines, *([note] if note else [])]) + "\n"


def table_csv(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """The rows under their keys, not scaled, not rounded."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [column.key for column in columns], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
