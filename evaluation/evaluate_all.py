"""Step 7 from end to end, for the tasks of an experiment or for two folders of clouds."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.layout import RESULTS, Experiment
from dataprocessing.split import split_folders
from evaluation import likelihood, reconstruction
from evaluation.cloud_folder import RULE
from evaluation.compare_folders import FolderSets
from evaluation.definitions import MEASURES, SETS
from evaluation.experiment_sets import ExperimentSets
from evaluation.generation_table import Comparison, NamedSet, generation_tables, nearest_table
from evaluation.network_table import COLUMNS, NOTE, network_rows
from evaluation.report import write_results
from evaluation.results_log import log_results
from evaluation.tables import Table
from evaluation.wholeness_table import wholeness_tables
from frozen.checkpoint_files import load_checkpoint
from generation.networks import Networks
from generation.plausible_codes import told
from visualization.evaluation_plots import plot_likelihood, plot_nearest_training, plot_one_nna


def evaluate_experiment(cfg: Namespace) -> tuple[str, Path]:
    """Run the tasks in `cfg.tasks`. Returns the tables as text, and the output folder."""
    folder = Experiment(cfg).evaluation
    networks = None if cfg.tasks == ["reconstruction"] else Networks(cfg)
    facts: dict[str, Any] = {"of": "experiment", "checkpoints": networks.sources if networks else {}}
    facts["seeds"] = {"seed": cfg.seed}
    tables: list[Table] = []
    if networks is not None and "networks" in cfg.tasks:
        tables.append(Table("networks", "Networks", COLUMNS, network_rows(networks, split_folders(cfg)["test"]), NOTE))
    if "reconstruction" in cfg.tasks:
        tables += reconstruction_tables(cfg)
    if networks is not None and "generation" in cfg.tasks:
        sets = ExperimentSets(cfg, networks)
        found, errors = generation(sets.comparison(), sets.training_set(), folder)
        tables += found
        if cfg.num_whole_shapes:
            tables += wholeness_tables(networks, sets.whole_recipes(), sets.whole_labels())
        facts |= {"protocol": sets.protocol.facts(), "sets": SETS, "error_of_approximate_emd": errors}
    if networks is not None and "likelihood" in cfg.tasks:
        tables += likelihood_tables(cfg, networks, folder)
    log_results(cfg, tables)
    return write_results(folder, RESULTS, cfg, tables, facts | {"definitions": MEASURES}), folder


def decode_chunk(cfg: Namespace) -> str:
    """Decode a part of the sets that the generation task compares, for one of many jobs. Returns a line about it.

    The run without chunks then finds all sets, and compares them. Raises UserError for two folders of clouds.
    """
    if cfg.samples or cfg.references:
        raise UserError("num_chunks divides the sets of an experiment, but folders of clouds are given; leave it out")
    return ExperimentSets(cfg, Networks(cfg)).write_chunk()


def evaluate_folders(cfg: Namespace) -> tuple[str, Path]:
    """Compare the clouds of --samples with those of --references. Returns the tables as text, and the output folder."""
    folder = Path(cfg.output).expanduser()
    sets = FolderSets(cfg)
    tables, errors = generation(sets.comparison(), sets.training_set(), folder)
    facts = {"of": "folders", "folders": sets.facts(), "reading": RULE, "seeds": {"seed": cfg.seed}}
    facts |= {"protocol": sets.protocol.facts(), "error_of_approximate_emd": errors}
    return write_results(folder, RESULTS, cfg, tables, facts | {"definitions": MEASURES}), folder


def generation(
    comparison: Comparison, training: NamedSet | None, folder: Path
) -> tuple[list[Table], dict[str, dict[str, float | None]]]:
    """The tables of samples against references and of distances to training clouds; draws both plots.

    Also returns the measured errors of the approximate EMDs.
    """
    rows, errors = comparison.rows(), comparison.emd_errors()
    tables = generation_tables(rows, errors, comparison.notes)
    plot_one_nna(rows, folder / "one_nna.png")
    if training is not None:
        nearest = comparison.nearest_training_rows(training)
        plot_nearest_training(nearest, folder / "nearest_training.png")
        tables.append(nearest_table(nearest))
    return tables, errors


def reconstruction_tables(cfg: Namespace) -> list[Table]:
    """The table, and one of the same measures per shape, which is not printed."""
    reconstruction.check_of_current_ndf(cfg)
    reconstruction.check_of_plausible(cfg)
    rows, per_shape = reconstruction.reconstruction_rows(cfg, split_folders(cfg)["test"])
    sentence = told(Experiment(cfg).reconstruction)
    note = reconstruction.NOTE + (f" {sentence}." if sentence else "")
    return [
        Table("reconstruction", reconstruction.TITLE, reconstruction.COLUMNS, rows, note),
        Table("reconstruction_per_shape", f"{reconstruction.TITLE}, each", (), per_shape),
    ]


def likelihood_tables(cfg: Namespace, networks: Networks, folder: Path) -> list[Table]:
    """The table, and one per shape; draws the plot of all sets and the least likely test shapes."""
    noise = load_checkpoint(networks.rnvp_path)["flow_noise"]
    report = likelihood.likelihood_report(networks, noise, cfg.num_eval_shapes, folder / "least_likely.png")
    plot_likelihood({name: found["log_likelihood"] for name, found in report.arrays.items()}, folder / "likelihood.png")
    return [
        Table("likelihood", likelihood.TITLE, likelihood.COLUMNS, report.rows, report.note),
        Table("likelihood_per_shape", f"{likelihood.TITLE}, each", (), report.per_shape),
    ]
