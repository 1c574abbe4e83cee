"""A whole car from its parameters: the parts joined, brought to ShapeNet's frame, and written as OBJ text."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from demo_cars.body import add_body
from demo_cars.extras import add_extras
from demo_cars.interior import add_interior
from demo_cars.lines import Lines
from demo_cars.mesh import Array, Parts, compact, triangle_areas
from demo_cars.parameters import Parameters, draw_parameters
from demo_cars.trim import add_trim
from demo_cars.wheels import add_wheels

DECIMALS = 5  # of coordinates, as written: 1/100 mm on a car of unit length
MIN_AREA = 1e-9  # faces below this (unit length squared) are dropped


@dataclass(frozen=True)
class Car:
    """vertices (V, 3) float64, x right, y up, -z front, box centred, longest side 1; faces (F, 3) from 0, by parts."""

    vertices: Array
    faces: Array
    names: list[str]  # of the parts
    counts: list[int]  # faces of each part


def build_car(parameters: Parameters) -> Car:
    """Build the car of these parameters; every value of `parameters` is read, none is drawn."""
    parts = Parts()
    lines = Lines(SimpleNamespace(**parameters))
    add_body(parts, lines)
    add_wheels(parts, lines)
    add_interior(parts, lines)
    add_trim(parts, lines)
    add_extras(parts, lines)
    points = np.concatenate([sheet.points for sheet in parts.sheets])
    owner = np.repeat(np.arange(len(parts.sheets)), [len(sheet.faces) for sheet in parts.sheets])
    starts = np.cumsum([0, *[len(sheet.points) for sheet in parts.sheets[:-1]]])
    faces = np.concatenate([sheet.faces + start for sheet, start in zip(parts.sheets, starts, strict=True)])
    points, faces = compact(points, faces)
    low, high = points.T.copy().min(axis=1), points.T.copy().max(axis=1)
    points = (points - 0.5 * (low + high)) / (high - low).max()
    points = np.round(points, DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    keep = triangle_areas(points, faces) > MIN_AREA
    faces, owner = faces[keep], owner[keep]
    counts = np.bincount(owner, minlength=len(parts.names)).tolist()
    return Car(*compact(points, faces), parts.names, counts)


def make_car(seed: int, index: int) -> tuple[Array, Array, Parameters]:
    """Car number `index` of a seed: vertices (V, 3) float64, faces (F, 3) int, and its parameters."""
    parameters = draw_parameters(seed, index)
    car = build_car(parameters)
    return car.vertices, car.faces, parameters


def to_obj(car: Car, comment: str) -> str:
    """The car as the text of an OBJ file with one group a part."""
    row = f"v %.{DECIMALS}f %.{DECIMALS}f %.{DECIMALS}f\n"
    text = [f"# {comment}\n", row * len(car.vertices) % tuple(car.vertices.ravel().tolist())]
    ends = np.cumsum(car.counts)
    for name, count, end in zip(car.names, car.counts, ends, strict=True):
        if count:
            faces = car.faces[end - count : end] + 1
            text.append(f"g {name}\n" + "f %d %d %d\n" * count % tuple(faces.ravel().tolist()))
    return "".join(text)
