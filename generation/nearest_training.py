"""The training shape that is nearest to a cloud: what a new shape may have been copied from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from tqdm import tqdm

from configs.options import Config
from dataprocessing.ndf_files import scaled_mesh_file
from dataprocessing.shapes import shape_name
from dataprocessing.split import NO_SPLIT, split_folders
from dataprocessing.stored_points import read_input_cloud, shape_digests
from dataprocessing.surface import surface_points
from generation.cloud_files import Cloud, read_unit_cloud
from runtime.artefacts import digest
from runtime.errors import UserError
from runtime.layout import absolute

FEW = 1024  # points of a training shape that are compared
FIRST_LOOK = 128  # of these that are compared with all training shapes
CANDIDATES = 12  # training shapes that are compared with all of them
DENSE = 100_000  # points of the one that is nearest


@dataclass
class TrainingClouds:
    """Training shapes: their names, a few points (S, n, 3) of each in random order, and all points of one by number."""

    names: Sequence[str]
    few: Sequence[Cloud]
    dense: Callable[[int], Cloud]

    def nearest(self, cloud: Cloud) -> tuple[str, Cloud]:
        """Name and points of the shape with the smallest squared Chamfer distance to a cloud (N, 3).

        Exact among the dozen candidates whose first points lie nearest to the cloud.
        """
        some = thinned(cloud)
        tree = cKDTree(some)
        look = [float((tree.query(few[:FIRST_LOOK])[0] ** 2).mean()) for few in self.few]
        candidates = np.argsort(look, kind="stable")[:CANDIDATES]
        chamfer = [
            (tree.query(self.few[n])[0] ** 2).mean() + (cKDTree(self.few[n]).query(some)[0] ** 2).mean()
            for n in candidates
        ]
        best = int(candidates[int(np.argmin(chamfer))])
        return self.names[best], self.dense(best)


def thinned(cloud: Cloud) -> Cloud:
    """At most FEW points of a cloud, in random order; the same at every call."""
    return cloud[np.random.default_rng(0).permutation(len(cloud))[:FEW]]


def training_digest(cfg: Config) -> str | None:
    """What changes with the training shapes; None where they are not at hand."""
    if cfg.data.split_file == NO_SPLIT or not absolute(cfg.data.split_file).is_file():
        return None
    try:
        return digest(shape_digests(split_folders(cfg)["train"], cfg))
    except UserError:
        return None


def training_of(cfg: Config) -> TrainingClouds | None:
    """The training shapes of an experiment, from its preprocessed files; None where they are not at hand."""
    if cfg.data.split_file == NO_SPLIT or not absolute(cfg.data.split_file).is_file():
        return None  # weights may come without their training data
    try:
        folders = split_folders(cfg)["train"]
        described = tqdm(folders, desc="training shapes", unit="shape", disable=None)
        few = [thinned(read_input_cloud(folder, cfg)) for folder in described]
    except UserError as error:
        print(f"no distances to training shapes: {error}")
        return None
    names = [shape_name(folder) for folder in folders]
    return TrainingClouds(names, few, lambda n: _all_points(folders[n], cfg)) if names else None


def _all_points(folder: Path, cfg: Config) -> Cloud:
    """Of the true surface; of the input cloud, where no scaled mesh is beside it."""
    has_mesh = scaled_mesh_file(folder) is not None
    return surface_points(folder, DENSE, cfg.run.seed, cfg.data) if has_mesh else read_input_cloud(folder, cfg)


def training_in(paths: Sequence[Path], names: Sequence[str]) -> TrainingClouds:
    """Training shapes from cloud files. Raises UserError, naming the file, if one cannot be read."""
    described = tqdm(paths, desc="training clouds", unit="cloud", disable=None)
    few = [thinned(read_unit_cloud(path)) for path in described]
    return TrainingClouds(names, few, lambda n: read_unit_cloud(paths[n]))
