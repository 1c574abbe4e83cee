"""Somebody's own meshes, read and brought into the unit box in memory: nothing of them is written."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from configs.options import Config
from configs.options.types import needed
from dataprocessing.axes import Axes, axes_of, check_table, lines_of_found
from dataprocessing.frames import Frame, to_unit_box
from dataprocessing.mesh_folder import mesh_name, meshes_below, path_below, stream_name
from dataprocessing.mesh_io import MeshError, load_mesh
from dataprocessing.pool import run_in_order
from dataprocessing.scale_notes import Note, lines_of, scale_notes
from dataprocessing.surface import sample_surface
from dataprocessing.voxelized_pointcloud_sampling import input_points
from runtime.cores import num_workers
from runtime.errors import UserError, one_line, raise_if_interrupted
from runtime.layout import given_path
from runtime.seeds import generator

OWN_MESHES = "own_meshes"  # key of index.json: the folder of the meshes
MESHES_A_WORKER = 8  # for fewer, starting a process takes longer than reading them


class OwnMesh(NamedTuple):
    """A mesh file with its name, its input cloud (num_points, 3) float32 in the unit box, and its own frame.

    stream: what its random numbers belong to. axes: of its file. notes: what looks odd about its size and axes.
    """

    name: str
    path: Path
    cloud: np.ndarray
    frame: Frame
    stream: str
    axes: Axes
    notes: list[Note]


@dataclass
class OwnMeshes:
    """The meshes of a folder that can be used, and why the others cannot: path -> one line.

    table_notes: what is told of rows of `axes_file`.
    """

    folder: Path
    meshes: list[OwnMesh]
    left_out: dict[Path, str] = field(default_factory=dict)
    table_notes: list[str] = field(default_factory=list)

    def facts(self) -> list[dict[str, Any]]:
        """What decides the input cloud of each mesh, and the way back to its own frame, as plain values."""
        return [
            {
                "mesh": self.relative(one.path),
                "cloud_sha256": digest(one.cloud),
                **one.axes.facts(),
                **one.frame.facts(),
            }
            for one in self.meshes
        ]

    def relative(self, path: Path) -> str:
        return str(path_below(path, self.folder))


def read_own_meshes(cfg: Config, out: Path) -> OwnMeshes:
    """Read the meshes that `--own_meshes` names, in any layout, and draw their input points.

    What lies below `out` is none of them. Raises UserError if there are none, or none that can be used.
    """
    folder = given_path(needed(cfg.own_meshes.own_meshes, "own_meshes")).resolve()
    paths = meshes_below(folder, left_out=out.resolve())
    tasks = [(path, path_below(path, folder), cfg) for path in paths]
    found = OwnMeshes(folder, [], table_notes=check_table(cfg.data, [below for _, below, _ in tasks]))
    workers = min(num_workers(cfg.run.num_cpus), len(tasks) // MESHES_A_WORKER)
    with closing(run_in_order(read_own_mesh, tasks, workers)) as outcomes:  # closed: Ctrl-C ends the workers
        for path, outcome in zip(paths, shown(outcomes, len(paths)), strict=True):
            if isinstance(outcome, str):
                found.left_out[path] = outcome
            else:
                found.meshes.append(outcome)
    if not found.meshes:
        path, reason = next(iter(found.left_out.items()))
        raise UserError(f"none of the {len(paths)} meshes in {folder} can be used, the first, {path.name}: {reason}")
    return found


def tell_left_out(own: OwnMeshes) -> None:
    """How many meshes there are and can be used, and a line for each that cannot."""
    count = len(own.meshes) + len(own.left_out)
    print(f"{count} meshes in {own.folder}, {len(own.left_out)} of them left out")
    for path, reason in own.left_out.items():
        print(f"  left out: {own.relative(path)}: {' '.join(reason.split())}")


def tell_axes_and_scale(own: OwnMeshes) -> None:
    """A line for each row of `axes_file` that fits nothing, for axes that were found, and for what looks odd."""
    by_name = {own.relative(one.path): one for one in own.meshes}
    found = lines_of_found({name: one.axes for name, one in by_name.items()})
    for line in [*own.table_notes, *found, *lines_of({name: one.notes for name, one in by_name.items()})]:
        print(one_line(line))


def shown(outcomes: Iterator[OwnMesh | str], total: int) -> Iterator[OwnMesh | str]:
    return iter(tqdm(outcomes, total=total, desc="reading meshes", unit="mesh", disable=None))


def read_own_mesh(path: Path, below: PurePosixPath, cfg: Config) -> OwnMesh | str:
    """A mesh, or a line that says why it cannot be used. Its points are those that step 1 would draw.

    below: its path below the folder of the meshes.
    """
    stream = stream_name(below)
    try:
        mesh = load_mesh(path)
        axes = axes_of(mesh, below, cfg.data)
        unit, frame = to_unit_box(mesh, axes.up, axes.front)
        notes = scale_notes(mesh, axes.up, axes.front)
        return OwnMesh(mesh_name(below), path, input_points(unit, stream, cfg), frame, stream, axes, notes)
    except MeshError as error:
        return str(error)
    except Exception as error:  # one odd mesh of many must not end the run
        raise_if_interrupted()
        return f"{type(error).__name__}: {error}"


def true_surface(own: OwnMesh, num_points: int, cfg: Config) -> np.ndarray:
    """Points drawn uniformly from the mesh itself, (num_points, 3) float32 in the unit box."""
    mesh, _ = to_unit_box(load_mesh(own.path), own.axes.up, own.axes.front)
    return sample_surface(mesh, num_points, generator(cfg.run.seed, own.stream, "surface")).astype(np.float32)


def digest(cloud: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(cloud).tobytes()).hexdigest()
