"""Random points on the triangles of a mesh, and on the true surface of a preprocessed shape."""

from pathlib import Path

import numpy as np

from configs.options import Data
from dataprocessing.frames import to_unit_box
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh, triangle_areas
from dataprocessing.ndf_files import scaled_mesh_file, turn_at_loading, turned
from dataprocessing.shapes import stream_of
from runtime.errors import UserError
from runtime.layout import SCALED_MESH
from runtime.seeds import generator


def surface_points(folder: Path, num_points: int, seed: int, data: Data, stretch: float = 0.0) -> np.ndarray:
    """Points uniform by area on the scaled mesh of a shape's folder, a function of the shape and the seed.

    Returns (num_points, 3) float32, mesh units, in our axes; with a stretch of the mesh `stretched` by that share at
    most. Raises UserError if the folder holds no scaled mesh.
    """
    mesh = scaled_mesh(folder, data)
    if stretch:
        mesh = stretched(mesh, generator(seed, stream_of(folder), "stretch").uniform(-stretch, stretch, 3))
    rng = generator(seed, stream_of(folder), "surface")
    return sample_surface(mesh, num_points, rng).astype(np.float32)


def stretched(mesh: Mesh, shares: np.ndarray) -> Mesh:
    """The mesh with each axis longer by its share (3,), scaled into the box again."""
    return to_unit_box(Mesh(mesh.vertices * (1 + shares), mesh.faces))[0]


def scaled_mesh(folder: Path, data: Data) -> Mesh:
    """The scaled mesh of a shape's folder, ours or NDF's, in mesh units and our axes (`ndf_files.turn_at_loading`).

    Raises UserError if there is none, or none that is whole.
    """
    path = scaled_mesh_file(folder)
    if path is None:
        raise UserError(
            f"no {folder / SCALED_MESH}, nor one of NDF's (*_scaled.off), which is the true surface; make it with:"
            " python dataprocessing/preprocess.py --config ..."
        )
    try:
        mesh = load_mesh(path)
    except MeshError as error:
        raise UserError(f"{path}: {error}; delete it and run preprocess.py again") from error
    return Mesh(turned(mesh.vertices, turn_at_loading(folder, data)), mesh.faces)


def at_most(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the points (N, 3), drawn without replacement; all of them if there are no more."""
    return points if len(points) <= count else points[rng.choice(len(points), count, replace=False)]


def sample_surface(mesh: Mesh, num_points: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points uniformly by area. Returns (num_points, 3) float64, in the units of the mesh.

    Faces without area are never drawn; a face that is there twice counts twice.
    """
    return sample_surface_and_faces(mesh, num_points, rng)[0]


def sample_surface_and_faces(mesh: Mesh, num_points: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`sample_surface`, with the number of each point's face: (num_points, 3) float64 and (num_points,)."""
    cumulated = np.cumsum(triangle_areas(mesh))
    face = _places(cumulated, rng.random(num_points) * cumulated[-1])
    a, b, c = (mesh.vertices.take(corner, axis=0) for corner in mesh.faces.take(face, axis=0).T)
    u, v = rng.random((2, num_points, 1))
    outside = u + v > 1  # the other half of the parallelogram: turn it back into the triangle
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    return a + u * (b - a) + v * (c - a), face


def _places(bounds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """np.searchsorted(bounds, values, side="right") of many values: sorted first, a third of the time."""
    order = np.argsort(values)
    starts = np.searchsorted(values[order], bounds)  # of the values that are not below each bound
    place = np.empty(len(values), dtype=np.intp)
    place[order] = np.repeat(np.arange(len(bounds) + 1), np.diff(starts, prepend=0, append=len(values)))
    return place


def normals(mesh: Mesh, face: np.ndarray) -> np.ndarray:
    """Unit normals of the faces with these numbers, (N, 3) float64; their sign is the face's orientation."""
    a, b, c = (mesh.vertices[mesh.faces[face, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.finfo(np.float64).tiny)
