"""What each shape of the stand-in is: drawn from the seed and its index alone, so that fewer shapes are a prefix.

The shares of faces and of troubles are chosen to meet everything that is told of ShapeNet's cars; they are not measured
on it.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runtime.seeds import generator

SHAPES = 7497  # of NDF's split
VAL, TEST = 749, 1499  # of these
BROKEN_EVERY, HUGE_EVERY = 250, 2500  # one in each block of so many shapes, at a place that the seed draws
BROKEN = ("empty", "no faces", "cut off", "lines alone", "not finite", "no mesh")  # one block after the other
HUGE_FACES, MOST_COMPONENTS, MOST_GROUPS = 1_000_000, 475, 600
DUPLICATES, REAL, FEW = 0.015, 0.05, 0.05  # shares of shapes; few: of components
# Faces that a mesh is subdivided to: (share, fewest, most), log-uniform; the rest stays as it is.
FACES = ((0.03, 200_000, 600_000), (0.12, 50_000, 200_000), (0.30, 12_000, 50_000))


@dataclass(frozen=True)
class Plan:
    """What one shape is; `origin` is the index of the shape that it repeats, its own if it repeats none.

    real: the number of a real mesh, -1: a demo car. components, below 4: the largest are kept; else loose pieces are
    added up to so many. doubled, polygons: shares of the faces that are there twice, or become larger polygons.
    """

    index: int
    name: str
    origin: int
    broken: str = ""
    real: int = -1
    faces: int = 0  # 0: as it is
    components: int = 0
    groups: int = 1
    lines: int = 0
    loose_vertices: int = 0
    outside: bool = False  # these two lie around the car, else inside
    doubled: float = 0.0
    degenerate: int = 0
    polygons: float = 0.0
    own_vertices: bool = False  # each group repeats the vertices that it shares
    textures: int = 0


def name_of(seed: int, index: int) -> str:
    """The id of a shape: 32 hexadecimal digits, without leading zeros, as ShapeNet's have them."""
    return hashlib.md5(f"stand-in/{seed}/{index}".encode(), usedforsecurity=False).hexdigest().lstrip("0")


def plan_of(seed: int, index: int, num_real: int = 0) -> Plan:
    """The plan of one shape. num_real: real meshes at hand."""
    rng = generator(seed, "stand-in", str(index))
    name, broken, huge = name_of(seed, index), _broken(seed, index), _is_in_block(seed, "huge", index, HUGE_EVERY)
    if index and rng.random() < DUPLICATES and not broken and not huge:
        first = plan_of(seed, int(rng.integers(index)), num_real)
        if not first.broken:
            return replace(first, index=index, name=name)
    few, chance, which = rng.random(3)  # drawn, whether there are real meshes or not
    real = int(which * num_real) if num_real and chance < REAL else -1
    plan = Plan(
        index,
        name,
        index,
        broken,
        real=real,
        faces=HUGE_FACES if huge else _faces(rng),
        components=int(rng.integers(1, 4)) if few < FEW else _log_uniform(rng, 4, MOST_COMPONENTS),
        groups=_log_uniform(rng, 1, MOST_GROUPS),
    )
    return replace(plan, **_troubles(rng))


def plans_of(seed: int, shapes: int, num_real: int = 0) -> list[Plan]:
    return [plan_of(seed, index, num_real) for index in range(shapes)]


def parts_of(seed: int, shapes: int) -> dict[str, list[int]]:
    """The indices of train, val and test in the proportions of NDF's split, 5,249 : 749 : 1,499."""
    num_val, num_test = (round(shapes * part / SHAPES) for part in (VAL, TEST))
    order = generator(seed, "stand-in", "split").permutation(shapes).tolist()
    parts = {"val": order[:num_val], "test": order[num_val : num_val + num_test], "train": order[num_val + num_test :]}
    return {part: sorted(parts[part]) for part in ("train", "val", "test")}


def _troubles(rng: np.random.Generator) -> dict[str, Any]:
    """The fields of a Plan that spoil a mesh; each is drawn, whether it is used or not."""
    has = dict(zip(("lines", "loose", "doubled", "degenerate", "polygons"), rng.random(5), strict=True))
    drawn = {
        "lines": _log_uniform(rng, 1, 2000) * (has["lines"] < 0.4),
        "loose_vertices": _log_uniform(rng, 1, 200) * (has["loose"] < 0.3),
        "outside": bool(rng.random() < 0.1),
        "doubled": float(rng.uniform(0.01, 0.3)) * (has["doubled"] < 0.3),
        "degenerate": _log_uniform(rng, 1, 300) * (has["degenerate"] < 0.25),
        "polygons": float(rng.uniform(0.05, 0.6)) * (has["polygons"] < 0.3),
        "own_vertices": bool(rng.random() < 0.3),
        "textures": int(rng.integers(1, 4)) * bool(rng.random() < 0.4),
    }
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in drawn.items()}


def _broken(seed: int, index: int) -> str:
    block = index // BROKEN_EVERY
    return BROKEN[block % len(BROKEN)] if _is_in_block(seed, "broken", index, BROKEN_EVERY) else ""


def _is_in_block(seed: int, what: str, index: int, size: int) -> bool:
    """Whether a shape is the one of its block."""
    return index % size == int(generator(seed, "stand-in", what, str(index // size)).integers(size))


def _faces(rng: np.random.Generator) -> int:
    chance = rng.random()
    for share, fewest, most in FACES:
        if chance < share:
            return _log_uniform(rng, fewest, most)
        chance -= share
    return 0


def _log_uniform(rng: np.random.Generator, fewest: int, most: int) -> int:
    """A whole number from `fewest` to `most`, as likely to be in one of two ranges of equal ratio."""
    return int(np.exp(rng.uniform(np.log(fewest), np.log(most + 1))))
