"""Room on the disk for clouds, asked before they are made."""

from pathlib import Path

from configs.options import Config
from runtime.room import check_room

BYTES_A_POINT = 24  # float32 in the .npz and in the .ply


def check_room_for_clouds(num_points: int, num_shapes: int, folder: Path) -> None:
    """Raise UserError if the clouds do not fit onto the disk of `folder`. Memory does not depend on their size."""
    what = f"{num_shapes} clouds of {num_points} points"
    check_room(folder, BYTES_A_POINT * num_points * num_shapes, what, "lower --num_output_points or --num_shapes")


def check_room_for_samples(cfg: Config, folder: Path) -> None:
    """The same before even their names are listed, of `num_shapes` samples of which some may be there."""
    there = sum(path.name.isdigit() for path in folder.iterdir()) if folder.is_dir() else 0
    lacking = len(cfg.chunks.part_of(cfg.generation.num_shapes)) - there
    check_room_for_clouds(cfg.generation.num_output_points, max(0, lacking), folder)
