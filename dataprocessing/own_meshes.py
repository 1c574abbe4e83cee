"""Somebody's own meshes and point clouds, brought into the unit box in memory: nothing of them is written."""

import hashlib
import os
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
from dataprocessing.frames import Frame, points_in_unit_box, to_unit_box
from dataprocessing.mesh_folder import Listing, mesh_name, path_below, shapes_below, stream_name, tell_others
from dataprocessing.mesh_io import Mesh, MeshError
from dataprocessing.point_io import load_shape
from dataprocessing.scale_notes import Note, lines_of, scale_notes
from dataprocessing.scatter import scatter_of
from dataprocessing.surface import at_most, sample_surface
from dataprocessing.voxelized_pointcloud_sampling import input_points
from runtime.cores import num_workers
from runtime.errors import UserError, one_line, raise_if_interrupted
from runtime.layout import given_path
from runtime.pool import run_in_order
from runtime.seeds import generator

OWN_MESHES = "own_meshes"  # key of index.json: the folder of the meshes
MESHES_A_WORKER = 8  # for fewer, starting a process takes longer than reading them
MOST_CLOUDS_TOLD = 20
FEW = 300  # points; any_car_pretrained was trained on as few
NOISY = 0.006  # of the longest side


class GivenCloud(NamedTuple):
    """What a point cloud is like. num_points: of the file; scatter: sd of its noise, for a longest side of 1."""

    num_points: int
    scatter: float | None


class OwnMesh(NamedTuple):
    """A mesh or cloud file with its name, its input cloud in the unit box, and its own frame.

    cloud: (num_points, 3) float32; of a cloud file at most as many as it has. stream: what its random numbers belong
    to. axes: of its file. notes: what looks odd about its size and axes. given: of a cloud file.
    """

    name: str
    path: Path
    cloud: np.ndarray
    frame: Frame
    stream: str
    axes: Axes
    notes: list[Note]
    given: GivenCloud | None = None


@dataclass
class OwnMeshes:
    """The shapes of a folder that can be used, and why the others cannot: path -> one line.

    listing: all files of the folder, of which a chunk reads its own. numbers: of the meshes, among its shapes.
    table_notes: what is told of rows of `axes_file`.
    """

    folder: Path
    listing: Listing
    meshes: list[OwnMesh] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
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
                **(one.given._asdict() if one.given else {}),
            }
            for one in self.meshes
        ]

    def relative(self, path: Path) -> str:
        return str(path_below(path, self.folder))


def read_own_meshes(cfg: Config, out: Path) -> OwnMeshes:
    """Read the meshes and clouds that `--own_meshes` names, in any layout, and draw their input points.

    Of a chunk its part alone. What lies below `out` is none of them. Raises UserError if there are none, or none that
    can be used by a run without chunks.
    """
    folder = own_meshes_place(cfg)
    listing = shapes_below(folder, left_out=Path(os.path.realpath(out)), clouds=True)
    table_notes = check_table(cfg.data, [path_below(path, folder) for path in listing.shapes])
    part = cfg.chunks.part_of(len(listing.shapes))
    paths = [listing.shapes[n] for n in part]
    tasks = [(path, path_below(path, folder), cfg) for path in paths]
    found = OwnMeshes(folder, listing, left_out=dict(listing.left_out), table_notes=table_notes)
    workers = min(num_workers(cfg.run.num_cpus), len(tasks) // MESHES_A_WORKER)
    with closing(run_in_order(read_own_mesh, tasks, workers)) as outcomes:  # closed: Ctrl-C ends the workers
        for n, path, outcome in zip(part, paths, shown(outcomes, len(paths)), strict=True):
            if isinstance(outcome, str):
                found.left_out[path] = outcome
            else:
                found.meshes.append(outcome)
                found.numbers.append(n)
    if not found.meshes and cfg.chunks.num_chunks == 1:
        path, reason = next((path, found.left_out[path]) for path in paths)
        raise UserError(f"none of the {len(paths)} shapes in {folder} can be used, the first, {path.name}: {reason}")
    return found


def own_meshes_place(cfg: Config) -> Path:
    """The folder or file that `--own_meshes` names, links followed; but a linked file keeps its own name: what it is a
    link to, as in caches of downloads, may have no ending."""
    given = given_path(needed(cfg.own_meshes.own_meshes, "own_meshes"))
    real = Path(os.path.realpath(given))
    try:
        linked_file = given.is_symlink() and real.is_file()
    except OSError:  # told where it is read
        linked_file = False
    return Path(os.path.realpath(given.parent), given.name) if linked_file else real


def tell_left_out(own: OwnMeshes) -> None:
    """How many shapes there are and can be used, a line for each that cannot, and what else lies in the folder."""
    clouds = [one for one in own.meshes if one.given]
    what = "meshes and clouds" if clouds else "meshes"
    print(f"{len(own.meshes) + len(own.left_out)} {what} in {own.folder}, {len(own.left_out)} of them left out")
    tell_others(own.listing._replace(left_out=own.left_out), own.folder)
    for one in clouds[:MOST_CLOUDS_TOLD]:
        print(f"  cloud: {one_line(own.relative(one.path))}: {about_cloud(one)}")
    if len(clouds) > MOST_CLOUDS_TOLD:
        print(f"  and {len(clouds) - MOST_CLOUDS_TOLD} more clouds: their numbers are in index.json")


def about_cloud(one: OwnMesh) -> str:
    """How many points a cloud has, and how far they scatter."""
    assert one.given is not None
    used = "" if len(one.cloud) == one.given.num_points else f", {len(one.cloud):,} of them used"
    told = f"{one.given.num_points:,} points{used}"
    if one.given.num_points < FEW:
        told += f", fewer than {FEW}: too few for a surface"
    if one.given.scatter is None:
        return f"{told}; too few to tell their noise"
    blurred = ", which blurs what is decoded" if one.given.scatter > NOISY else ""
    return f"{told}; noise (sd) about {one.given.scatter:.4f} of its longest side{blurred}"


def tell_axes_and_scale(own: OwnMeshes) -> None:
    """A line for each row of `axes_file` that fits nothing, for axes that were found, and for what looks odd."""
    by_name = {own.relative(one.path): one for one in own.meshes}
    found = lines_of_found({name: one.axes for name, one in by_name.items()})
    for line in [*own.table_notes, *found, *lines_of({name: one.notes for name, one in by_name.items()})]:
        print(one_line(line))


def shown(outcomes: Iterator[OwnMesh | str], total: int) -> Iterator[OwnMesh | str]:
    return iter(tqdm(outcomes, total=total, desc="reading meshes", unit="mesh", disable=None))


def read_own_mesh(path: Path, below: PurePosixPath, cfg: Config) -> OwnMesh | str:
    """A mesh or cloud, or a line that says why it cannot be used.

    Points of a mesh are those that step 1 would draw. below: its path below the folder of the meshes.
    """
    stream = stream_name(below)
    try:
        shape = load_shape(path)
        axes = axes_of(shape, below, cfg.data)
        notes = scale_notes(shape, axes.up, axes.front)
        if isinstance(shape, Mesh):
            mesh, frame = to_unit_box(shape, axes.up, axes.front)
            return OwnMesh(mesh_name(below), path, input_points(mesh, stream, cfg), frame, stream, axes, notes)
        points, frame = points_in_unit_box(shape, axes.up, axes.front)
        chosen = at_most(points, cfg.grid.num_points, generator(cfg.run.seed, stream, "input")).astype(np.float32)
        given = GivenCloud(len(points), scatter_of(points, generator(cfg.run.seed, stream, "scatter")))
        return OwnMesh(mesh_name(below), path, chosen, frame, stream, axes, notes, given)
    except (MeshError, ValueError) as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except Exception as error:  # one odd mesh of many must not end the run
        raise_if_interrupted()
        return f"{type(error).__name__}: {error}"


def true_surface(own: OwnMesh, num_points: int, cfg: Config) -> np.ndarray:
    """Points drawn uniformly from the mesh itself, (num_points, 3) float32 in the unit box; of a cloud at most those
    that it has."""
    rng, shape = generator(cfg.run.seed, own.stream, "surface"), load_shape(own.path)
    if isinstance(shape, Mesh):
        mesh, _ = to_unit_box(shape, own.axes.up, own.axes.front)
        return sample_surface(mesh, num_points, rng).astype(np.float32)
    return at_most(own.frame.to_unit(shape), num_points, rng).astype(np.float32)


def digest(cloud: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(cloud).tobytes()).hexdigest()
