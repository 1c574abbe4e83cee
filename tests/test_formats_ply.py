"""Each kind of PLY file: read right, or refused by its name; what it announces is there before memory is taken."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from facts import naming

from dataprocessing.formats import ply, ply_table
from dataprocessing.mesh_io import MeshError, load_mesh, triangle_areas

XYZ = "property float x\nproperty float y\nproperty float z\n"
FACES = "property list uchar int vertex_indices\n"
TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()


def header(elements: str, form: str = "ascii") -> str:
    return f"ply\nformat {form} 1.0\n{elements}end_header\n"


def binary(elements: str, data: bytes, big: bool = False) -> bytes:
    return header(elements, f"binary_{'big' if big else 'little'}_endian").encode() + data


TEXT = header(f"element vertex 3\n{XYZ}element face 1\n{FACES}") + "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
ONE = f"element vertex 3\n{XYZ}element face 1\n{FACES}"

REFUSED = {
    "not": ("hello", "mesh ply"),
    "no_end": ("ply\nformat ascii 1.0\nelement vertex 3\n", "header end"),
    "no_format": ("ply\nelement vertex 3\nend_header\n", "header format"),
    "other_format": (TEXT.replace("ascii", "packed"), "header packed"),
    "type": (TEXT.replace("float x", "half x"), "property half"),
    "statement": (TEXT.replace("element face", "elements face"), "header elements"),
    "negative": (TEXT.replace("face 1", "face -1"), "header -1"),
    "twice": (TEXT.replace("element face", "element vertex"), "element twice"),
    "no_vertices": (header("element face 1\n" + FACES) + "3 0 1 2\n", "element vertex"),
    "no_z": (TEXT.replace("float z", "float w"), "vertex property z"),
    "other_list": (TEXT.replace("vertex_indices", "corners"), "face property vertex_indices corners"),
    "other_element": (TEXT.replace("element face", "element polygon"), "polygon vertex_indices face"),
    "face_without_list": (TEXT.replace(FACES, "property int vertex_indices\n").replace("3 0 1 2", "3"), "face list"),
    "float_count": (TEXT.replace("list uchar", "list float"), "vertex_indices float"),
    "half_index": (TEXT.replace("3 0 1 2", "3 0 1 1.5"), "vertex_indices 1.5"),
    "half_count": (TEXT.replace("3 0 1 2", "2.5 0 1 2"), "face row 1"),
    "comma": (TEXT.replace("1 0 0", "1,5 0 0"), "numbers 1,5 comma"),
    "more_numbers": (TEXT + "0\n", "1 numbers"),
    "fewer_numbers": (TEXT.replace("3 0 1 2\n", "3 0 1\n"), "face row 1"),
    "no_vertex_of_that_number": (TEXT.replace("3 0 1 2", "3 0 1 3"), "vertex 4 3"),
    "minus_one": (TEXT.replace("3 0 1 2", "3 0 1 -1"), "vertex 0 3"),
    "rows_without_properties": (TEXT.replace("element vertex", "element foo 1000000000000\nelement vertex"),
                                "foo 1000000000000 properties"),
    "huge_count": (TEXT.replace("vertex 3", "vertex 900000000000"), "vertex 900000000000"),
    "digits": (TEXT.replace("vertex 3", "vertex " + "9" * 5000), "header"),
    "more_bytes": (binary(ONE, TRIANGLE + struct.pack("<B3i", 3, 0, 1, 2) + b"1234"), "4 bytes"),
    "cut": (binary(ONE, TRIANGLE + struct.pack("<B2i", 3, 0, 1)), "face row 1"),
    "huge_list": (binary(ONE.replace("uchar", "uint"), TRIANGLE + struct.pack("<I3i", 2**32 - 1, 0, 1, 2)),
                  "face row 1"),
    "cut_uneven": (binary(ONE.replace("face 1", "face 2"), TRIANGLE + struct.pack("<B3iB3i", 3, 0, 1, 2, 4, 0, 1, 2)),
                   "face row 2"),
    "negative_list": (binary(ONE.replace("uchar", "int"), TRIANGLE + struct.pack("<4i", -3, 0, 1, 2)), "face row 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_named_without_memory_for_it(name: str, tmp_path: Path):
    content, facts = REFUSED[name]
    (tmp_path / "a.ply").write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    with pytest.raises(MeshError, match=naming(facts)):
        load_mesh(tmp_path / "a.ply")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


HALF = {  # all of them are a triangle of area 0.5
    "text": TEXT,
    "windows": TEXT.replace("\n", "\r\n"),
    "mixed_ends": TEXT.replace("header\n", "header\r\n"),
    "blank_end": TEXT + "\n \n",
    "no_newline": TEXT.rstrip(),
    "padded_text": TEXT + "\x1a\0\0",
    "mark": "\ufeff" + TEXT,
    "big": binary(ONE, np.frombuffer(TRIANGLE, "<f4").astype(">f4").tobytes() + struct.pack(">B3i", 3, 0, 1, 2), True),
    "padded": binary(ONE, TRIANGLE + struct.pack("<B3i", 3, 0, 1, 2) + bytes(3)),
    "newlines_in_data": binary(
        f"element a 1\nproperty int a\n{ONE}", b"\n\r\n\n" + TRIANGLE + struct.pack("<B3i", 3, 0, 1, 2)
    ),
    "no_rows_no_properties": TEXT.replace("element vertex", "element foo 0\nelement vertex"),
    "lines": TEXT.replace("face 1", "face 2").replace("3 0 1 2", "2 0 1\n3 0 1 2"),
}


@pytest.mark.parametrize("name", HALF)
def test_the_triangle_is_read(name: str, tmp_path: Path):
    content = HALF[name]
    (tmp_path / "a.ply").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert triangle_areas(load_mesh(tmp_path / "a.ply")).sum() == pytest.approx(0.5)


@pytest.mark.parametrize("strips", [[[0, 1, 2, 3, -1, 2, 3, 4, -1, -1, 0, 1]], [[0, 1, 2, 3], [2, 3, 4]]])
def test_strips_are_triangles_that_face_one_way(strips: list[list[int]]):
    places = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0]], "<f4")
    elements = f"element vertex 5\n{XYZ}element tristrips {len(strips)}\nproperty list int int vertex_indices\n"
    rows = b"".join(struct.pack(f"<{len(strip) + 1}i", len(strip), *strip) for strip in strips)
    data = binary(elements, places.tobytes() + rows)
    found = ply.read(data, Path("a.ply"))
    a, b, c = np.moveaxis(found.vertices[found.corners.reshape(-1, 3)], 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    assert [sorted(face) for face in found.corners.reshape(-1, 3).tolist()] == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_points_are_read_whatever_follows_them_and_exactly():
    places = np.random.default_rng(0).normal(size=(7, 3)) * 1e6
    elements = "element vertex 7\nproperty double x\nproperty double y\nproperty uchar red\nproperty double z\n"
    rows = b"".join(struct.pack(">ddBd", x, y, 7, z) for x, y, z in places)
    assert ply.points(binary(elements, rows, big=True)).tolist() == places.tolist()
    assert ply.points(binary(elements + "element face 9\n" + FACES, rows, big=True)).tolist() == places.tolist()
    with pytest.raises(ValueError, match=naming("truncated 7 vertex 6")):
        ply.points(binary(elements, rows[:-1], big=True))


def test_too_many_uneven_rows_are_refused(monkeypatch):
    monkeypatch.setattr(ply_table, "MOST_UNEVEN", 1)
    rows = struct.pack("<B3iB4i", 3, 0, 1, 2, 4, 0, 1, 2, 0)
    with pytest.raises(ValueError, match=naming("2 rows face")):
        ply.read(binary(ONE.replace("face 1", "face 2"), TRIANGLE + rows), Path("a.ply"))
