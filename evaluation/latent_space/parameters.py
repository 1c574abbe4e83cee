"""What demo cars were made from: the parameters beside their meshes, as targets of a regression."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.options import Config
from dataprocessing.shapes import processed_root
from demo_cars.windows import closed_windows
from runtime.layout import DEMO_PARAMETERS, absolute
from runtime.reading import DamagedFile, read_json

Car = dict[str, Any]  # name of a parameter -> number, word or switch
MAX_VALUES = 64  # of a choice: a word with more, such as a name, is no kind of car


def demo_parameters(folder: Path, cfg: Config) -> Car | None:
    """The parameters of a demo car, beside its mesh or its preprocessed files, and which of its windows are closed.

    None for another shape.
    """
    places = [folder]
    if cfg.data.processed_dir and folder.is_relative_to(root := processed_root(cfg)):
        places.append(absolute(cfg.data.data_dir) / folder.relative_to(root))
    for place in places:
        try:
            found = read_json(place / DEMO_PARAMETERS)
            return found | closed_windows(found)
        except DamagedFile:  # not a demo car, or a file of another program
            continue
    return None


@dataclass(frozen=True)
class Parameter:
    """A number, or a choice among two or more values."""

    name: str
    values: tuple[Any, ...] = ()  # of a choice, in the order of their words

    @property
    def is_number(self) -> bool:
        return not self.values

    def targets(self, cars: Sequence[Car]) -> NDArray[np.float64]:
        """The number (S, 1), or 1 and 0 for each value of the choice but the first, (S, k - 1)."""
        if self.is_number:
            return np.array([[car[self.name]] for car in cars], np.float64)
        return (self.labels(cars)[:, None] == np.arange(1, len(self.values))).astype(np.float64)

    def labels(self, cars: Sequence[Car]) -> NDArray[np.int64]:
        """Index of each car's value, (S,); -1 for a value that no training car has."""
        places = {value: n for n, value in enumerate(self.values)}
        return np.array([places.get(car[self.name], -1) for car in cars])


def find_parameters(train: Sequence[Car], test: Sequence[Car]) -> tuple[list[Parameter], dict[str, list[str]]]:
    """The parameters that can be read, in the order of the files, and the names of the others by what they lack.

    Numbers are those with a fraction, as JSON writes them; words, switches and whole numbers are choices.
    """
    found: list[Parameter] = []
    left_out: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for car in (*train, *test) for name in car):
        problem = problem_of(name, train, test)
        if problem:
            left_out.setdefault(problem, []).append(name)
        elif any(isinstance(car[name], float) for car in train):
            found.append(Parameter(name))
        else:
            found.append(Parameter(name, tuple(sorted({car[name] for car in train}, key=str))))
    return found, left_out


def problem_of(name: str, train: Sequence[Car], test: Sequence[Car]) -> str:
    """Why a parameter cannot be read, or nothing."""
    if not all(name in car for car in (*train, *test)):
        return "not of every car"
    values = [[car[name] for car in cars] for cars in (train, test)]
    kinds = {"number" if isinstance(value, int | float) else type(value).__name__ for part in values for value in part}
    if kinds not in ({"number"}, {"str"}):
        return "neither numbers nor words"
    if kinds == {"number"} and not all(math.isfinite(value) for part in values for value in part):
        return "not finite"
    if min(len(set(part)) for part in values) < 2:
        return "constant"
    if any(isinstance(value, float) for value in values[0]):
        return ""
    known = set(values[0])
    if len(known) > MAX_VALUES:
        return f"of more than {MAX_VALUES} values"
    return "" if known & set(values[1]) else "of other values in the test cars"
