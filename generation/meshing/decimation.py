"""A mesh with fewer triangles, of nearly the same shape."""

import numpy as np

from dataprocessing.distances import load_open3d
from generation.meshing.mesher import OpenMesh
from generation.meshing.refine import compact
from generation.meshing.topology import vertex_normals

BORDER_WEIGHT = 10.0  # of borders: 99 % of their length is left at a fifth of the triangles


def with_fewer_faces(mesh: OpenMesh, most: int) -> OpenMesh:
    """About `most` triangles, or the mesh itself if it has no more (Garland and Heckbert 1997; Open3D).

    Borders, and lines in which sheets meet, stay where they are as far as they can. Raises UserError if Open3D cannot
    be loaded.
    """
    if len(mesh.faces) <= most:
        return mesh
    o3d = load_open3d()
    places = o3d.utility.Vector3dVector(mesh.vertices.astype(np.float64))
    whole = o3d.geometry.TriangleMesh(places, o3d.utility.Vector3iVector(mesh.faces.astype(np.int32)))
    fewer = whole.simplify_quadric_decimation(most, boundary_weight=BORDER_WEIGHT)
    places, triangles = np.asarray(fewer.vertices, np.float32), np.asarray(fewer.triangles, np.int64)
    vertices, faces = compact(places, triangles)
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))
