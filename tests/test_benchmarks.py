"""The benchmarks: their arithmetic, the table, the ways rebuilt from descriptions, and every row without any peer."""

import importlib
import statistics

import numpy as np
import pytest
import torch
from facts import says
from scipy.spatial import cKDTree

from dataprocessing.distances import unsigned_distance
from dataprocessing.stored_points import read_arrays
from dataprocessing.voxelized_pointcloud_sampling import voxelize
from evaluation.metrics import CloudSet, emd, pairwise
from generation.distance_fields import NetworkField
from lab.benchmarks import batches, growth, metrics, ndf_look_up, ndf_loop, ndf_recipe
from lab.benchmarks.cars import demo_cloud, demo_mesh, mesh_files
from lab.benchmarks.harness import Growth, Machine, Row, alternate, exponent, repeated, row_against
from lab.benchmarks.run import GROUPS, arguments, main
from lab.benchmarks.table import BEGIN, END, amount, growth_markdown, markdown, write_into
from lab.small.helpers import read_occupancy
from lab.small.network_weights import random_weights
from models.ndf import NDF
from runtime.errors import UserError
from runtime.layout import boundary_samples, voxelized_point_cloud

MACHINE = Machine(1, 1e9, 2e9, {"processor": "test"})


def test_ratio_above_one_means_that_we_are_better_and_the_limit_is_a_share_of_our_cost():
    row = Row("work", "peer", ours=2.0, theirs=5.0, wanted=2.0, least=0.5)
    assert (row.ratio, row.share) == (2.5, 0.25)
    missing = Row("work", "peer", 2.0, None, 2.0)
    assert (missing.ratio, missing.share) == (None, None)


def test_a_lower_limit_is_the_larger_of_arithmetic_and_bytes():
    assert MACHINE.least(flops=3e9) == 3.0
    assert MACHINE.least(flops=3e9, num_bytes=8e9) == 4.0


def test_works_take_turns_each_round_begins_with_another_and_medians_are_told():
    order: list[str] = []
    durations = {"a": iter([9, 1, 5, 3]), "b": iter([9, 2, 2, 8]), "c": iter([9, 4, 4, 4])}
    now = [0.0]

    def work(name: str):
        def run():
            order.append(name)
            now[0] += next(durations[name])

        return run

    seconds = alternate({name: work(name) for name in durations}, 3, clock=lambda: now[0])
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"  # the first turn is not counted
    assert seconds == {"a": statistics.median([1, 5, 3]), "b": statistics.median([2, 2, 8]), "c": 4}


def test_repeats_and_rows_per_peer():
    called: list[int] = []
    repeated(lambda: called.append(1), 3)()
    assert called == [1, 1, 1]
    rows = row_against({"ours": 2.0, "x": 6.0}, {"x": "X", "y": "Y"}, "work", 2.0, scale=0.5, least=0.1)
    assert [(row.peer, row.ours, row.theirs, row.ratio) for row in rows] == [
        ("X", 1.0, 3.0, 3.0),
        ("Y", 1.0, None, None),
    ]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_exponent_of_a_power_law(power: float):
    sizes = [10, 100, 5000]
    assert exponent(sizes, [0.3 * size**power for size in sizes]) == pytest.approx(power)


def test_with_one_thread_the_processors_time_counts():
    sleeping = alternate({"sleep": lambda: __import__("time").sleep(0.02)}, 1, clock=MACHINE.clock)
    assert sleeping["sleep"] < 0.015
    assert alternate({"sleep": lambda: __import__("time").sleep(0.02)}, 1)["sleep"] >= 0.02


def test_the_table_says_what_is_reached_what_is_not_and_what_is_not_installed():
    rows = [
        Row("fast", "P", 1e-3, 5e-3, 2.0, least=1e-4, least_by="bytes", note="equal"),
        Row("slow", "P", 2.0, 3.0, 2.0, note="equal"),
        Row("bytes", "Q", 3e6, None, 2.0, "B"),
    ]
    text = markdown(rows)
    assert "| fast [1] | 1.00 ms | P | 5.00 ms | 5.00 yes | 2 | 100 us (bytes) | 10.0% |" in text
    assert "| slow [1] | 2.00 s | P | 3.00 s | 1.50 **no** | 2 |  |  |" in text
    assert "| bytes | 3.00 MB | Q |  | not installed | 2 |  |  |" in text
    assert text.endswith("1. equal")
    growth_text = growth_markdown(
        [Growth("w", "n", [10, 100], [1.0, 100.0], [1e6, 1e6]), Growth("v", "n", [1, 2], [1, 2])]
    )
    assert "| w | n | 10 to 100 | 1.00 s to 100 s | 2.00 | 1.00 MB to 1.00 MB | 0.00 |" in growth_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"),
        (123.4, "s", "123 s"),
        (2e-7, "s", "200 ns"),
        (999, "B", "999 B"),
        (8.4e9, "B", "8.40 GB"),
    ],
)
def test_amounts(value: float, unit: str, text: str):
    assert amount(value, unit) == text


def test_only_what_stands_between_the_comments_of_a_document_changes(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(path, "new")
    write_into(path, "new")
    assert path.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    path.write_text("no comments")
    with pytest.raises(UserError, match="once each"):
        write_into(path, "new")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--meshes", "nowhere"], "nowhere"),
        (["--document", "nowhere.md"], "nowhere.md"),
        (["--quick", "--document", "README.md"], "whole run"),
        (["--only", "flows", "--document", "README.md"], "whole run"),
    ],
)
def test_what_is_wrong_with_the_options_is_told_before_anything_is_measured(words, message):
    with pytest.raises(UserError, match=message):
        arguments(words)


def test_a_misspelt_group_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "flow"])
    assert says(capsys.readouterr().err, "--only 'flow'")


def test_the_plain_field_is_the_network_s():
    model = random_weights(NDF((5, 7), hidden_dim=16).double(), seed=2).requires_grad_(False).eval()
    x = (torch.rand(1, 8, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).double()
    grids = model.features(model.encode(x))
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(4)).double() - 0.5
    answers = [field(points) for field in (ndf_look_up.PlainField(model, grids), NetworkField(model, grids))]
    for plain, ours in zip(*answers, strict=True):
        assert plain.std() > 1e-3
        torch.testing.assert_close(plain, ours)


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "growth"])
def test_every_row_works_without_any_peer(group: str, monkeypatch):
    module = importlib.import_module(f"lab.benchmarks.{group}")
    if hasattr(module, "installed"):
        monkeypatch.setattr(module, "installed", lambda name: False)
    rows = module.rows("tiny", MACHINE, None)
    assert rows and all(row.ours > 0 and row.wanted >= 1 for row in rows)
    needs_no_library = {"batches", "decoding", "metrics"}
    for row in rows:
        assert (row.theirs is None) == (group not in needs_no_library and row.peer != "Open3D alone"), row
    assert ("not installed" in markdown(rows)) == (group not in needs_no_library)


@pytest.mark.parametrize("curve", growth.CURVES, ids=lambda curve: curve.title)
def test_every_curve_is_measured(curve):
    seconds, memory = growth.measured(curve.work, curve.sizes["tiny"][0], 1)
    assert seconds > 0 and memory >= 2**20


def test_the_recipes_files_are_ndfs_and_say_the_same_as_ours(tmp_path, monkeypatch):
    """Its nearest node by a tree is our rounding, and its unsigned distances, here by our own routine, are read."""
    monkeypatch.setattr(ndf_recipe, "distances", lambda v, f, p, signed: unsigned_distance(v, f, p.astype(np.float32)))
    (mesh,) = mesh_files(tmp_path / "meshes", 1, None)
    ndf_recipe.run(mesh, tmp_path / "out", samples=50, res=12, num_points=40)
    name = tmp_path / "out" / voxelized_point_cloud(12, 40)
    (cloud,) = read_arrays(name, "point_cloud")
    assert np.array_equal(read_occupancy(name), voxelize(cloud, 12, -0.5, 0.5))
    for sigma in ndf_recipe.SIGMAS:
        points, df, coords = read_arrays(tmp_path / "out" / boundary_samples(sigma), "points", "df", "grid_coords")
        assert len(points) == 50 and df.max() < 6 * sigma
        np.testing.assert_allclose(coords, 2 * points[:, ::-1])


def test_the_loop_finds_the_whole_surface_of_a_sphere():
    def sphere(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        norm = points.norm(dim=1)
        away = torch.nn.functional.normalize(points, dim=1) * (norm - 0.3).sign()[:, None]
        return (norm - 0.3).abs(), away

    loop = ndf_loop.dense_cloud(sphere, 60_000, 40_000, torch.Generator().manual_seed(0))
    cloud = loop.points
    assert cloud.shape == (60_000, 3) and loop.rounds == 3 and 60_000 <= loop.kept <= 80_000
    assert loop.rounds_for(60_000) == 3 and loop.rounds_for(10 * loop.kept) == 21
    assert (cloud.norm(dim=1) - 0.3).abs().max() < 0.009
    everywhere = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    assert cKDTree(cloud).query(0.3 * everywhere)[0].max() < 0.05
    with pytest.raises(RuntimeError, match="no surface"):
        ndf_loop.dense_cloud(lambda p: (torch.ones(len(p)), p), 10, 10, torch.Generator())


def test_all_ways_to_a_metric_give_one_value():
    a, b = ([demo_cloud(n, 50) for n in numbers] for numbers in ((0, 1), (2, 3, 4)))
    right = pairwise("cd", CloudSet(a), CloudSet(b))
    np.testing.assert_allclose(metrics.by_trees(a, b, 1), right)
    for squared in (metrics.by_products, metrics.by_lengths):
        np.testing.assert_allclose(metrics.by_torch(a, b, squared, 2), right, rtol=1e-4)
    assert metrics.by_scipy(a[0], b[0]) == pytest.approx(emd(a[0], b[0]))


def test_both_loaders_hand_over_points_with_their_distances(tmp_path):
    cfg = batches.options_of(200, 16)
    (mesh,) = mesh_files(tmp_path / "meshes", 1, None)
    batches.our_files(mesh, tmp_path / "ours", cfg)
    theirs = batches.ndf_example(batches.in_ndf_format(tmp_path / "ours", tmp_path / "ndf", cfg), 100, cfg)
    ours = batches.our_steps([tmp_path / "ours"], cfg, 100)[0]
    for points, distances in ((theirs["points"], theirs["df"]), (ours["points"][0], ours["distances"][0])):
        found = unsigned_distance(*demo_mesh(0), np.asarray(points))
        np.testing.assert_allclose(np.asarray(distances), found, atol=1e-5)  # the file's coordinates are rounded
    np.testing.assert_allclose(theirs["grid_coords"], 2 * theirs["points"][:, ::-1])
