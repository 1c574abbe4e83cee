"""The latent-space study of an experiment from end to end: tables, plots, pictures and the projector."""

from dataclasses import replace
from pathlib import Path

from configs.options import Config
from evaluation.latent_space import attribute_table, code_table, neighbours, paths, temperatures
from evaluation.latent_space.attributes import Targets, problem_of_cars, read_attributes, read_cars
from evaluation.latent_space.code_features import noise_of
from evaluation.latent_space.code_map import choose_shapes, map_panels
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.latent_space.projector import write_projector
from evaluation.report import text_of, with_former, write_results
from evaluation.study import Part, Study
from evaluation.tables import Table
from generation.networks import Networks
from runtime.artefacts import Facts
from runtime.errors import UserError, note
from runtime.layout import CODE_TABLE
from training.code_spectrum import SHARES, cumulative_shares
from visualization.contact_sheet import draw_rows
from visualization.latent_space_plots import plot_attributes, plot_map, plot_paths, plot_spectrum, plot_temperatures

PICTURED_PATHS, PICTURES_A_PATH = 2, 7
Found = tuple[list[Table], Facts]


def analyse(cfg: Config) -> tuple[str, Path]:
    """Run the parts that `analyses` names; others keep their results. Returns the new tables as text, and the
    output folder.

    Raises UserError, naming the command to run, if an earlier step is missing.
    """
    study = Study(cfg, cfg.experiment.analysis)
    results = study.run([part for part in ANALYSES if part.name in cfg.analysis.analyses])
    merged = with_former(study.folder / f"{CODE_TABLE}.json", study, results, [part.name for part in ANALYSES])
    write_results(study.folder, CODE_TABLE, cfg, merged, {"checkpoints": study.sources})
    return text_of(results, left_out=[attribute_table.SAMPLED_NAME]), study.folder


def code_tables(study: Study) -> Found:
    experiments = code_table.all_experiments(study.cfg)
    rows, text = code_table.code_rows(experiments)
    spectra = {one.name: one.spectrum for one in experiments if one.spectrum is not None}
    held = {name: cumulative_shares(spectrum) for name, spectrum in spectra.items()}
    plot_spectrum(held, SHARES, study.folder / "spectrum.png")
    table = Table(code_table.NAME, code_table.TITLE, code_table.COLUMNS, rows, text)
    return [table], {"spectra": {name: spectrum.tolist() for name, spectrum in spectra.items()}}


def path_tables(study: Study) -> Found:
    """The table of the paths and all their numbers; draws the plot, and some of the paths."""
    found, pairs = paths.measure_paths(study.networks)
    plot_paths({paths.SPACES[space]: one for space, one in found.items()}, study.folder / "paths.png")
    draw_paths(study.networks, found, pairs, study.folder / "paths_pictures.png")
    rows = [one.row(space) for space, one in found.items()]
    numbers = {"pairs": pairs} | {space: one.curves() for space, one in found.items()}
    return [Table(paths.NAME, paths.TITLE, paths.COLUMNS, rows, paths.NOTE)], {"paths": numbers}


def neighbour_tables(study: Study) -> Found:
    rows = neighbours.neighbour_rows(study.networks, study.folder / "neighbours.png")
    return [Table(neighbours.NAME, neighbours.TITLE, neighbours.COLUMNS, rows, neighbours.NOTE)], {}


def temperature_tables(study: Study) -> Found:
    rows = temperatures.temperature_rows(study.networks)
    plot_temperatures(rows, study.folder / "temperatures.png")
    text = temperatures.note(rows[0]["shapes"])
    return [Table(temperatures.NAME, temperatures.TITLE, temperatures.COLUMNS, rows, text)], {}


def draw_map(study: Study) -> Found:
    shown = choose_shapes(study.cfg)
    plot_map(map_panels(study.networks, shown), shown.column("style"), shown.column("split"), study.folder / "map.png")
    return [], {}


def make_projector(study: Study) -> Found:
    write_projector(study.cfg, choose_shapes(study.cfg))
    return [], {}


def attribute_tables(study: Study) -> Found:
    """The tables, and the plot. For shapes that are no demo cars a line says so; raises UserError if nothing else was
    asked for."""
    networks = study.networks
    train, test = read_cars(study.cfg)
    if problem := problem_of_cars(train, test):
        if set(study.cfg.analysis.analyses) == {"attributes"}:
            raise UserError(problem)
        note(f"attributes are left out: {problem}")
        return [], {}
    targets = Targets(train.parameters, test.parameters)
    readings = read_attributes(networks, targets, train, test)
    tables = attribute_table.attribute_tables(targets, readings, train, test, noise_of(networks))
    tables[0] = replace(tables[0], note=f"{tables[0].note} {attribute_table.summary(tables[0].rows)}.")
    numbers = [row for row in tables[0].rows if row["measure"] == attribute_table.R2]
    if numbers:
        shown = {"code": attribute_table.LINEAR, "input points, 32^3": attribute_table.INPUTS[32]}
        scores = {label: [row[key] for row in numbers] for label, key in shown.items()}
        plot_attributes([row["set"] for row in numbers], scores, study.folder / "attributes.png")
    return tables, {}


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
    draw_rows(rows, path, f"{networks.cfg.run.exp_name}: paths between test shapes")


def no_path(study: Study) -> str | None:
    return paths.too_few(len(study.folders["test"]))


def no_curve(study: Study) -> str | None:
    return temperatures.too_few(study.cfg, study.folders)


OF_ALL = ("precision", "seed", "num_points", "allow_trained_on")
DECODING = ("num_steps", "filter_val", "num_sample_points_generation")
OF_CLOUDS = (*OF_ALL, *DECODING, "num_analysis_points")
BOTH = (("test",), ("train",))  # tested, and of which a part tells
ANALYSES = (
    Part("table", code_tables, ("seed", "compare_experiments"), codes=False),
    Part("paths", path_tables, (*OF_CLOUDS, "num_paths", "path_steps"), ("test",), lacks=no_path),
    Part("neighbours", neighbour_tables, (*OF_CLOUDS, "temperature", "num_neighbour_samples"), (), ("train",)),
    Part("temperatures", temperature_tables, (*OF_CLOUDS, "temperatures", "num_curve_shapes"), *BOTH, lacks=no_curve),
    Part("map", draw_map, (*OF_ALL, "temperature", "num_map_shapes")),
    Part("projector", make_projector, (*OF_ALL, "num_map_shapes")),
    Part("attributes", attribute_tables, (*OF_ALL, *DECODING, "temperature", "num_attribute_shapes"), *BOTH),
)
