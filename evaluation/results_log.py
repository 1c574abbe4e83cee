"""The main results of an evaluation for TensorBoard, beside the options of the experiment (`training/hparams.py`)."""

from collections.abc import Mapping

from configs.options import Config
from evaluation.experiment_sets import LABELS
from evaluation.latent_space.code_table import code_facts, generation_facts, reconstruction_facts
from evaluation.study import Result
from runtime.artefacts import OPTIONS
from training.progress_log import replaced_run

TAGS = {  # key of the facts -> tag, scale
    "chamfer_udf_whole": ("chamfer_udf_x1e4", 1e4),
    "f_score_0.005": ("f_score_0.005", 1),
    "nna_true": ("flow_1nna_true_percent", 100),
    "nna_decoded": ("flow_1nna_decoded_percent", 100),
    "cov_true": ("flow_coverage_true_percent", 100),
    "cov_decoded": ("flow_coverage_decoded_percent", 100),
    "mmd_true": ("flow_mmd_true_x1e4", 1e4),
    "mmd_decoded": ("flow_mmd_decoded_x1e4", 1e4),
    "unsettled": ("flow_unsettled_percent", 100),
    "nna_codes": ("flow_1nna_codes_percent", 1),
}


def log_results(cfg: Config, results: Mapping[str, Result]) -> None:
    """Write what `TAGS` names of these results to `summary/evaluation`, in place of what is there.

    Another protocol than raw has a folder of its own, since its numbers do not compare. Nothing is written if there is
    nothing of `TAGS` in the tables.
    """
    same = [
        one
        for one in results.values()
        if one.made_of[OPTIONS].get("protocol", cfg.evaluation.protocol) == cfg.evaluation.protocol
    ]
    found = {table.name: {"rows": table.rows} for one in same for table in one.tables}
    facts = reconstruction_facts(found, cfg.run.exp_name) | generation_facts(found) | code_facts(found)
    flow = [row for row in found.get("wholeness", {}).get("rows", ()) if row["set"] == LABELS["flow"]]
    facts["unsettled"] = flow[0]["unsettled_mean"] if flow else None
    values = {TAGS[key]: facts[key] for key in TAGS if facts.get(key) is not None}
    if not values:
        return
    folder = cfg.experiment.summary / (
        "evaluation" if cfg.evaluation.protocol == "raw" else f"evaluation_{cfg.evaluation.protocol}"
    )
    with replaced_run(folder) as log:
        for (tag, scale), value in values.items():
            mean = value["mean"] if isinstance(value, dict) else value
            log.add_scalar(f"evaluation/{tag}", scale * mean, 0)
