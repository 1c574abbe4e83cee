"""Scans from files: every format, and one line for what cannot be a scan."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming, says

from dataprocessing.frames import turn_of
from generation.completion.evidence import MOST_POINTS
from generation.completion.scan_files import placed_scan, read_points, read_truth, scan_name
from lab.small.helpers import open_box, write_obj, write_ply
from runtime.errors import UserError
from runtime.files import write_npz


def box_points(num: int = 200, seed: int = 0) -> np.ndarray:
    """Points in a box as long as a car's half."""
    size = np.array([0.4, 0.3, 0.5])
    return ((np.random.default_rng(seed).random((num, 3)) - 0.5) * size).astype(np.float32)


@pytest.mark.parametrize("suffix", [".ply", ".npz", ".npy", ".xyz", ".off"])
def test_clouds_are_read_as_they_are(tmp_path: Path, suffix: str):
    points, path = box_points(), tmp_path / f"scan{suffix}"
    if suffix == ".ply":
        write_ply(path, points)
    elif suffix == ".npz":
        write_npz(path, point_cloud=points)
    elif suffix == ".npy":
        np.save(path, points)
    elif suffix == ".xyz":
        np.savetxt(path, np.hstack([points, np.ones((200, 3))]))  # with a colour
    else:
        path.write_text("OFF\n200 0 0\n" + "".join(f"{x} {y} {z}\n" for x, y, z in points.tolist()))
    np.testing.assert_allclose(read_points(path), points, atol=1e-6)


@pytest.mark.parametrize("suffix", [".obj", ".off", ".stl", ".glb", ".ply"])
@pytest.mark.parametrize("scale", [False, True])
def test_meshes_give_points_of_their_surface(tmp_path: Path, suffix: str, scale: bool):
    path = tmp_path / f"mesh{suffix}"
    trimesh.creation.icosphere(3, 0.2).export(path)
    points = read_points(path, scale_meshes=scale)
    assert points.shape == (MOST_POINTS, 3) and points.dtype == np.float32
    assert np.linalg.norm(points, axis=1) == pytest.approx(0.5 if scale else 0.2, rel=0.02)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scan.jpg", b"x", ".ply .off .npz .npy .xyz .obj .stl .glb"),
        ("scan.ply", b"hello", "PLY"),
        ("scan.ply", b"", "empty"),
        ("scan.stl", b"hello", "mesh point cloud"),
        ("scan.glb", b"\x00\x01", "mesh point cloud"),
        ("scan.obj", b"v 0 0 0\n", "faces mesh point cloud"),
        ("scan.off", b"nothing", "OFF"),
        ("scan.npz", b"PK", ""),
        ("scan.xyz", b"1 2\n3 4\n", "three numbers"),
        ("scan.xyz", b"one two three\n", "three numbers"),
        ("scan.xyz", b"0 0 0\nnan 0 0\n0 inf 1\n", "2 3 NaN infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_no_cloud_and_no_mesh_is_one_line(tmp_path: Path, name: str, content: bytes, message: str):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=naming(path, message)):
        read_points(path)


def test_nan_in_a_cloud_and_a_missing_file_are_told(tmp_path: Path):
    points = box_points()
    points[3, 1] = np.nan
    np.save(tmp_path / "scan.npy", points)
    with pytest.raises(UserError, match=naming("1 200 NaN")):
        read_points(tmp_path / "scan.npy")
    with pytest.raises(UserError, match=naming(tmp_path / "scan.ply")):
        read_points(tmp_path / "scan.ply")


def test_a_scan_in_mesh_units_stays_as_it_is():
    points, camera = box_points(), np.array([0.0, 0.0, 2.0])
    scan = placed_scan(points, camera, fit=False)
    assert scan.points is points and scan.camera is camera and scan.notes == []


@pytest.mark.parametrize(("scale", "shift"), [(10, 0), (0.1, 0), (1, 0.5), (1000, 3)])
def test_another_scale_is_told_and_fitted(scale: float, shift: float):
    points = box_points() * np.float32(scale) + np.float32(shift)
    with pytest.raises(UserError, match=naming("x --fit")):
        placed_scan(points, None, fit=False)
    camera = points.mean(axis=0) + scale
    scan = placed_scan(points, camera, fit=True)
    low, high = scan.points.min(axis=0), scan.points.max(axis=0)
    assert (high - low).max() == pytest.approx(1, abs=1e-4)
    assert low + high == pytest.approx(0, abs=1e-4)
    assert scan.camera is not None  # moved with the points
    ratio = (scan.camera - scan.points[0]) * (points.max(axis=0) - points.min(axis=0)).max()
    assert ratio == pytest.approx(camera - points[0], rel=1e-3, abs=1e-3 * scale)
    assert scan.notes


@pytest.mark.parametrize("num", [0, 3, 19])
def test_too_few_points_are_told(num: int):
    with pytest.raises(UserError, match=naming(num, 20)):
        placed_scan(box_points(num), None, fit=False)
    assert placed_scan(box_points(20), None, fit=False).notes == []


def test_points_at_one_place_cannot_be_fitted():
    with pytest.raises(UserError, match="place"):
        placed_scan(np.ones((50, 3), np.float32), None, fit=True)


def test_many_points_and_odd_poses_are_noted():
    many = placed_scan(box_points(30_000), None, False)
    assert says(many.notes[0], "30,000 20,000") and len(many.points) == MOST_POINTS
    lying = (box_points() * np.array([2.2, 1, 1])).astype(np.float32)
    assert says(placed_scan(lying, None, False).notes[0], "turned")
    standing = (box_points() * np.array([1, 3, 1])).astype(np.float32)
    assert says(placed_scan(standing, None, False).notes[0], "turned")
    assert says(placed_scan(box_points(), np.zeros(3), False).notes[0], "camera inside")


def test_a_covered_box_moves_with_the_scan_and_its_corners_are_in_order():
    points, box = box_points() * 10, np.array([-2.0, -2.0, 0.0, 2.0, 2.0, 3.0])
    scan = placed_scan(points, None, True, box)
    inside = ((points > box[:3]) & (points < box[3:])).all(axis=1)
    assert scan.covered is not None and 0 < inside.sum() < len(points)
    assert np.array_equal(((scan.points > scan.covered[:3]) & (scan.points < scan.covered[3:])).all(axis=1), inside)
    with pytest.raises(UserError, match=naming("X0 Y0 Z0 X1 Y1 Z1")):
        placed_scan(points, None, True, box[::-1].copy())


@pytest.mark.parametrize("fit", [False, True])
@pytest.mark.parametrize("axes", [("z", "-y"), ("-x", "z"), ("y", "x")])
def test_a_scan_in_other_axes_is_the_same_once_it_is_turned(axes: tuple[str, str], fit: bool):
    points, camera, box = box_points(), np.array([0.1, 0.2, 2.0]), np.array([-0.1, -0.2, -0.3, 0.4, 0.5, 0.6])
    turn = turn_of(*axes)
    own_box = np.sort(box.reshape(2, 3) @ turn, axis=0).ravel()
    straight = placed_scan(points, camera, fit, box)
    scan = placed_scan(points @ turn.astype(np.float32), camera @ turn, fit, own_box, axes)
    for one, other in zip(scan[:2] + scan[3:4], straight[:2] + straight[3:4], strict=True):
        np.testing.assert_array_equal(one, other)
    assert scan.frame is not None and (straight.frame is None) == (not fit)
    np.testing.assert_allclose(scan.frame.to_own(scan.points), points @ turn, atol=1e-6)
    assert all(says(note, *axes) for note in scan.notes)
    with pytest.raises(UserError, match=naming("X0 Y0 Z0 X1 Y1 Z1")):
        placed_scan(points, None, fit, own_box[::-1].copy(), axes)


def test_a_truth_is_turned_as_the_scan(tmp_path: Path):
    points, turn = box_points(), turn_of("z", "x")
    write_ply(tmp_path / "truth.ply", points @ turn)
    np.testing.assert_array_equal(read_truth(tmp_path / "truth.ply", ("z", "x")), points)
    vertices, faces = open_box(np.random.default_rng(0))
    write_obj(tmp_path / "truth.obj", 30 * vertices @ turn, faces)
    read, extent = read_truth(tmp_path / "truth.obj", ("z", "x")), np.ptp(vertices, axis=0)
    np.testing.assert_allclose(np.ptp(read, axis=0), extent / extent.max(), atol=0.03)


def test_a_fitted_scan_tells_what_sets_its_scale():
    points = box_points(2001) * 7
    points[0] = [0, 0, 300]
    notes = placed_scan(points, None, fit=True).notes
    assert says(notes[0], "99 % z 300") and not any("turned" in note for note in notes)
    turned_notes = placed_scan(box_points(2001)[:, [2, 1, 0]] * [2, 1, 1], None, fit=True).notes
    assert says(turned_notes[0], "longest side x", "--front")


def test_a_scan_names_its_folder_and_another_scan_of_that_name_another_one():
    names = [scan_name(path, sha256) for path, sha256 in (("a/my scan.ply", "1" * 64), ("b/my scan.ply", "2" * 64))]
    assert names == ["my scan.ply~11111111", "my scan.ply~22222222"]
    for odd in ("...npz", "..", ".ply"):
        assert (Path("out") / scan_name(odd, "1" * 64)).resolve().parent == Path("out").resolve()


def test_a_scan_in_map_coordinates_fits_as_one_near_the_origin(tmp_path: Path):
    place, points = np.array([500_000.0, 30.0, 5_400_000.0]), 4 * box_points().astype(np.float64)
    fitted = []
    for n, shift in enumerate((0 * place, place)):
        np.save(tmp_path / f"{n}.npy", points + shift)
        fitted.append(placed_scan(read_points(tmp_path / f"{n}.npy"), shift + 9, fit=True))
    np.testing.assert_allclose(fitted[1].points, fitted[0].points, atol=1e-6)
    np.testing.assert_allclose(fitted[1].camera, fitted[0].camera, atol=1e-6)
    assert fitted[1].points.dtype == np.float32
