"""The rows as Markdown, and their place in a document."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from lab.benchmarks.harness import Growth, Row
from runtime.errors import UserError
from runtime.files import write_text

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
WIDTH = 120
HEAD = ("work", "ours", "peer", "peer's", "ratio", "wanted", "least possible", "share of it")
GROWTH_HEAD = ("work", "grows with", "sizes", "time", "exponent", "memory", "exponent")


def amount(value: float, unit: str) -> str:
    """A cost in three digits, such as 1.23 ms or 45.6 MB."""
    steps = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")] if unit == "B" else [
        (1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"),
    ]  # fmt: skip
    size, name = next(((size, name) for size, name in steps if value >= size), steps[-1])
    return f"{digits(value / size)} {name}"


def digits(value: float) -> str:
    """Three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(rows: Sequence[Row]) -> str:
    """The table, and the notes of its rows below it."""
    lines, notes = [line(HEAD), line(["---", "---:", "---", *["---:"] * 5])], []
    for row in rows:
        mark = ""
        if row.note:
            if row.note not in notes:
                notes.append(row.note)
            mark = f" [{notes.index(row.note) + 1}]"
        ratio = "not installed" if row.ratio is None else f"{digits(row.ratio)} {verdict(row)}"
        least = "" if row.least is None else f"{amount(row.least, row.unit)} ({row.least_by})"
        share = "" if row.share is None else f"{row.share:.1%}"
        theirs = "" if row.theirs is None else amount(row.theirs, row.unit)
        cells = [row.work + mark, amount(row.ours, row.unit), row.peer, theirs, ratio, f"{row.wanted:g}", least, share]
        lines.append(line(cells))
    told = [wrapped(f"{number}. {note}", "   ") for number, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *told])


def verdict(row: Row) -> str:
    return "yes" if row.ratio is not None and row.ratio >= row.wanted else "**no**"


def growth_markdown(found: Sequence[Growth]) -> str:
    lines = [line(GROWTH_HEAD), line(["---", "---", "---:", "---:", "---:", "---:", "---:"])]
    for growth in found:
        memory = growth.memory_exponent
        lines.append(
            line([
                growth.work, growth.grows_with, span([f"{size:,.0f}" for size in growth.sizes]),
                span([amount(value, "s") for value in growth.seconds]), f"{growth.time_exponent:.2f}",
                span([amount(value, "B") for value in growth.memory]) if growth.memory else "",
                "" if memory is None else f"{memory:.2f}",
            ])
        )  # fmt: skip
    return "\n".join(lines)


def span(values: Sequence[str]) -> str:
    return f"{values[0]} to {values[-1]}"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def write_into(path: Path, block: str) -> None:
    """Replace what stands between the two comments of a document. Raises UserError unless they are there once each."""
    if not path.is_file():
        raise UserError(f"no {path}; --document takes a file that holds the lines {BEGIN!r} and {END!r}")
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"{path} must hold the lines {BEGIN!r} and {END!r} once each, in this order")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    write_text(path, f"{before}{BEGIN}\n{block.strip()}\n{after}")
