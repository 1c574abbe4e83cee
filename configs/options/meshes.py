"""Options of meshes: own ones that are reconstructed, and those that are written beside clouds."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.options.types import Group, not_negative, option, positive
from runtime.errors import UserError
from runtime.layout import MESH_FORMATS

if TYPE_CHECKING:
    from configs.options import Config

MESH_RESOLUTIONS = (48, 512)  # cells per axis
FEWEST_FACES = 500  # triangles; of fewer no car is left
THICKEST, THINNEST_CELLS = 0.08, 1.5  # of a wall: mesh units, so that it stays in the box; cells
BOX_SIDE = 1.1  # mesh units


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
    mesh_faces: int = option(
        0, "at most about so many triangles, with borders kept; 0: as many as come", not_negative, decides="mesh"
    )
    thicken: float = option(
        0.0,
        "a closed wall so thick instead of the open surface, in units of the longest side, for printers; 0: none",
        not_negative,
        decides="mesh",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        low, high = MESH_RESOLUTIONS
        if not low <= self.mesh_resolution <= high:
            raise UserError(
                f"mesh_resolution {self.mesh_resolution} found, {low} to {high} expected: below, seats and pillars are"
                " lost; above, the lattice takes gigabytes of memory"
            )
        if 0 < self.mesh_faces < FEWEST_FACES:
            raise UserError(f"mesh_faces {self.mesh_faces} found, 0 or at least {FEWEST_FACES} expected")
        thinnest = THINNEST_CELLS * BOX_SIDE / self.mesh_resolution
        if self.thicken and not thinnest <= self.thicken <= THICKEST:
            raise UserError(
                f"thicken {self.thicken:g} found, {thinnest:.4f} to {THICKEST} expected: a thinner wall than"
                f" {THINNEST_CELLS} cells gets holes; raise mesh_resolution for it"
            )
