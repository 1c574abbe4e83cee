"""The output of steps 7 and 8: a json with every number and its provenance, a csv, and tables as Markdown."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from configs.options import Config
from evaluation.study import Result, Study
from evaluation.tables import Column, Table, long_csv
from runtime.artefacts import OPTIONS, Facts
from runtime.errors import note
from runtime.files import write_json, write_text
from runtime.reading import DamagedFile, read_json, reading
from training.checkpoints import current_commit


def with_former(path: Path, study: Study, results: Mapping[str, Result], names: Iterable[str]) -> dict[str, Result]:
    """Results of this run, and of the parts `names` that it left out those of former ones, which are in a json.

    Those of other networks or shapes than the present ones are left out, and a line says so.
    """
    merged = {}
    former = former_results(path)
    for name in names:
        if name in results:
            merged[name] = results[name]
        elif name in former:
            if stale := study.stale(former[name].made_of):
                note(f"the tables of {name} are no longer in {path}, {stale}: measure them again")
            else:
                merged[name] = former[name]
    return merged


def former_results(path: Path) -> dict[str, Result]:
    """The parts in a json of results; none, if it is damaged or of a version that did not tell them."""
    try:
        with reading(path):
            report = read_json(path)
            found = {
                name: Result(
                    [as_table(one, report["tables"][one]) for one in part["tables"]],
                    {key: report[key] for key in part["facts"]},
                    {**part["made_of"], OPTIONS: dict(part["made_of"][OPTIONS])},
                )
                for name, part in report["parts"].items()
            }
            text_of(found), long_csv(tables_of(found))  # what cannot be written again is damaged
            return found
    except DamagedFile:
        return {}


def as_table(name: str, stored: Mapping[str, Any]) -> Table:
    columns = [Column(*column) for column in stored["columns"]]
    return Table(name, stored["title"], columns, stored["rows"], stored["note"])


def write_results(folder: Path, name: str, cfg: Config, results: Mapping[str, Result], facts: Facts) -> None:
    """Write `name.{json,csv,md}` of the results of some parts into a folder.

    facts: of all, for the json, which also has commit and configuration of this run, and of each part what its tables
    were made of. The same numbers give the same bytes.
    """
    tables = tables_of(results)
    report = {
        "commit": current_commit(),
        **facts,
        **{key: value for one in results.values() for key, value in one.facts.items()},
        "config": cfg.values(),
        "parts": {
            part: {"made_of": one.made_of, "facts": list(one.facts), "tables": [table.name for table in one.tables]}
            for part, one in results.items()
        },
        "tables": {
            table.name: {
                "title": table.title,
                "note": table.note,
                "columns": [[column.key, column.title, column.spec, column.scale] for column in table.columns],
                "rows": table.rows,
            }
            for table in tables
        },
    }
    write_json(folder / f"{name}.json", report)
    write_text(folder / f"{name}.csv", long_csv(tables))
    write_text(folder / f"{name}.md", "\n".join(table.markdown() for table in tables if table.columns))


def tables_of(results: Mapping[str, Result]) -> list[Table]:
    return [table for one in results.values() for table in one.tables]


def text_of(results: Mapping[str, Result], left_out: Collection[str] = ()) -> str:
    """The tables for the terminal, without those of some names."""
    return "\n".join(table.text() for table in tables_of(results) if table.columns and table.name not in left_out)
