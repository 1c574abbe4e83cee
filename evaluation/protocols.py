"""The frames in which clouds are compared. Numbers of different protocols are not comparable."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.options import Evaluation
from runtime.errors import UserError

Clouds = NDArray[np.float32]  # (S, N, 3)

POINTFLOW_POINTS = 2048
DEFINITIONS = {
    "raw": "Clouds as they are: no shift, no scale. Those of an experiment are in mesh units: each mesh was centred on"
    " its box and its longest side made 1. References: the test split. Points of larger clouds: drawn at random.",
    "box": "Each cloud, sample or reference, is moved to put the centre of its own axis-aligned box at 0 and divided by"
    " the longest side of that box, so that it lies in [-0.5, 0.5]^3; the box is that of the compared points."
    " References: the test split. Points of larger clouds: drawn at random. Source: LION (Zeng et al. 2022), norm_box.",
    "pointflow": "Distances in the data's own frame. A system that works on normalised clouds (x - m) / s takes its"
    " samples back by x s + m first; m (3 numbers) is the mean of all points of all training clouds and s (1 number)"
    " the standard deviation of all their coordinates about their common mean, the same for every shape. 2,048 points:"
    " the first 2,048 of larger clouds. References: the validation split. Source: PointFlow (Yang et al. 2019), test.py"
    " and datasets.py.",
}


@dataclass(frozen=True)
class Statistics:
    """Of a training set, for `pointflow`: mean (3), and one standard deviation for all axes, in data units."""

    mean: tuple[float, float, float]
    sd: float
    shapes: int
    points: int


@dataclass(frozen=True)
class Protocol:
    """name: raw, box or pointflow; num_points: per compared cloud; statistics: of the training set, or None."""

    name: str
    num_points: int
    statistics: Statistics | None = None

    @property
    def split(self) -> str:
        """The part of an experiment's split that provides the references."""
        return references_of(self.name)

    def frame(self, clouds: Clouds, where: Callable[[int], str] = lambda n: f"cloud {n}") -> Clouds:
        """Clouds (S, N, 3) in the frame in which they are compared. where: names cloud n in an error.

        Raises UserError if the frame is the box and all points of a cloud coincide.
        """
        if self.name != "box":
            return clouds
        low, high = clouds.min(axis=1, keepdims=True), clouds.max(axis=1, keepdims=True)
        sides = (high - low).max(axis=2, keepdims=True)
        if not sides.all():
            raise UserError(
                f"{where(int(np.argmin(sides[:, 0, 0])))}: all its points are at one place, so it has no box; leave it"
                " out, or use --protocol raw"
            )
        return (clouds - (low + high) / 2) / sides

    def denormalised(self, clouds: Clouds, origin: NDArray[np.floating] | float = 0.0) -> Clouds:
        """Normalised samples (S, N, 3) mapped back to the data's frame, less `origin` (3,).

        Raises ValueError without statistics.
        """
        if self.statistics is None:
            raise ValueError("samples are taken back to the data's frame by the statistics of a training set")
        return (clouds * self.statistics.sd + (np.array(self.statistics.mean) - origin)).astype(np.float32)

    def choose(self, points: NDArray[np.floating], seed: tuple[int, ...]) -> NDArray[np.floating]:
        """num_points of the points (M, 3), M >= num_points, in their order: the first, or a random subset by seed."""
        if self.name == "pointflow" or len(points) == self.num_points:
            return points[: self.num_points]
        return points[np.sort(np.random.default_rng(seed).choice(len(points), self.num_points, replace=False))]

    def facts(self) -> dict[str, Any]:
        """Facts on the protocol for the results."""
        statistics = asdict(self.statistics) if self.statistics else None
        return {
            "name": self.name,
            "definition": DEFINITIONS[self.name],
            "num_points": self.num_points,
            "training_statistics": statistics,
        }


def references_of(protocol: str) -> str:
    """The part of an experiment's split that provides the references of a protocol."""
    return "val" if protocol == "pointflow" else "test"


def make_protocol(evaluation: Evaluation, training: Iterable[NDArray[np.floating]] | None) -> Protocol:
    """The protocol of a configuration. training: all training clouds (M, 3), read if the protocol needs them.

    Raises UserError for pointflow with a number of points other than 2,048.
    """
    if evaluation.protocol != "pointflow":
        return Protocol(evaluation.protocol, evaluation.num_eval_points)
    if evaluation.num_eval_points != POINTFLOW_POINTS:
        raise UserError(
            f"num_eval_points is {evaluation.num_eval_points}, protocol pointflow compares {POINTFLOW_POINTS};"
            " use that, or another --protocol"
        )
    statistics = None if training is None else training_statistics(training)
    return Protocol(evaluation.protocol, evaluation.num_eval_points, statistics)


def training_statistics(clouds: Iterable[NDArray[np.floating]]) -> Statistics:
    """Mean (3) of all points and standard deviation (one number, divided by the count) of all coordinates.

    clouds: (M, 3) each, consumed lazily, so that they need not all be in memory.
    """
    shapes, count, total, total_sq = 0, 0, np.zeros(3), 0.0
    for cloud in clouds:
        points = cloud.astype(np.float64)
        shapes, count = shapes + 1, count + len(points)
        total += points.sum(axis=0)
        total_sq += float(np.square(points).sum())
    sd = np.sqrt(max(total_sq / (3 * count) - (total.sum() / (3 * count)) ** 2, 0.0))
    x, y, z = (float(value) for value in total / count)
    return Statistics((x, y, z), float(sd), shapes, count)
