"""The preprocessed points of a shape, read and checked."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from configs.options import Config
from dataprocessing.shapes import shape_name
from runtime.artefacts import array_sha256
from runtime.errors import UserError
from runtime.layout import voxelized_point_cloud
from runtime.reading import open_npz

REMADE = "delete it and run preprocess.py again"


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of a preprocessed file as float32. Raises UserError if the file is missing or damaged."""
    if not path.is_file():
        raise UserError(f"no {path}; make it with: python dataprocessing/preprocess.py --config ...")
    with open_npz(path, REMADE) as file:
        arrays = [file[name] for name in names]
        for name, array in zip(names, arrays, strict=True):
            expected = (len(arrays[0]),) if name == "df" else (len(arrays[0]), 3)
            if array.dtype.kind not in "fiu" or array.shape != expected or not array.size:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, numbers {expected} expected")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds values that are not finite")
        return [np.asarray(array, dtype=np.float32) for array in arrays]


def read_input_cloud(folder: Path, cfg: Config) -> np.ndarray:
    """The stored input cloud of a shape, (num_points, 3) mesh units."""
    return read_arrays(folder / voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points), "point_cloud")[0]


def shape_digests(folders: Iterable[Path], cfg: Config) -> dict[str, str]:
    """Shape -> 16 hex digits that change with its input cloud: what it is, wherever its files are."""
    return {shape_name(folder): cloud_digest(read_input_cloud(folder, cfg)) for folder in folders}


def cloud_digest(cloud: np.ndarray) -> str:
    return array_sha256(cloud)[:16]
