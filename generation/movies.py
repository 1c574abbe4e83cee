"""Movies beside a contact sheet: a walk along a path or through the degrees of an edit, and turntables."""

from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from configs.layout import DENSE_POINT_CLOUD
from generation.cloud_files import read_index, read_unit_cloud
from generation.networks import Networks
from visualization.movies import turning, walking, write_movie
from visualization.rendering import TINTS

TURNTABLE_PICTURES = 30
TURNTABLE_MS = 100  # a picture
WALK_MS = 2000  # one way
LONGEST_MS = 400
COLOR = TINTS["blue"]


def write_movies(networks: Networks, folder: Path, keep: bool) -> list[Path]:
    """Write the movies that `movie` and `turntable` ask for, of the clouds in `folder`; existing ones stay if `keep`.

    A path gives `walk.gif` (or .webp), there and back; edits give `walk_<shape>.gif` for each shape; a turntable
    `<shape>/turntable.gif`. Returns the paths.
    """
    cfg, found = networks.cfg, []
    index = read_index(folder / "index.json")
    if cfg.movie != "none" and cfg.mode in ("interpolate", "edit"):
        facts = index["facts"]
        for shape, numbers in groupby(range(len(facts)), key=lambda n: facts[n].get("shape")):
            path = folder / f"walk{'' if shape is None else f'_{shape}'}.{cfg.movie}"
            found.append(path)
            if not (keep and path.is_file()):
                clouds = [read_unit_cloud(folder / index["shapes"][n] / DENSE_POINT_CLOUD) for n in numbers]
                pictures = walking(clouds, COLOR)
                step = min(LONGEST_MS, WALK_MS // len(clouds))
                write_movie(pictures + pictures[-2:0:-1], path, step)
    if cfg.turntable:
        kind = "gif" if cfg.movie == "none" else cfg.movie
        for name in tqdm(index["shapes"], desc="turntables", unit="shape", disable=None):
            path = folder / name / f"turntable.{kind}"
            found.append(path)
            if not (keep and path.is_file()):
                cloud = read_unit_cloud(folder / name / DENSE_POINT_CLOUD)
                write_movie(list(turning(cloud, TURNTABLE_PICTURES, COLOR)), path, TURNTABLE_MS)
    return found
