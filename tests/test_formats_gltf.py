"""glTF scenes of an independent writer come back whole, whatever the file uses to say them."""

import base64
from pathlib import Path

import DracoPy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene_writers import GltfWriter, glb_of, moved, random_place
from scipy.spatial.transform import Rotation

from dataprocessing.mesh_io import load_mesh, triangle_areas

MODES = {"list": 4, "strip": 5, "fan": 6}


def corners_of(data: bytes, folder: Path, name: str = "a.glb") -> np.ndarray:
    """The triangles (F, 3, 3) that are read."""
    (folder / name).write_bytes(data)
    mesh = load_mesh(folder / name)
    return mesh.vertices[mesh.faces]


def soup(rng: np.random.Generator, count: int = 9, faces: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that float32 holds, and triangles."""
    return rng.normal(size=(count, 3)).astype("float32").astype(float), rng.integers(0, count, (faces, 3))


def stored(writer: GltfWriter, rng: np.random.Generator, how: str, count: int) -> tuple[int, np.ndarray]:
    """An accessor of positions that is stored in some way, and the positions that it means."""
    values = rng.normal(size=(count, 3)).astype("float32")
    if how == "plain":
        return writer.accessor(values), values
    if how == "strided":
        return writer.accessor(values, gap=int(rng.integers(1, 5)) * 4, before=8), values
    if how.startswith("sparse"):
        at = np.flatnonzero(rng.random(count) < 0.5).astype("uint8")
        at = at if len(at) else np.array([count - 1], "uint8")
        base = None if how == "sparse alone" else values
        new = rng.normal(size=(len(at), 3)).astype("float32")
        meant = np.zeros((count, 3)) if base is None else values.copy()
        meant[at] = new
        return writer.sparse(base, at, new, count), meant
    kind = how.split()[0]
    limits = np.iinfo(kind)
    whole = rng.integers(limits.min, limits.max, (count, 3), endpoint=True).astype(kind)
    pad = -whole[0].nbytes % 4
    normalized = how.endswith("normalized")
    meant = np.maximum(whole / limits.max, -1) if normalized else whole.astype(float)
    return writer.accessor(whole, gap=pad, normalized=normalized), meant


WAYS = ["plain", "strided", "sparse", "sparse alone"]
WAYS += [f"{kind}{more}" for kind in ("int8", "uint8", "int16", "uint16") for more in ("", " normalized")]


@settings(derandomize=True, max_examples=60, deadline=None, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    seed=st.integers(0, 2**20),
    parts=st.lists(
        st.tuples(st.sampled_from(WAYS), st.sampled_from(list(MODES)), st.booleans()), min_size=1, max_size=4
    ),
    parents=st.lists(st.integers(-1, 5), min_size=1, max_size=7),
    container=st.sampled_from(["glb", "within", "beside"]),
)
def test_scenes_come_back(seed, parts, parents, container, tmp_path):
    rng, writer, meshes = np.random.default_rng(seed), GltfWriter(), []
    for how, mode, indexed in [("plain", "list", False), *parts]:  # the first one has area
        count = int(rng.integers(3, 12)) * (1 if indexed else 3)
        positions, meant = stored(writer, rng, how, count)
        order = rng.integers(0, count, 3 * int(rng.integers(1, 6))) if indexed else np.arange(count)
        primitive = {"attributes": {"POSITION": positions}, "mode": MODES[mode]}
        if indexed:
            primitive["indices"] = writer.accessor(order.astype(str(rng.choice(["uint8", "uint16", "uint32"]))))
        writer.add("meshes", {"primitives": [primitive, {"attributes": {"POSITION": positions}, "mode": 0}]})
        meshes.append(meant[triangles_of(order, mode)])
    places, shown = [], []
    for number, parent in enumerate(parents):
        place, node = random_place(rng)
        if 0 <= parent < number:
            place = places[parent] @ place
            writer.json["nodes"][parent].setdefault("children", []).append(number)
        which = int(rng.integers(len(meshes))) if number else 0
        shown.append(moved(place, meshes[which].reshape(-1, 3)).reshape(-1, 3, 3))
        places.append(place)
        writer.add("nodes", {**node, "mesh": which})
    (tmp_path / "parts").mkdir(exist_ok=True)
    (tmp_path / "parts" / "my car.bin").write_bytes(writer.blob)
    data = {"glb": writer.glb, "within": writer.gltf, "beside": lambda: writer.gltf("parts/my%20car.bin")}[container]()
    found = corners_of(data, tmp_path, "a.glb" if container == "glb" else "a.gltf")
    order = walked(writer.json["nodes"])
    expected = np.concatenate([shown[number] for number in order])
    found, scale = turned_to_start(found), np.abs(expected).max()
    np.testing.assert_allclose(found, turned_to_start(expected), rtol=0, atol=1e-9 * scale)


def triangles_of(order: np.ndarray, mode: str) -> np.ndarray:
    """The corners of each triangle by the words of the specification (3.7.2.1)."""
    if mode == "list":
        return np.array([order[i : i + 3] for i in range(0, len(order), 3)])
    if mode == "fan":
        return np.array([[order[0], order[i + 1], order[i + 2]] for i in range(len(order) - 2)])
    return np.array([[order[i], order[i + 1 + i % 2], order[i + 2 - i % 2]] for i in range(len(order) - 2)])


def turned_to_start(corners: np.ndarray) -> np.ndarray:
    """The same triangles (F, 3, 3), each turned to begin with its least corner."""
    turns = [[np.roll(triangle, i, axis=0) for i in range(3)] for triangle in corners]
    return np.stack([min(each, key=lambda turned: turned.round(6).tolist()) for each in turns])


def walked(nodes: list[dict]) -> list[int]:
    """The nodes, each before its children."""
    inner = {child for node in nodes for child in node.get("children", [])}

    def below(number: int) -> list[int]:
        return [number, *(found for child in nodes[number].get("children", []) for found in below(child))]

    return [found for number in range(len(nodes)) if number not in inner for found in below(number)]


def test_morph_targets_move_by_the_weights_of_the_node_or_else_of_the_mesh(tmp_path):
    rng, writer = np.random.default_rng(1), GltfWriter()
    vertices, triangles = soup(rng)
    moves = rng.normal(size=(3, len(vertices), 3)).astype("float32")
    at = np.array([1, 4], "uint16")
    sparse = writer.sparse(None, at, moves[2][at], len(vertices))
    targets = [{"POSITION": writer.accessor(moves[0])}, {"NORMAL": 0}, {"POSITION": sparse}]
    writer.json["meshes"] = [{"primitives": [], "weights": [0.5, 1.0, -2.0]}]
    number = writer.mesh(vertices, triangles, targets=targets)
    writer.json["meshes"][0]["primitives"] = writer.json["meshes"][number]["primitives"]
    writer.json["nodes"] = [{"mesh": 0}, {"mesh": 0, "weights": [1, 0, 0]}, {"mesh": number}]
    only = np.zeros_like(moves[2])
    only[at] = moves[2][at]
    expected = [vertices + 0.5 * moves[0] - 2 * only, vertices + moves[0], vertices]
    found = corners_of(writer.glb(), tmp_path)
    np.testing.assert_allclose(found, np.concatenate([each[triangles] for each in expected]), atol=1e-12)


@pytest.mark.parametrize("with_inverse", [True, False])
@pytest.mark.parametrize("weight_kind", ["float32", "uint8"])
def test_skins_follow_their_joints_and_not_their_node(with_inverse, weight_kind, tmp_path):
    rng, writer = np.random.default_rng(2), GltfWriter()
    vertices, triangles = soup(rng, 11, 8)
    places = [random_place(rng) for _ in range(3)]
    writer.json["nodes"] = [{**places[0][1], "children": [1]}, places[1][1], {**places[2][1], "children": [3]}]
    inverse = np.stack([random_place(rng)[0] for _ in range(2)]) if with_inverse else np.tile(np.eye(4), (2, 1, 1))
    joints = rng.integers(0, 2, (len(vertices), 8)).astype("uint8")
    weights = rng.uniform(0.1, 1, joints.shape).astype("float32")
    if weight_kind == "uint8":
        weights = (weights * 255).astype("uint8")
    attributes = {}
    for part in range(2):
        columns = slice(4 * part, 4 * part + 4)
        attributes[f"JOINTS_{part}"] = writer.accessor(joints[:, columns])
        attributes[f"WEIGHTS_{part}"] = writer.accessor(weights[:, columns], normalized=weight_kind == "uint8")
    writer.add("nodes", {"mesh": writer.mesh(vertices, triangles, attributes=attributes), "skin": 0})
    skin = {"joints": [1, 2]}
    if with_inverse:
        matrices = inverse.transpose(0, 2, 1).reshape(2, 16).astype("float32")
        skin["inverseBindMatrices"] = writer.accessor(matrices)
        inverse = matrices.astype(float).reshape(2, 4, 4).transpose(0, 2, 1)
    writer.add("skins", skin)
    joint_places = [places[0][0] @ places[1][0] @ inverse[0], places[2][0] @ inverse[1]]
    expected = np.zeros_like(vertices)
    for v in range(len(vertices)):
        blend = sum(float(weights[v, k]) * joint_places[joints[v, k]] for k in range(8)) / weights[v].sum(dtype=float)
        expected[v] = moved(blend, vertices[v : v + 1])[0]
    np.testing.assert_allclose(corners_of(writer.glb(), tmp_path), expected[triangles], atol=1e-9)


@pytest.mark.parametrize("keys", [("TRANSLATION",), ("TRANSLATION", "ROTATION", "SCALE"), ("ROTATION",)])
def test_instances_stand_where_the_extension_says(keys, tmp_path):
    rng, writer, count = np.random.default_rng(3), GltfWriter(), 5
    vertices, triangles = soup(rng)
    place, node = random_place(rng)
    own = {
        "TRANSLATION": np.zeros((count, 3)),
        "ROTATION": np.tile([0, 0, 0, 1], (count, 1)),
        "SCALE": np.ones((count, 3)),
    }
    attributes = {}
    for key in keys:
        values = Rotation.random(count, random_state=0).as_quat() if key == "ROTATION" else rng.normal(size=(count, 3))
        whole = (values * 32767).round().astype("int16") if key == "ROTATION" else values.astype("float32")
        own[key] = whole / 32767 if key == "ROTATION" else whole
        attributes[key] = writer.accessor(whole, normalized=key == "ROTATION")
    number = writer.mesh(vertices, triangles)
    writer.add("nodes", {**node, "mesh": number, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": attributes}}})
    writer.use("EXT_mesh_gpu_instancing")
    expected = []
    for i in range(count):
        turned = Rotation.from_quat(own["ROTATION"][i]).apply(vertices * own["SCALE"][i]) + own["TRANSLATION"][i]
        expected.append(moved(place, turned)[triangles])
    np.testing.assert_allclose(corners_of(writer.glb(), tmp_path), np.concatenate(expected), atol=1e-9)


@pytest.mark.parametrize("order_kept", [True, False])
def test_parts_packed_by_draco_stand_beside_plain_ones(order_kept, tmp_path):
    rng, writer = np.random.default_rng(4), GltfWriter()
    vertices, triangles = soup(rng, 40, 60)
    triangles = triangles[[len(set(each)) == 3 for each in triangles.tolist()]]  # Draco drops the others
    packed = DracoPy.encode(vertices.astype("float32"), triangles.astype("uint32"), quantization_bits=16,
                            preserve_order=order_kept)  # fmt: skip
    whole = DracoPy.decode(packed)
    box = {"min": vertices.min(axis=0).tolist(), "max": vertices.max(axis=0).tolist()}
    positions = writer.add("accessors", {"componentType": 5126, "count": len(whole.points), "type": "VEC3", **box})
    indices = writer.add("accessors", {"componentType": 5125, "count": whole.faces.size, "type": "SCALAR"})
    extension = {"KHR_draco_mesh_compression": {"bufferView": writer.view(packed), "attributes": {"POSITION": 0}}}
    primitive = {"attributes": {"POSITION": positions}, "indices": indices, "extensions": extension}
    plain = writer.mesh(vertices, triangles)
    packed_mesh = writer.add("meshes", {"primitives": [primitive]})
    writer.use("KHR_draco_mesh_compression")
    writer.json["nodes"] = [{"mesh": plain}, {"mesh": packed_mesh, "translation": [9, 0, 0]}]
    found = corners_of(writer.glb(), tmp_path)
    first, second = found[: len(triangles)], found[len(triangles) :] - [9, 0, 0]
    assert len(second) == len(triangles)
    nearest = np.abs(turned_to_start(first)[:, None] - turned_to_start(second)[None]).max(axis=(2, 3))
    assert nearest.min(axis=0).max() < 2e-4
    assert nearest.min(axis=1).max() < 2e-4


def test_hidden_nodes_and_lower_levels_of_detail_are_left_out(tmp_path):
    writer = GltfWriter()
    vertices, triangles = soup(np.random.default_rng(5))
    mesh = writer.mesh(vertices, triangles)
    hidden = {"extensions": {"KHR_node_visibility": {"visible": False}}}
    writer.json["nodes"] = [
        {"mesh": mesh, "extensions": {"MSFT_lod": {"ids": [1]}}},
        {"mesh": mesh, "translation": [5, 0, 0]},
        {"mesh": mesh, "translation": [6, 0, 0], "children": [3], **hidden},
        {"mesh": mesh},
        {"mesh": mesh, "scale": [0, 0, 0], "translation": [90, 0, 0]},
    ]
    writer.use("KHR_node_visibility", "MSFT_lod", "KHR_materials_unlit", "XYZ_unheard_of", required=False)
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), vertices[triangles])


def test_the_scene_says_what_is_shown_and_a_library_is_shown_whole(tmp_path):
    writer = GltfWriter()
    vertices, triangles = soup(np.random.default_rng(6))
    mesh = writer.mesh(vertices, triangles)
    writer.json["nodes"] = [{"mesh": mesh}, {"translation": [5, 0, 0], "camera": 0, "children": [2]}, {"mesh": mesh}]
    writer.json["scenes"] = [{"nodes": [1]}, {"nodes": [0]}]
    far, near = vertices[triangles] + [5, 0, 0], vertices[triangles]
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), far)
    writer.json["scene"] = 1
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), near)
    del writer.json["scene"], writer.json["scenes"]
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), np.concatenate([near, far]))
    writer.json["nodes"] = []
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), near)


def test_ten_thousand_nodes_within_one_another_are_walked(tmp_path):
    writer, count = GltfWriter(), 10_000
    vertices, triangles = soup(np.random.default_rng(7))
    step = {"translation": [0.5, 0, 0]}
    writer.json["nodes"] = [{**step, "children": [i + 1]} for i in range(count - 1)]
    writer.add("nodes", {**step, "mesh": writer.mesh(vertices, triangles)})
    expected = vertices[triangles] + [count / 2, 0, 0]
    np.testing.assert_allclose(corners_of(writer.glb(), tmp_path), expected, rtol=0, atol=1e-9)


def test_containers_of_all_kinds_hold_the_same(tmp_path):
    writer = GltfWriter()
    vertices, triangles = soup(np.random.default_rng(8))
    writer.add("nodes", {"mesh": writer.mesh(vertices, triangles)})
    expected = vertices[triangles]
    text = b"\xef\xbb\xbf" + writer.gltf()
    np.testing.assert_array_equal(corners_of(text, tmp_path, "bom.gltf"), expected)
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path, "binary.gltf"), expected)
    plain = base64.b64encode(writer.blob).decode().rstrip("=")
    broken = f"data:application/gltf-buffer;base64,{plain[:30]}\n{plain[30:]}"
    np.testing.assert_array_equal(corners_of(writer.gltf(broken), tmp_path, "broken.gltf"), expected)
    escaped = "data:application/octet-stream," + "".join(f"%{byte:02x}" for byte in writer.blob)
    np.testing.assert_array_equal(corners_of(writer.gltf(escaped), tmp_path, "escaped.gltf"), expected)
    (tmp_path / "50%.bin").write_bytes(writer.blob)
    np.testing.assert_array_equal(corners_of(writer.gltf("50%.bin"), tmp_path, "percent.gltf"), expected)
    np.testing.assert_array_equal(corners_of(writer.gltf("./50%25.bin"), tmp_path, "percent.gltf"), expected)
    glb = writer.glb()
    length = int.from_bytes(glb[12:16], "little")
    chunks = (b"JSON", glb[20 : 20 + length]), (b"odd!", b"1234"), (b"BIN\0", glb[28 + length :])
    for order in (chunks, (chunks[0], chunks[2], chunks[1])):
        np.testing.assert_array_equal(corners_of(glb_of(*order) + b"\0\n", tmp_path), expected)


def test_primitives_share_the_vertices_of_a_large_accessor(tmp_path):
    rng, writer, count = np.random.default_rng(9), GltfWriter(), 60_000
    vertices, triangles = rng.normal(size=(count, 3)).astype("float32"), rng.integers(0, count, (500, 2, 3))
    positions = writer.accessor(vertices)
    indices = [writer.accessor(each.ravel().astype("uint16")) for each in triangles]
    primitives = [{"attributes": {"POSITION": positions}, "indices": number} for number in indices]
    writer.add("nodes", {"mesh": writer.add("meshes", {"primitives": primitives})})
    np.testing.assert_array_equal(corners_of(writer.glb(), tmp_path), vertices[triangles.reshape(-1, 3)])


def test_an_area_is_that_of_the_surface_not_of_its_storage(tmp_path):
    writer = GltfWriter()
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "float32") * 127
    primitive = {"attributes": {"POSITION": writer.accessor(square.astype("int8"), gap=1, normalized=True)}, "mode": 6}
    writer.add("nodes", {"mesh": writer.add("meshes", {"primitives": [primitive]}), "scale": [3, 5, 1]})
    (tmp_path / "a.glb").write_bytes(writer.glb())
    assert triangle_areas(load_mesh(tmp_path / "a.glb")).sum() == pytest.approx(15)
