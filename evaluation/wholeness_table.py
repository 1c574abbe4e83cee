"""The table of wholeness: how torn the shapes of each generator are, beside test and training shapes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.code_nna import FLOW, GAUSSIAN, NEIGHBOURS, NUM_SETS, TRAINING, Shares
from evaluation.sample_sets import UNSELECTED, SetRecipe
from evaluation.tables import Column, Table, spread
from evaluation.wholeness import RESOLUTION, SMALLEST_PIECE, Wholeness, wholeness_of_sets
from generation.networks import Networks
from generation.settledness import SETTLED

NAME, TITLE = "wholeness", "Wholeness of shapes, all decoded from codes by the same decoder"
COLUMNS = [
    Column("set", "set"),
    Column("shapes", "shapes", "d"),
    Column("unsettled_mean", "unsettled % mean", ".2f", 100),
    Column("unsettled_se", "±", ".2f", 100),
    Column("unsettled_median", "median", ".2f", 100),
    Column("unsettled_worst_quarter", "worst quarter", ".2f", 100),
    Column("pieces_mean", "loose pieces", ".2f"),
    Column("loose_area_mean", "their area %", ".2f", 100),
    Column("border_length_mean", "open border", ".2f"),
    Column("border_ratio", "x test", ".2f"),
    Column("nna_codes_all", "1-NNA of codes %", ".1f", 100),
    Column("nna_codes_leading", "leading %", ".1f", 100),
]
NOTE = (
    f"Unsettled: share of the surface on which the field stays above {SETTLED:g}, as on a roof that is half there; mean"
    " with its standard error over the shapes, median, mean of the worst quarter. Loose pieces: components of the mesh"
    f" beyond the largest, of an area of {SMALLEST_PIECE:g} or more; open border: its length, mesh units; means over"
    f" the shapes ({RESOLUTION} cells per axis). Shapes have windows and parts that do not touch: compare with the"
    " first row, which the flow should equal."
)
NNA_NOTE = (
    f" 1-NNA of codes against test codes, {NUM_SETS} sets: by the distance of codes, and on their leading principal"
    " directions (flow_dims); 50 % is best."
)
UNSETTLED, BORDER = (Wholeness._fields.index(name) for name in ("unsettled", "border_length"))
KINDS = {  # key of a recipe -> kind in `code_nna`
    "flow": FLOW,
    "gaussian": GAUSSIAN,
    "neighbours": NEIGHBOURS,
    "training": TRAINING,
}


def wholeness_tables(
    networks: Networks, recipes: Mapping[str, SetRecipe], labels: Mapping[str, str], shares: Shares
) -> list[Table]:
    """The table, and one of each shape, which is not printed.

    recipes: "test", and the keys of `KINDS`, in the order of the rows; labels: of the rows, by these keys; shares:
    1-NNA of codes.
    """
    values = dict(zip(recipes, wholeness_of_sets(networks, list(recipes.values())), strict=True))
    border_of_test = float(values["test"][:, BORDER].mean())
    rows, per_shape = [], []
    for key, recipe in recipes.items():
        row: dict[str, Any] = {"set": labels[key], "shapes": recipe.num, **summary(values[key])}
        row["border_ratio"] = values[key][:, BORDER].mean().item() / border_of_test if border_of_test else None
        found = shares.get(kind_of(key, recipes), {})
        row |= {f"nna_codes_{directions}": spread(found[directions]) for directions in ("all", "leading") if found}
        rows.append(row)
        per_shape += shape_rows(labels[key], recipe, values[key])
    note = NOTE + (NNA_NOTE if shares else "")
    columns = COLUMNS if shares else [column for column in COLUMNS if not column.key.startswith("nna")]
    return [Table(NAME, TITLE, columns, rows, note), Table(f"{NAME}_per_shape", f"{TITLE}, each", (), per_shape)]


def kind_of(key: str, recipes: Iterable[str]) -> str:
    """Whose codes are compared in the row of a key: those of the flow are not selected."""
    if UNSELECTED in recipes:
        return {UNSELECTED: FLOW, "flow": ""}.get(key, KINDS.get(key, ""))
    return KINDS.get(key, "")


def summary(values: NDArray[np.float64]) -> dict[str, float | None]:
    """The measures of a set from those of its shapes, (S, 4) in the columns of `Wholeness`."""
    unsettled = np.sort(values[:, UNSETTLED])
    worst = unsettled[-max(1, round(len(unsettled) / 4)) :]
    return {
        **{f"{name}_mean": float(mean) for name, mean in zip(Wholeness._fields, values.mean(axis=0), strict=True)},
        "unsettled_se": float(unsettled.std(ddof=1) / len(unsettled) ** 0.5) if len(unsettled) > 1 else None,
        "unsettled_median": float(np.median(unsettled)),
        "unsettled_worst_quarter": float(worst.mean()),
    }


def shape_rows(label: str, recipe: SetRecipe, values: NDArray[np.float64]) -> list[dict[str, Any]]:
    """A row for each shape of a set: its name, or its number among those of the generator."""
    names = recipe.names or [str(recipe.first + n) for n in range(recipe.num)]
    return [
        {"set": label, "shape": name, **dict(zip(Wholeness._fields, map(float, row), strict=True))}
        for name, row in zip(names, values, strict=True)
    ]
