"""The cases of what users bring to finished networks: clouds, scans, attributes, meshes beside clouds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import complete
import generate
from frozen.checkpoint_files import fingerprint
from generation import html_page
from lab.stress.hostile.cases import CONFIG, EXPERIMENT, NO_FILES, broken, written
from lab.stress.hostile.damage import BROKEN, FLIPS, Damage, hostile_npz
from lab.stress.hostile.inputs_of_meshes import GLB, OBJ, PLY, STL
from lab.stress.hostile.inputs_of_points import ATTRIBUTES, LAS_HEADER, PCD, XYZ, attributes, las_with
from lab.stress.hostile.sandbox import Case
from lab.stress.hostile.template import POINTS, QUICK, SHOWN


def of_points() -> Iterator[Case]:
    """A cloud among own meshes, and as a scan."""
    for kind in POINTS:
        damages = damages_of(kind)
        mine = (*CONFIG, "--own_meshes", f"FOLDER/points/{kind}", "--out", "FOLDER/made", *QUICK[:2])
        own = {name: damage for name, damage in damages.items() if name != "a folder"}
        yield from broken(f"own {kind}", f"points/{kind}/bad.{kind}", own, generate, mine, "made", (1,), ("bad.",))
        yield from broken(f"own {kind}", f"points/{kind}/bad.{kind}", FLIPS, generate, mine, "made", (0, 1))
        scan = (*CONFIG, "--scan", f"FOLDER/points/{kind}/bad.{kind}", "--fit", "true", *QUICK)
        yield from broken(f"scan {kind}", f"points/{kind}/bad.{kind}", damages, complete, scan, EXPERIMENT)
        few = dict(list(FLIPS.items())[:1])
        yield from broken(f"scan {kind}", f"points/{kind}/bad.{kind}", few, complete, scan, EXPERIMENT, (0, 2))


def damages_of(kind: str) -> dict[str, Damage]:
    cloud = {"point_cloud": np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)}
    own: dict[str, bytes | str] = {"xyz": XYZ, "pcd": PCD, "npz": dict(hostile_npz("point_cloud", cloud))}.get(kind, {})
    own.pop("without its key", None)  # another array that fits is a cloud too
    damages = BROKEN | {name: written(content) for name, content in own.items()}
    if kind == "las":
        damages |= {name: in_header(*change) for name, change in LAS_HEADER.items()}
    if kind in ("xyz", "las", "laz"):
        del damages["last byte missing"]  # the last digit of a text may be its last; the last byte, of a colour
    if kind == "xyz":
        del damages["first quarter"], damages["first half"]  # fewer points
    if kind in ("las", "laz"):
        del damages["8 GB of zeros behind it"]  # what follows the points is not read
    return damages


def in_header(place: int, kind: str, value: float) -> Damage:
    return lambda path: path.write_bytes(las_with(path.read_bytes(), place, kind, value))


def of_chains() -> Iterator[Case]:
    """The chains of a completion that is there."""
    words = (*CONFIG, "--scan", "FOLDER/points/npz/good.npz", "--fit", "true", *QUICK, "--out", "FOLDER/completed")
    again = (*words, "--num_completion_points", "60")
    damages = {name: damage for name, damage in BROKEN.items() if name not in NO_FILES}
    yield from broken("chains", "completed/chains/chains.npz", damages, complete, again, "completed", (0, 2))


def of_attributes() -> Iterator[Case]:
    file = f"{EXPERIMENT}/attributes.npz"
    words = (*CONFIG, "--mode", "edit", "--attribute", "size", "--by", "0.5", "--edit_shapes", "0", *QUICK[:2])
    own = {name: with_attributes(changes) for name, changes in ATTRIBUTES.items()}
    damages = {name: damage for name, damage in BROKEN.items() if name != "a folder"} | own
    yield from broken("attributes", file, damages, generate, words, EXPERIMENT)
    yield from broken("attributes", file, FLIPS, generate, words, EXPERIMENT, (0, 2))


def with_attributes(changes: dict) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(attributes(fingerprint(path.parent / "checkpoints_ndf" / "best.tar"), **changes))

    return damage


def of_meshes_beside() -> Iterator[Case]:
    """A mesh in the folder of a cloud, as the page shows it."""
    own: dict[str, dict[str, bytes | str]] = {"ply": PLY, "glb": GLB, "obj": OBJ, "stl": STL}
    for kind in SHOWN:
        damages = {name: damage for name, damage in BROKEN.items() if name not in NO_FILES}
        damages |= {name: written(content) for name, content in own[kind].items()}
        if kind in ("obj", "stl"):
            del damages["last byte missing"]
        words, file = (f"FOLDER/shown/{kind}",), f"shown/{kind}/0/mesh.{kind}"
        yield from broken(f"mesh.{kind} of a page", file, damages, html_page, words, f"shown/{kind}")
