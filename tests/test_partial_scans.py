"""Partial scans: a view holds first hits alone, a half one side, and a seed fixes all of them."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming, says
from numpy.random import default_rng

from dataprocessing import make_scan
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.mesh_io import Mesh
from dataprocessing.partial_scans import SIDES, draw_camera, first_hits, half, partial_scan
from generation.completion.scan_files import read_points
from lab.small.helpers import open_box, write_obj
from lab.small.triangles import ray_distances


@pytest.fixture
def nested() -> Mesh:
    """A sphere of radius 0.5, and a small one inside, which no camera outside sees."""
    outer, inner = trimesh.creation.icosphere(3, 0.5), trimesh.creation.icosphere(2, 0.2)
    both = trimesh.util.concatenate([outer, inner])
    return Mesh(np.asarray(both.vertices), np.asarray(both.faces))


def test_a_view_holds_what_the_camera_sees_first_and_all_of_it(nested: Mesh):
    camera = draw_camera(default_rng(3))
    points = first_hits(nested, camera, 2000, default_rng(0))
    assert points.shape == (2000, 3)
    radius = np.linalg.norm(points, axis=1)
    assert radius.min() > 0.49 and radius.max() < 0.5 + 1e-5
    cosine = points @ camera / np.linalg.norm(camera) / radius
    horizon = 0.5 / np.linalg.norm(camera)  # of a sphere, seen from there
    assert horizon - 0.02 < cosine.min() < horizon + 0.1 and cosine.max() > 0.99


def test_what_stands_in_front_hides_what_is_behind():
    vertices, faces = open_box(default_rng(1))
    mesh = scale_mesh(Mesh(vertices, faces))
    camera = np.array([0.3, 0.4, 2.0])
    points = first_hits(mesh, camera, 500, default_rng(0))
    rays = points[::25] - camera
    met = ray_distances(np.broadcast_to(camera, rays.shape), rays, mesh.vertices[mesh.faces])
    np.testing.assert_allclose(met.min(axis=1), 1, atol=1e-4)  # no triangle before the point, in float64


@pytest.mark.parametrize("side", SIDES)
def test_a_half_is_one_side(nested: Mesh, side: str):
    points = half(nested, side, 400, default_rng(0))
    axis, sign = SIDES[side]
    assert points.shape == (400, 3) and (sign * points[:, axis] > 0).all()
    assert (np.linalg.norm(points, axis=1) < 0.21).any()  # inner parts too


@pytest.mark.parametrize("kind", ["view", "half", "sparse"])
def test_a_seed_fixes_a_scan(nested: Mesh, kind: str):
    one, words, camera, covered = partial_scan(nested, kind, 50, default_rng(2))
    same, *_ = partial_scan(nested, kind, 50, default_rng(2))
    other, *_ = partial_scan(nested, kind, 50, default_rng(3))
    if kind == "view":
        assert covered is None
    else:
        assert ((one > covered[:3]) & (one < covered[3:])).all()
        assert sorted(np.abs(covered)) == [0.0] * (kind == "half") + [0.55] * (6 - (kind == "half"))
    assert one.shape == (50, 3) and one.dtype == np.float32 and words
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert (camera is not None) == (kind == "view")


def test_noise_has_the_sd_that_is_asked_for(nested: Mesh):
    clean, noisy = (partial_scan(nested, "sparse", 4000, default_rng(0), noise)[0] for noise in (0.0, 0.01))
    assert np.std(noisy - clean) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("suffix", [".ply", ".npz", ".xyz"])
def test_the_tool_writes_files_that_are_read_again(tmp_path: Path, capsys: pytest.CaptureFixture, suffix: str):
    mesh, out = tmp_path / "car.obj", tmp_path / f"scan{suffix}"
    write_obj(mesh, *open_box(default_rng(0)))
    assert make_scan.main(["--scanned_mesh", str(mesh), "--kind", "view", "--out", str(out), "--scan_size", "70"]) == 0
    points = read_points(out)
    assert points.shape == (70, 3) and np.abs(points).max() < 0.51
    said = capsys.readouterr().out
    assert says(said, "70 points --camera")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mesh.name, out.name])


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    trimesh.Trimesh(*open_box(default_rng(0)), process=False).export(tmp_path / "scan.ply")
    before = (tmp_path / "scan.ply").read_bytes()
    words = ["--scanned_mesh", "scan.ply", "--scan_size", "70"]
    for _ in range(2):  # the second time the same is there
        assert make_scan.main(words) == 0
    assert says(capsys.readouterr().out, "scan_view.ply already 70")
    scan = (tmp_path / "scan_view.ply").read_bytes()
    for more in (["--out", "scan.ply"], ["--out", f"{tmp_path}/../{tmp_path.name}/scan.ply"], ["--seed", "1"]):
        with pytest.raises(make_scan.UserError, match=naming("--out")):
            make_scan.main([*words, *more])
    assert make_scan.main([*words, "--kind", "half"]) == 0
    assert ((tmp_path / "scan.ply").read_bytes(), (tmp_path / "scan_view.ply").read_bytes()) == (before, scan)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan.ply", "scan_half.ply", "scan_view.ply"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "scan.pdf"], "scan.pdf .ply .npz .xyz"),
        (["--scanned_mesh", "nothing.obj"], "nothing.obj"),
        (["--scan_size", "0"], "scan_size 0"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], message: str):
    mesh = tmp_path / "car.obj"
    write_obj(mesh, *open_box(default_rng(0)))
    with pytest.raises(make_scan.UserError, match=naming(message)):
        make_scan.main(["--scanned_mesh", str(mesh), "--out", str(tmp_path / "scan.ply"), *arguments])
