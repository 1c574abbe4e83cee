"""The faces of a demo car's wheels, where spokes are: as points near them, or as distances on rings in them."""

from collections.abc import Callable, Iterator

import numpy as np

from demo_cars.car import Car, build_car
from demo_cars.parameters import Parameters, draw_parameters

FREQUENCIES = np.arange(4, 21)  # of the angle; two bars a spoke have twice the number of spokes
INNER, OUTER, DEPTH = 0.28, 0.90, 0.25  # of the rim's radius: where spokes are, and how far from the face they may be
RADII, ANGLES = np.linspace(INNER, OUTER, 7), np.arange(128) * (2 * np.pi / 128)
FAR = 0.03  # mesh units: distances on a ring are cut off here; half of the room between five spokes is 0.013

Distance = Callable[[np.ndarray], np.ndarray]  # (N, 3) mesh units -> (N,) mesh units
Wheel = tuple[np.ndarray, float]  # the middle of a wheel's face (3,), and the radius of its rim, mesh units


def spoked_cars(seed: int, count: int) -> Iterator[tuple[Parameters, Car]]:
    """The first cars of a seed with spoked rims."""
    index = 0
    while count:
        parameters = draw_parameters(seed, index)
        index += 1
        if parameters["wheel"] == "rim" and parameters["rim"] != "disc":
            count -= 1
            yield parameters, build_car(parameters)


def wheels_of(car: Car) -> list[Wheel]:
    """The wheels of both sides: parts of spokes, split by the sign of x."""
    ends = np.cumsum(car.counts)
    found = []
    for name, count, end in zip(car.names, car.counts, ends, strict=True):
        if "spokes" in name and "spare" not in name:
            points = car.vertices[np.unique(car.faces[end - count : end])]
            for side in (points[points[:, 0] < 0], points[points[:, 0] > 0]):
                if len(side):
                    low, high = side.min(axis=0), side.max(axis=0)
                    found.append(((low + high) / 2, float(high[1] - low[1]) / 2))
    return found


def pattern_of_points(points: np.ndarray, car: Car) -> np.ndarray:
    """Fourier coefficients of the angles of the points (N, 3) near the faces, added over the wheels: (17,) complex."""
    total = np.zeros(len(FREQUENCIES), complex)
    for middle, radius in wheels_of(car):
        offsets = points - middle
        across, out = np.hypot(offsets[:, 1], offsets[:, 2]), np.abs(offsets[:, 0])
        near = offsets[(across > INNER * radius) & (across < OUTER * radius) & (out < DEPTH * radius)]
        angle = np.arctan2(near[:, 1], near[:, 2])
        total += np.exp(1j * FREQUENCIES * angle[:, None]).sum(axis=0) / max(len(near), 1)
    return total


def pattern_of_field(distance: Distance, car: Car) -> np.ndarray:
    """The same of the distances on rings in the faces, in mesh units: (17,) complex."""
    wheels = wheels_of(car)
    ring = np.stack([np.zeros(len(ANGLES)), np.sin(ANGLES), np.cos(ANGLES)], axis=1)  # as `demo_cars.wheels` has them
    places = [middle + radius * share * ring for middle, radius in wheels for share in RADII]
    distances = np.minimum(distance(np.concatenate(places)), FAR).reshape(len(wheels) * len(RADII), len(ANGLES))
    waves = np.exp(1j * FREQUENCIES * ANGLES[:, None]) / len(ANGLES)
    return np.asarray((distances @ waves).sum(axis=0) / len(RADII))


def share_of(patterns: np.ndarray, true: np.ndarray) -> float:
    """How much of the true patterns (S, 17) is in others: the slope of a regression on them through 0; 1 if all of it
    is, in its place; 0 for discs, and for spokes at other angles."""
    return float((patterns * true.conj()).real.sum() / (np.abs(true) ** 2).sum())
