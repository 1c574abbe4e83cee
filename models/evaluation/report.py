"""What step 7 prints and writes: the tables as text, csv and json, with the numbers that were used."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from configs.config_loader import config_as_dict
from configs.files import write_json, write_text
from models.checkpoints import current_commit
from models.evaluation.experiment import Evaluation
from models.evaluation.tables import Column, Row, table_csv, table_text

SET, SHAPES, POINTS = Column("set", "set"), Column("shapes", "shapes", "d"), Column("points", "points", "d")
TABLES: dict[str, tuple[str, list[Column], str]] = {
    "networks": (
        "Networks",
        [Column("measure", "measure"), Column("value", "value", ".5f"), Column("unit", "unit")],
        "|UDF error|: of points nearer than max_dist. NLL: of whitened codes with the noise of the flow's training.",
    ),
    "reconstruction": (
        "Reconstruction: test shapes against their true surface",
        [
            SET, SHAPES, POINTS,
            Column("chamfer_udf_mean", "chamfer_udf mean x1e4", ".4f", 1e4),
            Column("chamfer_udf_median", "median x1e4", ".4f", 1e4),
            Column("f_score_0.005", "F 0.005", ".4f"),
            Column("f_score_0.01", "F 0.01", ".4f"),
        ],
        "chamfer_udf: mean squared distance to the nearest point, mean of both directions; the longest side is 1.",
    ),
    "generation": (
        "Generation: sets of clouds against test shapes, by chamfer_l2_sq",
        [
            SET, Column("reference", "against"), SHAPES, POINTS,
            Column("mmd", "MMD x1e4", ".3f", 1e4),
            Column("cov", "COV %", ".1f", 100),
            Column("nna_acc", "1-NNA %", ".1f", 100),
            Column("nna_acc_t", "acc_t %", ".1f", 100),
            Column("nna_acc_f", "acc_f %", ".1f", 100),
        ],
        "1-NNA: 50 % is best; acc_t: references, acc_f: samples. Its standard deviation by chance: {sd}."
        " Against decoded shapes the flow alone is judged, against true ones the decoder too.",
    ),
    "nearest_training": (
        "Distance to the nearest training shape, by chamfer_l2_sq",
        [
            SET, SHAPES, Column("training", "training shapes", "d"),
            Column("median", "median x1e4", ".3f", 1e4),
            Column("min", "min x1e4", ".3f", 1e4),
        ],
        "Samples far nearer to a training shape than decoded test shapes are would be memorised.",
    ),
}  # fmt: skip


def write_report(evaluation: Evaluation, networks: Sequence[Row], sources: Mapping[str, str]) -> str:
    """Compute the other tables and write `evaluation.{txt,json}` and a csv for each table. Returns the text.

    networks: rows (measure, value, unit); sources: the checkpoints that were measured, with their SHA-256.
    """
    reconstruction, per_shape = evaluation.reconstruction_rows()
    rows: dict[str, Sequence[Row]] = {
        "networks": networks,
        "reconstruction": reconstruction,
        "generation": evaluation.generation_rows(),
        "nearest_training": evaluation.nearest_training_rows(),
    }
    folder: Path = evaluation.experiment.evaluation
    text = "\n".join(report_text(name, rows[name]) for name in TABLES)
    for name, (_, columns, _) in TABLES.items():
        write_text(folder / f"{name}.csv", table_csv(columns, rows[name]))
    made_by = {"commit": current_commit(), **sources, "config": config_as_dict(evaluation.cfg)}
    write_json(folder / "evaluation.json", {**made_by, **rows, "reconstruction_per_shape": per_shape})
    write_text(folder / "evaluation.txt", text)
    return text


def report_text(name: str, rows: Sequence[Row]) -> str:
    title, columns, note = TABLES[name]
    counts = sorted({row["shapes"] for row in rows if "shapes" in row})
    chance = ", ".join(f"{100 * np.sqrt(0.25 / (2 * n)):.1f} points at {n} + {n} shapes" for n in counts)
    return table_text(title, columns, rows, note.format(sd=chance))
