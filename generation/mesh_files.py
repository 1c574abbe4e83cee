"""Writing open triangle meshes for other programs: binary PLY and STL, text OBJ, GLB (binary glTF 2.0); and reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataprocessing.mesh_io import Mesh, MeshError, load_mesh
from generation.cloud_files import own_frame
from generation.meshing import OpenMesh
from generation.meshing.topology import edges_of, pieces_of
from runtime.artefacts import Records
from runtime.errors import UserError, note
from runtime.files import atomic_path
from runtime.layout import MESH, MESH_FORMATS

GREY = (150, 160, 172, 255)  # of the GLB's material


def write_mesh(folder: Path, mesh: OpenMesh, formats: Sequence[str]) -> list[Path]:
    """Write `mesh.ply`, ... into a folder, in mesh units, with vertex normals; STL has those of its facets alone.

    Vertices in float64 lie far from the origin, where float32 would move them: PLY and OBJ have them as they are, a GLB
    places them by its node, STL holds them about the origin, which a note says.
    Returns the paths. Sheets are seen from both sides: the material of a GLB says so (`doubleSided`). The others
    cannot; most programs show both sides of theirs.
    Raises ValueError for a mesh without faces, since many programs cannot open one, and UserError if something that is
    no file is in the way.
    """
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces")
    paths = []
    for ending in formats:
        path = folder / f"{MESH}.{ending}"
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no file, and in the way of the mesh; move it away")
        content = _far_content(mesh, ending, path) if mesh.vertices.dtype == np.float64 else _content(mesh, ending)
        with atomic_path(path) as spare:
            spare.write_bytes(content)
        paths.append(path)
    return paths


def _content(mesh: OpenMesh, ending: str, origin: NDArray[np.floating] | None = None) -> bytes:
    """The bytes of a file of this ending. origin: of a GLB, where its node places the vertices."""
    import trimesh

    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)
    content: Any
    if ending == "stl":
        content = solid.export(file_type="stl")
    elif ending == "ply":
        content = solid.export(file_type="ply", vertex_normal=True)
    elif ending == "obj":
        text: Any = solid.export(file_type="obj", digits=7, header=None, include_normals=True)
        content = text.encode("ascii")
    else:
        material = trimesh.visual.material.PBRMaterial(
            doubleSided=True, baseColorFactor=GREY, metallicFactor=0.0, roughnessFactor=0.7
        )
        solid.visual = trimesh.visual.TextureVisuals(material=material)
        placed: Any = solid
        if origin is not None:
            placed = trimesh.Scene()
            placed.add_geometry(solid, transform=trimesh.transformations.translation_matrix(origin))
        content = placed.export(file_type="glb", include_normals=True)
    return bytes(content)


def _far_content(mesh: OpenMesh, ending: str, path: Path) -> bytes:
    """`_content` of a mesh far from the origin."""
    origin = np.round((mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2)
    near = mesh._replace(vertices=(mesh.vertices - origin).astype(np.float32))
    if ending == "obj":
        return _content(mesh, "obj")
    if ending == "glb":
        return _content(near, "glb", origin)
    if ending == "stl":
        note(f"{path}: STL has no room for such coordinates; its vertices are those of the mesh less {origin.tolist()}")
        return _content(near, "stl")
    names = [*(f"property double {axis}" for axis in "xyz"), *(f"property float n{axis}" for axis in "xyz")]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(mesh.vertices)}", *names]
    head += [f"element face {len(mesh.faces)}", "property list uchar int vertex_indices", "end_header\n"]
    vertices = np.empty(len(mesh.vertices), [("place", "<f8", 3), ("normal", "<f4", 3)])
    vertices["place"], vertices["normal"] = mesh.vertices, mesh.normals
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    return "\n".join(head).encode("ascii") + vertices.tobytes() + faces.tobytes()


def numbers_of(mesh: OpenMesh) -> dict[str, int]:
    """What the index says of a mesh; border edges have one triangle, junction edges three or more."""
    edges = edges_of(mesh.faces)
    return {
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.faces),
        "border_edges": int((edges.num_faces == 1).sum()),
        "junction_edges": int((edges.num_faces > 2).sum()),
        "pieces": int(pieces_of(mesh.faces).max()) + 1,
    }


def mesh_beside(cloud: Path) -> tuple[NDArray[np.floating], NDArray[np.integer]] | None:
    """Vertices (V, 3) and faces (F, 3) of the mesh in the folder of a cloud, in the unit box; None if there is none.

    Raises UserError if it is damaged.
    """
    ours = Records(cloud.parent)  # beside a cloud of ours, a mesh that is not is somebody's
    files = [cloud.with_name(f"{MESH}.{ending}") for ending in MESH_FORMATS]
    file = next((file for file in files if file.is_file() and (not ours.entries or file.name in ours.files())), None)
    if file is None:
        return None
    try:
        mesh = load_mesh(file)
    except MeshError as error:
        raise UserError(f"{file}: {error}; make it again, or delete it to show points alone") from error
    if file.suffix == ".stl":
        mesh = joined(mesh)
    frame = own_frame(cloud)
    return mesh.vertices if frame is None else frame.to_unit(mesh.vertices), mesh.faces


def joined(mesh: Mesh) -> Mesh:
    """The same triangles with each place once: in an STL every triangle has corners of its own."""
    places, number = np.unique(mesh.vertices, axis=0, return_inverse=True)
    return Mesh(places, number.reshape(-1)[mesh.faces])
