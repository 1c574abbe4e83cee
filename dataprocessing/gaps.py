"""Points in the openings of a shape: where a surface stops and goes on further along, as around a window.

Points near a shape's own surface hardly ever lie in its openings (of those of sigma 0.02 one in a thousand is in the
middle of a demo car's window, of uniform ones one in 1,700), so a decoder of global codes is never told and closes
every window. An opening is spanned by chords between two surface points that lie in the surface at both ends; of their
points that are off the surface, one in 40 is in the middle of a window (`lab/measurements/openings.py`).
"""

import numpy as np

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import normals, sample_surface_and_faces

MIN_LENGTH, MAX_LENGTH = 0.03, 0.35  # of a chord, mesh units: from a gap's width to that of a windscreen
MAX_SINE = 0.3  # of the angle between chord and surface at both ends
MIN_DISTANCE = 0.015  # of a point in a gap from the surface, mesh units
CANDIDATES_A_POINT = 16  # of a demo car's candidates 8 % are in a gap
POINTS_AT_A_TIME, MAX_ROUNDS = 6_000, 100


def gap_candidates(mesh: Mesh, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Points on chords that lie in the surface at both ends, CANDIDATES_A_POINT times num_points, mesh units.

    Returns (M, 3) float32. M is smaller for a shape that has few such chords; one that has none gives surface points.
    """
    wanted, found, count = CANDIDATES_A_POINT * num_points, [], 0
    points, face = sample_surface_and_faces(mesh, POINTS_AT_A_TIME, rng)
    points, normal = points.astype(np.float32), normals(mesh, face).astype(np.float32)
    for _ in range(MAX_ROUNDS):
        other = rng.permutation(POINTS_AT_A_TIME)
        chord = points[other] - points
        length = np.sqrt(np.einsum("ij,ij->i", chord, chord))
        start = np.flatnonzero((length > MIN_LENGTH) & (length < MAX_LENGTH))  # of about a fifth of them
        chord, length = chord[start], length[start]
        sine = np.maximum(*(np.abs(np.einsum("ij,ij->i", chord, normal[end])) for end in (start, other[start])))
        flat = sine < MAX_SINE * length
        share = rng.uniform(0.1, 0.9, (flat.sum(), 1)).astype(np.float32)
        found.append(points[start[flat]] + share * chord[flat])
        count += len(found[-1])
        if count >= wanted:
            break
    return np.concatenate(found)[:wanted] if count else points


def gap_indices(df: np.ndarray, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Which candidates to keep, by their distances df (M,): those off the surface, some twice where they are few.

    Returns (num_points,) indices; of any candidates where none is off the surface.
    """
    off = np.flatnonzero(df > MIN_DISTANCE)
    if len(off) >= num_points:
        return off[:num_points]
    return rng.choice(off if len(off) else np.arange(len(df)), num_points)
