"""Which shapes a configuration means, and where the files of each of them are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from configs.options import Config, Data, Sampling
from configs.options.data import ANY_LAYOUT
from dataprocessing.file_walk import matching
from dataprocessing.mesh_folder import Listing, mesh_name, path_below, shapes_below, stream_name
from dataprocessing.mesh_record import told_of_mesh
from dataprocessing.ndf_files import has_shape, input_cloud_file, lacks_our_samples
from runtime import layout
from runtime.artefacts import Records
from runtime.errors import UserError, note

MODEL_FOLDER = "models"  # ShapeNetCore.v2 keeps the mesh of shape ID in ID/models, v1 in ID
FIT_PATTERN = "set input_data_glob to fit: /*/models/model_normalized.obj for ShapeNetCore.v2, /*/model.obj for v1"
LAYOUTS = ("*/models", "*", "*/*/models", "*/*", ".")  # of preprocessed files without their meshes: v2, v1, one shape


def processed_root(data: Data) -> Path:
    """The folder below which preprocessed files are: processed_dir, or the meshes' own data_dir.

    Meshes in any layout may share a folder, where their files cannot lie beside them: DATA_DIR_processed then.
    """
    if data.processed_dir:
        return layout.absolute(data.processed_dir)
    beside = f"{data.data_dir.rstrip('/')}_processed" if data.input_data_glob == ANY_LAYOUT else data.data_dir
    return layout.absolute(beside)


def shape_name(folder: Path | str) -> str:
    """The shape's own name: that of its folder, not counting a last `models`."""
    parts = PurePosixPath(folder).parts
    return parts[-2] if len(parts) > 1 and parts[-1] == MODEL_FOLDER else parts[-1]


def demo_car_name(seed: int, index: int) -> str:
    return f"demo_s{seed}_{index:05d}"


def find_meshes(data: Data) -> list[Path]:
    """The mesh files that data_dir + input_data_glob names, sorted; with `any`, all mesh files below data_dir."""
    return list_meshes(data).shapes


def list_meshes(data: Data) -> Listing:
    """`find_meshes`, and with input_data_glob `any` what else lies below data_dir.

    Raises UserError if there are none, or two in one folder, whose samples would have the same names.
    """
    root = layout.absolute(data.data_dir)
    if not root.is_dir():
        raise UserError(f"no data_dir {root}; give the folder of the meshes, or make demo cars (README, step 0)")
    if data.input_data_glob == ANY_LAYOUT:
        return shapes_below(root, left_out=processed_root(data))
    meshes = sorted(path for path in matching(root, mesh_pattern(data)) if path.is_file())
    if not meshes:
        if not any(root.iterdir()):
            raise UserError(f"data_dir {root} is empty; put the meshes there, or make demo cars (README, step 0)")
        below = next((path for path in sorted(root.iterdir()) if next(path.glob(mesh_pattern(data)), None)), None)
        raise UserError(
            f"no file matches {data.input_data_glob!r} in data_dir {root}; it holds {_some_names(root)}; "
            + (f"set data_dir to {below}, where files match" if below else FIT_PATTERN)
        )
    for one, other in zip(meshes, meshes[1:], strict=False):
        if one.parent == other.parent:
            raise UserError(
                f"{one.name} and {other.name} are both in {one.parent}; files are named by folder, so give each mesh"
                f" a folder of its own, set input_data_glob to one of them, or to {ANY_LAYOUT} for all"
            )
    return Listing(meshes, {}, Counter(), [])


def mesh_pattern(data: Data) -> str:
    """input_data_glob relative to data_dir. Raises UserError if it is empty or leads out of it."""
    pattern = data.input_data_glob.strip("/")
    if not pattern:
        raise UserError("input_data_glob is empty; set it to a pattern such as /*/models/model_normalized.obj")
    if ".." in PurePosixPath(pattern).parts:
        raise UserError(f"input_data_glob {pattern!r} leads out of data_dir; set data_dir to the folder of the meshes")
    return pattern


def output_folders(meshes: Sequence[Path], data: Data) -> dict[Path, Path]:
    """Where the files made of each mesh go: the same sub-folders as below data_dir, below `processed_root`; with
    input_data_glob `any`, a folder with the name of each mesh. meshes: all of `find_meshes`.

    Earlier versions named the latter by `stream_name`. Where such a folder is there, it stays in use.
    """
    root, data_dir = processed_root(data), layout.absolute(data.data_dir)
    if data.input_data_glob != ANY_LAYOUT:
        return {mesh: root / mesh.parent.relative_to(data_dir) for mesh in meshes}
    below = {mesh: path_below(mesh, data_dir) for mesh in meshes}
    streams = Counter(map(stream_name, below.values()))
    folders = {}
    for mesh, path in below.items():
        folder, former = root / mesh_name(path), root / stream_name(path)
        if former != folder and former.is_dir() and not folder.is_dir():
            told = told_of_mesh(Records(former)).get("path")
            if told == str(path) or (told is None and streams[former.name] == 1):
                folder = former
        folders[mesh] = folder
    return folders


def stream_of(folder: Path) -> str:
    """What the random numbers of a preprocessed shape belong to: its name, or what its record says."""
    return told_of_mesh(Records(folder)).get("stream") or shape_name(folder)


def shape_folders(data: Data) -> list[Path]:
    """The folders that may hold the files of a shape, sorted, whether they hold any or not.

    Where none of those that input_data_glob means does, files may have come without their meshes, in another layout.
    """
    root = processed_root(data)
    pattern = "*" if data.input_data_glob == ANY_LAYOUT else mesh_pattern(data).rpartition("/")[0] or "."
    folders = _folders(root, pattern)
    if data.input_data_glob == ANY_LAYOUT or any(map(has_shape, folders)):
        return folders
    for other in LAYOUTS:
        if any(map(has_shape, there := _folders(root, other))):
            note(f"no files of shapes in {root / pattern}, where input_data_glob has them; {root / other} is taken")
            return there
    return folders


def _folders(root: Path, pattern: str) -> list[Path]:
    found = [root] if pattern == "." else matching(root, pattern)
    return sorted(path for path in found if path.is_dir())


def expected_files(cfg: Config) -> list[str]:
    """Names of all files that preprocessing makes for a shape."""
    cloud = layout.voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points)
    return [layout.SCALED_MESH, cloud, *samples_per_file(cfg.sampling)]


def samples_per_file(sampling: Sampling) -> dict[str, int]:
    """The sample files of a shape, with the number of samples that each holds."""
    numbers = {layout.boundary_samples(sigma): sampling.num_boundary_samples for sigma in sampling.sample_std_dev}
    numbers |= {
        layout.UNIFORM_SAMPLES: sampling.num_uniform_samples,
        layout.GAP_SAMPLES: sampling.num_gap_samples,
        layout.SHARP_SAMPLES: sampling.num_sharp_samples,
    }
    return {name: number for name, number in numbers.items() if number}


def _some_names(folder: Path, count: int = 3) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


class Found(NamedTuple):
    """Folders with all preprocessed files, sorted; how many lack some; and how many have all, but no mesh any more."""

    folders: list[Path]
    lacking: int
    gone: int


def find_shapes(cfg: Config, points_alone: bool = False) -> Found:
    """The preprocessed shapes whose meshes are still there, if data_dir is. Raises UserError if there are none.

    points_alone: nothing but their input points is needed.
    """
    folders = shape_folders(cfg.data)
    records = {folder: Records(folder) for folder in folders}
    lacking = {
        folder: name for folder in folders if (name := _first_lacking(folder, records[folder], cfg, points_alone))
    }
    complete = {folder: records[folder] for folder in folders if folder not in lacking}
    gone = without_mesh(complete, cfg)
    if len(gone) == len(complete):
        example = next((f", for example no {name} in {folder}" for folder, name in lacking.items()), "")
        example += f"; of {len(gone)} the meshes are no longer in {cfg.data.data_dir}" if gone else ""
        raise UserError(
            f"none of the {len(folders)} shapes in {processed_root(cfg.data)} is preprocessed{example}; first run:"
            f" python dataprocessing/preprocess.py --config {cfg.run.config}"
        )
    return Found([folder for folder in complete if folder not in gone], len(lacking), len(gone))


def _first_lacking(folder: Path, records: Records, cfg: Config, points_alone: bool) -> str | None:
    """The first file that is not there, or was begun anew and not finished."""
    begun = {name for name, entry in records.entries.items() if not entry.get("finished")}
    needed = [input_cloud_file(folder, cfg.grid).name] if points_alone else _needed(folder, records, cfg)
    return next((name for name in needed if name in begun or not (folder / name).is_file()), None)


def _needed(folder: Path, records: Records, cfg: Config) -> list[str]:
    """What training needs. NDF's scripts give any scaled mesh, no uniform samples and none of gaps."""
    if records.entries or not lacks_our_samples(folder):
        return expected_files(cfg)
    samples = [layout.boundary_samples(sigma) for sigma in cfg.sampling.sample_std_dev]
    return [input_cloud_file(folder, cfg.grid).name, *samples]


def without_mesh(shapes: Mapping[Path, Records], cfg: Config) -> set[Path]:
    """The folders of those shapes whose mesh is no longer in data_dir; none if data_dir, or all meshes, are away.

    In ShapeNet's layout the mesh is told by the record; with input_data_glob `any`, each has the folder of its name.
    """
    data_dir = layout.absolute(cfg.data.data_dir)
    if cfg.data.input_data_glob == ANY_LAYOUT:
        try:
            return shapes.keys() - set(output_folders(find_meshes(cfg.data), cfg.data).values())
        except UserError:
            return set()
    meshes = {folder: data_dir / path for folder, one in shapes.items() if (path := told_of_mesh(one).get("path"))}
    gone = {folder for folder, mesh in meshes.items() if not mesh.is_file()}
    return gone if len(gone) < len(meshes) else set()
