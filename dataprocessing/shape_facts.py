"""What each preprocessed file of a shape is made of, and whether it has to be made (again).

The record in the shape's folder tells the mesh, by content, and the options; the file itself the number of samples and
the box. Files without a record, NDF's or an earlier version's, are taken as they are unless these are others, or
the mesh is to be turned and they are NDF's.
"""

from pathlib import Path

from configs.decided import options_of
from configs.options import Config
from dataprocessing.frames import front_of
from dataprocessing.mesh_record import MESH
from dataprocessing.ndf_files import OUR_AXES, are_ndfs, is_ndfs
from dataprocessing.shapes import samples_per_file
from runtime import layout
from runtime.artefacts import NOT_THERE, OPTIONS, Facts, Records, entry_of, why
from runtime.reading import DamagedFile, open_npz

SAID_BY_NAME = ("num_points", "input_res", "sample_std_dev")
NUMBERS = ("num_boundary_samples", "num_uniform_samples", "num_gap_samples", "num_sharp_samples")
SAID_BY_FILE = (*NUMBERS, "grid_coords", "bb_min", "bb_max")
OURS = ("boundary_*_samples.npz", layout.UNIFORM_SAMPLES, layout.GAP_SAMPLES, layout.SHARP_SAMPLES,
        "voxelized_point_cloud_*.npz", layout.SCALED_MESH)  # fmt: skip


def facts_of(name: str, mesh: Facts, cfg: Config, axes: tuple[str, str] | None = None) -> Facts:
    """What the file of this name is made of, but for what it says itself.

    mesh: of the entry of the mesh. axes: its up and front; default: those of the options.
    """
    kind = "scaled_mesh" if name == layout.SCALED_MESH else "input"
    if name in samples_per_file(cfg.sampling):
        kind = "samples"
    options = options_of(kind, cfg, left_out=(*SAID_BY_NAME, *SAID_BY_FILE))
    up, front = axes or (cfg.data.up, front_of(cfg.data.up, cfg.data.front))
    return {**mesh, OPTIONS: options | {"up": up, "front": front}}


def why_made(path: Path, wanted: Facts, records: Records, cfg: Config) -> str:
    """Why a file of the folder of `records` has to be made; empty if it is there, whole and of these facts."""
    if not path.is_file():
        return NOT_THERE
    entry = records.entries.get(path.name)
    if entry is None:
        mesh = {MESH: wanted[MESH]}
        return why(records.made_of(MESH) or mesh, mesh) or why_not_turned(path, wanted) or why_not_as_said(path, cfg)
    damaged = "" if entry.get("found") == {"bytes": path.stat().st_size} else "damaged"
    return records.why(path.name, wanted) or damaged or why_not_as_said(path, cfg)


def why_not_turned(path: Path, wanted: Facts) -> str:
    """Why a file without a record lies in other axes than ours: it is NDF's, whose scripts turn nothing; else empty."""
    axes = {name: wanted[OPTIONS][name] for name in OUR_AXES}
    if axes == OUR_AXES or not (is_ndfs(path) if path.suffix == ".npz" else are_ndfs(path.parent)):
        return ""
    return why(OUR_AXES, axes)


def why_not_as_said(path: Path, cfg: Config) -> str:
    """Why a file is not what `cfg` asks for, by what it says itself: its samples, or its box; empty if it is."""
    if path.suffix != ".npz":
        return "" if path.stat().st_size else "damaged"  # a power cut may leave the name alone
    try:
        with open_npz(path) as file:
            if path.name not in samples_per_file(cfg.sampling):
                return why(
                    {"bb_min": float(file["bb_min"]), "bb_max": float(file["bb_max"])},
                    {"bb_min": cfg.grid.bb_min, "bb_max": cfg.grid.bb_max},
                )
            own = (layout.UNIFORM_SAMPLES, layout.GAP_SAMPLES, layout.SHARP_SAMPLES)
            named = dict(zip(own, NUMBERS[1:], strict=True))
            said = {named.get(path.name, NUMBERS[0]): file.shape("df")[0], "grid_coords": "grid_coords" in file}
            grid_coords = said["grid_coords"] or cfg.preprocessing.grid_coords  # those that hold more will do
            return why(said, {name: cfg.value(name) for name in said} | {"grid_coords": bool(grid_coords)})
    except (DamagedFile, IndexError):
        return "damaged"


def finished(path: Path, facts: Facts) -> Facts:
    """The entry of a file that is there. Its size shows whether it is cut off later."""
    return entry_of(facts, [path.name], {"bytes": path.stat().st_size})


def begun(folder: Path, missing: dict[str, Facts], mesh: Facts, records: Records) -> dict[str, Facts]:
    """The entries of files that are made now: a killed run leaves them unfinished.

    Where the mesh is another one than before, files without a record are unfinished too: they are of the former.
    """
    facts = dict(missing)
    if why(records.made_of(MESH) or mesh, mesh):
        found = [path.name for pattern in OURS for path in folder.glob(pattern)]
        facts |= {name: {} for name in found if name not in records.entries and name not in missing}
    return {name: entry_of(of, [name], finished=False) for name, of in facts.items()}
