"""All preprocessed files of one shape: making those that are missing."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from configs.options import Config
from configs.options.data import ANY_LAYOUT, AUTO
from dataprocessing.axes import Axes, axes_of, given_axes
from dataprocessing.boundary_sampling import boundary_points, sample_arrays, uniform_points
from dataprocessing.convert_to_scaled_off import write_off
from dataprocessing.distances import distance_function, why_slow
from dataprocessing.frames import to_unit_box
from dataprocessing.gaps import gap_candidates, gap_indices
from dataprocessing.mesh_folder import path_below, stream_name
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh
from dataprocessing.mesh_record import MESH, axes_found, mesh_entry, with_axes
from dataprocessing.scale_notes import Note, scale_notes
from dataprocessing.shape_facts import begun, facts_of, finished, why_made
from dataprocessing.shapes import expected_files, samples_per_file, shape_name
from dataprocessing.sharp_edges import sharp_points
from dataprocessing.voxelized_pointcloud_sampling import input_points, voxelized_arrays
from runtime import layout
from runtime.artefacts import NOT_THERE, Facts, Records
from runtime.errors import FORBIDDEN, UserError, raise_if_interrupted
from runtime.files import remove_spares, write_npz
from runtime.reading import DamagedFile
from runtime.seeds import generator


@dataclass
class Outcome:
    """What became of one mesh. `failure` is empty, or one line; `slow` as well, why its distances took so long.

    again: why files that were there were made again, of each. name: the mesh's path below its folder. Of a mesh that
    was read: axes, and notes of what looks odd about its size and axes.
    """

    mesh: Path
    made: int = 0
    again: list[str] = field(default_factory=list)
    skipped: int = 0
    failure: str = ""
    slow: str = ""
    name: str = ""
    axes: Axes | None = None
    notes: list[Note] = field(default_factory=list)


class LazyMesh:
    """The mesh of a file with its axes, read when they are first needed."""

    def __init__(self, path: Path, below: PurePosixPath, cfg: Config):
        self.path, self.below, self.cfg = path, below, cfg

    @cached_property
    def mesh(self) -> Mesh:
        return load_mesh(self.path)

    @cached_property
    def axes(self) -> Axes:
        return axes_of(self.mesh, self.below, self.cfg.data)


def process_shape(mesh_path: Path, folder: Path, cfg: Config) -> Outcome:
    """Make the files of one shape that are not in `folder`, or are of other options or of another mesh.

    What is written depends on the mesh, the options, the seed and the shape's stream only. A broken mesh, or whatever
    else goes wrong with this one, is told in the outcome. Raises OSError if writing fails: it would for all others too.
    """
    outcome = Outcome(mesh_path)
    try:
        make_missing(mesh_path, folder, cfg, outcome)
    except DamagedFile as error:
        outcome.failure = error.reason
    except MeshError as error:
        outcome.failure = str(error)
    except OSError as error:
        if error.filename == str(mesh_path):
            outcome.failure = f"cannot be read: {error.strerror}"
            return outcome
        error.filename = error.filename or str(folder)  # a full disk does not say where
        raise
    except UserError:
        raise
    except Exception as error:  # one odd mesh of thousands must not end a run of hours
        raise_if_interrupted()
        outcome.failure = f"{type(error).__name__}: {error}"
    return outcome


def make_missing(mesh_path: Path, folder: Path, cfg: Config, outcome: Outcome) -> None:
    """`process_shape`, which tells what is raised here. Completes the outcome, and the record in the folder."""
    records, below = Records(folder), path_below(mesh_path, layout.absolute(cfg.data.data_dir))
    stream = stream_name(below) if cfg.data.input_data_glob == ANY_LAYOUT else shape_name(folder)
    source = LazyMesh(mesh_path, below, cfg)
    mesh, axes = entry_with_axes(mesh_entry(mesh_path, str(below), stream, records), source, records)
    wanted = {name: facts_of(name, mesh["of"], cfg, axes) for name in expected_files(cfg)}
    reasons = {name: why_made(folder / name, facts, records, cfg) for name, facts in wanted.items()}
    missing = {name: wanted[name] for name, reason in reasons.items() if reason}
    if missing:
        entries = begun(folder, missing, mesh["of"], records)
        try:
            unit, _ = to_unit_box(source.mesh, source.axes.up, source.axes.front)
        except MeshError:
            if former := {name: entry for name, entry in entries.items() if (folder / name).is_file()}:
                records.put(former)  # they are of no mesh that is there
            raise
        remove_spares(folder)
        records.put(entries | {MESH: mesh})
        write_files(unit, folder, list(missing), stream, cfg)
        outcome.name, outcome.axes = str(below), source.axes
        outcome.notes = scale_notes(source.mesh, source.axes.up, source.axes.front)
        outcome.slow = why_slow(cfg.preprocessing) if samples_per_file(cfg.sampling).keys() & missing.keys() else ""
    made = {name: finished(folder / name, facts) for name, facts in wanted.items()}
    if records.entries != records.entries | made | {MESH: mesh}:
        try:
            records.put(made | {MESH: mesh})
        except OSError as error:
            if missing or error.errno not in FORBIDDEN:  # where nothing is to be made, the folder may be read-only
                raise
    outcome.again = [reason for reason in reasons.values() if reason not in ("", NOT_THERE)]
    outcome.made, outcome.skipped = len(missing) - len(outcome.again), len(reasons) - len(missing)


def entry_with_axes(mesh: Facts, source: LazyMesh, records: Records) -> tuple[Facts, tuple[str, str]]:
    """The entry of a mesh, and its up and front, which are looked for in its file only once.

    They stay auto where it cannot be read: nothing is made of these.
    """
    given = given_axes(source.below, source.cfg.data)
    if AUTO not in given:
        return mesh, given
    found = axes_found(records, mesh, given)
    if found is None:
        try:
            found = source.axes.up, source.axes.front
        except MeshError:
            return mesh, given
    return with_axes(mesh, given, found), found


def write_files(mesh: Mesh, folder: Path, names: list[str], stream: str, cfg: Config) -> None:
    """Write the named files of a scaled mesh; one scene gives the distances of all sample files.

    stream: what the random numbers belong to.
    """
    wanted = samples_per_file(cfg.sampling)
    sigma_of = {layout.boundary_samples(sigma): sigma for sigma in cfg.sampling.sample_std_dev}
    clouds = {}  # (S, 3) float32 points of each sample file
    for name in names:
        rng = generator(cfg.run.seed, stream, name)
        if name == layout.SCALED_MESH:
            write_off(folder / name, mesh)
        elif name == layout.UNIFORM_SAMPLES:
            clouds[name] = uniform_points(wanted[name], rng)
        elif name == layout.SHARP_SAMPLES:
            clouds[name] = sharp_points(mesh, wanted[name], rng)
        elif name == layout.GAP_SAMPLES:
            clouds[name] = gap_candidates(mesh, wanted[name], rng)
        elif name in sigma_of:
            clouds[name] = boundary_points(mesh, sigma_of[name], wanted[name], rng)
        else:
            points = input_points(mesh, stream, cfg)
            arrays = voxelized_arrays(points, cfg.grid.input_res, cfg.grid.bb_min, cfg.grid.bb_max)
            write_npz(folder / name, compressed=["compressed_occupancies"], **arrays)  # of 256^3: 2 MB of zeros else
    if not clouds:
        return
    ends = np.cumsum([len(points) for points in clouds.values()])
    df = distance_function(cfg)(*mesh, np.concatenate(list(clouds.values())))
    for (name, points), distances in zip(clouds.items(), np.split(df, ends[:-1]), strict=True):
        if name == layout.GAP_SAMPLES:
            kept = gap_indices(distances, wanted[name], generator(cfg.run.seed, stream, name, "kept"))
            points, distances = points[kept], distances[kept]
        write_npz(folder / name, **sample_arrays(points, distances, cfg.preprocessing.grid_coords))
