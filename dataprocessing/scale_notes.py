"""What looks wrong about the size and the axes of a car, before it is scaled: a speck or a ground plate that sets the
length of its box, and a longest side that is not along the road.

The bounds lie between what 33 real and 40 demo cars reach and what such parts do: lab/notes/axes.md.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dataprocessing.mesh_io import Mesh
from dataprocessing.pose import LEAST_POINTS, LOOKED_AT, TAIL, find_pose
from dataprocessing.surface import sample_surface

LONGER = 1.3  # times as long as the side that should be the longest
# Share of the surface, from which its own box is smaller than the whole by more than this factor: of cars up to 1.04,
# 1.11, 1.23, 1.58, 2.8.
SURFACE = {0.99: 1.3, 0.95: 1.5, 0.9: 1.8, 0.75: 2.4, 0.5: 4.0}
FACES = {0.9: 3.0, 0.8: 4.0}  # the same of the faces, whatever their area: of cars up to 1.4, 1.6
SHEET = 0.02  # of the longest side: how thick a flat sheet at one side of the box may be
BESIDE_SHEET = 1.5  # times as long as all that is not in the sheet; of cars up to 1.06
LEAST_BESIDE = 0.0005  # of the points: fewer beside a sheet are specks
MOST_TOLD = 3  # notes of a kind that are told one by one


class Note(NamedTuple):
    """kind: what notes of several meshes have in common; text: without the name of the mesh, in one line."""

    kind: str
    text: str


def scale_notes(shape: Mesh | np.ndarray, up: str, front: str) -> list[Note]:
    """What looks wrong about a mesh, or points (N, 3), in its own axes, of which up and front point there.

    A mesh counts by its area, points by their number.
    """
    if isinstance(shape, Mesh):
        points, places = sample_surface(shape, LOOKED_AT, np.random.default_rng(0)), shape.vertices
    else:
        points, places = shape[:: -(-len(shape) // LOOKED_AT)].astype(np.float64), shape
    box = np.stack([places.min(axis=0), places.max(axis=0)]).astype(np.float64)
    few = len(points) < LEAST_POINTS and not isinstance(shape, Mesh)  # shares of them tell nothing
    if few or not len(points) or not (box[1] - box[0]).max() > 0:
        return []
    found = size_note(points, box, shape if isinstance(shape, Mesh) else None)
    return [found] if found else longest_side_notes(points, up, front)


def size_note(points: np.ndarray, box: np.ndarray, mesh: Mesh | None = None) -> Note | None:
    """What sets the length of a box (2, 3) beside a car's surface, points (N, 3); of a mesh its faces tell, too."""
    text = _reach(points, box) or _sheet(points, box) or ("" if mesh is None else _around(mesh, box))
    return Note("size", text) if text else None


def _reach(points: np.ndarray, box: np.ndarray) -> str:
    """Of a speck, or whatever has little surface and lies far from the rest."""
    side = float((box[1] - box[0]).max())
    found = _core(points, side, SURFACE)
    if not found:
        return ""
    middle = np.median(points, axis=0)
    corner = np.where(box[1] - middle > middle - box[0], box[1], box[0])
    line = int(np.argmax(np.abs(corner - middle)))
    return (
        f"the box is {side / found[1]:.3g} times as long as {100 * found[0]:.0f} % of the surface: what reaches out to"
        f" {'xyz'[line]} {corner[line]:.6g} sets the scale; take it out if it is no part of the car"
    )


def _sheet(points: np.ndarray, box: np.ndarray) -> str:
    """Of a ground plate, or another flat sheet that ends the box on one side and is far larger than all beside it."""
    side = float((box[1] - box[0]).max())
    for edge, word in enumerate(("lowest", "highest")):
        for line, name in enumerate("xyz"):
            beside = points[np.abs(points[:, line] - box[edge, line]) > SHEET * side]
            if len(beside) > LEAST_BESIDE * len(points) and side > BESIDE_SHEET * (core := _extent(beside, 0.99)):
                share = 100 - 100 * len(beside) / len(points)
                return (
                    f"{share:.3g} % of the surface is a flat sheet at the {word} {name}, and the box is"
                    f" {side / core:.3g} times as long as the rest: a ground plate? take it out"
                )
    return ""


def _around(mesh: Mesh, box: np.ndarray) -> str:
    """Of a few large faces around or below many small ones."""
    side = float((box[1] - box[0]).max())
    found = _core(mesh.vertices[mesh.faces].mean(axis=1), side, FACES)
    if not found:
        return ""
    return (
        f"the box is {side / found[1]:.3g} times as long as {100 * found[0]:.0f} % of the faces: a sky or a ground"
        " plate? take it out"
    )


def _core(places: np.ndarray, side: float, bounds: Mapping[float, float]) -> tuple[float, float] | None:
    """The largest share of places (N, 3) whose box is that much smaller than `side`, and its longest side."""
    for share, factor in bounds.items():
        if side > factor * (core := _extent(places, share)):
            return share, max(core, float(np.finfo(np.float64).tiny))
    return None


def _extent(places: np.ndarray, share: float) -> float:
    """The longest side of the box that holds the middle share of places (N, 3) along each axis."""
    tail = (1 - share) / 2
    return float(np.ptp(np.quantile(places, [tail, 1 - tail], axis=0), axis=0).max())


def longest_side_notes(points: np.ndarray, up: str, front: str) -> list[Note]:
    """Which axes would do for a car, points (N, 3) in its own, whose longest side does not lie along its front."""
    if len(points) < LEAST_POINTS:
        return []
    extent = np.ptp(np.quantile(points, [TAIL, 1 - TAIL], axis=0), axis=0)
    along, longest = "xyz".index(front[-1]), int(extent.argmax())
    if extent[longest] <= LONGER * extent[along]:
        return []
    times = f"{extent[longest] / extent[along]:.2g} times that along" if extent[along] > 0 else "and nothing lies along"
    told = f"the longest side is {'xyz'[longest]}, {times} front {front}"
    pose = find_pose(points)
    if pose.up == up and pose.front[-1] != front[-1]:
        return [Note("front", f"{told}; did you mean --front {pose.front}?")]
    if "xyz"[longest] == pose.front[-1]:
        return [Note("up", f"{told}, and up is {up}; did you mean --up {pose.up} --front {pose.front}?")]
    return [Note("up", f"{told}, and up is {up}; are --up and --front right?")]


def lines_of(notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """What is told of notes by the names of their meshes: a line each; of many of a kind the first, and how many."""
    lines = []
    for kind in dict.fromkeys(one.kind for found in notes.values() for one in found):
        mine = [f"{name}: {one.text}" for name, found in notes.items() for one in found if one.kind == kind]
        if len(mine) <= MOST_TOLD:
            lines += mine
        else:
            lines.append(f"{mine[0]} (and {len(mine) - 1} others like it)")
    return lines
