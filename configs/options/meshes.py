"""Options of meshes: own ones that are reconstructed, and those that are written beside clouds."""

from argparse import Namespace
from collections.abc import Collection

from configs.options.types import Group, Options, boolean, positive
from runtime.errors import UserError
from runtime.layout import MESH_FORMATS

MESH_RESOLUTIONS = (48, 512)  # cells per axis


def _add_own_meshes(group: Options) -> None:
    group.add(
        "--own_meshes",
        default=None,
        help="folder of mesh files (.obj .ply .stl .glb .gltf .off) in any layout, or one file: all of them are"
        " reconstructed, without any other step; see up and front",
    )
    group.add(
        "--keep_frame",
        type=boolean,
        default=True,
        help="their clouds lie where the meshes lie, in the meshes' own axes and units; false: in the unit box",
        decides="own_mesh",
    )


def _check_own_meshes(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.own_meshes and cfg.mode == "interpolate":
        raise UserError("--own_meshes reconstructs meshes, --mode interpolate found; leave one of them out")


def _add_meshes(group: Options) -> None:
    group.add(
        "--mesh",
        nargs="?",
        type=boolean,
        const=True,
        default=False,
        help="also write an open triangle mesh of each shape, beside its cloud",
    )
    group.add(
        "--mesh_resolution",
        type=positive(int),
        default=160,
        help="cells per axis of the box of side 1.1; 160 gives a car about 100,000 triangles, 320 about 400,000",
        decides="mesh",
    )
    group.add(
        "--mesh_formats",
        nargs="+",
        choices=MESH_FORMATS,
        default=["ply", "glb"],
        help="files of each mesh",
        decides="mesh",
    )


def _check_meshes(cfg: Namespace, given: Collection[str]) -> None:
    low, high = MESH_RESOLUTIONS
    if not low <= cfg.mesh_resolution <= high:
        raise UserError(
            f"mesh_resolution {cfg.mesh_resolution} found, {low} to {high} expected: below, seats and pillars are lost;"
            " above, the lattice takes gigabytes of memory"
        )


OWN_MESHES = Group("own meshes", "reconstructed from their files alone", _add_own_meshes, _check_own_meshes)
MESHES = Group("meshes", "of generate.py, beside the clouds", _add_meshes, _check_meshes)
