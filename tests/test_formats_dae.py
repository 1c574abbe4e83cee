"""COLLADA scenes of an independent writer come back whole; what is damaged or not applied is refused in a line."""

import time
from pathlib import Path

import numpy as np
import pytest
from facts import naming
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene_writers import dae, dae_faces, dae_geometry, dae_source, moved, random_place, words
from scipy.spatial.transform import Rotation

from dataprocessing.formats import dae as reader
from dataprocessing.mesh_io import MeshError, load_mesh, triangle_areas

PATH = Path("a.dae")
KINDS = ["triangles", "polylist", "polygons", "tristrips", "trifans"]


def rings_of(data: bytes) -> list[np.ndarray]:
    """The polygons that are read, each (corners, 3)."""
    vertices, corners, sizes = reader.read(data, PATH)
    return np.split(vertices[corners], np.cumsum(sizes)[:-1])


def assert_rings(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert [len(each) for each in found] == [len(each) for each in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=0, atol=1e-9)


def faces_of(rng: np.random.Generator, kind: str, count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Corners as the file says them, and the polygons that they mean."""
    sizes = rng.integers(3, 13, 4) if kind != "triangles" else [3] * 4
    said = [rng.integers(0, count, size).tolist() for size in sizes]
    if kind == "trifans":
        return said, [[ring[0], ring[i], ring[i + 1]] for ring in said for i in range(1, len(ring) - 1)]
    if kind == "tristrips":
        meant = [[ring[i], ring[i + 1], ring[i + 2]] for ring in said for i in range(len(ring) - 2)]
        starts = [i for ring in said for i in range(len(ring) - 2)]
        return said, [[b, a, c] if i % 2 else [a, b, c] for (a, b, c), i in zip(meant, starts, strict=True)]
    return said, said


def transforms(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A 4 x 4 matrix, mirrored at times, and the transforms of a COLLADA node that mean it."""
    place, text = np.eye(4), ""
    for kind in rng.choice(["matrix", "translate", "rotate", "scale", "lookat"], rng.integers(0, 4)):
        step = np.eye(4)
        if kind == "matrix":
            step, _ = random_place(rng)
            values = step
        elif kind == "translate":
            values = step[:3, 3] = rng.normal(size=3)
        elif kind == "scale":
            values = rng.uniform(0.5, 2, 3) * rng.choice([-1, 1], 3)
            step[:3, :3] = np.diag(values)
        elif kind == "rotate":
            axis, degrees = rng.normal(size=3), rng.uniform(-200, 200)
            step[:3, :3] = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(degrees)).as_matrix()
            values = np.append(axis, degrees)
        else:
            eye, towards, up = rng.normal(size=(3, 3))
            back = (eye - towards) / np.linalg.norm(eye - towards)
            upright = up - (up @ back) * back
            upright /= np.linalg.norm(upright)
            step[:3, :3], step[:3, 3] = np.stack([np.cross(upright, back), upright, back], axis=1), eye
            values = np.concatenate([eye, towards, up])
        place, text = place @ step, f"{text}<{kind}>{words(values)}</{kind}>"
    return place, text


@settings(derandomize=True, max_examples=40, deadline=None, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    seed=st.integers(0, 2**20),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    padding=st.sampled_from([{}, {"gap": 2}, {"before": 3}, {"gap": 1, "before": 2}]),
    in_library=st.booleans(),
)
def test_scenes_come_back(seed, kinds, padding, in_library):
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(9, 3))
    pairs = [faces_of(rng, kind, len(vertices)) for kind in kinds]
    faces = "".join(dae_faces(kind, "g", said) for kind, (said, _) in zip(kinds, pairs, strict=True))
    outer, outer_text = transforms(rng)
    inner, inner_text = transforms(rng)
    shown = f'<node id="deep">{inner_text}<instance_geometry url="#g"/></node>'
    below = '<instance_node url="#deep"/>' if in_library else shown
    nodes = f'<node>{outer_text}<instance_geometry url="#g"/>{below}<instance_camera url="#none"/></node>'
    library = f"<library_nodes>{shown}</library_nodes>" if in_library else ""
    meant = [polygon for _, polygons in pairs for polygon in polygons]
    expected = [moved(place, vertices)[polygon] for place in (outer, outer @ inner) for polygon in meant]
    assert_rings(rings_of(dae(dae_geometry("g", vertices, faces, **padding), nodes, library)), expected)


def test_a_polygon_with_a_hole_keeps_its_hole(tmp_path):
    square = np.array([[0, 0], [6, 0], [6, 6], [0, 6]])
    flat = np.concatenate([square, square / 3 + 1, square / 6 + 4])  # 36, less 4 and 1
    turn = Rotation.random(random_state=3).as_matrix()
    vertices = np.c_[flat, np.zeros(len(flat))] @ turn.T
    rings = "<p>0 1 2 3</p><h>4 5 6 7</h><h>8 9 10 11</h>"
    faces = f'<polygons count="1"><input semantic="VERTEX" source="#g-v" offset="0"/><ph>{rings}</ph></polygons>'
    data = dae(dae_geometry("g", vertices, faces), '<node><instance_geometry url="#g"/></node>')
    (tmp_path / "a.dae").write_bytes(data)
    assert triangle_areas(load_mesh(tmp_path / "a.dae")).sum() == pytest.approx(31)


@pytest.mark.parametrize("hole", [[(2, 2), (2, 4), (9, 4), (9, 2)], [(8, 8), (8, 9), (9, 9)], [(1, 3), (4, 3), (4, 5)]])
def test_holes_that_lie_across_the_outline_or_each_other_are_refused(tmp_path, hole):
    flat = np.array([(0, 0), (6, 0), (6, 6), (0, 6), (2, 2), (2, 5), (5, 5), *hole], dtype=float)
    rings = f"<p>0 1 2 3</p><h>4 5 6</h><h>{' '.join(map(str, range(7, len(flat))))}</h>"
    faces = f'<polygons count="1"><input semantic="VERTEX" source="#g-v" offset="0"/><ph>{rings}</ph></polygons>'
    geometry = dae_geometry("g", np.c_[flat, np.zeros(len(flat))], faces)
    (tmp_path / "a.dae").write_bytes(dae(geometry, '<node><instance_geometry url="#g"/></node>'))
    with pytest.raises(MeshError, match="holes"):
        load_mesh(tmp_path / "a.dae")


def test_a_unit_that_is_written_otherwise_is_the_same(tmp_path):
    data = WHOLE.replace(b"<asset>", b'<asset><unit meter="1"/></asset><asset><unit name="m" meter="1.0"/>')
    (tmp_path / "a.dae").write_bytes(data)
    assert triangle_areas(load_mesh(tmp_path / "a.dae")).sum() == pytest.approx(1)


def test_vertices_without_end_are_named_and_nothing_else_is_said(tmp_path, recwarn):
    vertices = np.array([[np.inf, 0, 0], [1, 0, 0], [0, 1, 0]])
    geometry = dae_geometry("g", vertices, dae_faces("triangles", "g", [[0, 1, 2]]))
    node = '<node><translate>1 2 3</translate><instance_geometry url="#g"/></node>'
    (tmp_path / "a.dae").write_bytes(dae(geometry, node))
    with pytest.raises(MeshError, match="vertex 1 is not finite"):
        load_mesh(tmp_path / "a.dae")
    assert not recwarn.list


def test_columns_are_found_by_their_names():
    vertices = np.random.default_rng(4).normal(size=(4, 3))
    plain = dae_geometry("g", vertices, dae_faces("triangles", "g", [[0, 1, 2]]))
    source = dae_source("g-p", vertices, "XYZ")
    other = dae_source("g-p", np.c_[vertices[:, 2], [9] * 4, vertices[:, :2]], ["Z", None, "X", "Y"])
    assert_rings(rings_of(dae(plain.replace(source, other))), [vertices[:3]])


def test_a_library_without_a_scene_is_shown_whole_and_lines_are_left_out():
    vertices = np.random.default_rng(5).normal(size=(4, 3))
    lines = dae_faces("triangles", "g", [[0, 1, 2]]).replace("triangles", "lines")
    faces = [dae_faces("triangles", name, [[0, 1, 3]]) for name in "gh"]
    data = dae(dae_geometry("g", vertices, lines + faces[0]) + dae_geometry("h", vertices + 5, faces[1]))
    assert_rings(rings_of(data), [vertices[[0, 1, 3]], vertices[[0, 1, 3]] + 5])


@pytest.mark.parametrize("method", ["NORMALIZED", "RELATIVE"])
def test_morphs_move_by_their_weights(method):
    rng = np.random.default_rng(6)
    shapes, weights = rng.normal(size=(3, 5, 3)), [0.3, -0.5]
    geometries = "".join(
        dae_geometry(f"g{i}", shape, dae_faces("polylist", f"g{i}", [[0, 1, 2, 3], [2, 3, 4]]))
        for i, shape in enumerate(shapes)
    )
    controller = (
        f'<controller id="c"><morph source="#g0" method="{method}">'
        '<source id="t"><IDREF_array id="t-a" count="2">g1 g2</IDREF_array></source>'
        f"{dae_source('w', np.array(weights)[:, None], ['MORPH_WEIGHT'])}<targets>"
        '<input semantic="MORPH_TARGET" source="#t"/><input semantic="MORPH_WEIGHT" source="#w"/>'
        "</targets></morph></controller>"
    )
    base = shapes[0] * (1 - sum(weights) if method == "NORMALIZED" else 1)
    meant = base + weights[0] * shapes[1] + weights[1] * shapes[2] + [1, 2, 3]
    node = '<node><translate>1 2 3</translate><instance_controller url="#c"/></node>'
    data = dae(geometries, node, f"<library_controllers>{controller}</library_controllers>")
    assert_rings(rings_of(data), [meant[[0, 1, 2, 3]], meant[[2, 3, 4]]])


@pytest.mark.parametrize("skeleton", ["<skeleton>#root</skeleton>", ""])
def test_skins_follow_their_joints_and_not_their_node(skeleton):
    rng = np.random.default_rng(7)
    vertices, bind = rng.normal(size=(6, 3)), random_place(rng)[0]
    (root, root_text), (arm, arm_text) = transforms(rng), transforms(rng)
    inverse = np.stack([random_place(rng)[0] for _ in range(2)])
    weights = rng.uniform(0.1, 1, (6, 2))
    nodes = (
        f'<node id="root" sid="body">{root_text}<node id="x" sid="arm" type="JOINT">{arm_text}</node></node>'
        f'<node><translate>9 9 9</translate><instance_controller url="#c">{skeleton}</instance_controller></node>'
    )
    pairs = [(joint, 2 * vertex + joint) for vertex in range(6) for joint in (0, 1)]
    controller = (
        f'<controller id="c"><skin source="#g"><bind_shape_matrix>{words(bind)}</bind_shape_matrix>'
        '<source id="j"><Name_array id="j-a" count="2">body arm</Name_array></source>'
        f"{dae_source('m', inverse.reshape(2, 16), ['TRANSFORM'])}{dae_source('w', weights.reshape(-1, 1), ['WEIGHT'])}"
        '<joints><input semantic="JOINT" source="#j"/><input semantic="INV_BIND_MATRIX" source="#m"/></joints>'
        '<vertex_weights count="6"><input semantic="JOINT" source="#j" offset="0"/>'
        f'<input semantic="WEIGHT" source="#w" offset="1"/><vcount>{words([2] * 6)}</vcount><v>{words(pairs)}</v>'
        "</vertex_weights></skin></controller>"
    )
    geometry = dae_geometry("g", vertices, dae_faces("triangles", "g", [[0, 1, 2], [3, 4, 5]]))
    places = [root @ inverse[0] @ bind, root @ arm @ inverse[1] @ bind]
    meant = sum(weights[:, [k]] * moved(places[k], vertices) for k in (0, 1)) / weights.sum(axis=1, keepdims=True)
    data = dae(geometry, nodes, f"<library_controllers>{controller}</library_controllers>")
    assert_rings(rings_of(data), [meant[:3], meant[3:]])


def test_the_axis_that_the_file_calls_up_changes_no_point():
    geometry = dae_geometry("g", np.eye(3), dae_faces("triangles", "g", [[0, 1, 2]]))
    for asset in ("", "<up_axis>Z_UP</up_axis>", "<up_axis> X_UP\n</up_axis>"):
        data = dae(geometry, asset=asset + '<unit name="inch" meter="0.0254"/>')
        assert_rings(rings_of(data), [np.eye(3)])


SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
SHOWN = '<node><instance_geometry url="#g"/></node>'
WHOLE = dae(dae_geometry("g", SQUARE, dae_faces("polylist", "g", [[0, 1, 2], [0, 2, 3]])), SHOWN)
P = words([(7, corner) for corner in (0, 1, 2, 0, 2, 3)])
LAUGHS = (
    "<!DOCTYPE a ["
    + '<!ENTITY b0 "ha">'
    + "".join(f'<!ENTITY b{i} "&b{i - 1};&b{i - 1};">' for i in range(1, 40))
    + "]>"
)
DOUBLED = "".join(
    f'<node id="n{i}">{f"<instance_node url={chr(34)}#n{i + 1}{chr(34)}/>" * 2}</node>' for i in range(30)
)

CHANGES = {
    "negative corner": (P, P.replace("7 3", "7 -3"), "-3"),
    "corner beyond": (P, P.replace("7 3", "7 4"), "vertex 4 4"),
    "half a corner": (P, P[:-2], "11 polylist"),
    "corner too few": (P, P[:-4], "6 5 polylist"),
    "words": (P, P.replace("7 3", "7 three"), "words polylist"),
    "fraction": (P, P.replace("7 3", "7 2.5"), "2.5"),
    "negative count": ("<vcount>3 3", "<vcount>9 -3", "-3"),
    "more announced": ('<polylist count="2"', '<polylist count="3"', "3 2 polylist"),
    "numbers missing": ("1.0 1.0 0.0", "1.0 1.0", "12 11"),
    "words in numbers": ("1.0 1.0 0.0", "1.0 1.0 x", "words 'g-p'"),
    "comma": ("1.0 1.0 0.0", "1,0 1,0 0,0", "words 'g-p'"),
    "not a number": ("1.0 1.0 0.0", "1.0 NaN 0.0", "vertex 3 finite"),
    "more rows": ('count="4" stride', 'count="5" stride', "5 3 12"),
    "no rows": ('count="4" stride', 'count="-4" stride', "count -4"),
    "two columns": ("<param type=\"float\" name='Z'/>", "", "Z"),
    "no such geometry": ('url="#g"', 'url="#h"', "geometry h"),
    "other file": ('url="#g"', 'url="other.dae#g"', "other.dae#g"),
    "no such scene": ('url="#scene"', 'url="#s"', "visual_scene s"),
    "skew": ("<node>", "<node><skew>45 0 1 0 1 0 0</skew>", "skew"),
    "short matrix": ("<node>", "<node><matrix>1 2 3</matrix>", "3 16 matrix"),
    "perspective": ("<node>", f"<node><matrix>{words(np.diag([1, 1, 1, 2]))}</matrix>", "matrix 2.0"),
    "no axis": ("<node>", "<node><rotate>0 0 0 90</rotate>", "axis"),
    "unknown faces": ("polylist", "patches", "patches"),
    "convex hull": ("mesh>", "convex_mesh>", "convex_mesh"),
    "two of one name": ("</library_geometries>", '<geometry id="g"/></library_geometries>', "2 geometry g"),
    "document type": ("<COLLADA", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><COLLADA', "DOCTYPE"),
    "entities": ("<COLLADA", f"{LAUGHS}<COLLADA", "ENTITY"),
    "another root": ("COLLADA", "html", "html COLLADA"),
    "cut off": ("</COLLADA>", "", "XML truncated"),
    "cut in a word": ("</COLLADA>", "</COLL", "XML truncated"),
    "no node": (SHOWN, "<node/>", "no faces"),
    "ring": (SHOWN, '<node id="n"><instance_node url="#n"/></node>', "n itself"),
    "wide ring": (SHOWN, '<node id="n"><node id="m"><instance_node url="#n"/></node></node>', "n itself"),
    "doubled": (SHOWN, f'<node><instance_node url="#n0"/></node>{DOUBLED}<node id="n30"/>', "nodes"),
    "deep": (SHOWN, "<node>" * 2_000 + "</node>" * 2_000, "deep"),
    "units": ("<asset>", '<asset><unit meter="1"/></asset><asset><unit meter="0.01"/>', "unit"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_damaged_or_not_applied_is_told(what, tmp_path):
    old, new, facts = CHANGES[what]
    assert old.encode() in WHOLE
    (tmp_path / "a.dae").write_bytes(WHOLE.replace(old.encode(), new.encode()))
    start = time.process_time()  # whatever else the machine does
    with pytest.raises(MeshError, match=naming(facts)) as caught:
        load_mesh(tmp_path / "a.dae")
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_is_written_in_other_encodings_is_read_and_refused_alike(encoding, tmp_path):
    text = WHOLE.decode().replace("\n", "\r\n").replace('version="1.0"', f'version="1.0" encoding="{encoding[:6]}"')
    text = text.replace("utf-8-", "utf-8") if encoding == "utf-16" else text.replace(f'encoding="{encoding[:6]}"', "")
    (tmp_path / "a.dae").write_bytes(text.encode(encoding))
    assert triangle_areas(load_mesh(tmp_path / "a.dae")).sum() == pytest.approx(1)
    (tmp_path / "a.dae").write_bytes(text.replace("<COLLADA", f"{LAUGHS}<COLLADA").encode(encoding))
    with pytest.raises(MeshError, match=naming("ENTITY")):
        load_mesh(tmp_path / "a.dae")


def test_archives_and_endless_elements_are_refused(tmp_path):
    (tmp_path / "a.dae").write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(MeshError, match="zip"):
        load_mesh(tmp_path / "a.dae")
    (tmp_path / "a.dae").write_bytes(b"<COLLADA>" + b"<a/>" * 1_000_001)
    with pytest.raises(MeshError, match="1,000,001"):
        load_mesh(tmp_path / "a.dae")
