"""Folders of point clouds of any system, in the usual formats, read without executing anything in them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataprocessing.file_walk import walk
from dataprocessing.formats.points import choose_array
from dataprocessing.mesh_io import Mesh, MeshError
from dataprocessing.point_io import POINTS_ALONE, checked_points, is_far, load_shape
from dataprocessing.surface import sample_surface
from generation.cloud_files import listed_clouds, natural
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD, MESH, given_path
from runtime.reading import open_npz, read_npy, read_torch, reading

Cloud = NDArray[np.floating]  # (N, 3)

ARRAYS = (".npz", ".npy", ".pt")
SUFFIXES = tuple(dict.fromkeys((*ARRAYS, ".ply", ".off", *POINTS_ALONE)))  # of twins the first is read
PASSED_OVER = (  # notes, pictures and pages
    ".json", ".txt", ".md", ".csv", ".log", ".yaml", ".yml", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".html",
)  # fmt: skip
RULE = (
    ".npz, .npy, .pt: arrays (N, 3) or (S, N, 3), of a file of several the key point_cloud, points or the first that"
    " fits; .ply, .off: the vertices where there are no faces, else points drawn uniformly from the surface; .xyz,"
    " .pts, .asc, .pcd, .las, .laz: the points; of a folder of generate.py, which has an index.json: the clouds that"
    " this lists, and no other files"
)


class CloudFolder(Sequence[Cloud]):
    """The clouds of a folder, read and checked: (N, 3) each, in the files' own units, float32, or float64 far from the
    origin.

    role: what the folder holds, for the progress bar and errors. names: the source of each cloud, `file` or `file[n]`.
    num_points, seed: for sampling a surface; a .ply or .off with faces gives one cloud.
    Raises UserError, naming the file, unless all clouds are finite and have the same number of points.
    """

    def __init__(self, folder: str, role: str, num_points: int, seed: int):
        self.folder, self.role = given_path(folder), role
        self.clouds: list[Cloud] = []
        self.names: list[str] = []
        files = cloud_files(self.folder, role)
        for file in tqdm(files, desc=f"reading: {role}", unit="file", disable=None):
            stack = read_stack(file, num_points, seed)
            for n, cloud in enumerate(stack):
                self._add(cloud, f"{file}[{n}]" if len(stack) > 1 else str(file))

    def _add(self, cloud: Cloud, name: str) -> None:
        if self.clouds and len(cloud) != len(self.clouds[0]):
            raise UserError(
                f"{name} has {len(cloud)} points, the {self.role} before it have {len(self.clouds[0])} (as"
                f" {self.names[0]}); give clouds of one number of points"
            )
        self.clouds.append(cloud)
        self.names.append(name)

    def __len__(self) -> int:
        return len(self.clouds)

    def __getitem__(self, n: Any) -> Any:
        return self.clouds[n]

    def require_points(self, num_points: int) -> None:
        """Raise UserError, naming a file, if the clouds have fewer points."""
        if len(self.clouds[0]) < num_points:
            raise UserError(
                f"{self.names[0]} has {len(self.clouds[0])} points, {num_points} are compared; give larger clouds, or"
                " a lower --num_eval_points"
            )


def cloud_files(folder: Path, role: str) -> list[Path]:
    """All cloud files below a folder, at any depth, in natural order, without hidden files.

    Below one that holds an index of generate.py only those that it lists. Raises UserError if the folder is missing,
    holds no clouds, or holds a file of an unknown type.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder} of {role}; give one that holds {', '.join(SUFFIXES)} files")
    shown = [path.relative_to(folder) for path in listed_below(folder)]
    chosen: dict[Path, Path] = {}
    for path in sorted(shown, key=natural):
        suffix = path.suffix.lower()
        is_mesh_of_cloud = path.stem == MESH and (folder / path.with_name(DENSE_POINT_CLOUD)).is_file()
        if suffix in PASSED_OVER or is_mesh_of_cloud:
            continue
        if suffix not in SUFFIXES:
            raise UserError(
                f"{folder / path} is of an unknown type; clouds are in {', '.join(SUFFIXES)} files: convert it, or"
                " move it away"
            )
        twin = chosen.get(path.with_suffix(""))
        if twin is None or SUFFIXES.index(suffix) < SUFFIXES.index(twin.suffix.lower()):
            chosen[path.with_suffix("")] = path
    if not chosen:
        raise UserError(f"{folder} holds no {role}; put {', '.join(SUFFIXES)} files of point clouds there")
    return [folder / path for path in chosen.values()]


def listed_below(folder: Path) -> list[Path]:
    """All files below a folder, but hidden ones; below an index of generate.py only the clouds that it lists."""
    files = walk(folder).files
    for place in [folder, *(path.parent for path in files if path.name == "index.json")]:
        if (listed := listed_clouds(place)) is not None:
            files = [path for path in files if place not in path.parents or path in listed]
    return files


def read_stack(path: Path, num_points: int, seed: int) -> list[Cloud]:
    """The clouds of one file, each (N, 3) float32, or float64 far from the origin.

    Raises UserError, naming the file, if it holds none.
    """
    suffix = path.suffix.lower()
    if suffix not in ARRAYS:
        return [surface_or_points(path, num_points, seed)]
    with reading(path, "expected finite points (N, 3) or (S, N, 3)"):
        if suffix == ".pt":
            return list(_checked(_read_pt(path)))
        if suffix == ".npy":
            return list(_checked(read_npy(path)))
        with open_npz(path) as arrays:
            return list(_checked(arrays[choose_array({key: arrays.shape(key) for key in arrays})]))


def surface_or_points(path: Path, num_points: int, seed: int) -> Cloud:
    """Points drawn uniformly by area from the faces of a mesh file, or those of a file without faces, in its units."""
    try:
        shape = load_shape(path)
    except MeshError as error:
        raise UserError(f"{path}: {error}; a mesh that is whole, or finite points (N, 3), expected") from error
    if isinstance(shape, Mesh):
        shape = sample_surface(shape, num_points, np.random.default_rng(seed))
    return _rounded(shape)


def _rounded(cloud: NDArray[Any]) -> Cloud:
    return cloud if cloud.dtype == np.float64 and is_far(cloud) else cloud.astype(np.float32)


def _read_pt(path: Path) -> NDArray[Any]:
    import torch

    loaded = read_torch(path)
    tensors = {"": loaded} if isinstance(loaded, torch.Tensor) else loaded
    if not isinstance(tensors, dict):
        raise ValueError(f"a {type(loaded).__name__}, not a tensor or a dict of tensors")
    arrays = {str(key): value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    chosen = arrays[choose_array({key: tuple(value.shape) for key, value in arrays.items()})]
    if chosen.is_complex():
        raise ValueError(f"values of type {chosen.dtype}, not numbers")
    return chosen.detach().to(torch.float64).numpy()


def _checked(array: NDArray[Any]) -> Iterator[Cloud]:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"values of type {array.dtype}, not numbers")
    if array.ndim not in (2, 3) or array.shape[-1] != 3 or not array.size:
        raise ValueError(f"an array of shape {array.shape}")
    stack = array if array.ndim == 3 else array[None]
    for n, cloud in enumerate(stack):
        try:
            yield _rounded(checked_points(cloud))
        except ValueError as error:
            raise ValueError(f"{error} (cloud {n})" if len(stack) > 1 else str(error)) from error
