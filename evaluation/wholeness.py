"""Is a decoded shape whole? Torn surface, loose pieces and open border, which distances between clouds do not see."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from configs.decided import options_of
from evaluation.sample_sets import SetRecipe
from generation.decode import field_of
from generation.distance_fields import DistanceField
from generation.meshing import MESHED_BY, OpenMesh, mesh_of
from generation.meshing.topology import border_sides, face_vectors, pieces_of
from generation.networks import Networks
from generation.settledness import NEAR, NUM_SEEDS, NUM_STEPS, SETTLED, unsettled_share
from runtime.artefacts import kept_arrays
from runtime.seeds import WHOLENESS_STREAMS, random_stream

# Cells per axis of the mesh, 0.017 mesh units each: under a second a car. Finer ones say the same of demo cars, and
# take twice as long at 96: holes smaller than a cell close, sheets closer than two cells grow together.
RESOLUTION = 64
SMALLEST_PIECE = 0.002  # square mesh units, 0.045 x 0.045: what is smaller is no piece, and is left out of the mesh


class Wholeness(NamedTuple):
    """What is torn of one shape.

    unsettled: share of the surface, in [0, 1], see `generation.settledness`. pieces: components of the mesh beyond the
    largest; loose_area: their share of the area of all, in [0, 1]. border_length: of all open borders, mesh units.
    """

    unsettled: float
    pieces: float
    loose_area: float
    border_length: float


def wholeness(field: DistanceField, generator: torch.Generator, chunk: int = 50_000) -> Wholeness:
    """generator: a CPU generator, for the seeds of the unsettled share; chunk: points asked of the field at a time.

    A field without a surface is all unsettled, and has neither pieces nor borders.
    """
    mesh = mesh_of(field, RESOLUTION, chunk, smallest_piece=SMALLEST_PIECE)
    return Wholeness(unsettled_share(field, generator), *loose_pieces(mesh), border_length(mesh))


def loose_pieces(mesh: OpenMesh) -> tuple[int, float]:
    """How many components a mesh has beyond its largest, and their share of its area."""
    if not len(mesh.faces):
        return 0, 0.0
    areas = np.bincount(pieces_of(mesh.faces), np.linalg.norm(face_vectors(mesh.vertices, mesh.faces), axis=1))
    return len(areas) - 1, float(1 - areas.max() / areas.sum())


def border_length(mesh: OpenMesh) -> float:
    """The length of the sides that only one triangle has, mesh units."""
    ends = mesh.vertices[border_sides(mesh.faces)].astype(np.float64)
    return float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum())


def wholeness_of_sets(networks: Networks, recipes: Sequence[SetRecipe]) -> list[NDArray[np.float64]]:
    """For each set (S, 4), the columns of `Wholeness`; those that are on disk already are not measured again."""
    found = [kept_values(networks, recipe) for recipe in recipes]
    total = sum(recipe.num for recipe, values in zip(recipes, found, strict=True) if values is None)
    with tqdm(total=total, desc="wholeness", unit="shape", disable=None if total else True) as bar:
        return [
            measured(networks, recipe, bar) if values is None else values["values"]
            for recipe, values in zip(recipes, found, strict=True)
        ]


def measured(networks: Networks, recipe: SetRecipe, bar: tqdm) -> NDArray[np.float64]:
    """Measure a set, and keep the values in the experiment's cache."""
    bar.set_postfix_str(recipe.name)
    rows = []
    for n, code in enumerate(recipe.make().split(1)):
        stream = random_stream(networks.cfg.run.seed, WHOLENESS_STREAMS + recipe.first + n)
        rows.append(wholeness(field_of(networks, code), stream, networks.cfg.decoding.num_sample_points_generation))
        bar.update()
    values = np.array(rows, np.float64)
    kept_values(networks, recipe, lambda: {"values": values})
    return values


def kept_values(
    networks: Networks, recipe: SetRecipe, make: Callable[[], dict[str, np.ndarray]] | None = None
) -> dict[str, np.ndarray] | None:
    """The values of a set as its file in the cache has them, else those of `make`, which are written; or None."""
    facts = {**recipe.facts, **networks.digests, **MESHED_BY, "options": options_of("wholeness", networks.cfg)}
    facts["sizes"] = [RESOLUTION, SMALLEST_PIECE, NEAR, SETTLED, NUM_SEEDS, NUM_STEPS]
    return kept_arrays(kept_at(networks, recipe), facts, make, shapes={"values": (recipe.num, len(Wholeness._fields))})


def kept_at(networks: Networks, recipe: SetRecipe) -> Path:
    return networks.experiment.cache / f"wholeness-{recipe.name}.npz"
