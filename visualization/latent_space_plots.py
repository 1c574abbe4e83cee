"""Plots of the latent-space study: spectra, paths, the map of the codes, temperatures, attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from visualization.plots import COLORS, DARK, cycle, save, tidy

NO_STYLE = "-"  # of a shape that is not a demo car
SPLIT_MARKERS = {"train": ("o", 12), "val": ("s", 16), "test": ("^", 24)}  # marker, size in points squared
LINES = ("-", "--", ":", "-.")  # one line style per pass through the colours


class PathCurves(Protocol):
    """Jumps (CD) and udf_changes of each of T steps (K, T), excess log-likelihood (K, T + 1) nats, floor (K,)."""

    jumps: NDArray[np.float64]
    udf_changes: NDArray[np.float64]
    floor: NDArray[np.float64]

    @property
    def excess(self) -> NDArray[np.float64]: ...


@dataclass
class Panel:
    """A map. title; axes: their labels; shapes, samples: coordinates (S, 2), (M, 2)."""

    title: str
    axes: list[str]
    shapes: NDArray[np.float64]
    samples: NDArray[np.float64]


def plot_spectrum(spectra: Mapping[str, NDArray[np.float64]], shares: Sequence[float], path: Path) -> None:
    """Share of the variance in the leading directions, and the remainder: one line per experiment.

    spectra: experiment -> share of the variance in its first 1, 2, ... principal directions (K,). shares: levels.
    """
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    held_axes, left_axes = figure.subplots(1, 2)
    for n, ((name, held), color) in enumerate(zip(spectra.items(), cycle(len(spectra)), strict=True)):
        directions = np.arange(1, len(held) + 1)
        style = {"color": color, "linestyle": LINES[n // len(COLORS) % len(LINES)], "label": name}
        held_axes.plot(directions, 100 * held, **style)
        left_axes.plot(directions[:-1], 100 * (1 - held[:-1]).clip(1e-6), **style)
    for share in shares:
        left_axes.axhline(100 * (1 - share), color=DARK, linewidth=0.8, linestyle=":")
    held_axes.set_ylabel("% of the variance held")
    left_axes.set_ylabel(f"% left (dotted: {', '.join(f'{100 * share:g} %' for share in shares)} held)")
    left_axes.set_yscale("log")
    left_axes.set_ylim(bottom=0.01)
    for axes in (held_axes, left_axes):
        axes.set_xscale("log")
        axes.set_xlabel("principal directions of the training codes")
        tidy(axes, "both")
    held_axes.legend(frameon=False, fontsize=8)
    save(figure, path)


def plot_paths(found: Mapping[str, PathCurves], path: Path) -> None:
    """CD jump, |UDF change| and log-likelihood along the paths: thin lines for pairs, thick ones for the mean.

    found: label -> measurements along the paths of K pairs.
    """
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    for (label, paths), color in zip(found.items(), cycle(len(found)), strict=True):
        steps = paths.jumps.shape[1]
        between, at = (np.arange(steps) + 0.5) / steps, np.linspace(0, 1, steps + 1)
        lines = ((between, 1e4 * paths.jumps), (between, 1e4 * paths.udf_changes), (at, paths.excess))
        for axes, (x, y) in zip(panels, lines, strict=True):
            axes.plot(x, y.T, color=color, linewidth=0.7, alpha=0.35)
            axes.plot(x, y.mean(axis=0), color=color, linewidth=2.4, label=label)
    floor = np.mean([paths.floor.mean() for paths in found.values()])
    panels[0].axhline(1e4 * floor, color=DARK, linewidth=1, linestyle="--", label="same shape, drawn twice")
    titles = (
        "CD of neighbouring steps, x1e4",
        "mean |UDF change| of a step, x1e4",
        "log-likelihood - line between the ends, nats",
    )
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("way from one test shape to the other")
        tidy(axes, "both")
    panels[1].set_ylim(bottom=0)
    panels[0].legend(frameon=False, fontsize=8)
    save(figure, path)


def plot_map(panels: Sequence[Panel], styles: Sequence[str], splits: Sequence[str], path: Path) -> None:
    """Shapes on two principal directions: coloured by style, one marker per split, samples as crosses behind them.

    styles, splits: of each shape. If no style is known, all have the same colour.
    """
    kinds = sorted(set(styles))
    palette = [colormaps["tab20"](k % 20) for k in range(len(kinds))] if kinds != [NO_STYLE] else [COLORS[0]]
    of_style, of_split = np.array(styles), np.array(splits)
    figure = Figure(figsize=(6.2 * len(panels) + 2, 5.6), layout="constrained")
    for axes, panel in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        axes.scatter(*panel.samples.T, marker="x", s=14, color="#9aa3ad", linewidths=0.8, label="samples")
        for style, color in zip(kinds, palette, strict=True):
            for split, (marker, size) in SPLIT_MARKERS.items():
                chosen = panel.shapes[(of_style == style) & (of_split == split)]
                axes.scatter(*chosen.T, marker=marker, s=size, color=color, linewidths=0)
        axes.set_title(panel.title, loc="left", fontsize=10)
        for name, label in zip("xy", panel.axes, strict=False):
            axes.set(**{f"{name}label": label})
        tidy(axes, "both")
    _legend(figure, dict(zip(kinds, palette, strict=True)) if kinds != [NO_STYLE] else {})
    save(figure, path)


def _legend(figure: Figure, colors: Mapping[str, Any]) -> None:
    """Styles by colour, splits by marker, to the right of all panels."""
    axes: Axes = figure.axes[-1]
    handles = [axes.scatter([], [], marker="o", s=30, color=color, label=style) for style, color in colors.items()]
    for split, (marker, size) in SPLIT_MARKERS.items():
        handles.append(axes.scatter([], [], marker=marker, s=size, color=DARK, label=f"{split} split"))
    handles.append(axes.scatter([], [], marker="x", s=20, color="#9aa3ad", linewidths=0.8, label="samples"))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=8)


def plot_temperatures(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """1-NNA with its two halves, COV and MMD against the temperature; dashed: the floor, the row without one."""
    curve = [row for row in rows if row["temperature"] is not None]
    (floor,) = [row for row in rows if row["temperature"] is None]
    x = [row["temperature"] for row in curve]
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    halves = {"nna_acc": "1-NNA", "nna_acc_t": "of test shapes (acc_t)", "nna_acc_f": "of samples (acc_f)"}
    for (key, label), color in zip(halves.items(), cycle(len(halves)), strict=True):
        panels[0].plot(x, [100 * row[key] for row in curve], marker="o", color=color, label=label)
    panels[0].axhline(50, color=DARK, linewidth=0.8, linestyle=":")
    panels[0].set_ylim(0, 102)
    panels[1].plot(x, [100 * row["cov"] for row in curve], marker="o", color=COLORS[0], label="samples")
    panels[2].plot(x, [1e4 * row["mmd"] for row in curve], marker="o", color=COLORS[0], label="samples")
    for axes, key, scale in zip(panels, ("nna_acc", "cov", "mmd"), (100, 100, 1e4), strict=True):
        axes.axhline(scale * floor[key], color=DARK, linewidth=1, linestyle="--", label=floor["set"])
        axes.set_xlabel("temperature")
        axes.legend(frameon=False, fontsize=8)
        tidy(axes, "both")
    for axes, title in zip(panels, ("1-NNA, % (50: not told apart)", "COV, %", "MMD (CD x1e4)"), strict=True):
        axes.set_title(title, loc="left", fontsize=10)
    save(figure, path)


def plot_attributes(names: Sequence[str], scores: Mapping[str, Sequence[float]], path: Path) -> None:
    """R^2 of each parameter as horizontal bars, one below the other in the order of `names`.

    scores: reading -> R^2 of each parameter; bars of the first reading are thick. Those below 0 are cut off at 0.
    """
    figure = Figure(figsize=(8, 1.2 + 0.26 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    for n, ((label, values), color) in enumerate(zip(scores.items(), cycle(len(scores)), strict=True)):
        height = 0.62 if n == 0 else 0.18
        offset = -0.1 if n == 0 else 0.12 + 0.2 * n
        axes.barh(places + offset, np.clip(values, 0, 1), height=height, color=color, label=label)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(names) - 0.3, -0.7)
    axes.set_xlim(0, 1)
    axes.set_xlabel("R2 of test cars: 1 is exact, 0 no better than the mean")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    tidy(axes, "x")
    save(figure, path)
