"""What a glTF file announces and cannot be applied, or does not hold, is refused in a line that says so, at once."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
import pytest
from facts import naming
from scene_writers import GltfWriter, glb_of

from dataprocessing.formats import draco
from dataprocessing.mesh_io import MeshError, load_mesh

RNG = np.random.default_rng(0)
VERTICES = RNG.normal(size=(9, 3)).astype("float32")
TRIANGLES = RNG.integers(0, 9, (8, 3))
HUGE = 100_000_000


def plain() -> GltfWriter:
    """Accessor 0: positions; 1: indices. One node, one mesh, one primitive."""
    writer = GltfWriter()
    writer.add("nodes", {"mesh": writer.mesh(VERTICES, TRIANGLES)})
    return writer


def packed(positions: int = 9, corners: int = 24, content: bytes | None = None, **more: Any) -> GltfWriter:
    """One primitive packed by Draco."""
    writer = plain()
    if content is None:
        content = DracoPy.encode(VERTICES, np.arange(9).reshape(3, 3).astype("uint32"), preserve_order=True)
    view = writer.view(content)
    for number, count in ((0, positions), (1, corners)):
        del writer.json["accessors"][number]["bufferView"]
        writer.json["accessors"][number]["count"] = count
    writer.json["accessors"][0].update(more)
    extension = {"bufferView": view, "attributes": {"POSITION": 0}}
    primitive(writer)["extensions"] = {"KHR_draco_mesh_compression": extension}
    return writer


def primitive(writer: GltfWriter) -> dict[str, Any]:
    return writer.json["meshes"][0]["primitives"][0]


def changed(**parts: Any) -> Callable[[], GltfWriter]:
    """A plain file with other values at places such as accessors_0_count."""

    def make() -> GltfWriter:
        writer = plain()
        for place, value in parts.items():
            *steps, last = [int(step) if step.isdigit() else step for step in place.split("__")]
            parent = writer.json
            for step in steps:
                parent = parent.setdefault(step, {}) if isinstance(parent, dict) else parent[step]
            parent[last] = value
        return writer

    return make


def with_indices(values: np.ndarray, mode: int = 4) -> Callable[[], GltfWriter]:
    def make() -> GltfWriter:
        writer = plain()
        primitive(writer).update(indices=writer.accessor(values), mode=mode)
        return writer

    return make


def with_skin(joints: int, weights: float, count: int = 9) -> Callable[[], GltfWriter]:
    def make() -> GltfWriter:
        writer = plain()
        attributes = primitive(writer)["attributes"]
        attributes["JOINTS_0"] = writer.accessor(np.full((count, 4), joints, "uint8"))
        attributes["WEIGHTS_0"] = writer.accessor(np.full((count, 4), weights, "float32"))
        writer.add("skins", {"joints": [0]})
        writer.json["nodes"][0]["skin"] = 0
        return writer

    return make


def sparse(at: list[int]) -> Callable[[], GltfWriter]:
    def make() -> GltfWriter:
        writer = plain()
        number = writer.sparse(VERTICES, np.array(at, "uint16"), VERTICES[: len(at)], 9)
        primitive(writer)["attributes"]["POSITION"] = number
        return writer

    return make


def instances_of_two_numbers() -> GltfWriter:
    writer = plain()
    attributes = {"TRANSLATION": writer.accessor(VERTICES[:2]), "SCALE": 0}
    writer.json["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
    return writer


def without_plain_data() -> GltfWriter:
    writer = plain()
    writer.json["bufferViews"][0].update(buffer=1, extensions={"EXT_meshopt_compression": {"buffer": 0}})
    writer.more_buffers = [{"byteLength": 108, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}]
    return writer


BOX = {"min": [-100, -100, -100], "max": [100, 100, 100]}
REFUSED = {
    "extension required": (changed(extensionsRequired=["ABC_folds"]), "ABC_folds"),
    "extension that moves": (changed(extensionsUsed=["CESIUM_RTC"]), "CESIUM_RTC"),
    "meshopt": (
        changed(extensionsRequired=["EXT_meshopt_compression"],
                bufferViews__0__extensions={"EXT_meshopt_compression": {"buffer": 0}}), "EXT_meshopt_compression",
    ),
    "meshopt, used alone": (without_plain_data, "EXT_meshopt_compression"),
    "version 1": (changed(asset={"version": "1.0"}), "version 1.0 2"),
    "later version": (changed(asset={"version": "2.0", "minVersion": "2.7"}), "2.7 2.0"),
    "no asset": (changed(asset=None), "asset"),
    "huge count, no data": (
        changed(accessors__0={"componentType": 5126, "count": HUGE, "type": "VEC3"}), f"accessor 0 {HUGE}",
    ),
    "huge count": (changed(accessors__0__count=HUGE), f"accessor 0 {HUGE}"),
    "one row more": (changed(accessors__0__count=10), "accessor 0 10 108"),
    "beyond its view": (changed(accessors__0__byteOffset=4), "accessor 0 9"),
    "beyond its buffer": (changed(bufferViews__1__byteLength=10_000), "bufferView 1"),
    "negative offset": (changed(bufferViews__0__byteOffset=-4), "byteOffset -4"),
    "stride": (changed(bufferViews__0__byteStride=8), "12 8"),
    "count of words": (changed(accessors__0__count="9"), "count '9'"),
    "component type": (changed(accessors__0__componentType=5124), "5124"),
    "type": (changed(accessors__0__type="VEC2"), "VEC2 VEC3"),
    "no accessor": (changed(accessors=[]), "accessors 0"),
    "index beyond": (with_indices(np.array([0, 1, 9], "uint16")), "9"),
    "restart": (with_indices(np.array([0, 1, 2, 2**32 - 1, 3, 4, 5], "uint32"), 5), str(2**32 - 1)),
    "corners": (with_indices(np.array([0, 1, 2, 3], "uint16")), "4 3"),
    "short strip": (with_indices(np.array([0, 1], "uint16"), 5), "2 3"),
    "float indices": (with_indices(np.array([0, 1, 2], "float32")), "indices float32"),
    "mode": (changed(meshes__0__primitives__0__mode=7), "mode 7"),
    "points": (changed(meshes__0__primitives__0__mode=0), "no faces"),
    "sparse beyond": (sparse([1, 9]), "sparse 9"),
    "sparse falling": (sparse([3, 1]), "sparse"),
    "two parents": (changed(nodes=[{"children": [2]}, {"children": [2]}, {"mesh": 0}]), "node 2 0 1"),
    "ring": (changed(nodes=[{"children": [1]}, {"children": [0], "mesh": 0}]), "ring"),
    "own child": (changed(nodes=[{"children": [0], "mesh": 0}]), "ring"),
    "child of a node in the scene": (
        changed(nodes=[{"children": [1]}, {"mesh": 0}], scenes=[{"nodes": [0, 1]}]), "scene node 1 0",
    ),
    "no such scene": (changed(scene=2, scenes=[{"nodes": [0]}]), "scenes 2 1"),
    "no such node": (changed(scenes=[{"nodes": [7]}]), "node 7 1"),
    "no such mesh": (changed(nodes=[{"mesh": 3}]), "meshes 3 1"),
    "empty scene": (changed(scenes=[{}]), "scene none 1 meshes"),
    "matrix and scale": (changed(nodes__0__matrix=np.eye(4).ravel().tolist(), nodes__0__scale=[2] * 3), "matrix scale"),
    "perspective": (changed(nodes__0__matrix=[*np.eye(4).ravel()[:11].tolist(), 1.0, 0, 0, 0, 1]), "matrix node 0"),
    "no rotation": (changed(nodes__0__rotation=[0, 0, 0, 0]), "rotation node 0"),
    "short translation": (changed(nodes__0__translation=[0, 0]), "translation 3"),
    "infinite": (changed(nodes__0__translation=[float("inf"), 0, 0]), "vertex 1 finite"),
    "weights": (changed(meshes__0__weights=[1.0]), "1 weights 0 morph"),
    "instances of two numbers": (instances_of_two_numbers, "[2, 9] instances"),
    "instances of nothing": (
        changed(nodes__0__extensions={"EXT_mesh_gpu_instancing": {"attributes": {}}}), "instances",
    ),
    "joint beyond": (with_skin(1, 0.25), "joint 1 of 1"),
    "no weight": (with_skin(0, 0.0), "vertex 0 joint"),
    "joints of fewer": (with_skin(0, 0.25, 8), "JOINTS_0 8 9"),
    "joints of more": (with_skin(0, 0.25, 10), "JOINTS_0 10 9"),
    "skin without joints": (changed(skins=[{"joints": [0]}], nodes__0__skin=0), "joints"),
    "Draco of another count": (lambda: packed(9, 12), "Draco 4 3"),
    "Draco of another box": (lambda: packed(9, 9, **BOX), "Draco min"),
    "Draco cut off": (lambda: packed(9, 9, DracoPy.encode(VERTICES, TRIANGLES.astype("uint32"))[:60]), "Draco"),
    "no Draco": (lambda: packed(9, 9, b"DRACU" + bytes(60)), "Draco DRACO"),
    "empty Draco": (lambda: packed(9, 9, b"DRACO\2\2\1\1" + bytes(60)), "Draco"),
    "Draco cloud": (lambda: packed(9, 9, DracoPy.encode(VERTICES)), "no faces"),
}  # fmt: skip


def refused(data: bytes, folder: Path, facts: str, name: str = "a.glb") -> str:
    (folder / name).write_bytes(data)
    start = time.process_time()  # whatever else the machine does
    with pytest.raises(MeshError, match=naming(facts)) as caught:
        load_mesh(folder / name)
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 2
    return str(caught.value)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_applied_is_told(what, tmp_path):
    make, facts = REFUSED[what]
    refused(make().glb(), tmp_path, facts)
    refused(make().gltf(), tmp_path, facts, "a.gltf")


def test_the_plain_file_of_these_tests_is_whole(tmp_path):
    (tmp_path / "a.glb").write_bytes(plain().glb())
    assert len(load_mesh(tmp_path / "a.glb").faces) == len(TRIANGLES)
    (tmp_path / "a.glb").write_bytes(packed(9, 9).glb())
    assert len(load_mesh(tmp_path / "a.glb").faces) == 3


@pytest.mark.parametrize("length", [3, 11, 19, 40, 200, -400, -44, -1])
def test_a_binary_file_that_is_cut_off_is_refused(length, tmp_path):
    refused(plain().glb()[:length], tmp_path, "")


def test_containers_that_hold_something_else_are_refused(tmp_path):
    whole = plain().glb()
    refused(whole + b"more", tmp_path, f"{len(whole)} {len(whole) + 4}")
    refused(whole[:4] + b"\1" + whole[5:], tmp_path, "version 1 2")
    refused(glb_of((b"BIN\0", b"1234")), tmp_path, "JSON")
    refused(glb_of((b"JSON", plain().glb()[20:])), tmp_path, "json")
    text = json.dumps({**plain().json, "buffers": [{"byteLength": 4}]}).encode()
    refused(glb_of((b"JSON", text + b" " * (-len(text) % 4))), tmp_path, "buffer 0 no data")
    refused(plain().gltf("data:application/octet-stream;base64,AA*A"), tmp_path, "base64", "a.gltf")
    refused(plain().gltf("data:application/octet-stream;base64,AAAA"), tmp_path, "buffer 0 3", "a.gltf")


@pytest.mark.parametrize(
    "uri", ["../car.bin", "/etc/passwd", "file:///etc/passwd", "https://example.org/car.bin", "a/../../car.bin",
            "..%2fcar.bin", "%2fetc%2fpasswd", "link.bin", "link/car.bin", "a\\car.bin", "gone.bin", ".", "pipe"],
)  # fmt: skip
def test_buffers_are_files_of_the_own_folder_alone(uri, tmp_path):
    folder, writer = tmp_path / "cars", plain()
    (folder / "a").mkdir(parents=True)
    for place in (tmp_path, folder / "a"):
        (place / "car.bin").write_bytes(writer.blob)
    (folder / "link.bin").symlink_to(tmp_path / "car.bin")
    (folder / "link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / "a.gltf").write_bytes(writer.gltf("a/car.bin"))
    assert len(load_mesh(folder / "a.gltf").faces) == len(TRIANGLES)
    refused(writer.gltf(uri), folder, uri.replace("\\", "") if "\\" not in uri else "car.bin", "a.gltf")


BIG = {
    "nodes": b'{"asset":{"version":"2.0"},"nodes":[' + b"{}," * 4_100_000 + b"{}]}",
    "brackets": b'{"asset":{"version":"2.0"},"nodes":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "numbers": b'{"asset":{"version":"2.0"},"nodes":[' + b"1," * 21_000_000 + b"1]}",
    "digits": b'{"asset":{"version":"2.0"},"nodes":[' + b"9" * 5_000 + b"]}",
    "bytes": b'{"asset":{"version":"2.0"},"nodes":["\xff"]}',
    "a list": b"[" * 3 + b"]" * 3,
}


@pytest.mark.parametrize("what", BIG)
def test_json_that_is_no_scene_is_refused_at_once(what, tmp_path):
    refused(BIG[what], tmp_path, "", "a.gltf")


def test_parts_that_are_repeated_without_end_are_refused_before_they_are_made(tmp_path):
    writer = GltfWriter()
    vertices, triangles = RNG.normal(size=(20_000, 3)), RNG.integers(0, 20_000, (20_000, 3))
    writer.add("nodes", {"mesh": writer.mesh(vertices, triangles)})
    instancing = {"attributes": {"TRANSLATION": writer.accessor(np.zeros((10_000, 3), "float32"))}}
    writer.json["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": instancing}
    refused(writer.glb(), tmp_path, "10000 20000")
    del writer.json["nodes"][0]["extensions"]
    targets = [{"POSITION": 0}] * 5_000
    primitive(writer)["targets"], writer.json["meshes"][0]["weights"] = targets, [1] * 5_000
    refused(writer.glb(), tmp_path, "20000")


def test_draco_data_that_announces_more_than_the_file_is_never_unpacked(monkeypatch):
    packed_ = DracoPy.encode(VERTICES, TRIANGLES.astype("uint32"), preserve_order=True)
    assert draco.announced(packed_, "a") == (draco.MESH, 9, 8)
    with pytest.raises(ValueError, match=naming("8 7")):
        draco.unpack(packed_, 9, 21, "a")
    monkeypatch.setattr(DracoPy, "decode", lambda data: pytest.fail("unpacked"))
    big = packed_[:11] + b"\xff\xff\xff\x7f" + packed_[12:]
    with pytest.raises(ValueError, match=naming(str(2**28 - 1))):
        draco.unpack(big, 9, 24, "a")
