"""The network's input: surface points of a shape, as the nodes of a grid nearest to them."""

import numpy as np

from configs.options import Config
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from runtime.layout import voxelized_point_cloud
from runtime.seeds import generator


def input_points(mesh: Mesh, shape: str, cfg: Config) -> np.ndarray:
    """The points of a shape's voxelized cloud, (num_points, 3) float32, mesh units, from its scaled mesh.

    They depend on the mesh, cfg.run.seed, the shape's name, num_points and input_res only.
    """
    rng = generator(cfg.run.seed, shape, voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points))
    return sample_surface(mesh, cfg.grid.num_points, rng).astype(np.float32)


def voxelize(points: np.ndarray, res: int, bb_min: float, bb_max: float) -> np.ndarray:
    """Mark the grid nodes nearest to the points. points (N, 3), mesh units. Returns (res, res, res) bool, [x, y, z].

    Node i of an axis is at bb_min + i (bb_max - bb_min) / (res - 1), so the nearest one is a rounding; points outside
    the box mark nodes on its sides.
    """
    packed = packed_nodes(points, res, bb_min, bb_max)
    return np.unpackbits(packed, count=res**3).view(bool).reshape(res, res, res)


def packed_nodes(points: np.ndarray, res: int, bb_min: float, bb_max: float) -> np.ndarray:
    """The bits of `voxelize`, eight nodes a byte, the first in the highest bit: (ceil(res^3 / 8),) uint8.

    A grid of bytes would be the largest array of preprocessing.
    """
    step = (bb_max - bb_min) / max(res - 1, 1)
    node = np.rint((np.asarray(points, dtype=np.float64) - bb_min) / step).astype(np.int64).clip(0, res - 1)  # (N, 3)
    flat = np.ravel_multi_index(tuple(node.T), (res, res, res))
    packed = np.zeros(-(-(res**3) // 8), dtype=np.uint8)
    np.bitwise_or.at(packed, flat >> 3, (128 >> (flat & 7)).astype(np.uint8))
    return packed


def voxelized_arrays(points: np.ndarray, res: int, bb_min: float, bb_max: float) -> dict[str, np.ndarray]:
    """The contents of a voxelized point cloud file, from points (n, 3) float32, mesh units."""
    return {
        "point_cloud": points,
        "compressed_occupancies": packed_nodes(points, res, bb_min, bb_max),
        "bb_min": np.float64(bb_min),
        "bb_max": np.float64(bb_max),
        "res": np.int64(res),
    }
