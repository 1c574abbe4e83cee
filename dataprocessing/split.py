"""Read a split of the shapes into train, val and test, whoever made it and wherever it was made."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from configs.options import Config
from dataprocessing.ndf_files import has_shape
from dataprocessing.shapes import MODEL_FOLDER, find_shapes, processed_root
from runtime.errors import UserError
from runtime.layout import absolute
from runtime.reading import DamagedFile, open_npz

PARTS = ("train", "val", "test")
NO_SPLIT = "none"  # as split_file


def split_folders(cfg: Config, needed: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The folders of the train, val and test shapes of a configuration; without a split all are test shapes.

    Raises UserError if one of the parts `needed` is empty.
    """
    if cfg.data.split_file == NO_SPLIT:
        folders = {"train": [], "val": [], "test": find_shapes(cfg, points_alone=True).folders}
    else:
        folders = load_split(absolute(cfg.data.split_file), processed_root(cfg.data))
    if empty := [part for part in needed if not folders[part]]:
        raise UserError(
            f"{cfg.data.split_file} has no {empty[0]} shapes, 1 or more expected; make another split with:"
            f" python dataprocessing/create_split.py --config {cfg.run.config}"
        )
    return folders


def load_split(split_file: Path | str, root: Path | str) -> dict[str, list[Path]]:
    """The folders of preprocessed files of each part, `{"train": [...], "val": [...], "test": [...]}`.

    Paths in the file may carry any prefix (NDF's published split does) and a last `models` or not: a shape is found
    below `root` (processed_dir or data_dir) by the end of its path, else where its path says.
    Raises UserError if the file is missing or no split, or if folders of it are gone or hold no points.
    """
    paths = _read(Path(split_file))
    find = _Finder(Path(root))
    folders = {part: [find(path) for path in paths[part]] for part in PARTS}
    missing = [path for part in PARTS for path, folder in zip(paths[part], folders[part], strict=True) if not folder]
    if missing:
        total = sum(map(len, paths.values()))
        raise UserError(
            f"{len(missing)} of the {total} shapes in {split_file} have no preprocessed files below {root}, the first:"
            f" {missing[0]}; set data_dir or processed_dir to where they are, make them (dataprocessing/preprocess.py)"
            " or leave them out: dataprocessing/create_split.py --published_split, with another split_file"
        )
    return folders


def parts_of_published(split_file: Path, shapes: Sequence[Path], root: Path) -> dict[str, list[Path]]:
    """The shapes, folders below `root`, that each part of a split of others names, in its order; paths as `load_split`.

    Raises UserError if the file is missing or no split, or names none of them.
    """
    paths, find, ready = _read(split_file), _Finder(root), set(shapes)
    found = {part: [find(path) for path in paths[part]] for part in PARTS}
    parts = {part: [folder for folder in found[part] if folder in ready] for part in PARTS}
    if not any(parts.values()):
        first = next((path for part in PARTS for path in paths[part]), "nothing")
        raise UserError(
            f"{split_file} names none of the {len(ready)} preprocessed shapes below {root}: it begins with {first},"
            f" they with {shapes[0]}; give the split of these shapes, or none"
        )
    return parts


def _read(split_file: Path) -> dict[str, list[str]]:
    """The paths in a split file as they are, with slashes."""
    if not split_file.is_file():
        raise UserError(f"no split file {split_file}; make it with: python dataprocessing/create_split.py --config ...")
    try:
        paths = paths_in(split_file)
    except DamagedFile as error:
        raise UserError(
            f"{split_file} cannot be read as a split ({error.reason}); expected an .npz with arrays of strings train,"
            " val and test (no Python objects): make it again with dataprocessing/create_split.py"
        ) from error
    for path in (path for part in PARTS for path in paths[part]):
        if not _names_a_shape(path):
            raise UserError(
                f"{split_file} holds {path[:200]!r}, which names no folder of a shape; make it again with"
                " dataprocessing/create_split.py"
            )
    return paths


def paths_in(split_file: Path) -> dict[str, list[str]]:
    """The paths in a split file as they are. Raises UserError if it is none."""
    with open_npz(split_file) as file:
        absent = [part for part in PARTS if part not in file]
        if absent:
            raise UserError(
                f"{split_file} has no {' and no '.join(absent)}, only {', '.join(file) or 'nothing'};"
                " a split holds the arrays train, val and test: make it with dataprocessing/create_split.py"
            )
        arrays = {part: np.atleast_1d(file[part]) for part in PARTS}
        if any(array.dtype.kind not in "US" and array.size for array in arrays.values()):
            raise UserError(
                f"{split_file} holds numbers, not folder paths; make it with dataprocessing/create_split.py"
            )
        return {part: [str(p) for p in array.ravel().astype(np.str_)] for part, array in arrays.items()}


def _names_a_shape(path: str) -> bool:
    """Whether a path ends in names, of which the files of results take theirs: no `..`, and nothing but a root."""
    parts = _parts(path)
    return bool(parts) and ".." not in parts[-1:] and "\0" not in path


def _parts(path: str) -> tuple[str, ...]:
    """The folders of a path, without a first slash and a last `models`."""
    parts = PurePosixPath(path.replace("\\", "/").lstrip("/")).parts
    return parts[:-1] if parts and parts[-1] == MODEL_FOLDER else parts


class _Finder:
    """Find a shape's folder below a root by the end of its path; what fitted the last shape is tried first."""

    def __init__(self, root: Path):
        self.root = root
        self.last = (1, False)

    def __call__(self, path: str) -> Path | None:
        parts = _parts(path)
        inside = next((n for n, part in enumerate(reversed(parts)) if part == ".."), len(parts))  # never above the root
        ways = [(length, below) for length in range(inside, 0, -1) for below in (True, False)]
        for length, below in sorted(ways, key=lambda way: way != self.last):
            folder = self.root.joinpath(*parts[-length:]) / (MODEL_FOLDER if below else "")
            if has_shape(folder):
                self.last = (length, below)
                return folder
        return Path(path) if has_shape(Path(path)) else None
