"""Deliberately wrong shapes, which a likelihood of cars should rank below cars.

Every function returns input clouds for the encoder, (num_points, 3) float32 in mesh units, inside [-0.5, 0.5]^3, that
depend only on the seed and the shape. Axes as in ShapeNet: x right, y up, -z front.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from configs.options import Data
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.mesh_io import Mesh
from dataprocessing.shapes import shape_name
from dataprocessing.surface import sample_surface, scaled_mesh
from generation.cloud_files import Cloud
from runtime.seeds import generator

REDRAWN = "control: the same cars, other input points"
WRONG, OBJECTS, CUT = "(a) mirrored and scaled cars", "(b) spheres and chairs", "(c) cars with a part removed"
SCALES = (0.75, 1.35)  # factors of the three axes of a wrong car, log-uniform
REMOVED = (0.2, 0.3)  # share of the surface that a cut removes
SPARE_POINTS = 2  # times as many points are drawn before a cut
DEFINITIONS = {
    REDRAWN: "test cars with an input cloud drawn anew, not the stored one: 0.5 is right here",
    WRONG: f"test cars upside down or nose to tail, each axis scaled by {SCALES[0]} to {SCALES[1]}, and fitted to the"
    " box as in preprocessing",
    OBJECTS: "spheres of the box's width, and chairs made of boxes of random proportions, half of each",
    CUT: "test cars without the points beyond a random plane, in a random corner or below a height (the wheels),"
    f" {REMOVED[0]:.0%} to {REMOVED[1]:.0%} of the surface, in turn",
}


def outlier_clouds(folders: Sequence[Path], num_points: int, seed: int, data: Data) -> dict[str, list[Cloud]]:
    """The sets of `DEFINITIONS`, by name: one cloud (num_points, 3) per set and test shape.

    folders: preprocessed shapes. Raises UserError if one has no scaled mesh.
    """
    clouds: dict[str, list[Cloud]] = {name: [] for name in DEFINITIONS}
    for n, folder in enumerate(tqdm(folders, desc="making wrong shapes", unit="shape", disable=None)):
        mesh, name = scaled_mesh(folder, data), shape_name(folder)
        for label in clouds:
            clouds[label].append(MAKERS[label](mesh, n, num_points, generator(seed, name, label)))
    return clouds


def redrawn_car(mesh: Mesh, number: int, num_points: int, rng: np.random.Generator) -> Cloud:
    """New points of the unchanged car."""
    return sample_surface(mesh, num_points, rng).astype(np.float32)


def wrong_car(mesh: Mesh, number: int, num_points: int, rng: np.random.Generator) -> Cloud:
    """A car upside down (even `number`) or nose to tail (odd), stretched along each axis and rescaled to the box."""
    mirror = [1, -1, 1] if number % 2 == 0 else [1, 1, -1]
    least, greatest = np.log(SCALES)
    scales = np.exp(rng.uniform(least, greatest, 3))
    return redrawn_car(scale_mesh(Mesh(mesh.vertices * mirror * scales, mesh.faces)), number, num_points, rng)


def other_object(mesh: Mesh, number: int, num_points: int, rng: np.random.Generator) -> Cloud:
    """A sphere (even `number`) or a chair (odd); the car is not used."""
    if number % 2 == 0:
        directions = rng.normal(size=(num_points, 3))
        return (0.5 * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    return redrawn_car(scale_mesh(chair(rng)), number, num_points, rng)


def cut_car(mesh: Mesh, number: int, num_points: int, rng: np.random.Generator) -> Cloud:
    """A car without 20 to 30 % of its surface: beyond a plane, in a corner or below a height, by `number` % 3.

    The rest is not rescaled to the box.
    """
    points = sample_surface(mesh, SPARE_POINTS * num_points, rng)
    depth = DEPTHS[number % len(DEPTHS)](points, rng)  # (2 n,), the deepest points are removed
    kept = np.argsort(depth)[: round((1 - rng.uniform(*REMOVED)) * len(points))]
    return points[rng.choice(kept, num_points, replace=False)].astype(np.float32)


def beyond_a_plane(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Height of points (N, 3) along a random direction: (N,)."""
    return points @ rng.normal(size=3)


def in_a_corner(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """How close points (N, 3) are to one random corner of the cloud's box, in units of the box: (N,).

    Level sets are boxes of the cloud's proportions around the corner.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    corner = np.where(rng.random(3) < 0.5, low, high)
    return -(np.abs(points - corner) / (high - low)).max(axis=1)


def below_a_height(points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """How low points (N, 3) are: (N,)."""
    return -points[:, 1]


def chair(rng: np.random.Generator) -> Mesh:
    """A chair of six boxes of random proportions, plus two if it has arms; in units of the seat's width, y up."""
    depth, height, back, thick, leg = rng.uniform([0.8, 0.6, 0.7, 0.06, 0.05], [1.2, 1.1, 1.4, 0.2, 0.15])
    x, z = (1 - leg) / 2, (depth - leg) / 2
    boxes = [([0, height, 0], [1, thick, depth]), ([0, height + back / 2, z], [1, back, leg])]  # its back at +z
    boxes += [([sx * x, height / 2, sz * z], [leg, height, leg]) for sx in (-1, 1) for sz in (-1, 1)]
    if rng.random() < 0.5:
        boxes += [([sx * x, height + back / 3, 0], [leg, thick / 2, depth]) for sx in (-1, 1)]
    vertices = [np.array(centre) + CORNERS * size for centre, size in boxes]
    faces = [BOX_FACES + len(CORNERS) * n for n in range(len(boxes))]
    return Mesh(np.concatenate(vertices), np.concatenate(faces))


Maker = Callable[[Mesh, int, int, np.random.Generator], Cloud]
MAKERS: dict[str, Maker] = {REDRAWN: redrawn_car, WRONG: wrong_car, OBJECTS: other_object, CUT: cut_car}
DEPTHS = (beyond_a_plane, in_a_corner, below_a_height)
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])  # of a box of side 1
BOX_FACES = np.array(
    [half for a, b, c, d in [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
     for half in ((a, b, c), (a, c, d))]
)  # fmt: skip
