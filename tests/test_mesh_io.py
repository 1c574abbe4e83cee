import numpy as np
import pytest
import trimesh
from facts import naming
from numpy.testing import assert_allclose, assert_array_equal

from dataprocessing import mesh_io
from dataprocessing.convert_to_scaled_off import scale_mesh, write_off
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh, triangle_areas
from lab.small.helpers import open_box, write_obj

V = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
OFF = "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n"

BROKEN = {
    "empty.obj": ("", "empty file"),
    "blank.off": (" \n\n", "empty file"),
    "no_faces.obj": (V, "no faces"),
    "only_lines.obj": (V + "l 1 2\n", "no faces"),
    "no_faces.off": ("OFF\n1 0 0\n0 0 0\n", "no faces"),
    "nan.obj": (V.replace("1 0 0", "nan 0 0") + "f 1 2 3\n", "vertex 2 finite [nan,"),
    "inf.obj": (V.replace("1 0 0", "0 -inf 0") + "f 1 2 3\n", "vertex 2 finite"),
    "overflow.obj": (V.replace("1 0 0", "1e400 0 0") + "f 1 2 3\n", "vertex 2 finite"),
    "nan.off": (OFF.replace("1 0 0", "nan 0 0") + "3 0 1 2\n3 0 1 3\n", "vertex 2 finite"),
    "huge.obj": (V.replace("1 0 0", "1e308 0 0").replace("0 1 0", "-1e308 1 0") + "f 1 2 3\n", "far apart"),
    "point.obj": ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "zero extent"),
    "line.obj": ("v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "zero area"),
    "index_beyond.obj": (V + "f 1 2 3\nf 1 3 9\n", "damaged vertex 9 4"),
    "index_zero.obj": (V + "f 0 2 3\n", "face vertex 0 4"),
    "index_before.obj": (V + "f -5 -3 -2\n", "face vertex 0 4"),
    "index_beyond.off": (OFF + "3 0 1 2\n3 0 1 7\n", "face vertex 8 4"),
    "cut_face.obj": (V + "f 1 2 3\nf 1 3", "truncated face"),
    "cut_word.obj": (V + "f 1 2 3\nf", "truncated face"),
    "cut_index.obj": (V + "f 1/1 2/2 3/3\nf 1/1 2/2 3/", "truncated line"),
    "cut_vertex.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0", "damaged vertex 4 three"),
    "cut_part.obj": (V + "f 1 2 3\nf 1 2 4\nv 1 2", "vertex 5 three"),
    "cut_faces.off": (OFF + "3 0 1 2\n", "truncated 4 vertices 2 faces 5 lines"),
    "cut_face.off": (OFF + "3 0 1 2\n3 0 1", "damaged face 2"),
    "cut_vertices.off": ("OFF\n4 2 0\n0 0 0\n1 0 0\n", "truncated 4 vertices 2 faces"),
    "cut_header.off": ("OFF\n4", "vertices faces"),
    "page.obj": ("<html>\nnot found</html>\n", "web page"),
    "words.obj": (V + "f 1 two 3\n", "damaged words"),
    "commas.obj": ("v 0,5 0 0\n" + V + "f 1 2 3\n", "damaged words"),
    "zeros.obj": (V + "f 1 2 3\n" + "\0" * 50, "zero bytes"),
    "text.off": ("hello", "mesh text"),
    "binary.off": ("OFF BINARY\n\0\0\0\4", "binary OFF text"),
    "junk.ply": ("hello", "mesh"),
    "unknown.xyz3": ("hello", "mesh"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_refused_by_reason_in_one_line(name, tmp_path):
    text, reason = BROKEN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=naming(reason)) as caught:
        load_mesh(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(MeshError, match="No such file"):
        load_mesh(tmp_path / "gone.obj")


@pytest.mark.parametrize(("kind", "encoding"), [("ply", "binary"), ("ply", "ascii"), ("stl", None), ("glb", None)])
def test_other_formats_are_read_whole_and_refused_when_cut_off(kind, encoding, tmp_path):
    data = trimesh.creation.box((1, 2, 3)).export(file_type=kind, **({"encoding": encoding} if encoding else {}))
    (tmp_path / f"whole.{kind}").write_bytes(data)
    (tmp_path / f"cut.{kind}").write_bytes(data[: int(len(data) * 0.9)])
    mesh = load_mesh(tmp_path / f"whole.{kind}")
    assert np.ptp(mesh.vertices, axis=0).tolist() == [1, 2, 3]
    assert triangle_areas(mesh).sum() == pytest.approx(22)
    with pytest.raises(MeshError, match="no faces|not a mesh|truncated"):
        load_mesh(tmp_path / f"cut.{kind}")


def test_parts_of_a_scene_are_placed_and_joined(tmp_path):
    scene = trimesh.Scene([trimesh.creation.box()])
    scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix([3, 0, 0]))
    (tmp_path / "two.glb").write_bytes(scene.export(file_type="glb"))
    mesh = load_mesh(tmp_path / "two.glb")
    assert len(mesh.faces) == 24
    assert np.ptp(mesh.vertices, axis=0).tolist() == [4, 1, 1]


OBJ_DIALECTS = {
    "plain": V + "f 1 2 3\nf 1 3 4\n",
    "no newline at the end": V + "f 1 2 3\nf 1 3 4",
    "windows": (V + "f 1 2 3\nf 1 3 4\n").replace("\n", "\r\n"),
    "quad": V + "f 1 2 3 4\n",
    "texture and normals": V + "vt 0 0\nvn 0 0 1\nf 1/1/1 2/1/1 3/1/1\nf 1//1 3//1 4//1\n",
    "from the end": "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 1\nf -4 -2 -1\n",
    "continued line, comments, parts": "# \u00e9\nmtllib a\no a\n" + V + "g b\nf 1 2 \\\n 3 # c\nusemtl x\nf 1 3 4\n",
    "colours": V.replace("\n", " 0.5 0.5 0.5\n") + "f 1 2 3\nf 1 3 4\n",
    "doubled and unused vertices": V + "v 9 9 9\nv 0 0 -0\nf 1 2 3\nf 6 3 4\n",
}


@pytest.mark.parametrize("dialect", OBJ_DIALECTS)
def test_obj_dialects_give_the_same_triangles(dialect, tmp_path):
    (tmp_path / "a.obj").write_bytes(OBJ_DIALECTS[dialect].encode())
    mesh = load_mesh(tmp_path / "a.obj")
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.vertices.dtype == np.float64
    assert mesh.faces.dtype == np.int64


@pytest.mark.parametrize(
    "text",
    [
        OFF + "3 0 1 2\n3 0 2 3\n",
        OFF.replace("OFF\n4", "OFF 4") + "3 0 1 2\n3 0 2 3\n",
        OFF.replace("OFF\n4", "OFF4") + "3 0 1 2\n3 0 2 3\n",
        OFF.replace("4 2 0\n", "# by hand\n\n4 2 0 # counts\n") + "3  0 1 2 255 0 0\n\n3 0 2 3\n",
        OFF.replace("4 2", "4 1") + "4 0 1 2 3",
        "COFF\n4 2 0\n0 0 0 1 1 1 1\n1 0 0 1 1 1 1\n0 1 0 1 1 1 1\n0 0 1 1 1 1 1\n3 0 1 2\n3 0 2 3\n",
    ],
)
def test_off_dialects_give_the_same_triangles(text, tmp_path):
    (tmp_path / "a.off").write_text(text)
    mesh = load_mesh(tmp_path / "a.off")
    assert mesh.vertices[mesh.faces].tolist() == [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 1]]]


def test_every_face_is_kept_whatever_its_kind(tmp_path):
    vertices, faces = open_box(np.random.default_rng(0))  # open, a face doubled, one degenerate
    write_obj(tmp_path / "a.obj", vertices, faces[:, ::-1])
    mesh = load_mesh(tmp_path / "a.obj")
    assert np.array_equal(mesh.vertices[mesh.faces], vertices[faces[:, ::-1]])


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_scaled_off_is_centred_with_longest_side_one(size, tmp_path):
    vertices, faces = open_box(np.random.default_rng(1))
    unused = np.full((1, 3), 50.0)  # must not count for the box
    write_obj(tmp_path / "a.obj", np.concatenate([vertices * size + 3 * size, unused * size]), faces)
    scaled = scale_mesh(load_mesh(tmp_path / "a.obj"))
    write_off(tmp_path / "a.off", scaled)
    mesh = load_mesh(tmp_path / "a.off")
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1.1e-7)
    assert (high - low).max() == pytest.approx(1, abs=1.1e-7)
    expected = (vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2) / np.ptp(vertices, axis=0).max()
    np.testing.assert_allclose(mesh.vertices[mesh.faces], expected[faces], atol=1e-7)


def test_off_is_what_trimesh_reads(tmp_path):
    vertices, faces = open_box(np.random.default_rng(2))
    mesh = scale_mesh(Mesh(vertices, faces))
    write_off(tmp_path / "a.off", mesh)
    other = trimesh.load(tmp_path / "a.off", process=False)
    np.testing.assert_allclose(other.vertices[other.faces], mesh.vertices[mesh.faces], atol=6e-8)


@pytest.mark.parametrize("mixer", [None, 0], ids=["keys", "one key for all"])
def test_places_are_merged_exactly_and_keep_their_order(mixer: int | None, monkeypatch: pytest.MonkeyPatch):
    if mixer is not None:
        monkeypatch.setattr(mesh_io, "MIXER", np.uint64(mixer))
    monkeypatch.setattr(mesh_io, "CHUNK", 7)
    rng = np.random.default_rng(0)
    vertices = np.round(rng.normal(size=(53, 3))) * rng.choice([-0.0, 1e-300, 1.0, 2.0**-30], size=(53, 1))
    faces = rng.integers(0, 40, (31, 3))
    mesh = mesh_io._compact(vertices, faces)
    assert_array_equal(mesh.vertices[mesh.faces], vertices[faces])
    used = list(dict.fromkeys(tuple(vertices[number] + 0.0) for number in np.unique(faces)))
    assert [tuple(place) for place in mesh.vertices] == used
    sides = np.diff(vertices[faces], axis=1)
    expected = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
    assert_allclose(triangle_areas(mesh), expected, rtol=1e-12, atol=1e-300)
