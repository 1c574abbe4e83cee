"""Options of meshes: own ones that are reconstructed, and those that are written beside clouds."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.options.types import Group, option, positive
from runtime.errors import UserError
from runtime.layout import MESH_FORMATS

if TYPE_CHECKING:
    from configs.options import Config

MESH_RESOLUTIONS = (48, 512)  # cells per axis


@dataclass(frozen=True)
class OwnMeshes(Group, title="own meshes", about="reconstructed from their files alone"):
    own_meshes: str | None = option(
        None,
        "folder of meshes (.obj .off .ply .stl .glb .gltf .dae) and point clouds (.ply .npz .npy .xyz .pts .pcd .las"
        " .laz) in any layout, or one file: all of them are reconstructed, without any other step; see up and front",
    )
    keep_frame: bool = option(
        True,
        "their clouds lie where the meshes lie, in the meshes' own axes and units; false: in the unit box",
        decides="own_mesh",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if self.own_meshes and cfg.generation.mode == "interpolate":
            raise UserError("--own_meshes reconstructs meshes, --mode interpolate found; leave one of them out")


@dataclass(frozen=True)
class Meshes(Group, title="meshes", about="of generate.py, beside the clouds"):
    mesh: bool = option(False, "also write an open triangle mesh of each shape, beside its cloud", flag=True)
    mesh_resolution: int = option(
        160,
        "cells per axis of the box of side 1.1; 160 gives a car about 100,000 triangles, 320 about 400,000",
        positive,
        decides="mesh",
    )
    mesh_formats: tuple[str, ...] = option(("ply", "glb"), "files of each mesh", choices=MESH_FORMATS, decides="mesh")

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        low, high = MESH_RESOLUTIONS
        if not low <= self.mesh_resolution <= high:
            raise UserError(
                f"mesh_resolution {self.mesh_resolution} found, {low} to {high} expected: below, seats and pillars are"
                " lost; above, the lattice takes gigabytes of memory"
            )
