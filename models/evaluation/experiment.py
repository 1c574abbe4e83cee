"""The comparisons of step 7: reconstructions with their shapes, sets of samples with the test set, and memorisation."""

import json
from argparse import Namespace
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs.errors import UserError
from configs.layout import DENSE_POINT_CLOUD, Experiment, absolute, voxelized_point_cloud
from dataprocessing.pool import num_workers
from dataprocessing.shapes import processed_root, shape_name
from dataprocessing.split import load_split
from models.data.surface import surface_points
from models.metrics import CloudSet, Matrix, mmd_cov, nearest_in_set, one_nna, pairwise_chamfer, reconstruction_scores
from models.point_cloud_io import Cloud, read_cloud

FLOW, GAUSSIAN, NEIGHBOURS = "flow", "Gaussian on whitened codes", "interpolated neighbours"
TRAINING, TEST, DECODED = "training shapes", "test shapes", "test shapes, decoded"
SECOND_DRAW = 1_000_003  # added to the seed: other points of the same surface
THRESHOLDS = (0.005, 0.01)


class Evaluation:
    """The sets of clouds of an experiment, each read once, and the rows of the tables.

    Raises UserError, naming the command that makes them, where the split or the reconstructions are missing, and later
    where the sets of `models/evaluation/sample_sets.py` are.
    """

    def __init__(self, cfg: Namespace):
        self.cfg, self.experiment = cfg, Experiment(cfg)
        self.workers = num_workers(cfg.num_cpus)
        self.make_sets = f"python evaluate.py --config {cfg.config}"
        self.split = load_split(absolute(cfg.split_file), processed_root(cfg))
        self.reconstructions = self._by_test_folder(
            self.experiment.reconstruction, f"python generate.py --mode reconstruct --config {cfg.config}"
        )
        self.clouds = cache(self._clouds)  # each set is read once, each pair of sets compared once
        self.distances = cache(self._distances)

    @cached_property
    def decoded(self) -> dict[Path, Path]:
        """The small clouds of the decoded test shapes, by test folder."""
        return self._by_test_folder(self.experiment.decoded_set, self.make_sets)

    @cached_property
    def samples(self) -> dict[str, list[Path]]:
        """The small clouds of the flow, and of each baseline that was made, by the name of the row."""
        made = {FLOW: clouds_in(self.experiment.flow_set, self.make_sets)}
        for label, folder in ((GAUSSIAN, self.experiment.gaussian_set), (NEIGHBOURS, self.experiment.neighbour_set)):
            if folder.is_dir():
                made[label] = clouds_in(folder, self.make_sets)
        return made

    def reconstruction_rows(self) -> tuple[list[dict], list[dict]]:
        """Rows of the reconstruction table, and the same measures for each shape (distances squared, mesh units)."""
        cfg, per_shape = self.cfg, []
        files = list(self.reconstructions.items())[: cfg.num_eval_shapes]
        for folder, file in tqdm(files, desc="reconstruction", unit="shape", disable=None):
            true = surface_points(folder, cfg.num_eval_points_dense, cfg.seed)
            compared = {
                "reconstruction": subset(read_cloud(file), cfg.num_eval_points_dense, cfg.seed),
                "input points": read_cloud(folder / voxelized_point_cloud(cfg.input_res, cfg.num_points)),
                "floor: true surface drawn twice": surface_points(
                    folder, cfg.num_eval_points_dense, cfg.seed + SECOND_DRAW
                ),
            }
            for label, cloud in compared.items():
                scores = reconstruction_scores(cloud, true, THRESHOLDS, self.workers)
                per_shape.append({"set": label, "shape": shape_name(folder), "points": len(cloud), **scores})
        return [summary(label, per_shape) for label in compared], per_shape

    def generation_rows(self) -> list[dict]:
        """MMD, COV and 1-NNA of each set of samples against the true and against the decoded test shapes.

        The floor is what training shapes get against test shapes. All rows against one reference have as many clouds.
        """
        rows = []
        for reference, labels in ((TEST, [*self.samples, TRAINING]), (DECODED, list(self.samples))):
            count = min(len(self.clouds(label)) for label in (reference, *labels))
            for label in labels:
                pairs = ((reference, reference), (reference, label), (label, label))
                rr, rs, ss = (self.distances(*pair)[:count, :count] for pair in pairs)
                nna = {f"nna_{key}": value for key, value in one_nna(rr, rs, ss)._asdict().items()}
                name = f"floor: {label}" if label == TRAINING else label
                row = {"set": name, "reference": reference, "shapes": count, "points": self.cfg.num_eval_points}
                rows.append(row | mmd_cov(rs)._asdict() | nna)
        return rows

    def nearest_training_rows(self) -> list[dict]:
        """`chamfer_l2_sq` of each cloud to the nearest of all training shapes: median and least over the set."""
        training = self._training_clouds(self.split["train"])
        rows = []
        for label in (*self.samples, DECODED, TEST):
            values, _ = nearest_in_set(
                self.clouds(label), training, workers=self.workers, description=f"nearest: {label}"
            )
            distances = {"median": float(np.median(values)), "min": float(values.min())}
            rows.append({"set": label, "shapes": len(values), "training": len(training), **distances})
        return rows

    def _clouds(self, label: str) -> CloudSet:
        """The clouds of a set, at most num_eval_shapes, num_eval_points points each."""
        count, points, seed = self.cfg.num_eval_shapes, self.cfg.num_eval_points, self.cfg.seed
        if label == TRAINING:  # a random part: the split's order may mean something
            order = np.random.default_rng(seed).permutation(len(self.split["train"]))
            return self._training_clouds([self.split["train"][i] for i in order[:count]])
        if label == TEST:
            bar = tqdm(list(self.decoded)[:count], desc="sampling: test shapes", unit="cloud", disable=None)
            return CloudSet([surface_points(folder, points, seed) for folder in bar])
        files = list(self.decoded.values()) if label == DECODED else self.samples[label]
        bar = tqdm(files[:count], desc=f"reading: {label}", unit="cloud", disable=None)
        return CloudSet([subset(read_cloud(file), points, seed + n, file) for n, file in enumerate(bar)])

    def _training_clouds(self, folders: Sequence[Path]) -> CloudSet:
        """Surface points of training shapes: some of the stored input points (quicker to read) or else fresh ones."""
        name = voxelized_point_cloud(self.cfg.input_res, self.cfg.num_points)
        points, seed = self.cfg.num_eval_points, self.cfg.seed
        clouds = []
        for n, folder in enumerate(tqdm(folders, desc="reading: training shapes", unit="cloud", disable=None)):
            if points <= self.cfg.num_points and (folder / name).is_file():
                clouds.append(subset(read_cloud(folder / name), points, seed + n, folder / name))
            else:
                clouds.append(surface_points(folder, points, seed))
        return CloudSet(clouds)

    def _distances(self, one: str, other: str) -> Matrix:
        description = f"comparing: {one} with {'each other' if one == other else other}"
        b = None if one == other else self.clouds(other)
        return pairwise_chamfer(self.clouds(one), b, self.workers, description)

    def _by_test_folder(self, folder: Path, command: str) -> dict[Path, Path]:
        """The clouds of `folder`, which `command` makes, by test folder, in the order of the split."""
        files = {path.parent.name: path for path in clouds_in(folder, command)}
        found = {shape: files[shape_name(shape)] for shape in self.split["test"] if shape_name(shape) in files}
        if len(found) < len(files):
            strange = sorted(set(files) - {shape_name(shape) for shape in found})
            raise UserError(
                f"{folder} holds {strange[0]}, no test shape of {self.cfg.split_file};"
                f" remove that folder and make this split's test shapes with: {command}"
            )
        return found


def clouds_in(folder: Path, command: str) -> list[Path]:
    """The cloud files of a folder of shapes, as its index.json lists them or else all, numbers in their order.

    Raises UserError if there are fewer than two, or one of the index is missing; `command` makes them.
    """
    name, index = DENSE_POINT_CLOUD, folder / "index.json"
    if index.is_file():
        files = [folder / shape / name for shape in json.loads(index.read_text())["shapes"]]
    else:
        files = sorted(folder.glob(f"*/{name}"), key=lambda file: (len(file.parent.name), file.parent.name))
    missing = [file for file in files if not file.is_file()]
    if len(files) < 2 or missing:
        found = f"no {missing[0]}" if missing else f"{len(files)} shapes in {folder}, 2 or more expected"
        raise UserError(f"{found}; make them with: {command}")
    return files


def subset(points: Cloud, count: int, seed: int, file: Path | None = None) -> Cloud:
    """`count` of the points, drawn without putting back; all of them where there are fewer and no `file` is given.

    Raises UserError, naming `file`, if it holds fewer.
    """
    if len(points) < count:
        if file is not None:
            raise UserError(f"{file} has {len(points)} points, {count} are compared; lower num_eval_points")
        return points
    return points[np.random.default_rng(seed).choice(len(points), count, replace=False)]


def summary(label: str, per_shape: Sequence[dict]) -> dict:
    """Mean and median over the shapes of one set."""
    rows = [row for row in per_shape if row["set"] == label]
    chamfer = [row["chamfer_udf"] for row in rows]
    f_scores = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key.startswith("f_score")}
    means = {"chamfer_udf_mean": float(np.mean(chamfer)), "chamfer_udf_median": float(np.median(chamfer))}
    return {"set": label, "shapes": len(rows), "points": rows[0]["points"], **means, **f_scores}
