"""The tables of the attributes: how well each is read from codes and inputs, and what samples have of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.latent_space.attribute_scores import ACCURACY, AUC, R2, measures_of, nearest_values, scores
from evaluation.latent_space.attributes import RESOLUTIONS, DemoCars, Readings, Targets
from evaluation.latent_space.parameters import Car, Parameter
from evaluation.tables import Column, Table

LINEAR, QUADRATIC, NOISED = "linear", "quadratic", "noised"
SOME, AGAIN, AGAIN_NOISED = "linear_some", "linear_again", "noised_again"  # of the cars that are decoded
INPUTS = {resolution: f"input_{resolution}" for resolution in RESOLUTIONS}
TEST, DECODED, SAMPLES = 0, 1, 2  # the parts of a reading, see `Readings`
WELL_READ = 0.5  # R^2
LEAST_READ = 0.2  # of the true standard deviation: below it, spreads are not compared
GLASS = "_glass"  # the end of the names of switches of windows

NAME, TITLE = "attributes", "Parameters of test cars, read from their codes and from their input points"
COLUMNS = [
    Column("set", "parameter"),
    Column("measure", "measure"),
    Column("chance", "chance", ".2f"),
    Column("base_rate", "base rate", ".2f"),
    Column(LINEAR, "code, linear", ".3f"),
    Column(QUADRATIC, "code, quadratic", ".3f"),
    Column(NOISED, "code with noise", ".3f"),
    *(Column(key, f"input {resolution}^3", ".3f") for resolution, key in INPUTS.items()),
    Column(SOME, "code, some cars", ".3f"),
    Column(AGAIN, "decoded, linear", ".3f"),
    Column(AGAIN_NOISED, "decoded, with noise", ".3f"),
]
NOTE = (
    "R2: 1 is exact, 0 as good as the mean. Balanced accuracy: mean over the values of the share that is right; AUC:"
    " chance that a car of the second value ranks above one of the first. Base rate: share of the commonest value."
    " Linear: from the code; quadratic: from products of its leading directions too; with noise: linear, by a fit to"
    " codes with noise; input: from the occupied nodes of the input points, the bar. What has no effect on a car, such"
    " as glass in a window that is closed, cannot be read."
)
SAMPLED_NAME, SAMPLED_TITLE = "attributes_sampled", "Parameters of test cars and of sampled codes"
SAMPLED_COLUMNS = [
    Column("set", "parameter"),
    Column("measure", "value"),
    *(
        Column(f"{key}_{statistic}", f"{key} {statistic}", ".4g")
        for key in ("true", "read", "sampled")
        for statistic in ("mean", "sd")
    ),
    Column("ratio", "sampled / read", ".2f"),
]
SAMPLED_NOTE = (
    "True: the parameters of the test cars. Read: what the reading of codes with noise gives for theirs; its spread is"
    " smaller the worse the parameter is read. Sampled: what it gives for {samples} samples of the flow. Of a choice:"
    " the share of cars of each value. Sampled / read: of standard deviations (none where next to nothing is read), or"
    " of shares; far below 1, samples lack variety, and near 0, a kind of car."
)


def attribute_tables(
    targets: Targets, readings: Readings, train: DemoCars, test: DemoCars, noise: float
) -> list[Table]:
    """The table of the readings and, if there is a flow, that of its samples.

    noise: sd of that of the noised codes, relative to their spread.
    """
    parts = readings.linear.others
    rows = attribute_rows(targets, readings, train.parameters, test.parameters, len(parts[DECODED]))
    text = (
        f"Ridge regression on {len(train.folders)} training cars, tested on {len(test.folders)} test cars. {NOTE}"
        f" Noise: of {noise:g} of the codes' spread, that of the flow's training (without a flow, code_noise). Some"
        f" cars: the linear reading of the first {len(parts[DECODED])} test cars; decoded: of the same cars, decoded"
        " and encoded again."
    )
    for problem, names in targets.left_out.items():
        text += f" Left out, {problem}: {', '.join(names)}."
    tables = [Table(NAME, TITLE, COLUMNS, rows, text)]
    if len(parts[SAMPLES]):
        rows = sampled_rows(targets, readings, train.parameters, test.parameters)
        sampled_note = SAMPLED_NOTE.format(samples=len(parts[SAMPLES]))
        tables.append(Table(SAMPLED_NAME, SAMPLED_TITLE, SAMPLED_COLUMNS, rows, sampled_note))
    return tables


def attribute_rows(
    targets: Targets, readings: Readings, train: Sequence[Car], test: Sequence[Car], num_again: int
) -> list[dict[str, Any]]:
    """Rows of `COLUMNS`: numbers, switches, then other choices, each from the best read one to the worst."""
    read = {
        LINEAR: (readings.linear, TEST),
        QUADRATIC: (readings.quadratic, TEST),
        NOISED: (readings.noised, TEST),
        **{key: (readings.inputs[resolution], TEST) for resolution, key in INPUTS.items()},
        SOME: (readings.linear, TEST),
        AGAIN: (readings.linear, DECODED),
        AGAIN_NOISED: (readings.noised, DECODED),
    }
    rows: list[dict[str, Any]] = []
    for parameter in targets.parameters:
        columns, found = targets.columns[parameter.name], {}
        for key, (reading, part) in read.items():
            count = num_again if key in (SOME, AGAIN, AGAIN_NOISED) else len(test)
            values = reading.others[part][:count, columns]
            found[key] = scores(parameter, train, reading.left_out[:, columns], test[:count], values)
        for measure in measures_of(parameter):
            row = {"set": parameter.name, "measure": measure, **reference(parameter, measure, test)}
            rows.append(row | {key: values[measure] for key, values in found.items()})
    best = {row["set"]: row[LINEAR] for row in reversed(rows)}  # by the first measure of each
    kinds = {parameter.name: min(len(parameter.values), 3) for parameter in targets.parameters}
    return sorted(rows, key=lambda row: (kinds[row["set"]], -best[row["set"]], row["set"]))  # stable


def reference(parameter: Parameter, measure: str, cars: Sequence[Car]) -> dict[str, float | None]:
    """What a reading without knowledge gets, and the share of the commonest value (None for a number)."""
    if measure == R2:
        return {"chance": 0.0, "base_rate": None}
    counts = Counter(parameter.labels(cars).tolist())
    return {"chance": 0.5 if measure == AUC else 1 / len(counts), "base_rate": max(counts.values()) / len(cars)}


def sampled_rows(
    targets: Targets, readings: Readings, train: Sequence[Car], test: Sequence[Car]
) -> list[dict[str, Any]]:
    """Rows of `SAMPLED_COLUMNS`: one per number, and one per value of each choice."""
    rows: list[dict[str, Any]] = []
    for parameter in targets.parameters:
        columns = targets.columns[parameter.name]
        read, sampled = (readings.noised.others[part][:, columns] for part in (TEST, SAMPLES))
        if parameter.is_number:
            rows.append({"set": parameter.name, "measure": ""})
            for key, values in (("true", parameter.targets(test)), ("read", read), ("sampled", sampled)):
                rows[-1] |= {f"{key}_mean": float(values.mean()), f"{key}_sd": float(values.std())}
            is_read = rows[-1]["read_sd"] > LEAST_READ * rows[-1]["true_sd"]
            rows[-1]["ratio"] = rows[-1]["sampled_sd"] / rows[-1]["read_sd"] if is_read else None
            continue
        known, left_out = parameter.labels(train), readings.noised.left_out[:, columns]
        labels = {"true": parameter.labels(test)}
        labels |= {"read": nearest_values(left_out, known, read), "sampled": nearest_values(left_out, known, sampled)}
        for n, value in enumerate(parameter.values):
            shares = {f"{key}_mean": float(np.mean(found == n)) for key, found in labels.items()}
            rows.append({"set": parameter.name, "measure": str(value), **shares})
            rows[-1]["ratio"] = shares["sampled_mean"] / shares["read_mean"] if shares["read_mean"] else None
    return rows


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line: how many numbers are read well, and how well the switches of windows are."""
    keys = {LINEAR: "code", QUADRATIC: "quadratic"} | {key: f"input {size}^3" for size, key in INPUTS.items()}
    numbers = [row for row in rows if row["measure"] == R2]
    glass = [row for row in rows if row["measure"] == ACCURACY and row["set"].endswith(GLASS)]
    parts = []
    if numbers:
        counts = ", ".join(f"{name} {sum(row[key] > WELL_READ for row in numbers)}" for key, name in keys.items())
        parts.append(f"numbers read with R2 > {WELL_READ:g}, of {len(numbers)}: {counts}")
    if glass:
        means = ", ".join(f"{name} {100 * np.mean([row[key] for row in glass]):.1f}" for key, name in keys.items())
        parts.append(f"glass in {len(glass)} windows, mean balanced accuracy in %: {means}")
    return "attributes: " + "; ".join(parts)
