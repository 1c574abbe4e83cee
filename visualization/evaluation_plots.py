"""Plots of the evaluation: 1-NNA, distances to the nearest training shape, likelihoods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from visualization.plots import COLORS, DARK, cycle, save, tidy

MARKERS = {"cd": "o", "emd": "s", "emd_sq": "D"}
DISTANCE_NAMES = {"cd": "CD", "emd": "EMD", "emd_sq": "squared EMD"}
BINS = 30


def plot_one_nna(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """1-NNA of each set, mean and standard deviation over its sample sets; one panel per reference.

    rows: those of `generation_table.Comparison.rows`.
    """
    references = list(dict.fromkeys(row["reference"] for row in rows))
    distances = list(dict.fromkeys(row["distance"] for row in rows))
    labels = {ref: list(dict.fromkeys(r["set"] for r in rows if r["reference"] == ref)) for ref in references}
    most = max(len(found) for found in labels.values())
    figure = Figure(figsize=(5.6 * len(references) + 1, 1.6 + 0.62 * most), layout="constrained")
    for axes, reference in zip(np.ravel(figure.subplots(1, len(references))), references, strict=True):
        names = labels[reference]
        for k, distance in enumerate(distances):
            mine = {r["set"]: r["nna_acc"] for r in rows if r["reference"] == reference and r["distance"] == distance}
            y = np.arange(len(names)) + 0.2 * (k - (len(distances) - 1) / 2)
            mean = 100 * np.array([mine[name]["mean"] for name in names])
            sd = 100 * np.array([mine[name]["sd"] or 0.0 for name in names])
            axes.errorbar(
                mean, y, xerr=sd, fmt=MARKERS[distance], color=COLORS[k], capsize=3, label=DISTANCE_NAMES[distance]
            )
        axes.axvline(50, color=DARK, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 103)
        axes.set_title(f"against {reference}")
        axes.set_xlabel("1-NNA, % (50: cannot be told apart)")
        tidy(axes, "x")
    if len(distances) > 1:
        figure.axes[0].legend(loc="lower left", frameon=False)
    save(figure, path)


def plot_nearest_training(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Distances from the shapes of each set to their nearest training shapes. rows: with `distances`."""
    series = {row["set"]: 1e4 * np.array(row["distances"]) for row in rows}
    low, high = np.percentile(np.concatenate(list(series.values())), [1, 99])
    save(histograms(series, low, high, "CD to the nearest training shape, x1e4 (left: near to a copy)"), path)


def plot_likelihood(series: Mapping[str, NDArray[np.floating]], path: Path) -> None:
    """Log-likelihoods (nats) of the shapes of each set. The axis spans the first set's range and twice its width below:
    wrong shapes may be a hundred times further away, and count in the leftmost bin."""
    low, high = np.percentile(next(iter(series.values())), [0, 100])
    low, high = low - 2 * (high - low), high + (high - low) / 4
    save(histograms(series, low, high, "log-likelihood of the code, nats (leftmost bin: that or less)"), path)


def histograms(series: Mapping[str, ArrayLike], low: float, high: float, x_label: str) -> Figure:
    """Stacked panels, each a histogram with its median, all with the same bins from `low` to `high`.

    Values outside count in the outermost bins, and a median outside is drawn at the edge.
    """
    values = {label: np.asarray(found, np.float64) for label, found in series.items()}
    high = high if high > low else low + 1
    edges = np.linspace(low, high, BINS + 1)
    figure = Figure(figsize=(7.5, 0.9 + 1.05 * len(values)), layout="constrained")
    panels = np.ravel(figure.subplots(len(values), 1, sharex=True))
    for axes, (label, found), color in zip(panels, values.items(), cycle(len(values)), strict=True):
        shares = np.ones(len(found)) / len(found)
        axes.hist(np.clip(found, low, high), edges, weights=100 * shares, color=color)
        axes.axvline(np.clip(np.median(found), low, high), color=DARK, linewidth=1.2)
        axes.set_title(f"{label} ({len(found)} shapes; line: median)", loc="left", fontsize=9)
        axes.set_ylabel("%")
        tidy(axes, "y")
    panels[-1].set_xlabel(x_label)
    return figure
