"""The meshes of shapes beside their clouds: which are there already, and what is written of them."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from configs.files import write_json
from configs.layout import CONTACT_SHEET, DENSE_POINT_CLOUD, MESH
from configs.reading import open_npz
from generation.cloud_files import read_index
from generation.decode import field_of
from generation.mesh_files import MESHES, remove_meshes, write_mesh
from generation.meshing import OpenMesh, mesh_of
from generation.meshing.topology import edges_of, pieces_of
from generation.networks import Networks
from generation.shapes import Shapes
from models.ndf import Code


def write_meshes(networks: Networks, shapes: Shapes, folder: Path) -> tuple[int, list[str]]:
    """Mesh the shapes whose clouds are in `folder` into `folder/<name>/mesh.<format>`, unless they are there already.

    The folder's `index.json` says after each shape what was made: under `meshes` the options, and for each shape
    numbers of its mesh, or null if its field has no surface. A stopped run goes on where it was.
    Returns how many were made, and the names of all shapes without a surface, which have no file.
    """
    cfg, path = networks.cfg, folder / "index.json"
    options = {"resolution": cfg.mesh_resolution, "formats": sorted(cfg.mesh_formats)}
    index = read_index(path)
    made: dict[str, Any] = index.get(MESHES, {}).get("shapes", {})
    if index.get(MESHES, {}).get("options") != options:
        made = {}
    missing = [name for name in shapes.names if not _is_there(folder / name, name, made, cfg.mesh_formats)]
    remove_meshes(folder, missing)
    if missing:
        (folder / CONTACT_SHEET).unlink(missing_ok=True)  # it shows the meshes that were there
    for name in tqdm(missing, desc="meshes", unit="shape", disable=None):
        start = time.perf_counter()
        code = _code_of(folder / name, shapes, shapes.names.index(name), networks)
        mesh = mesh_of(field_of(networks, code), cfg.mesh_resolution, cfg.num_sample_points_generation)
        mesh = in_frame(shapes, shapes.names.index(name), mesh)
        made[name] = None
        if len(mesh.faces):
            write_mesh(folder / name, mesh, cfg.mesh_formats)
            made[name] = numbers_of(mesh) | {"seconds": round(time.perf_counter() - start, 2)}
        write_json(path, index | {MESHES: {"options": options, "shapes": made}})
    return len(missing), [name for name in shapes.names if made[name] is None]


def in_frame(shapes: Shapes, n: int, mesh: OpenMesh) -> OpenMesh:
    """The mesh of shape n as it is written: where its cloud is, in the unit box or in the frame of its user's file."""
    if not shapes.frames or not shapes.about["keep_frame"] or not len(mesh.faces):
        return mesh
    frame = shapes.frames[n]
    return mesh._replace(
        vertices=frame.to_own(mesh.vertices).astype(np.float32),
        normals=frame.turn_to_own(mesh.normals).astype(np.float32),
    )


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


def _is_there(folder: Path, name: str, made: dict[str, Any], formats: list[str]) -> bool:
    files = [folder / f"{MESH}.{ending}" for ending in formats]
    return name in made and (made[name] is None or all(file.is_file() for file in files))


def _code_of(folder: Path, shapes: Shapes, n: int, networks: Networks) -> Code:
    """The code that the shape's cloud was decoded from: it stands beside it, except for a plain NDF."""
    with open_npz(folder / DENSE_POINT_CLOUD) as arrays:
        if "code" in arrays:
            return torch.from_numpy(arrays["code"])[None].to(networks.device)
    code: Code = shapes.codes[n]
    return code
