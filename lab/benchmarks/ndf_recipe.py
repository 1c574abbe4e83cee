"""NDF's preprocessing of one mesh, rebuilt from its description (Chibane et al., NeurIPS 2020, and its file formats).

The mesh is scaled to its unit box. For each of three sigmas so many surface points, displaced by normal noise, get
|signed distance| by libigl, and coordinates z y x, doubled; all in float64. The input is 10,000 surface points, each at
its nearest node of 256^3, which a KD-tree over all nodes finds. To its best use it reads the mesh once, not once a
script, and its tree is made once a process.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from runtime.layout import SCALED_MESH, boundary_samples, voxelized_point_cloud

SIGMAS = (0.08, 0.02, 0.003)


@cache
def tree_of_nodes(res: int) -> Any:
    """Over the nodes of the box [-0.5, 0.5]^3, (res^3, 3), x slowest."""
    from scipy.spatial import cKDTree  # ours do without scipy, and are measured beside it

    axis = np.linspace(-0.5, 0.5, res)
    return cKDTree(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3))


def run(path: Path, folder: Path, samples: int, res: int, num_points: int, signed: bool = True) -> None:
    """Write NDF's files of one mesh. signed: as NDF calls libigl; otherwise by its unsigned routine, which is right on
    open meshes too, and faster."""
    import trimesh

    mesh: Any = trimesh.load(path, process=False, force="mesh")
    low, high = mesh.bounds
    mesh.apply_translation(-(low + high) / 2)
    mesh.apply_scale(1 / (high - low).max())
    folder.mkdir(parents=True, exist_ok=True)
    mesh.export(folder / SCALED_MESH)
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    rng = np.random.default_rng(0)
    for sigma in SIGMAS:
        points = mesh.sample(samples) + sigma * rng.standard_normal((samples, 3))
        arrays = {"points": points, "df": distances(vertices, faces, points, signed), "grid_coords": grid(points)}
        np.savez(folder / boundary_samples(sigma), **arrays)
    cloud = mesh.sample(num_points)
    occupied = np.zeros(res**3, np.int8)
    occupied[tree_of_nodes(res).query(cloud)[1]] = 1
    name = voxelized_point_cloud(res, num_points)
    np.savez(folder / name, point_cloud=cloud, compressed_occupancies=np.packbits(occupied), bb_min=-0.5, bb_max=0.5,
             res=res)  # fmt: skip


def distances(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, signed: bool) -> np.ndarray:
    """|d| by libigl's signed routine, with the sign that is its default, or by its unsigned one. All float64, (N,)."""
    import igl

    if signed:
        return np.abs(igl.signed_distance(points, vertices, faces)[0])
    return np.sqrt(igl.point_mesh_squared_distance(points, vertices, faces)[0])


def grid(points: np.ndarray) -> np.ndarray:
    return 2 * points[:, ::-1]
