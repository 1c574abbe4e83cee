"""The latent-space study of an experiment from end to end: tables, plots, pictures and the projector."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.layout import ATTRIBUTE_TABLE, CODE_TABLE, Experiment
from evaluation.latent_space import attribute_table, code_table, neighbours, paths, temperatures
from evaluation.latent_space.attributes import Targets, problem_of_cars, read_attributes, read_cars
from evaluation.latent_space.code_features import noise_of
from evaluation.latent_space.code_map import ShownShapes, choose_shapes, map_panels
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.latent_space.projector import write_projector
from evaluation.report import write_results
from evaluation.tables import Table
from generation.networks import Networks
from training.code_spectrum import SHARES, cumulative_shares
from visualization.contact_sheet import draw_rows
from visualization.latent_space_plots import plot_attributes, plot_map, plot_paths, plot_spectrum, plot_temperatures

NETWORKS_NEEDED = {"paths", "map", "neighbours", "temperatures", "attributes"}
PICTURED_PATHS, PICTURES_A_PATH = 2, 7


def analyse(cfg: Namespace) -> tuple[str, Path]:
    """Run the analyses in `cfg.analyses`. Returns the tables as text, and the output folder.

    Raises UserError, naming the command to run, if an earlier step is missing.
    """
    experiment, tables = Experiment(cfg), []
    folder = experiment.analysis
    facts: dict[str, Any] = {}
    experiments = code_table.all_experiments(cfg) if "table" in cfg.analyses else []
    networks = Networks(cfg) if NETWORKS_NEEDED & set(cfg.analyses) else None
    if experiments:
        rows, note = code_table.code_rows(experiments)
        tables.append(Table(code_table.NAME, code_table.TITLE, code_table.COLUMNS, rows, note))
        spectra = {one.name: one.spectrum for one in experiments if one.spectrum is not None}
        facts["spectra"] = {name: spectrum.tolist() for name, spectrum in spectra.items()}
        held = {name: cumulative_shares(spectrum) for name, spectrum in spectra.items()}
        plot_spectrum(held, SHARES, folder / "spectrum.png")
    if networks is not None and "paths" in cfg.analyses:
        table, facts["paths"] = path_table(networks, folder)
        tables.append(table)
    if networks is not None and "neighbours" in cfg.analyses:
        rows = neighbours.neighbour_rows(networks, folder / "neighbours.png")
        tables.append(Table(neighbours.NAME, neighbours.TITLE, neighbours.COLUMNS, rows, neighbours.NOTE))
    if networks is not None and "temperatures" in cfg.analyses:
        rows = temperatures.temperature_rows(networks)
        plot_temperatures(rows, folder / "temperatures.png")
        note = temperatures.note(rows[0]["shapes"])
        tables.append(Table(temperatures.NAME, temperatures.TITLE, temperatures.COLUMNS, rows, note))
    draw_codes(cfg, networks, folder)
    facts["checkpoints"] = networks.sources if networks else {}
    texts = []
    if set(cfg.analyses) != {"attributes"}:  # which has files of its own: the tables of other parts stay
        texts.append(write_results(folder, CODE_TABLE, cfg, tables, facts))
    if networks is not None and "attributes" in cfg.analyses:
        texts.append(study_attributes(networks, folder))
    return "\n".join(texts), folder


def path_table(networks: Networks, folder: Path) -> tuple[Table, dict[str, Any]]:
    """The table of the paths and all their numbers; draws the plot, and some of the paths."""
    found, pairs = paths.measure_paths(networks)
    plot_paths({paths.SPACES[space]: one for space, one in found.items()}, folder / "paths.png")
    draw_paths(networks, found, pairs, folder / "paths_pictures.png")
    rows = [one.row(space) for space, one in found.items()]
    numbers = {"pairs": pairs} | {space: one.curves() for space, one in found.items()}
    return Table(paths.NAME, paths.TITLE, paths.COLUMNS, rows, paths.NOTE), numbers


def draw_paths(networks: Networks, found: dict[str, paths.Paths], pairs: list[list[str]], path: Path) -> None:
    """Draw a sheet of the first paths, decoded to enough points for pictures, with the paths of a pair in turn."""
    rows = []
    for k, (start, stop) in enumerate(pairs[:PICTURED_PATHS]):
        for space, tint in zip(found, ("amber", "blue"), strict=True):
            codes = found[space].codes[k]
            shown = [round(i * (len(codes) - 1) / (PICTURES_A_PATH - 1)) for i in range(PICTURES_A_PATH)]
            clouds = decoded_clouds(
                networks, codes[list(dict.fromkeys(shown))], neighbours.PICTURE_POINTS, f"path_{k}_{space}", "pictures"
            )
            rows.append((f"{start} to {stop}, {paths.SPACES[space]}", list(clouds), tint, "none"))
    draw_rows(rows, path, f"{networks.cfg.exp_name}: paths between test shapes")


def draw_codes(cfg: Namespace, networks: Networks | None, folder: Path) -> None:
    """Draw the map and write the projector, for the same shapes."""
    if not {"map", "projector"} & set(cfg.analyses):
        return
    shown: ShownShapes = choose_shapes(cfg)
    if networks is not None and "map" in cfg.analyses:
        plot_map(map_panels(networks, shown), shown.column("style"), shown.column("split"), folder / "map.png")
    if "projector" in cfg.analyses:
        write_projector(cfg, shown)


def study_attributes(networks: Networks, folder: Path) -> str:
    """Write `attributes.{json,csv,md}` and the plot. Returns the first table and a summary, as text.

    For shapes that are no demo cars it returns a line that says so, or raises UserError if nothing else was asked for.
    """
    cfg = networks.cfg
    train, test = read_cars(cfg)
    if problem := problem_of_cars(train, test):
        if set(cfg.analyses) == {"attributes"}:
            raise UserError(problem)
        return f"left out: {problem}"
    targets = Targets(train.parameters, test.parameters)
    readings = read_attributes(networks, targets, train, test)
    tables = attribute_table.attribute_tables(targets, readings, train, test, noise_of(networks))
    numbers = [row for row in tables[0].rows if row["measure"] == attribute_table.R2]
    if numbers:
        shown = {"code": attribute_table.LINEAR, "input points, 32^3": attribute_table.INPUTS[32]}
        scores = {label: [row[key] for row in numbers] for label, key in shown.items()}
        plot_attributes([row["set"] for row in numbers], scores, folder / "attributes.png")
    write_results(folder, ATTRIBUTE_TABLE, cfg, tables, {"checkpoints": networks.sources})
    return f"{tables[0].text()}\n{attribute_table.summary(tables[0].rows)}"
