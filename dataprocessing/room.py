"""Room on the disk for the training data of shapes, asked before any is made."""

from collections.abc import Iterable
from pathlib import Path

from configs.options import Config
from dataprocessing.shapes import expected_files, processed_root, samples_per_file
from runtime.layout import SCALED_MESH
from runtime.room import check_room

BYTES_A_POINT = 12  # float32 x y z
BYTES_A_SAMPLE = 16  # the same, and the distance


def bytes_of(name: str, cfg: Config) -> int:
    """About what a file of a shape takes; without scaled meshes and packed occupancies, whose sizes are unknown."""
    if name == SCALED_MESH:
        return 0
    samples = samples_per_file(cfg.sampling).get(name)
    if samples is None:
        return BYTES_A_POINT * cfg.grid.num_points
    return samples * (BYTES_A_SAMPLE + (BYTES_A_POINT if cfg.preprocessing.grid_coords else 0))


def check_room_for_shapes(folders: Iterable[Path], cfg: Config) -> None:
    """Raise UserError if what these folders of shapes lack does not fit onto the disk."""
    lacking = [name for folder in folders for name in expected_files(cfg) if not (folder / name).is_file()]
    check_room(
        processed_root(cfg.data),
        sum(bytes_of(name, cfg) for name in lacking),
        f"{len(lacking)} files of shapes",
        "lower --num_boundary_samples or --num_points, or give another --processed_dir",
    )
