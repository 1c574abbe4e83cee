"""Point-cloud files: what was written comes back, other people's files are read, broken ones are named."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from facts import naming

from generation.cloud_files import read_cloud, write_cloud
from lab.small.helpers import write_ply
from runtime.errors import UserError
from runtime.reading import Arrays, open_npz

COUNT = 37


def cloud(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(COUNT, 3)).astype(np.float32)


def test_ply_comes_back_bit_for_bit(tmp_path: Path) -> None:
    ours = write_cloud(tmp_path / "shape", cloud()).with_suffix(".ply")
    np.testing.assert_array_equal(read_cloud(ours), cloud())
    header, data = ours.read_bytes().split(b"end_header\n")
    assert b"format binary_little_endian 1.0\nelement vertex 37\n" in header
    np.testing.assert_array_equal(np.frombuffer(data, "<f4").reshape(COUNT, 3), cloud())
    write_ply(tmp_path / "others.ply", cloud(), udf=np.arange(COUNT))
    np.testing.assert_array_equal(read_cloud(tmp_path / "others.ply"), cloud())


def test_other_readers_read_our_ply(tmp_path: Path) -> None:
    ours = write_cloud(tmp_path / "shape", cloud()).with_suffix(".ply")
    np.testing.assert_array_equal(np.asarray(trimesh.load(ours).vertices, np.float32), cloud())


def test_cloud_folder_holds_npz_and_ply(tmp_path: Path) -> None:
    path = write_cloud(tmp_path / "generation" / "0", cloud().astype(np.float64), code=np.arange(5.0), seed=3)
    assert sorted(file.name for file in path.parent.iterdir()) == ["dense_point_cloud.npz", "dense_point_cloud.ply"]
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["point_cloud"].dtype == np.float32
        np.testing.assert_array_equal(arrays["code"], np.arange(5.0))
        assert arrays["seed"] == 3
    np.testing.assert_array_equal(read_cloud(path), cloud())
    np.testing.assert_array_equal(read_cloud(path.with_suffix(".ply")), cloud())


def test_npz_key_point_cloud_wins_over_points(tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", points=cloud(1), point_cloud=cloud(2))
    np.savez(tmp_path / "points.npz", points=cloud(1).astype(np.float64))
    np.save(tmp_path / "c.npy", np.arange(12).reshape(4, 3))
    np.testing.assert_array_equal(read_cloud(tmp_path / "both.npz"), cloud(2))
    np.testing.assert_array_equal(read_cloud(tmp_path / "points.npz"), cloud(1))
    read = read_cloud(tmp_path / "c.npy")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.arange(12).reshape(4, 3))


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_ply_with_other_elements_and_properties(tmp_path: Path, order: str) -> None:
    points = cloud().astype(np.float64)
    kind = [("nx", order + "f4"), ("z", order + "f8"), ("red", "u1"), ("x", order + "f8"), ("y", order + "f8")]
    table = np.zeros(COUNT, dtype=kind)
    table["x"], table["y"], table["z"], table["nx"], table["red"] = *points.T, 9, 200
    name = "binary_little_endian" if order == "<" else "binary_big_endian"
    header = f"""ply
format {name} 1.0
comment written elsewhere
element camera 1
property float view
property int id
element vertex {COUNT}
property float32 nx
property double z
property uchar red
property double x
property double y
element face 1
property list uchar int vertex_indices
end_header
"""
    camera = np.array([7], dtype=order + "i4").tobytes() * 2
    face = b"\x03" + np.arange(3, dtype=order + "i4").tobytes()
    (tmp_path / "c.ply").write_bytes(header.encode() + camera + table.tobytes() + face)
    np.testing.assert_allclose(read_cloud(tmp_path / "c.ply"), points, rtol=1e-6)


def test_ascii_ply_with_windows_line_ends(tmp_path: Path) -> None:
    lines = ["ply", "format ascii 1.0", "element vertex 2", "property float x", "property float y"]
    lines += ["property float z", "property uchar red", "end_header", "0 1.5 -2 255", "3e-1 4 5 0", ""]
    (tmp_path / "c.ply").write_bytes("\r\n".join(lines).encode())
    np.testing.assert_allclose(read_cloud(tmp_path / "c.ply"), [[0, 1.5, -2], [0.3, 4, 5]])


@pytest.mark.parametrize("head", ["OFF\n# made by hand\n4 1 0\n", "OFF 4 1 0\n", "COFF\n\n4 1 0\n"])
def test_off_gives_its_vertices(tmp_path: Path, head: str) -> None:
    extra = " 255 0 0" if head.startswith("C") else ""
    body = "".join(f"{x} 2 -0.5{extra}  # corner\n" for x in range(4)) + "3 0 1 2\n"
    (tmp_path / "m.off").write_text(head + body)
    np.testing.assert_array_equal(read_cloud(tmp_path / "m.off"), [[x, 2, -0.5] for x in range(4)])


def ply(*, vertices: str = "0 0 0\n1 1 1\n", z: str = "property float z\n", count: int = 2) -> bytes:
    head = f"ply\nformat ascii 1.0\nelement vertex {count}\nproperty float x\nproperty float y\n{z}end_header\n"
    return (head + vertices).encode()


BROKEN = {
    "ends_early.ply": (ply(count=3), "3"),
    "no_z.ply": (ply(z=""), "z"),
    "not_a_number.ply": (ply(vertices="0 0 0\n1 nan 1\n"), "1 2 NaN"),
    "word.ply": (ply(vertices="0 0 0\n1 one 1\n"), "one"),
    "no_end.ply": (b"ply\nformat ascii 1.0\n", "header"),
    "mesh.ply": (b"solid cube\n", "PLY"),
    "order.ply": (ply().replace(b"ascii", b"middle_endian"), "middle_endian"),
    "claims_ascii.ply": (ply(count=10**12), f"{10**12} rows 2"),
    "claims.ply": (ply(count=10**12).replace(b"ascii", b"binary_little_endian"), f"{10**12} rows 1"),
    "negative.ply": (ply(count=-1), "-1"),
    "cut.ply": (ply(vertices="").replace(b"ascii", b"binary_little_endian") + b"1234", "2 vertex 0"),
    "none.off": (b"OFF\n0 0 0\n", "shape"),
    "short.off": (b"OFF\n3 0 0\n0 0 0\n", "truncated 3"),
    "empty.off": (b"", "OFF"),
    "empty.npy": (b"", ""),
    "torn.npz": (b"PK\x03\x04 torn", ""),
    "car.vtp": (b"0 0 0\n", ".npz"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_files_are_named_with_the_reason(tmp_path: Path, name: str) -> None:
    content, reason = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=naming(tmp_path / name, reason)):
        read_cloud(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"df": np.zeros(3)}, "point_cloud points df"),
        ({"point_cloud": np.zeros((4, 2))}, "shape (4, 2)"),
        ({"point_cloud": np.zeros((0, 3))}, "shape (0, 3)"),
        ({"point_cloud": np.full((4, 3), np.inf)}, "4 NaN infinite"),
        ({"point_cloud": np.array([[{}, 0, 0]], dtype=object)}, "objects"),
        ({"point_cloud": np.array([["a", "b", "c"]])}, "numbers"),
    ],
)
def test_wrong_arrays_are_named_with_the_reason(tmp_path: Path, arrays: dict, reason: str) -> None:
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(UserError, match=naming("c.npz", reason)):
        read_cloud(tmp_path / "c.npz")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=naming(tmp_path / "gone.ply")):
        read_cloud(tmp_path / "gone.ply")


def test_writers_refuse_bad_points_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=naming("(37, 2)")):
        write_cloud(tmp_path, cloud()[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        write_cloud(tmp_path, np.full((2, 3), np.nan))
    assert list(tmp_path.iterdir()) == []


def test_asking_whether_an_array_is_there_reads_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.npz"
    np.savez(path, point_cloud=np.zeros((9, 3), np.float32))
    monkeypatch.setattr(Arrays, "__getitem__", lambda self, name: pytest.fail(f"{name} was read"))
    with open_npz(path) as arrays:
        assert "point_cloud" in arrays
        assert "code" not in arrays
