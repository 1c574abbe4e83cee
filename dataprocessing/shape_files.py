"""All preprocessed files of one shape: which are missing, and making them."""

from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from configs import layout
from configs.errors import UserError, raise_if_interrupted
from configs.files import remove_spares, write_npz
from configs.reading import DamagedFile, open_npz
from configs.seeds import generator
from dataprocessing.boundary_sampling import boundary_points, sample_arrays, uniform_points
from dataprocessing.convert_to_scaled_off import write_off
from dataprocessing.distances import distance_function, why_slow
from dataprocessing.frames import to_unit_box
from dataprocessing.gaps import gap_candidates, gap_indices
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh
from dataprocessing.shapes import expected_files, samples_per_file, shape_name
from dataprocessing.voxelized_pointcloud_sampling import input_points, voxelized_arrays


@dataclass
class Outcome:
    """What became of one mesh. `failure` is empty, or one line; `slow` as well, why its distances took so long."""

    mesh: Path
    made: int = 0
    made_again: int = 0
    skipped: int = 0
    failure: str = field(default="")
    slow: str = ""


def process_shape(mesh_path: Path, folder: Path, cfg: Namespace) -> Outcome:
    """Make the files of one shape that are missing in `folder` or were made with other options.

    What is written depends on the mesh, the options, cfg.seed and the shape's name only. A broken mesh, or whatever
    else goes wrong with this one, is told in the outcome. Raises OSError if writing fails: it would for all others too.
    """
    missing = [name for name in expected_files(cfg) if not is_finished(folder / name, cfg)]
    outcome = Outcome(mesh_path, skipped=len(expected_files(cfg)) - len(missing))
    if not missing:
        return outcome
    try:
        mesh, _ = to_unit_box(load_mesh(mesh_path), cfg.up, cfg.front)
        remove_spares(folder)
        present = [name for name in missing if (folder / name).exists()]
        write_files(mesh, folder, missing, cfg)
        outcome.slow = why_slow(cfg) if samples_per_file(cfg).keys() & set(missing) else ""
        outcome.made, outcome.made_again = len(missing) - len(present), len(present)
    except MeshError as error:
        outcome.failure = str(error)
    except OSError as error:
        error.filename = error.filename or str(folder)  # a full disk does not say where
        raise
    except UserError:
        raise
    except Exception as error:  # one odd mesh of thousands must not end a run of hours
        raise_if_interrupted()
        outcome.failure = f"{type(error).__name__}: {error}"
    return outcome


def write_files(mesh: Mesh, folder: Path, names: list[str], cfg: Namespace) -> None:
    """Write the named files of a scaled mesh; one scene gives the distances of all sample files."""
    name_of_shape, wanted = shape_name(folder), samples_per_file(cfg)
    sigma_of = {layout.boundary_samples(sigma): sigma for sigma in cfg.sample_std_dev}
    clouds = {}  # (S, 3) float32 points of each sample file
    for name in names:
        rng = generator(cfg.seed, name_of_shape, name)
        if name == layout.SCALED_MESH:
            write_off(folder / name, mesh)
        elif name == layout.UNIFORM_SAMPLES:
            clouds[name] = uniform_points(wanted[name], rng)
        elif name == layout.GAP_SAMPLES:
            clouds[name] = gap_candidates(mesh, wanted[name], rng)
        elif name in sigma_of:
            clouds[name] = boundary_points(mesh, sigma_of[name], wanted[name], rng)
        else:
            points = input_points(mesh, name_of_shape, cfg)
            arrays = voxelized_arrays(points, cfg.input_res, cfg.bb_min, cfg.bb_max)
            write_npz(folder / name, compressed=["compressed_occupancies"], **arrays)  # of 256^3: 2 MB of zeros else
    if not clouds:
        return
    ends = np.cumsum([len(points) for points in clouds.values()])
    df = distance_function(cfg)(*mesh, np.concatenate(list(clouds.values())))
    for (name, points), distances in zip(clouds.items(), np.split(df, ends[:-1]), strict=True):
        if name == layout.GAP_SAMPLES:
            kept = gap_indices(distances, wanted[name], generator(cfg.seed, name_of_shape, name, "kept"))
            points, distances = points[kept], distances[kept]
        write_npz(folder / name, **sample_arrays(points, distances, cfg.grid_coords))


def is_finished(path: Path, cfg: Namespace) -> bool:
    """Whether the file is there and whole, with as many samples (and the box) that `cfg` asks for.

    Samples with grid_coords will do where none are asked for, not the other way round. Other settings leave no trace in
    the files: after a change of seed, for example, delete them.
    """
    if not path.is_file():
        return False
    if path.suffix != ".npz":
        return path.stat().st_size > 0  # a power cut may leave the name alone
    try:
        if path.name in (wanted := samples_per_file(cfg)):
            with open_npz(path) as file:
                has_all = "grid_coords" in file or not cfg.grid_coords
                return has_all and file.shape("df")[:1] == (wanted[path.name],)
        with open_npz(path) as file:
            return float(file["bb_min"]) == cfg.bb_min and float(file["bb_max"]) == cfg.bb_max
    except DamagedFile:
        return False  # not whole
