"""How close reconstructions are to the true surfaces of the test shapes: as a whole, inside the cars, and outside."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

from configs.options import Config, Data
from dataprocessing.shapes import shape_name
from dataprocessing.stored_points import read_input_cloud
from dataprocessing.surface import at_most, scaled_mesh, surface_points
from evaluation.interior import RULE, interior_mask
from evaluation.metrics import LocalPlanes, agreement, local_planes, nearest_points, scores_from_distances
from evaluation.metrics.normals import NEIGHBOURS, root_mean_square
from evaluation.tables import Column
from generation.cloud_files import Cloud, read_cloud, read_index
from models.distance_network import WITHOUT_CODE
from runtime.artefacts import Facts, why
from runtime.cores import num_workers
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD, INDEX, Experiment
from runtime.reading import reading

PARTS = ("whole", "interior", "exterior")
INPUT, FLOOR = "input points", "floor: true surface drawn twice"
SECOND_DRAW = 1_000_003  # added to the seed: a second draw of points from the same surface
THRESHOLDS = (0.005, 0.01)
OF_DISTANCES = ("chamfer_udf", "accuracy", "completeness", *(f"f_score_{threshold:g}" for threshold in THRESHOLDS))
OF_PLANES = ("normal_consistency", "thickness")
MEASURES = OF_DISTANCES + OF_PLANES

TITLE = "Reconstruction: test shapes against their true surface"
COLUMNS = [
    Column("part", "part"),
    Column("set", "set"),
    Column("shapes", "shapes", "d"),
    Column("points", "points", "d"),
    Column("true_share", "% of surface", ".1f", 100),
    Column("chamfer_udf_mean", "chamfer_udf mean x1e4", ".4f", 1e4),
    Column("chamfer_udf_median", "median x1e4", ".4f", 1e4),
    Column("accuracy_mean", "accuracy x1e4", ".4f", 1e4),
    Column("completeness_mean", "completeness x1e4", ".4f", 1e4),
    *(Column(f"f_score_{threshold:g}_mean", f"F {threshold:g}", ".4f") for threshold in THRESHOLDS),
    Column("normal_consistency_mean", "normals", ".4f"),
    Column("thickness_mean", "thickness x1e3", ".4f", 1e3),
]
NOTE = (
    "Squared distances to the nearest point, the longest side is 1; accuracy: from the set's points to the true"
    " surface; completeness: from the true surface to the set; chamfer_udf: mean of both. F: harmonic mean of the"
    " shares nearer than the threshold. Normals: mean |cos| of the normals of nearest points, both directions, 1 is"
    " best; thickness: root mean square distance of the set's points to their local planes; both from the planes of"
    f" {NEIGHBOURS} neighbours, which are wider in a set of fewer points. {RULE[0].upper()}{RULE[1:]}. Points: mean of"
    " the set's points in the part; % of surface: the part's share of the true surface."
)


class TrueSurface(NamedTuple):
    """Points drawn from a test shape's surface, (N, 3) mesh units, whether each is interior (N,), tree and planes."""

    points: Cloud
    interior: NDArray[np.bool_]
    tree: cKDTree
    planes: LocalPlanes | None


def reconstruction_rows(cfg: Config, test_folders: Sequence[Path]) -> tuple[list[dict], list[dict]]:
    """Rows of the reconstruction table (`COLUMNS`), and the same measures for each shape.

    For each part of `PARTS` it compares the input points, this experiment's reconstructions, those of
    `compare_experiments` and, as the floor, a second draw from the true surface; at most num_eval_shapes of this
    experiment's shapes, at most num_eval_points_dense points each. A row has the mean and median of each of `MEASURES`
    over its shapes; squared distances, mesh units. None if a shape (or all of them) lacks the part.
    Raises UserError, naming the command to run, if reconstructions are missing.
    """
    compared = reconstructions(cfg, test_folders)
    folders = {shape_name(folder): folder for folder in test_folders}
    per_shape: list[dict] = []
    for name in tqdm(next(iter(compared.values())), desc="reconstruction", unit="shape", disable=None):
        files = {label: files[name] for label, files in compared.items()}
        per_shape += shape_rows(folders[name], files, cfg)
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in per_shape:
        groups.setdefault((row["part"], row["set"]), []).append(row)
    in_order = sorted(groups, key=lambda group: PARTS.index(group[0]))  # stable: keeps the order of the sets
    return [summary(groups[group]) for group in in_order], per_shape


def shape_rows(folder: Path, files: Mapping[str, Path], cfg: Config) -> list[dict]:
    """The measures of one test shape: a row per set and part. files: label -> file of its reconstruction."""
    count, seed, workers = cfg.evaluation.num_eval_points_dense, cfg.run.seed, num_workers(cfg.run.num_cpus)
    true = true_surface(folder, count, seed, cfg.data, workers)
    clouds = {INPUT: read_input_cloud(folder, cfg)}
    clouds |= {label: at_most(read_cloud(file), count, np.random.default_rng(seed)) for label, file in files.items()}
    clouds[FLOOR] = surface_points(folder, count, seed + SECOND_DRAW, cfg.data)
    return [
        {"set": label, "part": part, "shape": shape_name(folder), **scores}
        for label, cloud in clouds.items()
        for part, scores in scores_by_part(cloud, true, workers).items()
    ]


def true_surface(folder: Path, count: int, seed: int, data: Data, workers: int = 1) -> TrueSurface:
    points = surface_points(folder, count, seed, data)
    interior = interior_mask(*scaled_mesh(folder, data), points, num_threads=workers)
    tree = cKDTree(points.astype(np.float64))
    return TrueSurface(points, interior, tree, planes_if_enough(tree, workers))


def planes_if_enough(tree: cKDTree, workers: int) -> LocalPlanes | None:
    """The local planes of a cloud; None if it has too few points for them."""
    return local_planes(tree, workers) if tree.n > NEIGHBOURS else None


def scores_by_part(cloud: Cloud, true: TrueSurface, workers: int = 1) -> dict[str, dict[str, Any]]:
    """`MEASURES` of a cloud (N, 3) for each of `PARTS`, with point counts, from one search in each direction.

    A point of the cloud belongs to the part of its nearest true point. Distances are to the nearest point of the other
    cloud, whatever its part, and so are normals compared. All measures are None if the true surface lacks the part; if
    only the cloud lacks it, the F-scores are 0 and all others but completeness None. Those of `OF_PLANES` are also None
    for clouds of too few points.
    """
    tree = cKDTree(cloud.astype(np.float64))
    accuracy, nearest = nearest_points(tree, true.tree, workers)
    completeness, nearest_in_cloud = nearest_points(true.tree, tree, workers)
    planes = compare_planes(planes_if_enough(tree, workers), true.planes, nearest, nearest_in_cloud)
    parts = {"whole": np.ones(len(true.points), bool), "interior": true.interior, "exterior": ~true.interior}
    rows = {}
    for part, mask in parts.items():
        mine = mask[nearest]
        counts = {"points": int(mine.sum()), "true_points": int(mask.sum()), "true_share": float(mask.mean())}
        rows[part] = {**counts, **part_scores(accuracy[mine], completeness[mask]), **plane_scores(planes, mine, mask)}
    return rows


class ComparedPlanes(NamedTuple):
    """|cos| of normals at the cloud's points (N,) and the true ones (Nt,); distances of the cloud's to planes (N,)."""

    at_cloud: NDArray[np.float64]
    at_true: NDArray[np.float64]
    distances: NDArray[np.float64]


def compare_planes(
    cloud: LocalPlanes | None, true: LocalPlanes | None, to_true: NDArray[np.int64], to_cloud: NDArray[np.int64]
) -> ComparedPlanes | None:
    """The planes of a cloud beside those of the nearest true points, and vice versa; None if either has no planes.

    to_true: index of the nearest true point of each of the cloud's (N,); to_cloud: the other way (Nt,).
    """
    if cloud is None or true is None:
        return None
    at_cloud = agreement(cloud.normals, true.normals[to_true])
    at_true = agreement(true.normals, cloud.normals[to_cloud])
    return ComparedPlanes(at_cloud, at_true, cloud.distances)


def plane_scores(
    planes: ComparedPlanes | None, mine: NDArray[np.bool_], true: NDArray[np.bool_]
) -> dict[str, float | None]:
    """`OF_PLANES` of a part: of the cloud's points `mine` (N,) and of the true points `true` (Nt,)."""
    if planes is None or not mine.any():
        return dict.fromkeys(OF_PLANES)
    consistency = (np.mean(planes.at_cloud[mine]) + np.mean(planes.at_true[true])) / 2
    return {"normal_consistency": float(consistency), "thickness": root_mean_square(planes.distances[mine])}


def part_scores(accuracy: NDArray, completeness: NDArray) -> dict[str, float | None]:
    """`OF_DISTANCES`, of those from the cloud's points (Np,) and from the true points (Nt,) of one part."""
    if not len(completeness):  # then the cloud has no point of this part either
        return dict.fromkeys(OF_DISTANCES)
    if not len(accuracy):
        found: dict[str, float | None] = dict.fromkeys(OF_DISTANCES, 0.0)
        return found | {"chamfer_udf": None, "accuracy": None, "completeness": float(np.mean(completeness**2))}
    scores = scores_from_distances(accuracy, completeness, THRESHOLDS)
    return {name: scores[name] for name in OF_DISTANCES}


def summary(rows: Sequence[dict]) -> dict:
    """One row of the table: mean and median of each measure over the shapes, for one set and part."""
    row = {name: rows[0][name] for name in ("set", "part")} | {"shapes": len(rows)}
    row["points"] = round(float(np.mean([one["points"] for one in rows])))
    row["true_share"] = float(np.mean([one["true_share"] for one in rows]))
    for name in MEASURES:
        values = [one[name] for one in rows if one[name] is not None]
        row[f"{name}_mean"] = float(np.mean(values)) if values else None
        row[f"{name}_median"] = float(np.median(values)) if values else None
    return row


def reconstructions(cfg: Config, test_folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Label -> shape -> file, of this experiment and of `compare_experiments`, all with the same shapes.

    Raises UserError if there are none, if this experiment's include a shape that is not a test shape, or if another
    experiment lacks one of the shapes of this one.
    """
    names = [shape_name(folder) for folder in test_folders]
    own, command = cfg.experiment, command_for(cfg)
    files = reconstructed_files(own, command)
    if strange := sorted(set(files) - set(names)):
        raise UserError(
            f"{own.reconstruction} holds {strange[0]}, no test shape of {cfg.data.split_file}; remove that folder"
            f" and make this split's test shapes with: {command}"
        )
    wanted = [name for name in names if name in files][: cfg.evaluation.num_eval_shapes]
    compared = {label_of(own): {name: files[name] for name in wanted}}
    for other in dict.fromkeys(cfg.others.compare_experiments or []):
        if other == cfg.run.exp_name:
            continue
        experiment = Experiment(cfg.run.exp_root, other)
        command = f"python generate.py --mode reconstruct --num_shapes {len(names)} --config (the config of {other})"
        files = reconstructed_files(experiment, command)
        if missing := [name for name in wanted if name not in files]:
            raise UserError(
                f"{experiment.reconstruction} lacks {missing[0]}, {len(missing)} of the {len(wanted)} test shapes that"
                f" {cfg.run.exp_name} has; make them with: {command}"
            )
        compared[label_of(experiment)] = {name: files[name] for name in wanted}
    return compared


def command_for(cfg: Config) -> str:
    """What makes the reconstructions of an experiment."""
    return f"python generate.py --mode reconstruct --config {cfg.run.config}"


def why_none(experiment: Experiment, command: str) -> str | None:
    """What to do where an experiment has no reconstructions; None if it has."""
    if (experiment.reconstruction / INDEX).is_file():
        return None
    return f"no reconstructions in {experiment.reconstruction} (no index.json); make them with: {command}"


def reconstructed_files(experiment: Experiment, command: str) -> dict[str, Path]:
    """Shape -> cloud file, as listed by the index of an experiment's reconstructions; `command` makes them.

    Raises UserError if the index is missing or of an older version, or if one of its files is missing.
    """
    path = experiment.reconstruction / INDEX
    if reason := why_none(experiment, command):
        raise UserError(reason)
    index = read_index(path)
    if "code_kind" not in index:
        raise UserError(f"{path} is of an earlier version (it has no code_kind); make them again with: {command}")
    files = {name: experiment.reconstruction / name / DENSE_POINT_CLOUD for name in index["shapes"]}
    if missing := [file for file in files.values() if not file.is_file()]:
        raise UserError(f"no {missing[0]}; make it with: {command}")
    return files


def check_current(cfg: Config, digests: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """Raise UserError if reconstructions were made of other networks, options or input clouds than the present ones.

    digests: test shape -> that of its input cloud; sources: `Networks.sources`. What an index does not tell is no
    difference; of the experiments that are compared only the clouds count.
    """
    for name in dict.fromkeys([cfg.run.exp_name, *(cfg.others.compare_experiments or [])]):
        path = Experiment(cfg.run.exp_root, name).reconstruction / INDEX
        if not path.is_file():
            continue  # told where they are read
        own, index = name == cfg.run.exp_name, read_index(path)
        with reading(path, "delete it, and make the clouds again with generate.py"):
            made = told_by(index, own)
        wanted: Facts = {f"input cloud of {shape}": found for shape, found in digests.items()} | dict(sources)
        wanted |= {
            "plausible": cfg.plausible.plausible,
            "fit_steps": cfg.plausible.fit_steps if cfg.plausible.plausible else None,
        }
        if reason := why(made, {key: wanted[key] for key in made if key in wanted}):
            raise UserError(
                f"the clouds in {path.parent} are not of the present networks and shapes ({reason}); make them again"
                f" with: python generate.py --mode reconstruct --config"
                f" {cfg.run.config if own else f'(the config of {name})'}"
            )


def told_by(index: Mapping[str, Any], own: bool) -> Facts:
    """What the index of reconstructions tells of what they were made of; own: of this experiment."""
    facts = dict(zip(index["shapes"], index.get("facts", ()), strict=False))
    made = {f"input cloud of {name}": fact["cloud"] for name, fact in facts.items() if "cloud" in fact}
    if not own:
        return made
    made["ndf_sha256"] = index.get("ndf_sha256")
    judged = index.get("plausible")  # what a flow that judged the codes did
    if index.get("code_kind") == "vector" and ("rnvp_sha256" in index or judged):
        made |= {"plausible": bool(judged), "fit_steps": judged["fit_steps"] if judged else None}
        made |= {"rnvp_sha256": index["rnvp_sha256"]} if judged and "rnvp_sha256" in index else {}
    return made


def label_of(experiment: Experiment) -> str:
    """The label of an experiment's row, from its kind of code: "vector code, 128 numbers (demo_cars)"."""
    path, name = experiment.reconstruction / INDEX, experiment.root.name
    index = read_index(path) if path.is_file() else {}
    if (kind := index.get("code_kind", "none")) in WITHOUT_CODE:
        return f"NDF {'at its points' if kind == 'points' else 'without a bottleneck'} ({name})"
    return f"{index['code_kind']} code, {math.prod(index['code_shape'])} numbers ({name})"
