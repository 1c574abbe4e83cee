"""Points where a surface bends or ends: its fine parts, of which points drawn by area tell next to nothing.

Of the points drawn by area on a demo car one in 200 is on the spokes of its wheels, so that a network loses nothing by
drawing discs; of these one in eleven. An edge is drawn by its length times the angle that the surface turns there, pi
at an open border. On a smooth surface this measure is that of the mean curvature (Cohen-Steiner and Morvan 2003),
however finely it is cut into triangles: a round fillet counts as a sharp one does, and a sphere has points all over.
(Dora-VAE, Chen et al. 2024, sec. 3.1, takes the edges of more than 30 degrees, by length: of a demo car's 8 % are on
spokes, and a finely cut mesh has none.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface

SPREADS = (0.003, 0.01)  # sd of a point's distance from its edge, mesh units: on a spoke, and between two
WELDED = 1e-6  # of the longest side: vertices so close are one, as exporters round them, and faces so thin are none
FLAT = np.radians(2.0)  # what bends less than this over one edge is noise, or so gentle that points by area tell it
MOST_FACES = 32  # of one edge that are compared; a fan of more would take quadratic time

Array = NDArray[np.float64]


class Edges(NamedTuple):
    """Segments where a surface bends or ends. ends: (E, 2, 3) mesh units; turn: (E,) radians, pi at a border."""

    ends: Array
    turn: Array


def sharp_points(mesh: Mesh, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Points near edges, drawn by length times turn; half of them with each of SPREADS, mesh units.

    Returns (num_points, 3) float32. A shape that neither bends nor ends anywhere gives points near its surface.
    """
    ends, turn = edges_of(mesh)
    weights = np.cumsum(turn * _lengths(ends[:, 1] - ends[:, 0]))
    if len(weights) and weights[-1] > 0:
        chosen = np.searchsorted(weights, rng.random(num_points) * weights[-1], side="right").clip(max=len(ends) - 1)
        start, end = ends[chosen].transpose(1, 0, 2)
        places = start + rng.random((num_points, 1)) * (end - start)
    else:
        places = sample_surface(mesh, num_points, rng)
    spread = np.resize(SPREADS, num_points)[:, None]
    return (places + spread * rng.standard_normal((num_points, 3))).astype(np.float32)


def edges_of(mesh: Mesh) -> Edges:
    """The edges where a surface turns by more than FLAT, or stops.

    A face goes on over an edge in the other face there that lies most nearly in its plane; the edge turns by what is
    missing to a flat angle, of its faces the one that turns most. Orientation does not matter; faces that are there
    twice, and vertices that are, count once; faces without area count not at all. Where a long edge meets two short
    ones at a vertex in its middle all three are borders.
    """
    least = max(WELDED * float(np.ptp(mesh.vertices, axis=0).max()), float(np.finfo(np.float64).tiny))
    places, same = _welded(mesh.vertices, least)
    parts = [_sides(places, same[mesh.faces], corner, least) for corner in range(3)]
    sides, inwards = (np.concatenate(part) for part in zip(*parts, strict=True))
    key = sides[:, 0] * len(places) + sides[:, 1]
    order = np.argsort(key, kind="stable")
    key, sides, inwards = key[order], sides[order], inwards[order]
    if not len(key):
        return Edges(np.empty((0, 2, 3)), np.empty(0))
    turn = np.pi - np.arccos(_most_opposite(key, inwards).clip(-1, 1))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    most = np.maximum.reduceat(turn, first)
    bent = most > FLAT
    return Edges(places[sides[first[bent]]], most[bent])


def _sides(places: Array, faces: NDArray[np.int64], corner: int, least: float) -> tuple[NDArray[np.int64], Array]:
    """The sides (S, 2) of faces (F, 3) that begin at this corner, lower number first, and the unit vectors (S, 3) in
    the face away from each; left out where the face is no higher than `least`."""
    start, end, apex = (places[faces[:, (corner + n) % 3]] for n in range(3))
    end -= start
    apex -= start
    with np.errstate(divide="ignore", invalid="ignore"):
        apex -= end * (np.einsum("ij,ij->i", apex, end) / np.einsum("ij,ij->i", end, end))[:, None]
        height = _lengths(apex)
        kept = np.flatnonzero(height > least)  # not so for NaN, where both ends are one place
    sides = np.sort(faces[:, [corner, (corner + 1) % 3]][kept], axis=1)
    return sides, apex[kept] / height[kept, None]


def _most_opposite(key: NDArray[np.int64], inwards: Array) -> Array:
    """For each side of a face, the least cosine of its direction `inwards` (S, 3) with that of another one of the same
    edge, (S,): -1 where the surface goes straight on, 1 where it ends. key: (S,) the edge of each, sorted."""
    least = np.ones(len(key))
    for shift in range(1, MOST_FACES):
        one = np.flatnonzero(key[shift:] == key[:-shift])
        if not len(one):
            break
        other = one + shift
        cosine = np.einsum("ij,ij->i", inwards[one], inwards[other])
        least[one] = np.minimum(least[one], cosine)
        least[other] = np.minimum(least[other], cosine)
    return least


def _welded(vertices: Array, step: float) -> tuple[Array, NDArray[np.int64]]:
    """Places (U, 3) on a lattice of this step, and which of them each vertex is at, (V,)."""
    x, y, z = np.rint((vertices - vertices.min(axis=0)) / step).astype(np.int64).T  # up to 10^6 each: a key has 60 bits
    base = round(1 / WELDED) + 2
    _, first, same = np.unique((x * base + y) * base + z, return_index=True, return_inverse=True)
    return vertices[first], same.ravel()


def _lengths(vectors: Array) -> Array:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
