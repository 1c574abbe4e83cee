"""The table of the study: a row per experiment, from its codes, checkpoints and evaluation results."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.options import Config
from evaluation.experiment_sets import LABELS
from evaluation.reconstruction import PARTS
from evaluation.tables import Column
from frozen.checkpoint_files import (
    best_checkpoint,
    fingerprint,
    latest_checkpoint,
    load_checkpoint,
    ndf_checkpoint_path,
)
from frozen.codes import load_codes, read_index
from models.distance_network import WITHOUT_CODE
from runtime.errors import UserError
from runtime.layout import RESULTS, Experiment, absolute
from runtime.reading import read_json, reading
from training.code_spectrum import MAX_SHAPES, SHARES, code_spectrum, dimensions_holding

NAME, TITLE = "codes", "Shape codes: size, spectrum, reconstruction, flow and generation"
SUFFIX = ", decoded"  # in the labels of decoded references
COLUMNS = [
    Column("set", "experiment"),
    Column("code_kind", "code"),
    Column("numbers", "numbers", "d"),
    Column("bytes", "bytes", "d"),
    Column("code_noise", "noise", "g"),
    Column("shapes", "shapes", "d"),
    *(Column(f"dimensions_{share:g}", f"{100 * share:g} %", "d") for share in SHARES),
    Column("chamfer_udf_whole", "CD udf", ".3f", 1e4),
    Column("chamfer_udf_interior", "inside", ".3f", 1e4),
    Column("chamfer_udf_exterior", "outside", ".3f", 1e4),
    Column("f_score_0.005", "F.005", ".3f"),
    Column("f_score_0.01", "F.01", ".3f"),
    Column("nll_train", "NLL train", ".3f"),
    Column("nll_val", "val", ".3f"),
    Column("nll_gaussian", "Gaussian", ".3f"),
    Column("nna_codes", "1-NNA codes", ".1f"),
    Column("nna_codes_gaussian", "Gaussian", ".1f"),
    Column("nna_true", "1-NNA true", ".1f", 100),
    Column("nna_decoded", "decoded", ".1f", 100),
    Column("mmd_true", "MMD true", ".2f", 1e4),
    Column("mmd_decoded", "decoded", ".2f", 1e4),
    Column("cov_true", "COV true", ".1f", 100),
    Column("cov_decoded", "decoded", ".1f", 100),
    Column("ndf_minutes", "NDF min", ".1f"),
    Column("flow_minutes", "flow min", ".1f"),
]
NOTE = (
    "Bytes: of a code, float32. Noise: code_noise in the NDF's training. 95 %, 99 %, 99.9 %: principal directions that"
    f" hold this share of the variance of the training codes, one code a shape, of at most {MAX_SHAPES} shapes (never"
    " more than shapes - 1). CD udf: mean chamfer_udf of test shapes x1e4, whole, inside the cars and outside; F:"
    " F-scores. NLL: nats per dimension of whitened, noised codes. 1-NNA codes (%): of samples of the flow"
    " and of a Gaussian against test codes, without decoding. 1-NNA (%), MMD (CD x1e4), COV (%): of the flow's"
    " samples against true and decoded shapes. Minutes: of training."
)


class ExperimentFiles:
    """The files of one experiment. cfg: its exp_root, exp_name, config, ndf_checkpoint and rnvp_checkpoint.

    Attributes: name, index of the codes and their spectrum (both None for an NDF without a bottleneck). Raises
    UserError if the experiment does not exist, or has no codes yet.
    """

    def __init__(self, cfg: Config, seed: int):
        self.cfg, self.name, self.experiment = cfg, cfg.run.exp_name, cfg.experiment
        if not self.experiment.root.is_dir():
            raise UserError(
                f"no experiment {self.name!r} in {self.experiment.root.parent}, which has {_present(self.experiment)};"
                f" train it with: python train_ndf.py --config {cfg.run.config}"
            )
        self.ndf_path = self._ndf_path()
        self.ndf_state = None if self.ndf_path is None else load_checkpoint(self.ndf_path)
        self.spectrum: NDArray[np.float64] | None = None
        self.index: dict[str, Any] | None = None
        if self._option("code_kind") in WITHOUT_CODE:
            return
        codes = load_codes(cfg, "train")
        self.index = read_index(self.experiment.codes, "train")
        self.num_shapes = len({row["name"] for row in codes.rows})
        if self.num_shapes < 2:
            raise UserError(
                f"{self.experiment.codes} has training codes of {self.num_shapes} shape, 2 or more expected"
            )
        self.spectrum = code_spectrum(codes, seed)

    def row(self, missing: list[str]) -> dict[str, Any]:
        """A row of `COLUMNS`; values not on disk are None, and the command that makes them is added to `missing`."""
        found: dict[str, Any] = {"set": self.name, "code_kind": self._option("code_kind")}
        found["code_noise"] = self._option("code_noise") if found["code_kind"] in ("vector", "grid") else None
        if self.index is not None and self.spectrum is not None:
            numbers = math.prod(self.index["code_shape"])
            found |= {"code_kind": self.index["code_kind"], "numbers": numbers, "bytes": 4 * numbers}
            found |= {"shapes": self.num_shapes}
            found |= {f"dimensions_{share:g}": dimensions_holding(self.spectrum, share) for share in SHARES}
        flow_path = self._flow_path()
        found |= self._training_facts(flow_path, missing)
        results = self._results(flow_path, missing)
        found |= reconstruction_facts(results, self.name) | generation_facts(results) | code_facts(results)
        return {column.key: found.get(column.key) for column in COLUMNS}

    def _training_facts(self, flow_path: Path | None, missing: list[str]) -> dict[str, Any]:
        facts = {"ndf_minutes": minutes(self.ndf_path)}
        if flow_path is None:
            if self.index is not None:
                missing.append(f"no flow of {self.name}: python train_rnvp.py --config {self.cfg.run.config}")
            return facts
        nll = load_checkpoint(flow_path).get("nll_nats_per_dim", {})
        return facts | {f"nll_{key}": value for key, value in nll.items()} | {"flow_minutes": minutes(flow_path)}

    def _results(self, flow_path: Path | None, missing: list[str]) -> Mapping[str, Any]:
        """The tables of results.json; empty if there are none, or if they belong to other checkpoints."""
        command = (
            f"python generate.py --mode reconstruct and python evaluate.py, each with --config {self.cfg.run.config}"
        )
        path = self.experiment.evaluation / f"{RESULTS}.json"
        if not path.is_file():
            missing.append(f"no {RESULTS}.json of {self.name}: {command}")
            return {}
        with reading(path, f"delete it and make it with: {command}"):
            report = read_json(path)
            measured: dict[str, str] = report["checkpoints"]
            tables: dict[str, Any] = report["tables"]
            if not all(isinstance(value, dict) for value in (measured, tables)):
                raise ValueError("checkpoints and tables are no objects")
            made_of = [one["made_of"] for one in report.get("parts", {}).values()]
        own = {"ndf_sha256": self.index["sha256"]} if self.index is not None else {}
        own |= {"rnvp_sha256": fingerprint(flow_path)} if flow_path is not None else {}
        if any(one.get(key, value) != value for one in made_of or [measured] for key, value in own.items()):
            missing.append(f"{RESULTS}.json of {self.name} is of other checkpoints: {command}")
            return {}
        for name in ["reconstruction"] + (["generation_cd"] if self.index is not None else []):
            if name not in tables:
                missing.append(f"{RESULTS}.json of {self.name} has no table {name}: {command}")
        return tables

    def _ndf_path(self) -> Path | None:
        """The checkpoint that encoded the codes or, if there is none or it was moved, the experiment's own; or None."""
        if (self.experiment.codes / "train.json").is_file():
            path = absolute(read_index(self.experiment.codes, "train")["ndf_checkpoint"])
            if path.is_file():
                return path
        try:
            return ndf_checkpoint_path(self.cfg)
        except UserError:
            return None

    def _flow_path(self) -> Path | None:
        if self.cfg.weights.rnvp_checkpoint:
            named = absolute(self.cfg.weights.rnvp_checkpoint)
            return best_checkpoint(named) if named.is_dir() else named
        return best_checkpoint(self.experiment.rnvp_checkpoints)

    def _option(self, name: str) -> Any:
        return None if self.ndf_state is None else self.ndf_state.get("config", {}).get(name)


def all_experiments(cfg: Config) -> list[ExperimentFiles]:
    """This experiment and those of `compare_experiments`. Raises UserError as `ExperimentFiles` does."""
    own = ExperimentFiles(cfg, cfg.run.seed)
    others = [name for name in dict.fromkeys(cfg.others.compare_experiments or []) if name != cfg.run.exp_name]
    configs = [
        cfg.changed(exp_name=name, config=f"(the config of {name})", ndf_checkpoint=None, rnvp_checkpoint=None)
        for name in others
    ]
    return [own, *(ExperimentFiles(one, cfg.run.seed) for one in configs)]


def code_rows(experiments: Sequence[ExperimentFiles]) -> tuple[list[dict[str, Any]], str]:
    """Rows of `COLUMNS`, and the note below the table, with the commands for missing values."""
    missing: list[str] = []
    rows = [experiment.row(missing) for experiment in experiments]
    return rows, " ".join([NOTE, *(f"[-] {one}." for one in missing)])


def reconstruction_facts(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """chamfer_udf of each part and the F-scores of the whole, of the row whose label ends with the name."""
    found = tables.get("reconstruction", {}).get("rows", [])
    rows = {row["part"]: row for row in found if row["set"].endswith(f"({name})")}
    facts = {f"chamfer_udf_{part}": rows.get(part, {}).get("chamfer_udf_mean") for part in PARTS}
    whole = rows.get("whole", {})
    return facts | {f"f_score_{threshold}": whole.get(f"f_score_{threshold}_mean") for threshold in ("0.005", "0.01")}


def generation_facts(tables: Mapping[str, Any]) -> dict[str, Any]:
    """1-NNA, MMD and COV of the flow by CD, against true and against decoded references."""
    facts: dict[str, Any] = {}
    for row in tables.get("generation_cd", {}).get("rows", []):
        if row["set"] == LABELS["flow"]:
            kind = "decoded" if row["reference"].endswith(SUFFIX) else "true"
            facts |= {
                f"{short}_{kind}": row[key] for short, key in (("nna", "nna_acc"), ("mmd", "mmd"), ("cov", "cov"))
            }
    return facts


def code_facts(tables: Mapping[str, Any]) -> dict[str, Any]:
    """1-NNA (%) of the codes themselves, for the flow and for the Gaussian."""
    found = {row["measure"]: row["value"] for row in tables.get("networks", {}).get("rows", [])}
    return {"nna_codes": found.get("1-NNA of codes, flow"), "nna_codes_gaussian": found.get("1-NNA of codes, Gaussian")}


def minutes(path: Path | None) -> float | None:
    """Training time of a checkpoint's run, from the latest checkpoint beside it: the best may be an early one."""
    if path is None:
        return None
    seconds = load_checkpoint(latest_checkpoint(path.parent) or path).get("training_time")
    return None if seconds is None else seconds / 60


def _present(experiment: Experiment) -> str:
    root = experiment.root.parent
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return ", ".join(names) or "none yet"
