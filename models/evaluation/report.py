"""What step 7 writes: results.json with every number and how it came about, results.csv, results.md, and the plots."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.config_loader import config_as_dict
from configs.files import write_json, write_text
from configs.layout import RESULTS
from models.checkpoints import current_commit
from models.evaluation.definitions import MEASURES
from models.evaluation.tables import Table, long_csv


def write_results(folder: Path, cfg: Namespace, tables: Sequence[Table], facts: dict[str, Any]) -> str:
    """Write `results.{json,csv,md}` of some tables into a folder. Returns the text for the terminal.

    facts: what the numbers were made of (protocol, checkpoints, sets); it goes into the json beside commit and
    configuration. The same numbers give the same bytes.
    """
    report = {
        "commit": current_commit(),
        **facts,
        "definitions": MEASURES,
        "config": config_as_dict(cfg),
        "tables": {table.name: {"title": table.title, "note": table.note, "rows": table.rows} for table in tables},
    }
    shown = [table for table in tables if table.columns]
    write_json(folder / f"{RESULTS}.json", report)
    write_text(folder / f"{RESULTS}.csv", long_csv(tables))
    write_text(folder / f"{RESULTS}.md", "\n".join(table.markdown() for table in shown))
    return "\n".join(table.text() for table in shown)
