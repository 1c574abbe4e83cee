"""The results of an evaluation in TensorBoard: which numbers, in which units, in place of those before."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from configs.options import Config
from evaluation.results_log import TAGS, log_results
from evaluation.study import Result
from evaluation.tables import Table, spread
from lab.small.helpers import read_config
from training.hparams import METRICS


def generation_row(name: str, reference: str, nna: float) -> dict:
    measures = {"nna_acc": spread([nna - 0.1, nna + 0.1]), "mmd": spread([0.001]), "cov": spread([0.5])}
    return {"set": name, "reference": reference} | measures


def results(nna: float = 0.6, protocol: str = "raw") -> dict[str, Result]:
    generation = [
        generation_row("Gaussian on whitened codes", "test shapes", 0.9),
        generation_row("flow", "test shapes", nna),
        generation_row("flow", "test shapes, decoded", 0.55),
    ]
    reconstruction = [
        {"set": "input points", "part": "whole", "chamfer_udf_mean": 1.0},
        {"set": "decoded (test)", "part": "whole", "chamfer_udf_mean": 2e-5, "f_score_0.005_mean": 0.75},
        {"set": "decoded (test)", "part": "interior", "chamfer_udf_mean": 1.0},
        {"set": "decoded (other)", "part": "whole", "chamfer_udf_mean": 1.0},
    ]
    networks = [{"measure": "1-NNA of codes, flow", "value": 52.0}, {"measure": "test flow NLL", "value": 1.0}]
    wholeness = [{"set": "test shapes", "unsettled_mean": 0.1}, {"set": "flow", "unsettled_mean": 0.02}]
    of_sets = {"generation_cd": generation, "wholeness": wholeness}
    return {
        "networks": Result([Table("networks", "", (), networks)], {}, {"options": {}}),
        "reconstruction": Result([Table("reconstruction", "", (), reconstruction)], {}, {"options": {}}),
        "generation": Result(
            [Table(name, "", (), rows) for name, rows in of_sets.items()], {}, {"options": {"protocol": protocol}}
        ),
    }


def found_in(cfg: Config, name: str = "evaluation") -> dict[str, float]:
    """Tag -> value of a run in summary/, each of which has one."""
    events = EventAccumulator(str(cfg.experiment.summary / name))
    events.Reload()
    points = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    return {tag: float(make_ndarray(one.tensor_proto)) for tag, (one,) in points.items()}


def test_the_results_of_this_experiment_are_logged_in_the_units_of_the_tables(tmp_path: Path):
    cfg = read_config(tmp_path)
    log_results(cfg, results())
    assert found_in(cfg) == pytest.approx(
        {
            "evaluation/chamfer_udf_x1e4": 0.2,
            "evaluation/f_score_0.005": 0.75,
            "evaluation/flow_1nna_true_percent": 60,
            "evaluation/flow_1nna_decoded_percent": 55,
            "evaluation/flow_coverage_true_percent": 50,
            "evaluation/flow_coverage_decoded_percent": 50,
            "evaluation/flow_mmd_true_x1e4": 10,
            "evaluation/flow_mmd_decoded_x1e4": 10,
            "evaluation/flow_1nna_codes_percent": 52,
            "evaluation/flow_unsettled_percent": 2,
        }
    )
    log_results(cfg, results(nna=0.7))
    assert found_in(cfg)["evaluation/flow_1nna_true_percent"] == pytest.approx(70)
    log_results(cfg, {})  # as of --tasks likelihood
    assert found_in(cfg)["evaluation/flow_1nna_true_percent"] == pytest.approx(70)


def test_another_protocol_does_not_mix_with_raw(tmp_path: Path):
    cfg = read_config(tmp_path)
    log_results(cfg, results())
    log_results(read_config(tmp_path, protocol="box"), results(0.7, "box"))
    assert found_in(cfg)["evaluation/flow_1nna_true_percent"] == pytest.approx(60)
    assert found_in(cfg, "evaluation_box")["evaluation/flow_1nna_true_percent"] == pytest.approx(70)
    log_results(cfg, results(protocol="box"))  # kept from a run of another protocol than this one
    assert "evaluation/flow_1nna_true_percent" not in found_in(cfg)


def test_the_columns_of_hparams_are_tags_that_are_logged():
    shown = {tag for group, tag, _ in METRICS if group == "evaluation"}
    assert shown <= {f"evaluation/{tag}" for tag, _ in TAGS.values()}
