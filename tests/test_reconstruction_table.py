"""The reconstruction table: what each row compares, inside and outside apart, and what a missing input says."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming, says
from numpy.typing import NDArray
from test_metrics_normals import slow_planes

from configs.options import Config, Data
from dataprocessing.split import load_split
from dataprocessing.surface import surface_points
from evaluation.interior import interior_mask
from evaluation.metrics import chamfer_udf, f_score, nearest_distances, normal_consistency, thickness
from evaluation.reconstruction import (
    COLUMNS,
    FLOOR,
    INPUT,
    MEASURES,
    NOTE,
    TITLE,
    TrueSurface,
    check_current,
    reconstruction_rows,
    scores_by_part,
    true_surface,
)
from evaluation.tables import Table
from generation.cloud_files import write_cloud
from lab.small.helpers import read_config
from runtime.errors import UserError
from runtime.files import write_json, write_npz
from runtime.layout import SCALED_MESH, Experiment, boundary_samples, voxelized_point_cloud

NAMES, DENSE = ["box0", "box1", "box2"], 403
OTHER_CODES = {"code_kind": "grid", "code_shape": [2, 3, 3, 3]}


def nested_boxes(size: float) -> trimesh.Trimesh:
    """A closed box with another inside."""
    return trimesh.util.concatenate([trimesh.creation.box([size, 0.4, 1]), trimesh.creation.box([size / 2, 0.2, 0.5])])


def write_reconstructions(cfg: Config, exp_name: str, names: list[str], shift: float, codes: dict | None) -> None:
    """Surface points, all moved by `shift` along x, as an experiment's reconstructions."""
    experiment = Experiment(cfg.run.exp_root, exp_name)
    for name in names:
        true = surface_points(Path(cfg.data.data_dir) / name / "models", 2 * DENSE, seed=5, data=Data())
        write_cloud(experiment.reconstruction / name, true + np.float32([shift, 0, 0]))
    write_json(experiment.reconstruction / "index.json", {"shapes": names, **(codes or {"code_kind": "none"})})


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Three test shapes, this experiment's reconstructions of two, another's of all, a plain NDF's of one."""
    root = tmp_path_factory.mktemp("boxes")
    for n, name in enumerate(NAMES):
        folder = root / "data" / name / "models"
        folder.mkdir(parents=True)
        nested_boxes(0.5 + 0.1 * n).export(folder / SCALED_MESH)
        write_npz(folder / voxelized_point_cloud(16, 53), point_cloud=surface_points(folder, 53, seed=77, data=Data()))
        write_npz(folder / boundary_samples(0.08), points=np.zeros((1, 3)), df=np.zeros(1))
    write_npz(root / "split.npz", train=np.array([], str), val=np.array([], str), test=NAMES)
    cfg = read_config(root, num_eval_points_dense=DENSE, num_points=53, seed=2)
    write_reconstructions(cfg, "test", NAMES[:2], 0.04, {"code_kind": "vector", "code_shape": [7]})
    write_reconstructions(cfg, "other", NAMES, 0.08, OTHER_CODES)
    write_reconstructions(cfg, "plain", NAMES[1:], 0.02, None)
    return cfg


def table(cfg: Config, **options: object) -> tuple[list[dict], list[dict]]:
    return reconstruction_rows(cfg.changed(**options), load_split(cfg.data.split_file, cfg.data.data_dir)["test"])


def test_rows_are_the_measures_of_the_named_clouds(cfg: Config) -> None:
    rows, per_shape = table(cfg, compare_experiments=["other", "test"])
    sets = [INPUT, "vector code, 7 numbers (test)", "grid code, 54 numbers (other)", FLOOR]
    assert [(row["part"], row["set"]) for row in rows] == [
        (part, label) for part in ("whole", "interior", "exterior") for label in sets
    ]
    assert [row["shapes"] for row in rows] == [2] * 12
    assert [row["points"] for row in rows[:4]] == [53, DENSE, DENSE, DENSE]
    folder = Path(cfg.data.data_dir) / NAMES[1] / "models"
    true, coarse = surface_points(folder, DENSE, seed=2, data=Data()), surface_points(folder, 53, seed=77, data=Data())
    mine = next(row for row in per_shape if (row["set"], row["part"], row["shape"]) == (INPUT, "whole", NAMES[1]))
    assert mine["chamfer_udf"] == pytest.approx(chamfer_udf(coarse, true), rel=1e-9)
    assert mine["f_score_0.01"] == pytest.approx(f_score(coarse, true, 0.01), rel=1e-9)
    to_true, to_coarse = nearest_distances(coarse, true)
    assert mine["accuracy"] == pytest.approx(np.mean(to_true**2), rel=1e-9)
    assert mine["completeness"] == pytest.approx(np.mean(to_coarse**2), rel=1e-9)
    assert mine["normal_consistency"] == pytest.approx(normal_consistency(coarse, true), rel=1e-9)
    assert mine["thickness"] == pytest.approx(thickness(coarse), rel=1e-9)
    floor = next(row for row in per_shape if (row["set"], row["part"], row["shape"]) == (FLOOR, "whole", NAMES[1]))
    assert 0 < floor["chamfer_udf"] < mine["chamfer_udf"]
    assert 1 > floor["normal_consistency"] > mine["normal_consistency"]
    assert 0 < floor["thickness"] < mine["thickness"]  # 53 points: planes of neighbours far away
    near, far, floor = (next(row for row in rows if row["set"] == label) for label in (*sets[1:3], FLOOR))
    assert floor["chamfer_udf_mean"] < near["chamfer_udf_mean"] < far["chamfer_udf_mean"]


def test_rows_hold_mean_and_median_of_the_shapes(cfg: Config) -> None:
    write_reconstructions(cfg, "all", NAMES, 0.02, {"code_kind": "fused", "code_shape": [5, 2, 2, 2]})
    rows, per_shape = table(cfg, exp_name="all")
    assert rows[1]["set"] == "fused code, 40 numbers (all)"
    assert rows[1]["shapes"] == 3
    for name in MEASURES:
        values = [row[name] for row in per_shape if row["set"] == rows[1]["set"] and row["part"] == "whole"]
        assert rows[1][f"{name}_mean"] == pytest.approx(np.mean(values))
        assert rows[1][f"{name}_median"] == pytest.approx(np.median(values))
        assert len(set(values)) > 1
    assert [row["shapes"] for row in table(cfg, exp_name="all", num_eval_shapes=2)[0]] == [2] * 9


def slow_scores(cloud: NDArray, true: TrueSurface, interior: bool) -> dict[str, float]:
    """The measures of one part, point after point."""
    distances = np.array([[np.sqrt(((p - q) ** 2).sum()) for q in true.points.astype(float)] for p in cloud])
    inside = [true.interior[row.argmin()] == interior for row in distances]
    accuracy = [row.min() for row, mine in zip(distances, inside, strict=True) if mine]
    completeness = [row.min() for row, mine in zip(distances.T, true.interior == interior, strict=True) if mine]
    scores = {"accuracy": np.mean(np.square(accuracy)), "completeness": np.mean(np.square(completeness))}
    for threshold in (0.005, 0.01):
        precision, recall = (np.mean([d < threshold for d in part]) for part in (accuracy, completeness))
        both = precision + recall
        scores[f"f_score_{threshold:g}"] = 2 * precision * recall / both if both else 0.0
    (normals, depths), (true_normals, _) = slow_planes(cloud.astype(float)), slow_planes(true.points.astype(float))
    cosines = np.abs(normals @ true_normals.T)
    forth = [cosines[i, row.argmin()] for i, row in enumerate(distances) if inside[i]]
    back = [cosines[row.argmin(), j] for j, row in enumerate(distances.T) if true.interior[j] == interior]
    scores |= {"normal_consistency": (np.mean(forth) + np.mean(back)) / 2, "points": len(accuracy)}
    scores["thickness"] = np.sqrt(np.mean(np.square(depths[inside])))
    return scores | {"chamfer_udf": (scores["accuracy"] + scores["completeness"]) / 2}


def test_parts_are_those_of_the_nearest_true_points(cfg: Config) -> None:
    folder = Path(cfg.data.data_dir) / NAMES[2] / "models"
    true = true_surface(folder, 151, seed=2, data=Data())
    assert 0.1 < true.interior.mean() < 0.4  # the inner box has a quarter of the outer one's area
    inner = np.abs(true.points[:, 1]) < 0.101
    inner &= (np.abs(true.points[:, 0]) < 0.176) & (np.abs(true.points[:, 2]) < 0.251)
    np.testing.assert_array_equal(true.interior, inner)
    cloud = surface_points(folder, 97, seed=8, data=Data()) + np.random.default_rng(0).normal(0, 0.004, (97, 3))
    scores = scores_by_part(cloud, true)
    for part, interior in (("interior", True), ("exterior", False)):
        for name, value in slow_scores(cloud, true, interior).items():
            assert scores[part][name] == pytest.approx(value, rel=1e-9), (part, name)
    assert scores["interior"]["points"] + scores["exterior"]["points"] == scores["whole"]["points"] == 97
    assert scores["interior"]["true_share"] == pytest.approx(true.interior.mean())


def test_a_missing_inside_counts_and_a_surface_without_one_does_not(cfg: Config) -> None:
    true = true_surface(Path(cfg.data.data_dir) / NAMES[0] / "models", 151, seed=2, data=Data())
    shell = scores_by_part(true.points[~true.interior], true)
    assert shell["interior"]["accuracy"] is None
    assert shell["interior"]["chamfer_udf"] is None
    assert shell["interior"]["normal_consistency"] is None and shell["interior"]["thickness"] is None
    assert shell["interior"]["f_score_0.01"] == 0
    assert shell["interior"]["completeness"] > 0.01**2
    assert shell["exterior"]["chamfer_udf"] == 0
    assert shell["exterior"]["f_score_0.005"] == 1
    hollow = true._replace(interior=np.zeros(151, bool))
    assert set(scores_by_part(true.points, hollow)["interior"].values()) == {None, 0}
    assert scores_by_part(true.points, hollow)["interior"]["f_score_0.01"] is None


def test_clouds_of_too_few_points_have_no_normals(cfg: Config) -> None:
    folder = Path(cfg.data.data_dir) / NAMES[0] / "models"
    true = true_surface(folder, 151, seed=2, data=Data())
    for cloud, surface in ((true.points[:16], true), (true.points, true_surface(folder, 16, seed=2, data=Data()))):
        scores = scores_by_part(cloud, surface)["whole"]
        assert scores["normal_consistency"] is None and scores["thickness"] is None
        assert scores["chamfer_udf"] > 0
    rows, _ = table(cfg, num_eval_points_dense=16)
    assert all(row["normal_consistency_mean"] is None for row in rows)


def test_other_clouds_rows_stay_when_experiments_are_added_and_threads_do_not_matter(cfg: Config) -> None:
    rows, per_shape = table(cfg)
    more_rows, more = table(cfg, compare_experiments=["other"], num_cpus=2)
    assert [row for row in more_rows if "other" not in row["set"]] == rows
    assert [row for row in more if "other" not in row["set"]] == per_shape


def test_the_table_states_the_rule_and_shows_every_column(cfg: Config) -> None:
    text = Table("reconstruction", TITLE, COLUMNS, table(cfg)[0], NOTE).text()
    assert says(text, "64 rays")
    assert "-" not in text.splitlines()[3].split()  # every key of COLUMNS is there
    mask = interior_mask(nested_boxes(0.5).vertices, nested_boxes(0.5).faces, np.float32([[0.125, 0, 0], [0, 0.2, 0]]))
    assert mask.tolist() == [True, False]


def test_missing_reconstructions_name_the_command(cfg: Config) -> None:
    make = "generate.py --mode reconstruct"
    with pytest.raises(UserError, match=naming("none/evaluation/reconstruction", make, "--config", cfg.run.config)):
        table(cfg, exp_name="none")
    with pytest.raises(
        UserError, match=naming("plain/evaluation/reconstruction box0 1 2", make, "--num_shapes 3 --config plain")
    ):
        table(cfg, compare_experiments=["plain"])
    write_reconstructions(cfg, "gone", NAMES, 0.0, None)
    gone = Experiment(cfg.run.exp_root, "gone").reconstruction / NAMES[0]
    (gone / "dense_point_cloud.npz").unlink()
    with pytest.raises(UserError, match=naming(gone / "dense_point_cloud.npz", make)):
        table(cfg, compare_experiments=["gone"])
    write_reconstructions(cfg, "strange", NAMES, 0.0, None)
    write_json(
        gone.parents[3] / "strange" / "evaluation" / "reconstruction" / "index.json",
        {"shapes": ["sofa"], "code_kind": "none"},
    )
    write_cloud(gone.parents[3] / "strange" / "evaluation" / "reconstruction" / "sofa", np.zeros((4, 3)))
    with pytest.raises(UserError, match=naming("strange/evaluation/reconstruction sofa", cfg.data.split_file, make)):
        table(cfg, exp_name="strange")


def test_reconstructions_of_an_earlier_version_are_told(cfg: Config) -> None:
    write_reconstructions(cfg, "old", NAMES, 0.0, None)
    index = Experiment(cfg.run.exp_root, "old").reconstruction / "index.json"
    write_json(index, {"shapes": NAMES})
    with pytest.raises(UserError, match=naming(index, "generate.py --mode reconstruct")):
        table(cfg, exp_name="old")


def test_reconstructions_are_compared_with_what_they_tell_of_their_making(cfg: Config) -> None:
    cfg = cfg.changed(exp_name="told", compare_experiments=["others"], fit_steps=4)
    digests, sources = dict.fromkeys(NAMES, "aa"), {"ndf_sha256": "n", "rnvp_sha256": "f"}
    index = {"code_kind": "vector", "code_shape": [7], **sources, "plausible": {"fit_steps": 4}}

    def check(name: str = "told", cloud: str = "aa", **changed: object) -> None:
        write_reconstructions(cfg, "told", [], 0.0, index | {"shapes": NAMES})
        write_reconstructions(cfg, "others", [], 0.0, {"code_kind": "none", "shapes": NAMES[:1]})
        path = Experiment(cfg.run.exp_root, name).reconstruction / "index.json"
        facts = [{"cloud": "aa"}, {"cloud": cloud}, {}]
        write_json(path, {**index, "shapes": NAMES, "facts": facts, **changed})
        check_current(cfg, digests, sources)

    check()
    check("others", ndf_sha256="x", plausible={"fit_steps": 9})  # networks and options of its own
    check(facts=[])  # of an earlier version
    check(plausible=None, rnvp_sha256="x", code_kind="none")  # no flow has looked at its codes
    for changes, words in (
        ({"cloud": "bb"}, 'told/.*input cloud of box1 "bb" -> "aa".*--config .*config'),
        ({"name": "others", "cloud": "bb"}, "others/.*input cloud of box1.*the config of others"),
        ({"ndf_sha256": "x"}, "ndf_sha256"),
        ({"rnvp_sha256": "x"}, "rnvp_sha256"),
        ({"plausible": {"fit_steps": 9}}, "fit_steps 9 -> 4"),
    ):
        with pytest.raises(UserError, match=f"{words}"):
            check(**changes)


def test_an_experiment_without_codes_is_a_plain_ndf(cfg: Config) -> None:
    rows, _ = table(cfg, exp_name="plain", compare_experiments=["other"])
    assert rows[1]["set"] == "NDF without a bottleneck (plain)"
    assert rows[1]["shapes"] == 2
