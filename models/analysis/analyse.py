"""The latent-space study of an experiment from end to end: tables, plots, pictures and the projector."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.config_loader import config_as_dict
from configs.files import write_json, write_text
from configs.layout import CODE_TABLE, Experiment
from models.analysis import code_table, neighbours, paths, temperatures
from models.analysis.code_map import ShownShapes, choose_shapes, map_panels
from models.analysis.decoded import decoded_clouds
from models.analysis.plots import plot_map, plot_paths, plot_spectrum, plot_temperatures
from models.analysis.projector import write_projector
from models.checkpoints import current_commit
from models.evaluation.tables import Table, long_csv
from models.generation import Generator
from models.showcase import draw_rows

NETWORKS_NEEDED = {"paths", "map", "neighbours", "temperatures"}
PICTURED_PATHS, PICTURES_A_PATH = 2, 7


def analyse(cfg: Namespace) -> tuple[str, Path]:
    """Do what `cfg.analyses` names. Returns the tables as text, and the folder where they were written.

    Raises UserError where an earlier step is missing, naming the command.
    """
    experiment, tables = Experiment(cfg), []
    folder = experiment.analysis
    facts: dict[str, Any] = {}
    experiments = code_table.all_experiments(cfg) if "table" in cfg.analyses else []
    generator = Generator(cfg) if NETWORKS_NEEDED & set(cfg.analyses) else None
    if experiments:
        rows, note = code_table.code_rows(experiments)
        tables.append(Table(code_table.NAME, code_table.TITLE, code_table.COLUMNS, rows, note))
        spectra = {one.name: one.spectrum for one in experiments if one.spectrum is not None}
        facts["spectra"] = {name: spectrum.tolist() for name, spectrum in spectra.items()}
        plot_spectrum(spectra, folder / "spectrum.png")
    if "paths" in cfg.analyses:
        table, facts["paths"] = path_table(generator, folder)
        tables.append(table)
    if "neighbours" in cfg.analyses:
        rows = neighbours.neighbour_rows(generator, folder / "neighbours.png")
        tables.append(Table(neighbours.NAME, neighbours.TITLE, neighbours.COLUMNS, rows, neighbours.NOTE))
    if "temperatures" in cfg.analyses:
        rows = temperatures.temperature_rows(generator)
        plot_temperatures(rows, folder / "temperatures.png")
        note = temperatures.note(rows[0]["shapes"])
        tables.append(Table(temperatures.NAME, temperatures.TITLE, temperatures.COLUMNS, rows, note))
    draw_codes(cfg, generator, folder)
    facts["checkpoints"] = generator.sources if generator else {}
    return write_tables(folder, cfg, tables, facts), folder


def path_table(generator: Generator, folder: Path) -> tuple[Table, dict[str, Any]]:
    """The table of the paths and all their numbers; draws the plot, and some of the paths as pictures."""
    found, pairs = paths.measure_paths(generator)
    plot_paths(found, folder / "paths.png")
    draw_paths(generator, found, pairs, folder / "paths_pictures.png")
    rows = [one.row(space) for space, one in found.items()]
    numbers = {"pairs": pairs} | {space: one.curves() for space, one in found.items()}
    return Table(paths.NAME, paths.TITLE, paths.COLUMNS, rows, paths.NOTE), numbers


def draw_paths(generator: Generator, found: dict[str, paths.Paths], pairs: list[list[str]], path: Path) -> None:
    """A sheet of the first paths, decoded to as many points as pictures need: those of a pair below each other."""
    rows = []
    for k, (start, stop) in enumerate(pairs[:PICTURED_PATHS]):
        for space, tint in zip(found, ("amber", "blue"), strict=True):
            codes = found[space].codes[k]
            shown = [round(i * (len(codes) - 1) / (PICTURES_A_PATH - 1)) for i in range(PICTURES_A_PATH)]
            clouds = decoded_clouds(
                generator, codes[list(dict.fromkeys(shown))], neighbours.PICTURE_POINTS, f"path_{k}_{space}", "pictures"
            )
            rows.append((f"{start} to {stop}, {paths.SPACES[space]}", list(clouds), tint, "none"))
    draw_rows(rows, path, f"{generator.cfg.exp_name}: paths between test shapes")


def draw_codes(cfg: Namespace, generator: Generator | None, folder: Path) -> None:
    """The map, and the projector, of the same shapes."""
    if not {"map", "projector"} & set(cfg.analyses):
        return
    shown: ShownShapes = choose_shapes(cfg)
    if "map" in cfg.analyses:
        plot_map(map_panels(generator, shown), shown.column("style"), shown.column("split"), folder / "map.png")
    if "projector" in cfg.analyses:
        write_projector(cfg, shown)


def write_tables(folder: Path, cfg: Namespace, tables: Sequence[Table], facts: dict[str, Any]) -> str:
    """Write `codes.{json,csv,md}`. Returns the tables as text for the terminal.

    facts: what else goes into the json, beside commit and configuration. The same numbers give the same bytes.
    """
    report = {
        "commit": current_commit(),
        **facts,
        "config": config_as_dict(cfg),
        "tables": {table.name: {"title": table.title, "note": table.note, "rows": table.rows} for table in tables},
    }
    write_json(folder / f"{CODE_TABLE}.json", report)
    write_text(folder / f"{CODE_TABLE}.csv", long_csv(tables))
    write_text(folder / f"{CODE_TABLE}.md", "\n".join(table.markdown() for table in tables))
    return "\n".join(table.text() for table in tables)
