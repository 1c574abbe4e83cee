"""What all plots share: colours, a light grid, and reproducible PNG files."""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot, which may need a display: savefig to PNG uses Agg

from runtime.files import atomic_path

COLORS = ("#2a78d6", "#c9781f", "#3a9a6a", "#8a63c0", "#6b7280", "#c2456b")  # colour-blind safe
DARK = "#30363d"
GRID = "#e3e6ea"


def cycle(count: int) -> list[str]:
    """`count` colours, repeating after the last."""
    return [COLORS[i % len(COLORS)] for i in range(count)]


def tidy(axes: Axes, grid: Literal["both", "x", "y"]) -> None:
    """A light grid behind the marks, no frame at the top and right."""
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without date or version: the same plot gives the same bytes."""
    with atomic_path(path) as spare:
        figure.savefig(spare, format="png", dpi=130, metadata={"Software": None})
