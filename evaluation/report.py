"""The output of steps 7 and 8: a json with every number and its provenance, a csv, and tables as Markdown."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.config_loader import config_as_dict
from configs.files import write_json, write_text
from evaluation.tables import Table, long_csv
from training.checkpoints import current_commit


def write_results(folder: Path, name: str, cfg: Namespace, tables: Sequence[Table], facts: dict[str, Any]) -> str:
    """Write `name.{json,csv,md}` of some tables into a folder. Returns the text for the terminal.

    facts: the provenance of the numbers (protocol, checkpoints, sets, definitions), stored in the json with commit
    and configuration. The same numbers give the same bytes.
    """
    report = {
        "commit": current_commit(),
        **facts,
        "config": config_as_dict(cfg),
        "tables": {table.name: {"title": table.title, "note": table.note, "rows": table.rows} for table in tables},
    }
    shown = [table for table in tables if table.columns]
    write_json(folder / f"{name}.json", report)
    write_text(folder / f"{name}.csv", long_csv(tables))
    write_text(folder / f"{name}.md", "\n".join(table.markdown() for table in shown))
    return "\n".join(table.text() for table in shown)
