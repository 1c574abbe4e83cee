"""Likelihood as a tool: which test shapes the flow finds unlikely, and whether wrong shapes are less likely."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from configs.options import Config
from dataprocessing.shapes import shape_name
from dataprocessing.surface import surface_points
from evaluation.outliers import DEFINITIONS, outlier_clouds
from evaluation.tables import Column
from frozen.codes import load_codes
from generation.latents import MOST_CODES_AT_A_TIME, likelihoods, whitened
from generation.networks import Networks
from generation.sheet_rows import caption
from runtime.cores import num_workers
from training.encoding import encode_batches
from visualization.contact_sheet import ShapeRow, draw_shapes

TEST, TRAINING = "test shapes", "training shapes"
NUM_PICTURES, PICTURES_A_ROW = 10, 5
Scores = dict[str, NDArray[np.float64]]  # name of a score -> (S,)
SCORES = ("log_likelihood", "gaussian", "nearest")  # larger for more typical shapes
POINTS_DRAWN = 60_000

TITLE = "Likelihood: shapes of each set, and how well they are told from test shapes"
COLUMNS = [
    Column("set", "set"),
    Column("shapes", "shapes", "d"),
    Column("log_likelihood_median", "log-lik. median (nats)", ".1f"),
    Column("nats_per_dim_median", "NLL median (nats/dim)", ".3f"),
    Column("auroc_log_likelihood", "AUROC flow", ".3f"),
    Column("auroc_log_likelihood_se", "±", ".3f"),
    Column("auroc_gaussian", "AUROC Gaussian", ".3f"),
    Column("auroc_gaussian_se", "±", ".3f"),
    Column("auroc_nearest", "AUROC nearest code", ".3f"),
    Column("auroc_nearest_se", "±", ".3f"),
]
NOTE = (
    "Log-likelihood: of codes in their own units. NLL: of whitened codes as they are, without noise, under a flow that"
    " was trained on codes with noise of sd {noise:g} of their spread: compare it between flows of the same noise only."
    " AUROC: chance that a test shape is more likely than a shape of the set, ties half. 0.5: not told apart; 1: always"
    " told; below 0.5: the set is MORE likely than test shapes, which for training shapes is the flow's gap and for"
    " wrong shapes a failure. ±: standard error of Hanley and McNeil, as if all shapes were independent. Gaussian:"
    " fitted to the whitened training codes. Nearest code: minus the distance to the nearest whitened training code."
    " {definitions}"
)


class LikelihoodReport(NamedTuple):
    """The likelihood of every test shape, and how wrong shapes compare with them.

    rows: a row of `COLUMNS` per set. per_shape: shape, rank (1: least likely), log_likelihood (nats, of the code) and
    nats_per_dim (whitened) of each test shape. note: below the table. arrays: for each set its log_likelihood,
    nats_per_dim, gaussian and nearest, (S,) float64 each.
    """

    rows: list[dict[str, Any]]
    per_shape: list[dict[str, Any]]
    note: str
    arrays: dict[str, Scores]


class CodeScores:
    """Scores of codes: their likelihood under the flow, and two simpler measures of typicality.

    The whitened training codes, with mirrored ones and further draws, are kept in memory. noise: that of the flow's
    training, which the Gaussian uses as well.
    """

    def __init__(self, networks: Networks, noise: float):
        self.networks = networks
        self.training = whitened(networks, load_codes(networks.cfg, "train").codes)
        self.gaussian = networks.flow.gaussian_of(self.training, noise)

    def __call__(self, codes: NDArray[np.float32]) -> Scores:
        """Scores (S,) of codes (S, *code_shape), larger for more typical codes; nats_per_dim is smaller for them.

        log_likelihood: nats, of the code in its own units; nats_per_dim: its negative for the whitened code, over D;
        gaussian: expected log-density of the whitened code with the noise of training, nats;
        nearest: minus the distance to the nearest whitened training code.
        """
        log_likelihood, nats_per_dim = likelihoods(self.networks, codes)
        parts = whitened(self.networks, codes).split(MOST_CODES_AT_A_TIME)
        gaussian = [-self.networks.flow.dim * self.gaussian.nats_per_dim(w) for w in parts]
        nearest = [-torch.cdist(w, self.training).amin(dim=1) for w in parts]
        scores = {"log_likelihood": log_likelihood, "nats_per_dim": nats_per_dim}
        scores |= {"gaussian": torch.cat(gaussian), "nearest": torch.cat(nearest)}
        return {name: values.double().cpu().numpy() for name, values in scores.items()}


def likelihood_report(
    networks: Networks, noise: float, num_outliers: int, sheet: Path | None = None
) -> LikelihoodReport:
    """Score every test and training shape, and the wrong shapes of `outliers.py`.

    noise: that of the flow's training (`flow_noise` in its checkpoint). num_outliers: wrong shapes per set, made from
    the first test shapes, or from all if there are fewer. The frozen NDF encodes them from as many points as the test
    shapes. sheet: the PNG of the least likely test shapes to write. Raises UserError if codes or scaled meshes are
    missing.
    """
    cfg = networks.cfg
    test, train = (load_codes(cfg, split).one_per_shape() for split in ("test", "train"))
    folders = test.folders(cfg)
    scores = CodeScores(networks, noise)
    arrays = {TEST: scores(test.codes), TRAINING: scores(train.codes)}
    outliers = outlier_clouds(folders[:num_outliers], cfg.grid.num_points, cfg.run.seed, cfg.data)
    for name, clouds in outliers.items():
        codes = encode_batches(networks.ndf, clouds, len(clouds), cfg, networks.device, name)
        arrays[name] = scores(np.concatenate(list(codes)))
    log_likelihood, nats_per_dim = arrays[TEST]["log_likelihood"], arrays[TEST]["nats_per_dim"]
    if sheet is not None:
        draw_extremes(folders, log_likelihood, cfg, sheet)
    ranks = log_likelihood.argsort(kind="stable").argsort() + 1
    values = zip(ranks.tolist(), log_likelihood.tolist(), nats_per_dim.tolist(), strict=True)
    per_shape = [
        {"shape": row["name"], "rank": int(rank), "log_likelihood": nats, "nats_per_dim": per_dim}
        for row, (rank, nats, per_dim) in zip(test.rows, values, strict=True)
    ]
    definitions = " ".join(f"{name}: {what}." for name, what in DEFINITIONS.items())
    return LikelihoodReport(
        likelihood_rows(arrays), per_shape, NOTE.format(noise=noise, definitions=definitions), arrays
    )


def likelihood_rows(arrays: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """A row of `COLUMNS` per set of scores, with AUROCs against the test shapes except for these themselves."""
    rows = []
    for name, scores in arrays.items():
        row: dict[str, Any] = {"set": name, "shapes": len(scores["log_likelihood"])}
        row |= {f"{key}_median": float(np.median(scores[key])) for key in ("log_likelihood", "nats_per_dim")}
        for key in SCORES if name != TEST else ():
            if (name, key) == (TRAINING, "nearest"):
                continue  # each is its own nearest training code
            area = auroc(arrays[TEST][key], scores[key])
            error = auroc_standard_error(area, len(arrays[TEST][key]), len(scores[key]))
            row |= {f"auroc_{key}": area, f"auroc_{key}_se": error}
        rows.append(row)
    return rows


def auroc(usual: ArrayLike, unusual: ArrayLike) -> float:
    """Probability that a score of `usual` (P,) exceeds one of `unusual` (Q,), ties counted half; in [0, 1].

    The area under the ROC curve, from the ranks (Mann-Whitney U); Hanley and McNeil 1982. Raises ValueError for an
    empty set or NaN scores; infinite ones rank first or last.
    """
    usual, unusual = np.asarray(usual, np.float64), np.asarray(unusual, np.float64)
    if not usual.size or not unusual.size or np.isnan(usual).any() or np.isnan(unusual).any():
        raise ValueError(f"AUROC needs scores of both sets, none of them NaN; got {usual.size} and {unusual.size}")
    _, which, counts = np.unique(np.concatenate([usual, unusual]), return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[which]  # ties share their mean rank; scipy.stats loads slowly
    wins = ranks[: usual.size].sum() - usual.size * (usual.size + 1) / 2
    return float(wins / (usual.size * unusual.size))


def auroc_standard_error(area: float, num_usual: int, num_unusual: int) -> float:
    """Standard error of an AUROC of independent scores. Hanley and McNeil 1982, eqs. 1 and 2; 0 for an area of 1."""
    q_usual, q_unusual = area / (2 - area), 2 * area**2 / (1 + area)  # two of one set rank right against one other
    variance = area * (1 - area) + (num_usual - 1) * (q_usual - area**2) + (num_unusual - 1) * (q_unusual - area**2)
    return math.sqrt(max(variance, 0.0) / (num_usual * num_unusual))


def draw_extremes(folders: Sequence[Path], log_likelihood: NDArray[np.float64], cfg: Config, path: Path) -> None:
    """Write a PNG of the true surfaces of the ten least likely shapes and, for comparison, the five most likely.

    folders, log_likelihood (S,), nats: of the shapes, in the same order. Each row's label lists its values in order.
    """
    order = np.argsort(log_likelihood, kind="stable")
    least, most = order[:NUM_PICTURES], order[::-1][:PICTURES_A_ROW]
    parts = [("Least likely test shapes", least[:PICTURES_A_ROW], "amber")]
    if len(least) > PICTURES_A_ROW:
        parts += [("The next", least[PICTURES_A_ROW:], "amber")]
    parts += [("For comparison: most likely test shapes", most, "grey")]
    rows = []
    for label, part, tint in parts:
        values = ", ".join(f"{log_likelihood[n]:.1f}" for n in part)
        clouds = [surface_points(folders[n], POINTS_DRAWN, cfg.run.seed, cfg.data) for n in part]
        captions = [caption(shape_name(folders[n])) for n in part]
        rows.append(ShapeRow(f"{label}: log-likelihood {values} nats", clouds, tint, captions=captions))
    workers = num_workers(cfg.run.num_cpus)
    draw_shapes(rows, path, "Test shapes by the likelihood of their codes", workers=workers)
