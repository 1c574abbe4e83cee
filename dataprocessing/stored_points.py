"""The preprocessed points of a shape, read and checked."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from configs.options import Config, Data
from dataprocessing.ndf_files import POINTS, input_cloud_file, turn_at_loading, turned
from dataprocessing.shapes import shape_name
from runtime.artefacts import array_sha256
from runtime.errors import UserError
from runtime.layout import GAP_SAMPLES, SHARP_SAMPLES, UNIFORM_SAMPLES
from runtime.reading import damaged, open_npz

REMADE = "delete it and run preprocess.py again"
# The option that says that none are wanted.
NOT_OF_NDF = {UNIFORM_SAMPLES: "uniform_ratio", GAP_SAMPLES: "gap_ratio", SHARP_SAMPLES: "sharp_ratio"}


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of a preprocessed file as float32. Raises UserError if the file is missing or damaged."""
    if not path.is_file():
        none = f", or set {NOT_OF_NDF[path.name]} = 0: NDF has no such samples" if path.name in NOT_OF_NDF else ""
        raise UserError(f"no {path}; make it with: python dataprocessing/preprocess.py --config ...{none}")
    with open_npz(path, REMADE) as file:
        arrays = [file[name] for name in names]
        for name, array in zip(names, arrays, strict=True):
            expected = (len(arrays[0]),) if name == "df" else (len(arrays[0]), 3)
            if array.dtype.kind not in "fiu" or array.shape != expected or not array.size:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, numbers {expected} expected")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds values that are not finite")
        return [np.asarray(array, dtype=np.float32) for array in arrays]


def read_turned(path: Path, data: Data, *names: str) -> list[np.ndarray]:
    """`read_arrays`, points turned to our axes where they are of NDF's files, and up and front say how these look."""
    turn = turn_at_loading(path.parent, data)
    arrays = read_arrays(path, *names)
    return [turned(array, turn) if name in POINTS else array for name, array in zip(names, arrays, strict=True)]


def read_input_cloud(folder: Path, cfg: Config) -> np.ndarray:
    """The stored input cloud of a shape, (num_points, 3) mesh units, in our axes. Raises UserError for fewer points."""
    path = input_cloud_file(folder, cfg.grid)
    cloud = read_turned(path, cfg.data, "point_cloud")[0]
    if len(cloud) < cfg.grid.num_points:
        raise damaged(path, f"{len(cloud)} points, {cfg.grid.num_points} expected", REMADE)
    return cloud[: cfg.grid.num_points]


def shape_digests(folders: Iterable[Path], cfg: Config) -> dict[str, str]:
    """Shape -> 16 hex digits that change with its input cloud: what it is, wherever its files are."""
    return {shape_name(folder): cloud_digest(read_input_cloud(folder, cfg)) for folder in folders}


def cloud_digest(cloud: np.ndarray) -> str:
    return array_sha256(cloud)[:16]
