"""Point clouds of every format, by independent writers: the same points come back, and what is wrong is told."""

import gzip
import struct
from pathlib import Path

import laspy
import numpy as np
import pytest
from facts import naming
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from dataprocessing.formats.pcd import unpack_lzf
from dataprocessing.mesh_io import MeshError
from dataprocessing.point_io import is_far, load_points, load_shape, near_points
from runtime.errors import UserError

MAP = np.array([500_000.0, 5_400_000.0, 30.0])
POINTS = np.random.default_rng(0).normal(size=(137, 3)) + MAP  # float64 alone can tell them apart


def lines(separator: str = " ", end: str = "\n", more: str = "", points: np.ndarray = POINTS) -> str:
    return "".join(separator.join(repr(float(x)) for x in point) + more + end for point in points)


def packed(data: bytes) -> bytes:
    """LZF: of each place the longest copy of what came before, found by trying; else plain bytes."""
    out, plain, place = bytearray(), bytearray(), 0

    def flush() -> None:
        for start in range(0, len(plain), 32):
            out.append(len(plain[start : start + 32]) - 1)
            out.extend(plain[start : start + 32])
        plain.clear()

    while place < len(data):
        best, offset = 0, 0
        for start in range(max(0, place - 8192), place):
            length = 0
            while length < 264 and place + length < len(data) and data[start + length] == data[place + length]:
                length += 1
            if length > best:
                best, offset = length, place - start
        if best < 3:
            plain.append(data[place])
            place += 1
            continue
        flush()
        length = best - 2
        out.append((min(length, 7) << 5) | ((offset - 1) >> 8))
        if length >= 7:
            out.append(length - 7)
        out.append((offset - 1) & 255)
        place += best
    flush()
    return bytes(out)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([b"a", b"bc", b"abcabc", b"\0" * 40, bytes(range(70))]), max_size=30).map(b"".join))
def test_what_lzf_packed_comes_back(data: bytes):
    assert unpack_lzf(packed(data), len(data)) == data


def pcd(form: str, body: bytes, count: int = len(POINTS), fields: str = "x y z intensity", width: int = 0) -> bytes:
    sizes, types = ("8 8 8 2", "F F F U") if "intensity" in fields else ("8 8 8", "F F F")
    ones = " ".join("1" for _ in fields.split())
    head = f"# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\nCOUNT {ones}\n"
    head += f"WIDTH {width or count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {form}\n"
    return head.encode() + body


def rows_of(points: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(points), dtype=[("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("intensity", "<u2")])
    for axis, values in zip("xyz", points.T, strict=True):
        rows[axis] = values
    return rows


def compressed(points: np.ndarray) -> bytes:
    rows = rows_of(points)
    content = b"".join(rows[name].tobytes() for name in rows.dtype.names or ())
    return struct.pack("<II", len(packed(content)), len(content)) + packed(content)


def las(path: Path) -> None:
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.offsets, header.scales = MAP, [1e-6] * 3
    content = laspy.LasData(header)
    content.x, content.y, content.z = POINTS.T
    content.write(path)


def ply(path: Path) -> None:
    head = f"ply\nformat binary_big_endian 1.0\nelement vertex {len(POINTS)}\nproperty double x\nproperty double y\n"
    path.write_bytes(f"{head}property double z\nend_header\n".encode() + POINTS.astype(">f8").tobytes())


WRITERS = {
    "a.xyz": lambda path: path.write_text(lines()),
    "normals.xyzn": lambda path: path.write_text(lines(more=" 0 0 1")),
    "names.xyz": lambda path: path.write_text('"X [m]";"Y [m]";"Z [m]"\n' + lines(";")),
    "first_column.xyz": lambda path: path.write_text("id,x,y,z\n" + "7," + lines(",", end="\n7,").removesuffix("7,")),
    "remark.xyz": lambda path: path.write_text("// R X Y Z\n" + "7 " + lines(end="\n7 ").removesuffix("7 ")),
    "latin.xyz": lambda path: path.write_bytes("# f\u00fcr x y z\n".encode("latin-1") + lines(";").encode()),
    "remark.pts": lambda path: path.write_text(f"# a scan\n\n{len(POINTS)}\n" + lines(more=" 3")),
    "comments.xyz": lambda path: path.write_text("# x y z\n\n" + lines(more=" 0.5 12 255") + "// end\n"),
    "mark.xyz": lambda path: path.write_text("\ufeff" + lines(end="\r\n"), newline=""),
    "commas.asc": lambda path: path.write_text(lines(", ", more=", 7")),
    "semicolons.asc": lambda path: path.write_text(lines(";")),
    "count.pts": lambda path: path.write_text(f"{len(POINTS)}\n" + lines(more=" 3 255 255 255")),
    "text.pcd": lambda path: path.write_bytes(pcd("ascii", lines(more=" 9").encode())),
    "binary.pcd": lambda path: path.write_bytes(pcd("binary", rows_of(POINTS).tobytes())),
    "columns.pcd": lambda path: path.write_bytes(
        pcd("binary", rows_of(POINTS).tobytes() + bytes(9)).replace(b"FIELDS", b"COLUMNS")
    ),
    "packed.PCD": lambda path: path.write_bytes(pcd("binary_compressed", compressed(POINTS))),
    "plain.npy": lambda path: np.save(path, POINTS),
    "stack.npy": lambda path: np.save(path, POINTS[None]),
    "columns.npy": lambda path: np.save(path, np.asfortranarray(POINTS)),
    "normals.npy": lambda path: np.save(path, np.concatenate([POINTS, np.zeros_like(POINTS)], axis=1)),
    "big_endian.npy": lambda path: np.save(path, POINTS.astype(">f8")),
    "names.npy": lambda path: np.save(path, rows_of(POINTS)),
    "normals.npz": lambda path: np.savez(path, normals=POINTS * 0, vertices=POINTS, faces=np.zeros((4, 3), int)),
    "colours.npz": lambda path: np.savez(path, Colors=POINTS * 0, N=POINTS * 0, car=POINTS),
    "key.npz": lambda path: np.savez(path, codes=np.zeros((4, 3)), point_cloud=POINTS),
    "other.npz": lambda path: np.savez(path, labels=np.zeros(4), xyz=POINTS),
    "double.ply": ply,
    "a.off": lambda path: path.write_text(f"OFF\n{len(POINTS)} 0 0\n" + lines()),
    "a.las": las,
    "a.laz": las,
}


@pytest.mark.parametrize("name", WRITERS)
def test_points_come_back_as_they_are(tmp_path: Path, name: str):
    WRITERS[name](tmp_path / name)
    found = load_points(tmp_path / name)
    assert_allclose(found, POINTS, rtol=0, atol=1e-6 if name.startswith("a.la") else 0)
    shape = load_shape(tmp_path / name)
    assert isinstance(shape, np.ndarray)
    assert_array_equal(shape, found)


def test_pixels_that_saw_nothing_are_left_out(tmp_path: Path):
    points = POINTS.copy()
    points[3, 1], points[50] = np.nan, np.nan
    (tmp_path / "a.pcd").write_bytes(pcd("binary", rows_of(points).tobytes()))
    assert_array_equal(load_points(tmp_path / "a.pcd"), np.delete(POINTS, [3, 50], axis=0))


def las_bytes(tmp_path: Path, change: tuple[int, str, int]) -> bytes:
    las(tmp_path / "whole.las")
    data = bytearray((tmp_path / "whole.las").read_bytes())
    (tmp_path / "whole.las").unlink()
    place, kind, value = change
    struct.pack_into(kind, data, place, value)
    return bytes(data)


WRONG = {  # name -> content, and what the line must name
    "two.xyz": (b"1 2\n3 4\n", "three numbers"),
    "words.xyz": (b"1 2 3\nx y z\n", "three numbers x"),
    "names.xyz": (b"east north height\n1 2 3\n", "three numbers x y z east"),
    "names_again.xyz": (b"x y z\nx y z\n1 2 3\n", "three numbers"),
    "zero.xyz": (b"1 2 3\n\0\0\0\n", "zero bytes"),
    "one_line.xyz": (b"1 2 3 " * 30_000, "line a point"),
    "utf16.xyz": ("1 2 3\n".encode("utf-16"), "UTF-16"),
    "comma.xyz": (b"1,5 2,5 3,5\n", "three numbers"),
    "empty.xyz": (b"", "shape"),
    "cut.pts": (b"5\n1 2 3\n4 5 6\n", "5 2"),
    "nan.xyz": (b"0 0 0\nnan 0 0\n", "1 2 NaN"),
    "far.xyz": (b"0 0 0\n1e300 0 0\n", "1e+300"),
    "head.pcd": (b"VERSION 0.7\n", "header DATA"),
    "count.pcd": (pcd("binary", rows_of(POINTS).tobytes()[:-3]), "truncated 137"),
    "huge.pcd": (pcd("binary", b"1234", count=10**12), f"truncated {10**12}"),
    "width.pcd": (pcd("binary", rows_of(POINTS).tobytes(), width=3), "137 3"),
    "rows.pcd": (pcd("ascii", lines(points=POINTS[:5]).encode()), "137"),
    "form.pcd": (pcd("ternary", b""), "ternary binary_compressed"),
    "count_of_words.pcd": (pcd("ascii", b"").replace(b"POINTS 137", b"POINTS many"), "many whole number"),
    "more.pcd": (pcd("binary", rows_of(POINTS).tobytes(), count=100), f"100 {37 * 26} bytes"),
    "more_packed.pcd": (pcd("binary_compressed", compressed(POINTS) + b"\0\0\1"), "137 3 bytes"),
    "fields.pcd": (pcd("binary", b"", fields="x y w"), "z"),
    "bomb.pcd": (
        pcd("binary_compressed", struct.pack("<II", 9, 26 * 10**8) + bytes(9), count=10**8),
        f"{26 * 10**8:,}",
    ),
    "back.pcd": (pcd("binary_compressed", struct.pack("<II", 2, 26 * 137) + b"\x20\x01"), "damaged"),
    "short.las": (b"LASF", "LAS truncated"),
    "other.las": (b"hello" * 99, "LAS"),
    "flat.npy": (b"", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_a_line(tmp_path: Path, name: str):
    content, reason = WRONG[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=naming(tmp_path / name, reason)):
        load_points(tmp_path / name)
    with pytest.raises(MeshError, match=naming(reason)):
        load_shape(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [((107, "<I", 10**9), f"{10**9} truncated"), ((100, "<I", 10**9), f"{10**9}"), ((96, "<I", 10**9), "damaged")],
    ids=["points", "records", "offset"],
)
def test_a_las_file_that_announces_more_than_it_holds(tmp_path: Path, change: tuple[int, str, int], reason: str):
    (tmp_path / "a.las").write_bytes(las_bytes(tmp_path, change))
    with pytest.raises(UserError, match=naming(tmp_path / "a.las", reason)):
        load_points(tmp_path / "a.las")


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"partial": POINTS, "complete": POINTS}, "several partial complete"),
        ({"points": POINTS, "df": POINTS[:, 0]}, "points df"),
        ({"colors": POINTS}, "no array colors"),
    ],
    ids=["several", "samples", "colours"],
)
def test_arrays_of_which_none_is_clearly_the_points(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=naming(tmp_path / "a.npz", reason)):
        load_points(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["<i8", ">i4", ">f8", "<f8", "<u4"])
def test_map_coordinates_of_any_type_come_near_without_loss(tmp_path: Path, kind: str):
    millimetres = np.round(POINTS * [100, 100, 1000])  # of tens of kilometres
    np.save(tmp_path / "a.npy", millimetres.astype(kind))
    found = near_points(load_points(tmp_path / "a.npy"))
    assert_allclose(found, millimetres - (millimetres.min(axis=0) + millimetres.max(axis=0)) / 2, atol=1e-4)


def test_half_numbers_are_read_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    np.save(tmp_path / "a.npy", np.ones((400, 3), np.float16))
    assert load_points(tmp_path / "a.npy").shape == (400, 3)
    assert not recwarn.list


def test_a_las_file_with_more_points_than_it_says(tmp_path: Path):
    (tmp_path / "a.las").write_bytes(las_bytes(tmp_path, (107, "<I", 100)))
    with pytest.raises(UserError, match=naming(tmp_path / "a.las", "100 points follow")):
        load_points(tmp_path / "a.las")


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb", ".dae", ".off", ".pcd", ".npy", ".xyz", ".laz"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1a\nsize 99\n", "Git LFS pull"),
        (gzip.compress(b"v 0 0 0\n"), "gzip unpack"),
        (b"PK\3\4" + bytes(99), "zip unpack"),
        (b"\n<!DOCTYPE html>\n<html>404</html>", "web page"),
    ],
    ids=["pointer", "gzip", "zip", "page"],
)
def test_what_only_has_the_name_of_a_shape_is_called_so(tmp_path: Path, suffix: str, content: bytes, reason: str):
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(MeshError, match=naming(reason)):
        load_shape(tmp_path / f"a{suffix}")


def test_an_obj_without_faces_is_no_cloud(tmp_path: Path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    with pytest.raises(MeshError, match="faces"):
        load_shape(tmp_path / "a.obj")


def test_map_coordinates_are_far_and_come_near_without_loss():
    assert is_far(POINTS) and not is_far(POINTS - MAP)
    near = near_points(POINTS)
    low, high = POINTS.min(axis=0), POINTS.max(axis=0)
    assert_allclose(near, POINTS - (low + high) / 2, atol=2e-7)
    assert_array_equal(near_points(POINTS - MAP), (POINTS - MAP).astype(np.float32))  # these stay where they are
