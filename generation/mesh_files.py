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
from runtime.errors import UserError
from runtime.files import atomic_path
from runtime.layout import MESH, MESH_FORMATS

GREY = (150, 160, 172, 255)  # of the GLB's material


def write_mesh(folder: Path, mesh: OpenMesh, formats: Sequence[str]) -> list[Path]:
    """Write `mesh.ply`, ... into a folder, in mesh units, with vertex normals; STL has those of its facets alone.

    Returns the paths. Sheets are seen from both sides: the material of a GLB says so (`doubleSided`). The others
    cannot; most programs show both sides of theirs.
    Raises ValueError for a mesh without faces, since many programs cannot open one, and UserError if something that is
    no file is in the way.
    """
    if not len(mesh.faces):
        raise ValueError("the mesh has no faces")
    import trimesh

    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)
    material = trimesh.visual.material.PBRMaterial(
        doubleSided=True, baseColorFactor=GREY, metallicFactor=0.0, roughnessFactor=0.7
    )
    paths = []
    for ending in formats:
        path = folder / f"{MESH}.{ending}"
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no file, and in the way of the mesh; move it away")
        if ending == "glb":
            solid.visual = trimesh.visual.TextureVisuals(material=material)
        options: dict[str, Any] = {"digits": 7, "header": None} if ending == "obj" else {}
        if ending != "stl":
            options["vertex_normal" if ending == "ply" else "include_normals"] = True
        content: Any = solid.export(file_type=ending, **options)
        with atomic_path(path) as spare:
            spare.write_bytes(content.encode("ascii") if ending == "obj" else content)
        paths.append(path)
    return paths


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
