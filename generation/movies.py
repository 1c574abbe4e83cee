"""Movies beside a contact sheet: a walk along a path or through the degrees of an edit, and turntables."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from generation.cloud_files import read_unit_cloud
from generation.shape_folder import ShapeFolder
from runtime.artefacts import digest
from visualization.movies import turning, walking, write_movie
from visualization.rendering import TINTS

TURNTABLE, TURNTABLE_PICTURES = "turntable", 30
TURNTABLE_MS = 100  # a picture
WALK_MS = 2000  # one way
LONGEST_MS = 400
COLOR = TINTS["blue"]


def write_movies(folder: ShapeFolder) -> list[Path]:
    """Write the movies that `movie` and `turntable` ask for, of the clouds in a folder, unless current.

    A path gives `walk.gif` (or .webp), there and back; edits give `walk_<shape>.gif` for each shape; a turntable
    `<shape>/turntable.gif`. Returns the paths. Walks of an earlier run, of other clouds, are deleted.
    """
    cfg, shapes, found = folder.cfg, folder.shapes, []
    clouds = [digest(folder.cloud_facts(n)) for n in folder.numbers]
    walks = {group.walk: group.numbers for group in shapes.in_groups() if group.walk}
    for name in [name for name in folder.records.entries if name.startswith("walk") and name not in walks]:
        folder.records.forget(name)
    for name, numbers in walks.items():
        path = folder.path / f"{name}.{cfg.views.movie}"
        of = {"clouds": [clouds[n] for n in numbers], "movie": cfg.views.movie}
        if cfg.views.movie != "none":
            folder.records.make(name, of, [path.name], partial(walk, folder, numbers, path))
            found.append(path)
        elif of["clouds"] != (folder.records.made_of(name) or of)["clouds"]:
            folder.records.forget(name)
    if cfg.views.turntable:
        kind = "gif" if cfg.views.movie == "none" else cfg.views.movie
        for n in tqdm(folder.numbers, desc="turntables", unit="shape", disable=None):
            path = folder.cloud(n).with_name(f"{TURNTABLE}.{kind}")
            of = {"cloud": clouds[n], "movie": kind}
            folder.records_of(n).make(TURNTABLE, of, [path.name], partial(turn, folder, n, path))
            found.append(path)
    return found


def walk(folder: ShapeFolder, numbers: Sequence[int], path: Path) -> None:
    pictures = walking([read_unit_cloud(folder.cloud(n)) for n in numbers], COLOR)
    write_movie(pictures + pictures[-2:0:-1], path, min(LONGEST_MS, WALK_MS // len(pictures)))


def turn(folder: ShapeFolder, n: int, path: Path) -> None:
    pictures = turning(read_unit_cloud(folder.cloud(n)), TURNTABLE_PICTURES, COLOR)
    write_movie(list(pictures), path, TURNTABLE_MS)
