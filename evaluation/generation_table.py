"""The generation table: sets of clouds against references, for each distance, over many sample sets.

Independent of where the clouds come from: an experiment's networks, or a folder of any other system's files.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from configs.options import Config
from evaluation.metrics import (
    CloudSet,
    Matrix,
    approximation_error,
    jsd,
    mmd_cov,
    nearest_in_set,
    one_nna,
    pairwise,
    pairwise_nearest,
)
from evaluation.protocols import Clouds
from evaluation.tables import Column, Table, spread
from runtime.cores import num_workers

LONG = 20_000  # pairs; larger matrices get their own progress bar
ERROR_PAIRS = 16  # of clouds, on which approximate and exact EMDs are compared
OUTSIDE_NOTE = "JSD: some points are outside the ball of radius 0.5 and count at its nearest cell, as PointFlow has it."


class Distance(NamedTuple):
    """How tables show a distance, and the metrics of `evaluation.metrics.METRICS` that compute it."""

    title: str
    unit: str
    scale: float
    exact: str
    approx: str


DISTANCES = {
    "cd": Distance("CD", "x1e4", 1e4, "cd", "cd"),
    "emd": Distance("EMD", "x1e2", 1e2, "emd", "emd_cells"),
    "emd_sq": Distance("squared EMD", "x1e4", 1e4, "emd_sq", "emd_sq_cells"),
}


@dataclass(frozen=True)
class NamedSet:
    """A set of clouds. name: for files; load: returns (S, N, 3) in the protocol's frame, possibly from disk."""

    name: str
    load: Callable[[], Clouds]


@dataclass(frozen=True)
class Competitor:
    """A row of the table. against: labels of the references that it is compared with; sets: its sample sets;
    novelty: whether its distances to the training shapes are meaningful."""

    label: str
    against: Sequence[str]
    sets: Sequence[NamedSet]
    novelty: bool = True


class Comparison:
    """The references, and everything that is compared with them.

    references: label -> set; all sets have the same shape (S, N, 3). cache_folder: for finished matrices; device: for
    distances.
    """

    def __init__(
        self,
        cfg: Config,
        references: dict[str, NamedSet],
        competitors: Sequence[Competitor],
        cache_folder: Path,
        device: torch.device,
    ):
        self.cfg, self.references, self.competitors = cfg, references, competitors
        self.cache_folder, self.device, self.workers = cache_folder, device, num_workers(cfg.run.num_cpus)
        self.reference_clouds = {label: CloudSet(list(one.load())) for label, one in references.items()}
        first = next(iter(self.reference_clouds.values()))
        self.num_shapes, self.num_points = len(first), len(first[0])
        self.within = cache(self._within)
        self.notes: set[str] = set()

    def distances(self) -> list[str]:
        return ["cd"] if self.cfg.evaluation.emd == "none" else list(DISTANCES)

    def metric(self, distance: str) -> str:
        return DISTANCES[distance].exact if self.cfg.evaluation.emd == "exact" else DISTANCES[distance].approx

    def rows(self) -> list[dict[str, Any]]:
        """A row per competitor, reference and distance: `set_measures` as spreads over the sets, with JSD for CD."""
        jobs = [(distance, competitor) for distance in self.distances() for competitor in self.competitors]
        total = sum(
            len(self._sets(competitor, distance)) * self._pairs(1 + len(competitor.against))
            for distance, competitor in jobs
        )
        rows = []
        with tqdm(total=total, desc="comparing", unit="pair", unit_scale=True, disable=None) as bar:
            for distance, competitor in jobs:
                bar.set_postfix_str(f"{distance}: {competitor.label}")
                rows += self._rows_of(competitor, distance, bar)
        return rows

    def emd_errors(self) -> dict[str, dict[str, float | None]]:
        """Error of the approximate EMDs against the exact ones, on random pairs from the first reference and the first
        sample set of the first competitor. Empty unless EMDs are approximate."""
        if self.cfg.evaluation.emd != "approx":
            return {}
        reference = next(iter(self.reference_clouds.values()))
        samples = CloudSet(list(self.competitors[0].sets[0].load()))
        errors = {}
        for distance in tqdm(("emd", "emd_sq"), desc="error of approximate EMD", disable=None):
            found = approximation_error(
                distance == "emd_sq", reference, samples, ERROR_PAIRS, self.cfg.run.seed, self.workers
            )
            errors[distance] = {key: None if np.isnan(value) else value for key, value in found._asdict().items()}
        return errors

    def nearest_training_rows(self, training: NamedSet) -> list[dict[str, Any]]:
        """CD of each cloud to the nearest of all training clouds: median and minimum per set, as spreads over sets.

        The references are included. `distances` of a row holds those of all its clouds.
        """
        all_training = CloudSet(list(training.load()))
        wanted = [(one.label, one.sets) for one in self.competitors if one.novelty]
        wanted += [(label, [reference]) for label, reference in self.references.items()]
        rows = []
        with tqdm(total=sum(len(s) for _, s in wanted), desc="nearest training shape", unit="set", disable=None) as bar:
            for label, sets in wanted:
                found = []
                for one in sets:
                    cache = self.cache_folder / f"nearest-{one.name}-{training.name}.npz"
                    clouds = CloudSet(list(one.load()))
                    found.append(nearest_in_set(clouds, all_training, workers=self.workers, cache=cache)[0])
                    bar.update()
                row = {"set": label, "shapes": len(found[0]), "training": len(all_training), "sets": len(found)}
                row["median"] = spread([float(np.median(values)) for values in found])
                row["min"] = spread([float(values.min()) for values in found])
                rows.append(row | {"distances": np.concatenate(found).tolist()})
        return rows

    def _sets(self, competitor: Competitor, distance: str) -> Sequence[NamedSet]:
        return competitor.sets[: None if distance == "cd" else self.cfg.evaluation.num_emd_sets]

    def _pairs(self, matrices: int) -> int:
        return matrices * self.num_shapes**2

    def _rows_of(self, competitor: Competitor, distance: str, bar: tqdm) -> list[dict[str, Any]]:
        metric = self.metric(distance)
        values: dict[str, list[dict[str, float]]] = {label: [] for label in competitor.against}
        for one in self._sets(competitor, distance):
            clouds = CloudSet(list(one.load()))
            ss = self._matrix(metric, (one.name, clouds))
            bar.update(self._pairs(1))
            for label in competitor.against:
                reference = (self.references[label].name, self.reference_clouds[label])
                rs = self._matrix(metric, reference, (one.name, clouds))
                measures = set_measures(self.within(metric, label), rs, ss)
                if distance == "cd":
                    measures["jsd"] = self._jsd(clouds, self.reference_clouds[label])
                values[label].append(measures)
                bar.update(self._pairs(1))
        rows = []
        for label, found in values.items():
            row = {"set": competitor.label, "reference": label, "distance": distance, "shapes": self.num_shapes}
            row |= {"points": self.num_points, "sets": len(found)}
            rows.append(row | {key: spread([measures[key] for measures in found]) for key in found[0]})
        return rows

    def _jsd(self, samples: CloudSet, references: CloudSet) -> float:
        """JSD; its warning about points outside becomes a single note of the table."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = jsd(samples, references)
        if caught:
            self.notes.add(OUTSIDE_NOTE)
        return value

    def _within(self, metric: str, label: str) -> Matrix:
        return self._matrix(metric, (self.references[label].name, self.reference_clouds[label]))

    def _matrix(self, metric: str, a: tuple[str, CloudSet], b: tuple[str, CloudSet] | None = None) -> Matrix:
        other = "each other" if b is None else b[0]
        second = None if b is None else b[1]
        cache = self.cache_folder / f"{metric}-{a[0]}-{a[0] if b is None else b[0]}.npz"
        told = f"{metric}: {a[0]} with {other}" if self._pairs(1) > LONG else None
        if metric == "cd":  # the measures read the smallest alone
            return pairwise_nearest(a[1], second, self.workers, cache, told, self.device)
        return pairwise(metric, a[1], second, self.workers, cache, told, self.device)


def set_measures(rr: Matrix, rs: Matrix, ss: Matrix) -> dict[str, float]:
    """`MEASURES` of one set of samples against references. rr (R, R), rs (R, S), ss (S, S): their distances."""
    nna = {f"nna_{key}": value for key, value in one_nna(rr, rs, ss)._asdict().items()}
    return mmd_cov(rs)._asdict() | nna


def generation_tables(
    rows: Sequence[dict[str, Any]], errors: Mapping[str, Mapping[str, float | None]], notes: Iterable[str] = ()
) -> list[Table]:
    """The rows as one table per distance.

    errors: of approximate EMDs, see `Comparison.emd_errors`; notes: further notes for the table of CD.
    """
    tables = []
    for distance, shown in DISTANCES.items():
        mine = [row for row in rows if row["distance"] == distance]
        if not mine:
            continue
        columns = [
            Column("set", "set"), Column("reference", "against"), Column("shapes", "shapes", "d"),
            Column("sets", "sets", "d"), Column("mmd", f"MMD {shown.unit}", ".3f", shown.scale),
            Column("cov", "COV %", ".1f", 100), Column("nna_acc", "1-NNA %", ".1f", 100),
            Column("nna_acc_t", "acc_t %", ".1f", 100), Column("nna_acc_f", "acc_f %", ".1f", 100),
        ]  # fmt: skip
        if distance == "cd":
            columns.append(Column("jsd", "JSD x1e2", ".2f", 100))
        note = (
            " ".join([generation_note(mine[0]), *sorted(notes)]) if distance == "cd" else emd_note(errors.get(distance))
        )
        tables.append(Table(f"generation_{distance}", f"Generation, by {shown.title}", columns, mine, note))
    return tables


def generation_note(row: dict[str, Any]) -> str:
    shapes = row["shapes"]
    chance = 100 * np.sqrt(0.25 / (2 * shapes))
    return (
        f"Clouds of {row['points']} points; mean ± standard deviation over the sets. 1-NNA: 50 % is best; acc_t:"
        f" references, acc_f: samples; by chance it deviates by {chance:.1f} points at {shapes} + {shapes} shapes."
    )


def emd_note(error: Mapping[str, Any] | None) -> str:
    """How an EMD was computed; error: of the approximate EMD, None for the exact one."""
    if error is None:
        return "Exact: the optimal one-to-one matching of the points."
    correlation = error["correlation"]
    return (
        f"Approximate, by the matched centroids of small cells: on {error['pairs']} random pairs of a sample and a"
        f" reference it is {100 * error['mean']:+.1f} % (sd {100 * error['spread']:.1f}, worst"
        f" {100 * error['worst']:.1f}) off the exact value"
        + (f", with a correlation of {correlation:.3f}" if correlation is not None else "")
        + ". Its MMD does not compare with exact ones; --emd exact gives these."
    )


def nearest_table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = [
        Column("set", "set"), Column("shapes", "shapes", "d"), Column("sets", "sets", "d"),
        Column("training", "training shapes", "d"),
        Column("median", "median x1e4", ".3f", 1e4), Column("min", "min x1e4", ".3f", 1e4),
    ]  # fmt: skip
    note = (
        "Samples far nearer to a training shape than references are would be memorised. Median and least over the"
        " shapes of a set; mean ± standard deviation over the sets."
    )
    return Table("nearest_training", "Distance to the nearest training shape, by CD", columns, rows, note)
