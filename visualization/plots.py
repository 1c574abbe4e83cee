"""What all plots share: colours, a light grid, and PNG files that have the same bytes for the same plot."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # not pyplot, which wants a screen: a figure saved as PNG is drawn by Agg

from configs.files import atomic_path

COLORS = ("#2a78d6", "#c9781f", "#3a9a6a", "#8a63c0", "#6b7280", "#c2456b")  # told apart by colour-blind people too
DARK = "#30363d"
GRID = "#e3e6ea"


def cycle(count: int) -> list[str]:
    """`count` colours, the first ones again after the last."""
    return [COLORS[i % len(COLORS)] for i in range(count)]


def tidy(axes: Axes, grid: str) -> None:
    """A light grid behind the marks, no frame above and to the right."""
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG. Without a date or a version in it: the same plot has the same bytes."""
    with atomic_path(path) as spare:
        figure.savefig(spare, format="png", dpi=130, metadata={"Software": None})
