"""How codes tell of attributes: linear readings of codes, in a small file beside the weights."""

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.options import Config, Editing
from frozen.loading import check_same_ndf
from runtime.errors import UserError
from runtime.files import write_npz
from runtime.layout import Experiment, absolute
from runtime.reading import open_npz

LEAST_R2 = 0.3  # of an attribute that can be edited, and that is held while others are
FIT = "python -m evaluation.editing.fit"
MOST_LETTERS = 100  # of a name, which names a folder
ARRAYS = ("weights", "offsets", "scales")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attribute:
    """A number, or a choice among values. Its readings are columns `first` to `first + width` of all.

    r2: explained share of its variance, cars left out one by one. mean, sd: of a number, in its own unit, over the cars
    of the fit. readings: of a choice, value -> mean reading (width,) of the cars that have it.
    """

    name: str
    first: int
    width: int
    r2: float
    mean: float = 0.0
    sd: float = 1.0
    readings: dict[str, list[float]] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        return not self.readings

    @property
    def columns(self) -> slice:
        return slice(self.first, self.first + self.width)

    def goes_beyond(self, reading: Array, aim: Array) -> bool:
        """Whether a code is read (width,) as one of two values more clearly than cars of that value, `aim`, are."""
        if len(self.readings) != 2:
            return False
        other = next(mean for mean in self.readings.values() if not np.array_equal(mean, aim))
        return bool((reading[0] - aim[0]) * (aim[0] - other[0]) > 0)


class Attributes:
    """All attributes by name, and their readings `codes @ weights + offsets`.

    weights: (D, t); offsets: (t,); scales: (t,), standard deviations of what the columns stand for (of a number, its
    own; of a choice, those of 1 and 0 for each value but the first). facts: where they come from, with the NDF's
    SHA-256.
    """

    def __init__(
        self, attributes: Sequence[Attribute], weights: Array, offsets: Array, scales: Array, facts: dict[str, Any]
    ):
        self.by_name = {attribute.name: attribute for attribute in attributes}
        self.weights, self.offsets, self.scales, self.facts = weights, offsets, scales, facts

    def read(self, codes: NDArray[np.floating]) -> Array:
        """Readings (S, t) of codes (S, D)."""
        found: Array = codes.astype(np.float64) @ self.weights + self.offsets
        return found

    def find(self, name: str) -> Attribute:
        """The attribute of that name. Raises UserError if there is none, or if codes do not know it."""
        if name not in self.by_name:
            near = difflib.get_close_matches(name, self.by_name, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            known = [one.name for one in self.by_name.values() if one.r2 >= LEAST_R2]
            raise UserError(f"no attribute is named {name!r}{hint} Known are {', '.join(known)}")
        found = self.by_name[name]
        if found.r2 < LEAST_R2:
            raise UserError(
                f"codes hardly know {name!r}: a regression explains {max(found.r2, 0.0):.2f} of its variance,"
                f" {LEAST_R2:g} or more expected; edit another attribute"
            )
        return found

    def held(self, edited: Attribute) -> NDArray[np.int64]:
        """Columns of all attributes that codes know, but for the edited one."""
        others = [one for one in self.by_name.values() if one.name != edited.name and one.r2 >= LEAST_R2]
        return np.array([k for one in others for k in range(one.first, one.first + one.width)], np.int64)

    def save(self, path: Path) -> None:
        about = {"attributes": [asdict(one) for one in self.by_name.values()], "facts": self.facts}
        arrays = {name: getattr(self, name).astype(np.float32) for name in ARRAYS}
        write_npz(path, compressed=True, about=np.array(json.dumps(about)), **arrays)


def attributes_path(editing: Editing, experiment: Experiment) -> Path:
    return absolute(editing.attributes_file) if editing.attributes_file else experiment.attributes


def load_attributes(cfg: Config, ndf_sha256: str) -> Attributes:
    """The attributes of the configuration's codes.

    Raises UserError if there is no such file, if it is damaged, or if it is of another NDF than that with `ndf_sha256`.
    """
    path, command = attributes_path(cfg.editing, cfg.experiment), f"{FIT} --config {cfg.run.config}"
    if not path.is_file():
        raise UserError(f"no attributes at {path}; make them (demo cars only) with: {command}")
    with open_npz(path, f"make it again with: {command}") as file:
        about = json.loads(str(file["about"]))
        weights, offsets, scales = (file[name].astype(np.float64) for name in ARRAYS)
        attributes = [checked_attribute(**one) for one in about["attributes"]]
        found = Attributes(attributes, weights, offsets, scales, about["facts"])
        check_shapes(found)
    check_same_ndf(found.facts["ndf_sha256"], ndf_sha256, f"the attributes in {path}", remedy=f"run {command} again")
    return found


def checked_attribute(
    name: str, first: int, width: int, r2: float, mean: float, sd: float, readings: dict[str, list[float]]
) -> Attribute:
    """An attribute that a file describes. Raises ValueError for what cannot be one, or cannot be named in a file."""
    for word in (name, *readings):
        if not isinstance(word, str) or Path(word).name != word or not word.isprintable() or len(word) > MOST_LETTERS:
            raise ValueError(f"{word!r} is no name of an attribute or of its values")
    numbers = [r2, mean, sd, *(number for reading in readings.values() for number in reading)]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers) or sd <= 0:
        raise ValueError(f"{name}: r2, mean, sd or readings are no finite numbers")
    if type(first) is not int or type(width) is not int or first < 0 or width < 1:
        raise ValueError(f"{name}: columns from {first!r}, {width!r} of them")
    return Attribute(name, first, width, r2, mean, sd, readings)


def check_shapes(found: Attributes) -> None:
    """Raise ValueError if arrays do not fit each other, or are not finite."""
    count = len(found.offsets)
    ends = [one.first + one.width for one in found.by_name.values()]
    if found.weights.shape[1:] != (count,) or found.scales.shape != (count,) or max(ends, default=0) > count:
        raise ValueError("arrays of different lengths")
    if not all(np.isfinite(array).all() for array in (found.weights, found.offsets, found.scales)):
        raise ValueError("numbers that are not finite")
    if any(len(reading) != one.width for one in found.by_name.values() for reading in one.readings.values()):
        raise ValueError("readings of another width")
    if not isinstance(found.facts.get("ndf_sha256"), str):
        raise ValueError("no ndf_sha256")
