"""Preprocessed files that NDF's own scripts made: told from this project's, found by their names, turned to its axes.

The keys are ours (docs/formats.md). But NDF names the scaled mesh after the mesh, so that ShapeNet v1's `model.obj`
gives `model_scaled.off`; it stores float64 where this project stores float32; no record says what they are made of;
and it turns nothing, so that they look where the meshes look. Files of this project were turned when they were made.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from configs.options import Data, InputGrid
from configs.options.data import AUTO
from dataprocessing.frames import UNIT_AXES, front_of, turn_of
from runtime.artefacts import Records
from runtime.errors import UserError
from runtime.layout import GAP_SAMPLES, SCALED_MESH, SHARP_SAMPLES, UNIFORM_SAMPLES, voxelized_point_cloud
from runtime.reading import DamagedFile, open_npz

OUR_AXES = dict(zip(("up", "front"), UNIT_AXES, strict=True))
BOUNDARY, CLOUDS, SCALED = "boundary_*_samples.npz", "voxelized_point_cloud_*res_*points.npz", "*_scaled.off"
NUMBERS = re.compile(r"voxelized_point_cloud_(\d+)res_(\d+)points\.npz")
POINTS = ("point_cloud", "points")  # keys of what is turned: of a cloud, of samples


def without_record(folder: Path) -> bool:
    """Whether nothing says what the files of a folder are made of: they are NDF's, or of an earlier version."""
    return not Records(folder).entries


def are_ndfs(folder: Path) -> bool:
    """Whether the files of a shape are NDF's: float64, or the name of its scaled mesh, and no record of ours."""
    if not without_record(folder):
        return False
    files = [*folder.glob(CLOUDS), *folder.glob(BOUNDARY)]
    if files:
        return any(is_ndfs(path) for path in files)
    return not (folder / SCALED_MESH).is_file() and scaled_mesh_file(folder) is not None


def is_ndfs(path: Path) -> bool:
    """Whether an .npz that no record tells of is NDF's: its points are float64. A damaged one is not."""
    try:
        with open_npz(path) as file:
            key = next(key for key in POINTS if key in file)
            return bool(file.first(key, 1).dtype == np.float64)
    except (DamagedFile, StopIteration):
        return False


def lacks_our_samples(folder: Path) -> bool:
    """Whether a folder has neither uniform samples nor those of gaps or edges, of which NDF makes none."""
    return not any((folder / name).exists() for name in (UNIFORM_SAMPLES, GAP_SAMPLES, SHARP_SAMPLES))


def named_axes(data: Data) -> dict[str, str]:
    """The axes of the data, as `OUR_AXES`; where one of them is to be found out, the other need not be known."""
    if AUTO in (data.up, data.front):
        return {"up": data.up, "front": data.front or AUTO}
    return {"up": data.up, "front": front_of(data.up, data.front)}


def turn_at_loading(folder: Path, data: Data) -> np.ndarray | None:
    """The rotation (3, 3) that brings the files of a shape to our axes; None for ours, and where the axes are these.

    Raises UserError where the axes of NDF's files are to be found out, which needs their mesh.
    """
    axes = named_axes(data)
    if (axes == OUR_AXES and not data.axes_file) or not are_ndfs(folder):
        return None
    if AUTO in axes.values() or data.axes_file:
        raise UserError(
            f"{folder} holds files of NDF's scripts: up auto, front auto and axes_file are for meshes; name their axes,"
            " such as --up y --front x, or make the files again from the meshes: preprocess.py"
        )
    return turn_of(**axes)


def turning_sentence(folders: Iterable[Path], data: Data) -> str:
    """What `turn_at_loading` does with these shapes, where up and front are not ours; empty if it is no question."""
    if named_axes(data) == OUR_AXES:
        return ""
    open_question = [folder for folder in folders if without_record(folder)]
    turned_ones = sum(turn_at_loading(folder, data) is not None for folder in open_question)
    axes = "up {up}, front {front}".format(**named_axes(data))
    told = {
        f"NDF's files, turned when they are read ({axes})": turned_ones,
        "files without made_of.json that are not NDF's, taken as turned already": len(open_question) - turned_ones,
    }
    return "; ".join(f"{words}: shapes {count}" for words, count in told.items() if count)


def turned(points: np.ndarray, turn: np.ndarray | None) -> np.ndarray:
    """Points (N, 3), turned; the same array for None. Axes change places and signs, so that nothing is rounded."""
    return points if turn is None else (points @ turn.T.astype(points.dtype)) + points.dtype.type(0)  # no -0.0


def scaled_mesh_file(folder: Path) -> Path | None:
    """The scaled mesh of a shape: ours, else the only one that is named as NDF's; None if there is none.

    Raises UserError for several.
    """
    if (folder / SCALED_MESH).is_file():
        return folder / SCALED_MESH
    found = sorted(path for path in folder.glob(SCALED) if path.is_file())
    if len(found) > 1:
        raise UserError(
            f"{folder} has {found[0].name} and {found[1].name}: which of them is the shape is not known; keep one"
        )
    return found[0] if found else None


def input_cloud_file(folder: Path, grid: InputGrid) -> Path:
    """The file of the input cloud of a shape, of whose points the first num_points count; it need not exist.

    Points are drawn at random, and the grid is made of them anew. So where no record tells of the files, one of another
    resolution will do, and one of more points. Raises UserError if all that are there have fewer.
    """
    path = folder / voxelized_point_cloud(grid.input_res, grid.num_points)
    if path.is_file() or not (others := cloud_files(folder)) or not without_record(folder):
        return path
    enough = {one: numbers for one, numbers in others.items() if numbers[1] >= grid.num_points}
    if not enough:
        most = max(others, key=lambda one: others[one][1])
        raise UserError(
            f"{most} has {others[most][1]} points, num_points is {grid.num_points}; give --num_points"
            f" {others[most][1]}, or make its cloud with preprocess.py"
        )
    return min(enough, key=lambda one: (enough[one][1], abs(enough[one][0] - grid.input_res), one))


def cloud_files(folder: Path) -> Mapping[Path, tuple[int, int]]:
    """The input clouds of a folder, each with the resolution and the number of points that its name says."""
    named = {path: NUMBERS.fullmatch(path.name) for path in sorted(folder.glob(CLOUDS)) if path.is_file()}
    return {path: (int(found[1]), int(found[2])) for path, found in named.items() if found}


def has_shape(folder: Path) -> bool:
    """Whether a folder holds points of a preprocessed shape: samples, or an input cloud."""
    return any(next(folder.glob(pattern), None) for pattern in (BOUNDARY, CLOUDS))
