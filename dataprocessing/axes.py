"""The axes of each mesh: as `up` and `front` name them, or its row in `axes_file`, or found (`auto`)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from configs.options import Data
from configs.options.data import AUTO
from dataprocessing.axes_table import axes_in_table, rows_without_file
from dataprocessing.frames import front_of
from dataprocessing.mesh_io import Mesh
from dataprocessing.pose import find_pose, pose_of_mesh
from runtime.errors import UserError

MOST_TOLD = 5  # meshes whose axes are doubtful, one by one


class Axes(NamedTuple):
    """up and front of one mesh, never auto; found: whether they were looked for; doubts: of that, in a few words."""

    up: str
    front: str
    found: bool = False
    doubts: str = ""

    def facts(self) -> dict[str, str]:
        return {"up": self.up, "front": self.front}


def given_axes(below: PurePosixPath, data: Data) -> tuple[str, str]:
    """What is said of the up and front of a mesh at this path below its folder; auto: nothing."""
    named = axes_in_table(data.axes_file, below) if data.axes_file else None
    return named or (data.up, front_of(data.up, data.front))


def axes_of(shape: Mesh | np.ndarray, below: PurePosixPath, data: Data) -> Axes:
    """The axes of a mesh, or of points (N, 3), whose file is at this path below its folder."""
    up, front = given_axes(below, data)
    if AUTO not in (up, front):
        return Axes(up, front)
    known = [None if axis == AUTO else axis for axis in (up, front)]
    pose = pose_of_mesh(shape, *known) if isinstance(shape, Mesh) else find_pose(shape, *known)
    return Axes(pose.up, pose.front, True, ", ".join(pose.doubts))


def fixed_axes(data: Data, what: str) -> tuple[str, str]:
    """up and front of what need not be a whole car. Raises UserError where they are to be found."""
    up, front = data.up, front_of(data.up, data.front)
    if AUTO in (up, front):
        raise UserError(
            f"up {up}, front {front} found: the axes of {what} cannot be found; name them, such as --up z --front -y"
        )
    return up, front


def check_table(data: Data, belows: Iterable[PurePosixPath]) -> list[str]:
    """What is told of the rows of `axes_file` that fit no mesh. Raises UserError for a table that is wrong."""
    return rows_without_file(data.axes_file, belows) if data.axes_file else []


def lines_of_found(axes: Mapping[str, Axes]) -> list[str]:
    """What is told of axes that were found, by the names of the meshes, and what to do where they are wrong."""
    found = {name: one for name, one in axes.items() if one.found}
    if not found:
        return []
    counts = Counter((one.up, one.front) for one in found.values())
    lines = [
        f"axes found: up {up}, front {front}: {count} meshes"
        + (f", the first {next(name for name, one in found.items() if (one.up, one.front) == (up, front))}")
        for (up, front), count in counts.most_common()
    ]
    doubtful = {name: one.doubts for name, one in found.items() if one.doubts}
    lines += [f"not sure of {name}: {doubts}" for name, doubts in list(doubtful.items())[:MOST_TOLD]]
    if len(doubtful) > MOST_TOLD:
        lines.append(f"not sure of {len(doubtful) - MOST_TOLD} others")
    return [*lines, "where they are wrong: --up and --front name the axes, --axes_file TABLE those of single meshes"]
