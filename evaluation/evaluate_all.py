"""Step 7 from end to end, for the tasks of an experiment or for two folders of clouds."""

from pathlib import Path

from configs.options import Config
from evaluation import likelihood, reconstruction
from evaluation.cloud_folder import RULE
from evaluation.compare_folders import FolderSets
from evaluation.definitions import MEASURES, SETS
from evaluation.experiment_sets import ExperimentSets, too_few_to_compare
from evaluation.generation_table import Comparison, NamedSet, generation_tables, nearest_table
from evaluation.network_table import COLUMNS, NOTE, network_rows
from evaluation.report import former_results, text_of, with_former, write_results
from evaluation.results_log import log_results
from evaluation.study import Part, Result, Study
from evaluation.tables import Table
from evaluation.wholeness_table import wholeness_tables
from frozen.checkpoint_files import load_checkpoint
from generation.plausible_codes import brought_back_sentence
from runtime.artefacts import Facts, Records, entry_of
from runtime.errors import UserError
from runtime.layout import RESULTS
from visualization.evaluation_plots import plot_likelihood, plot_nearest_training, plot_one_nna

Found = tuple[list[Table], Facts]


def evaluate_experiment(cfg: Config) -> tuple[str, Path]:
    """Run the parts that `tasks` names; others keep their results. Returns the new tables as text, and the folder."""
    study = Study(cfg, cfg.experiment.evaluation)
    results = study.run([part for part in TASKS if part.name in cfg.evaluation.tasks])
    merged = with_former(study.folder / f"{RESULTS}.json", study, results, [part.name for part in TASKS])
    log_results(cfg, merged)
    facts = {"of": "experiment", "checkpoints": study.sources, "seeds": {"seed": cfg.run.seed}, "definitions": MEASURES}
    write_results(study.folder, RESULTS, cfg, merged, facts)
    return text_of(results), study.folder


def decode_chunk(cfg: Config) -> str:
    """Decode a part of the sets that the generation task compares, for one of many jobs. Returns a line about it.

    The run without chunks then finds all sets, and compares them. Raises UserError for two folders of clouds.
    """
    if cfg.clouds.samples or cfg.comparison.references:
        raise UserError("num_chunks divides the sets of an experiment, but folders of clouds are given; leave it out")
    study = Study(cfg, cfg.experiment.evaluation)
    for part in TASKS:
        if part.run == generation_tables_of:
            study.made_of(part)  # which checks its shapes
    return ExperimentSets(cfg, study.networks).write_chunk()


OF_FOLDERS = (*(f"{RESULTS}.{ending}" for ending in ("json", "csv", "md")), "one_nna.png", "nearest_training.png")


def evaluate_folders(cfg: Config) -> tuple[str, Path]:
    """Compare the clouds of --samples with those of --references. Returns the tables as text, and the output folder."""
    folder = Path(cfg.comparison.output).expanduser()
    sets, records = FolderSets(cfg), Records(folder)
    if not (records.entries or former_results(folder / f"{RESULTS}.json")):  # of an earlier run
        records.check_free(OF_FOLDERS, "--output")
    records.put({RESULTS: entry_of({}, OF_FOLDERS)})
    tables, errors = generation(sets.comparison(), sets.training_set(), folder)
    facts = {"of": "folders", "folders": sets.facts(), "reading": RULE, "seeds": {"seed": cfg.run.seed}}
    facts |= {"protocol": sets.protocol.facts(), "error_of_approximate_emd": errors, "definitions": MEASURES}
    results = {"folders": Result(tables, {}, {})}
    write_results(folder, RESULTS, cfg, results, facts)
    return text_of(results), folder


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


def network_tables(study: Study) -> Found:
    rows = network_rows(study.networks, study.folders["test"], study.code_shares)
    return [Table("networks", "Networks", COLUMNS, rows, NOTE)], {}


def reconstruction_tables(study: Study) -> Found:
    """The table, and one of the same measures per shape, which is not printed."""
    cfg = study.cfg
    reconstruction.check_current(cfg, study.digests("test"), study.sources)
    rows, per_shape = reconstruction.reconstruction_rows(cfg, study.folders["test"])
    sentence = brought_back_sentence(cfg.experiment.reconstruction)
    note = reconstruction.NOTE + (f" {sentence}." if sentence else "")
    tables = [
        Table("reconstruction", reconstruction.TITLE, reconstruction.COLUMNS, rows, note),
        Table("reconstruction_per_shape", f"{reconstruction.TITLE}, each", (), per_shape),
    ]
    return tables, {}


def generation_tables_of(study: Study) -> Found:
    sets = ExperimentSets(study.cfg, study.networks)
    tables, errors = generation(sets.comparison(), sets.training_set(), study.folder)
    if study.cfg.evaluation.num_whole_shapes:
        tables += wholeness_tables(study.networks, sets.whole_recipes(), sets.whole_labels(), study.code_shares)
    return tables, {"protocol": sets.protocol.facts(), "sets": SETS, "error_of_approximate_emd": errors}


def likelihood_tables(study: Study) -> Found:
    """The table, and one per shape; draws the plot of all sets and the least likely test shapes."""
    networks, folder = study.networks, study.folder
    noise = load_checkpoint(networks.rnvp_path)["flow_noise"]
    report = likelihood.likelihood_report(
        networks, noise, study.cfg.evaluation.num_eval_shapes, folder / "least_likely.png"
    )
    plot_likelihood({name: found["log_likelihood"] for name, found in report.arrays.items()}, folder / "likelihood.png")
    tables = [
        Table("likelihood", likelihood.TITLE, likelihood.COLUMNS, report.rows, report.note),
        Table("likelihood_per_shape", f"{likelihood.TITLE}, each", (), report.per_shape),
    ]
    return tables, {}


def too_few(study: Study) -> str | None:
    return too_few_to_compare(study.cfg, study.folders)


def no_reconstructions(study: Study) -> str | None:
    return reconstruction.why_none(study.cfg.experiment, reconstruction.command_for(study.cfg))


OF_ALL = ("precision", "seed", "num_points", "allow_trained_on")
OF_SETS = (
    *("temperature", "best_of", "best_by", "num_steps", "filter_val", "num_sample_points_generation"),
    *("protocol", "num_eval_shapes", "num_eval_points", "num_sample_sets", "emd", "num_emd_sets", "num_whole_shapes"),
)
OF_RECONSTRUCTION = ("num_eval_shapes", "num_eval_points_dense", "compare_experiments")
TASKS = (
    Part("networks", network_tables, (*OF_ALL, "temperature"), ("test",), ("train",)),
    Part(
        "reconstruction",
        reconstruction_tables,
        (*OF_ALL, *OF_RECONSTRUCTION),
        ("test",),
        codes=False,
        lacks=no_reconstructions,
    ),
    Part("generation", generation_tables_of, (*OF_ALL, *OF_SETS), ("test",), ("train",), lacks=too_few),
    Part("likelihood", likelihood_tables, (*OF_ALL, "num_eval_shapes"), ("test",), ("train",)),
)
