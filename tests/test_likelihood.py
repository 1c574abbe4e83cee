"""Likelihood as a tool: AUROC against its definition, scores of codes, and the report of a tiny experiment."""

from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming, says
from numpy.typing import NDArray
from PIL import Image

from configs.options import Config
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from evaluation.likelihood import (
    COLUMNS,
    NUM_PICTURES,
    TEST,
    TITLE,
    TRAINING,
    CodeScores,
    auroc,
    auroc_standard_error,
    draw_extremes,
    likelihood_report,
    likelihood_rows,
)
from evaluation.outliers import DEFINITIONS, REDRAWN
from evaluation.tables import Table
from frozen.codes import load_codes
from generation.networks import Networks
from training.encoding import encode_batches

NOISE = 0.1


def auroc_by_double_loop(usual: NDArray, unusual: NDArray) -> float:
    total = 0.0
    for a in usual:
        for b in unusual:
            total += 1.0 if a > b else 0.5 if a == b else 0.0
    return total / (len(usual) * len(unusual))


@pytest.mark.parametrize("levels", [3, 1000])  # 3: nearly all are ties
@pytest.mark.parametrize(("p", "q"), [(1, 1), (7, 13), (40, 1)])
def test_auroc_is_the_double_loop(levels: int, p: int, q: int) -> None:
    rng = np.random.default_rng(p + q + levels)
    usual, unusual = rng.integers(0, levels, p) / 7 + 0.1, rng.integers(0, levels, q) / 7 + 0.1
    assert auroc(usual, unusual) == pytest.approx(auroc_by_double_loop(usual, unusual), abs=1e-12)
    assert auroc(usual, unusual) + auroc(unusual, usual) == pytest.approx(1)
    assert auroc(np.exp(usual), np.exp(unusual)) == pytest.approx(auroc(usual, unusual))  # only the order counts
    assert auroc(rng.permutation(usual), rng.permutation(unusual)) == pytest.approx(auroc(usual, unusual))


def test_auroc_of_sets_apart_and_of_infinite_scores() -> None:
    assert auroc([3, 4, 5], [1, 2]) == 1
    assert auroc([1, 2], [3, 4, 5]) == 0
    assert auroc([1, 1], [1]) == 0.5
    assert auroc([1, 2], [-np.inf, 1.5]) == 0.75


@pytest.mark.parametrize(("usual", "unusual"), [([], [1.0]), ([1.0], []), ([1.0, np.nan], [1.0])])
def test_auroc_refuses_nothing_and_nan(usual: list[float], unusual: list[float]) -> None:
    with pytest.raises(ValueError, match=naming("scores NaN")):
        auroc(usual, unusual)


def test_standard_error_is_that_of_the_papers_example() -> None:
    """Hanley and McNeil 1982: 51 abnormal and 58 normal CT images, area 0.893, standard error 0.032."""
    assert auroc_standard_error(0.893, 51, 58) == pytest.approx(0.032, abs=6e-4)
    assert auroc_standard_error(1.0, 20, 30) == 0


@pytest.mark.parametrize(("p", "q"), [(9, 60), (60, 9)])
def test_standard_error_is_right_for_exponential_scores(p: int, q: int) -> None:
    """For these the formula is exact, and not the same with the two numbers exchanged."""
    rng = np.random.default_rng(p)
    areas = [auroc(rng.exponential(4, p), rng.exponential(1, q)) for _ in range(3000)]
    assert np.mean(areas) == pytest.approx(0.8, abs=0.01)
    assert np.std(areas) == pytest.approx(auroc_standard_error(0.8, p, q), rel=0.05)
    assert abs(auroc_standard_error(0.8, p, q) / auroc_standard_error(0.8, q, p) - 1) > 0.1


def test_the_same_clouds_get_the_stored_codes(networks: Networks, cfg: Config) -> None:
    stored = load_codes(cfg, "test").codes
    clouds = [read_input_cloud(folder, cfg) for folder in split_folders(cfg)["test"]]
    codes = np.concatenate(list(encode_batches(networks.ndf, clouds, len(clouds), cfg, networks.device, "x")))
    np.testing.assert_allclose(codes, stored, atol=1e-5)
    assert np.abs(np.diff(codes, axis=0)).max() > 1e-3


def test_scores_are_what_their_names_say(networks: Networks, cfg: Config) -> None:
    codes, train = load_codes(cfg, "test").tensor(), load_codes(cfg, "train").tensor()
    scores = CodeScores(networks, NOISE)(codes.numpy())
    flow = networks.flow
    for n, code in enumerate(codes.split(1)):
        assert scores["log_likelihood"][n] == pytest.approx(flow.log_prob(code).item(), rel=1e-4)
        assert scores["nats_per_dim"][n] == pytest.approx(flow.nats_per_dim(code).item(), rel=1e-4, abs=1e-4)
        distances = (flow.whiten(train) - flow.whiten(code)).square().sum(dim=1).sqrt()
        assert scores["nearest"][n] == pytest.approx(-distances.min().item(), rel=1e-3)
    gaussian = flow.gaussian_of(flow.whiten(train), NOISE).nats_per_dim(flow.whiten(codes))
    np.testing.assert_allclose(scores["gaussian"], -flow.dim * gaussian.numpy(), rtol=1e-4)
    of_training = CodeScores(networks, NOISE)(train.numpy())
    np.testing.assert_allclose(of_training["nearest"], 0, atol=1e-2)
    far = CodeScores(networks, NOISE)((codes + 5 * torch.arange(5)).numpy())
    for name in ("log_likelihood", "gaussian", "nearest"):
        assert far[name].max() < scores[name].min(), name


def test_the_report_covers_every_test_shape_and_every_set(
    networks: Networks, cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.likelihood.POINTS_DRAWN", 1000)
    report = likelihood_report(networks, NOISE, 3, tmp_path / "sheet.png")
    assert list(report.arrays) == [TEST, TRAINING, *DEFINITIONS]
    counts = [len(scores["log_likelihood"]) for scores in report.arrays.values()]
    assert counts == [4, len(split_folders(cfg)["train"]), 3, 3, 3, 3]
    in_order = sorted(report.per_shape, key=lambda row: row["log_likelihood"])
    assert [row["rank"] for row in in_order] == [1, 2, 3, 4]
    assert [row["shape"] for row in report.per_shape] == [row["name"] for row in load_codes(cfg, "test").rows]
    rows = {row["set"]: row for row in report.rows}
    assert rows[TEST]["log_likelihood_median"] == pytest.approx(np.median(report.arrays[TEST]["log_likelihood"]))
    assert "auroc_log_likelihood" not in rows[TEST]
    assert "auroc_nearest" not in rows[TRAINING]
    assert all(0 <= rows[name][f"auroc_{kind}"] <= 1 for name in DEFINITIONS for kind in ("gaussian", "nearest"))
    assert rows[REDRAWN]["auroc_log_likelihood"] == auroc(
        report.arrays[TEST]["log_likelihood"], report.arrays[REDRAWN]["log_likelihood"]
    )
    text = Table("likelihood", TITLE, COLUMNS, report.rows, report.note).text()
    assert says(text, "noise 0.1")
    assert all(f"{name}: {what}" in text for name, what in DEFINITIONS.items())
    again = likelihood_report(networks, NOISE, 3)
    assert again.rows == report.rows
    assert Image.open(tmp_path / "sheet.png").format == "PNG"


def test_rows_hold_the_areas_of_all_three_scores_with_their_errors() -> None:
    rng = np.random.default_rng(0)
    names = ("log_likelihood", "nats_per_dim", "gaussian", "nearest")
    arrays = {label: {name: rng.normal(shift, 1, 17) for name in names} for label, shift in ((TEST, 1.0), ("x", 0.0))}
    row = likelihood_rows(arrays)[1]
    for name in ("log_likelihood", "gaussian", "nearest"):
        assert row[f"auroc_{name}"] == auroc_by_double_loop(arrays[TEST][name], arrays["x"][name])
        assert row[f"auroc_{name}_se"] == auroc_standard_error(row[f"auroc_{name}"], 17, 17)
    assert {column.key for column in COLUMNS} <= set(row)


def test_the_sheet_shows_the_least_likely_first(cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr("evaluation.likelihood.draw_shapes", lambda rows, *_, **__: shown.extend(rows))
    folders = split_folders(cfg)["train"] + split_folders(cfg)["test"]
    values = np.random.default_rng(1).permutation(len(folders)).astype(float)
    draw_extremes(folders, values, cfg, tmp_path / "x.png")
    assert len(folders) > NUM_PICTURES
    assert [label.split("likelihood ")[1] for label, *_ in shown] == [
        "0.0, 1.0, 2.0, 3.0, 4.0 nats", "5.0, 6.0, 7.0, 8.0, 9.0 nats", "10.0, 9.0, 8.0, 7.0, 6.0 nats",
    ]  # fmt: skip
    assert (
        len({float(np.ptp(cloud)) for _, clouds, *_ in shown[:2] for cloud in clouds}) == NUM_PICTURES
    )  # ten spheres of ten sizes
