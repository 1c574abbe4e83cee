"""Query points around a surface, the training data of a distance field (NDF, Chibane et al. 2020, sec. 4)."""

import numpy as np

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface

UNIFORM_HALF_SIDE = 0.55  # of the box of uniform samples, mesh units: a little outside the mesh too


def boundary_points(mesh: Mesh, sigma: float, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Surface points, each coordinate displaced by N(0, sigma^2). Returns (num_points, 3) float32, mesh units."""
    on_surface = sample_surface(mesh, num_points, rng)
    return (on_surface + sigma * rng.standard_normal((num_points, 3))).astype(np.float32)


def uniform_points(num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Points uniform in [-0.55, 0.55]^3. Returns (num_points, 3) float32, mesh units."""
    return rng.uniform(-UNIFORM_HALF_SIDE, UNIFORM_HALF_SIDE, (num_points, 3)).astype(np.float32)


def to_grid_coords(points: np.ndarray, half_extent: float = 0.5) -> np.ndarray:
    """Turn mesh points into grid_sample coordinates: reverse to (z, y, x), scale the box to [-1, 1].

    points: (N, 3) float, x y z, in units of the scaled mesh, box [-half_extent, half_extent]^3.
    Returns (N, 3), same dtype. Points outside the box stay outside [-1, 1]; nothing is clipped.
    Raises ValueError if points is not (N, 3). Axis order: torch.nn.functional.grid_sample docs.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must have shape (N, 3), got {points.shape}")
    return points[:, ::-1] / points.dtype.type(half_extent)


def sample_arrays(points: np.ndarray, df: np.ndarray, grid_coords: bool = True) -> dict[str, np.ndarray]:
    """The contents of a samples file: points (S, 3), df (S,) their unsigned distances; float32.

    grid_coords: also `points` as NDF's own loader wants them, (S, 3). Nothing here reads them.
    """
    arrays = {"points": points, "df": df}
    return arrays | ({"grid_coords": np.ascontiguousarray(to_grid_coords(points))} if grid_coords else {})
