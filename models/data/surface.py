"""The true surface of a preprocessed shape."""

from pathlib import Path

import numpy as np

from configs.errors import UserError
from configs.layout import SCALED_MESH
from dataprocessing.mesh_io import load_mesh
from dataprocessing.seeds import generator
from dataprocessing.shapes import shape_name
from dataprocessing.surface import sample_surface


def surface_points(folder: Path, num_points: int, seed: int) -> np.ndarray:
    """Points uniform by area on the scaled mesh of a shape's folder, a function of the shape and the seed.

    Returns (num_points, 3) float32, mesh units. Raises UserError if the folder holds no scaled mesh.
    """
    path = folder / SCALED_MESH
    if not path.is_file():
        raise UserError(f"no {path}; make it with: python dataprocessing/preprocess.py --config ...")
    rng = generator(seed, shape_name(folder), "surface")
    return sample_surface(load_mesh(path), num_points, rng).astype(np.float32)
