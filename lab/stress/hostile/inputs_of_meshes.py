"""Mesh and cloud files that announce more than they hold, or mean nothing."""

import json
import struct

import numpy as np

TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"

OBJ: dict[str, bytes | str] = {
    "an index of 1e30": TETRAHEDRON + "f 1 2 1e30\n",
    "an index that is NaN": TETRAHEDRON + "f 1 2 nan\n",
    "an index of -1e18": TETRAHEDRON + "f 1 2 -1000000000000000000\n",
    "index 0": TETRAHEDRON + "f 0 1 2\n",
    "half an index": TETRAHEDRON + "f 1 2 2.5\n",
    "vertex NaN": "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "vertex infinite": "v 0 0 inf\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "vertices at the end of float64": "v 1.7e308 0 0\nv -1.7e308 0 0\nv 0 1.7e308 0\nf 1 2 3\n",
    "vertices only": TETRAHEDRON,
    "faces only": "f 1 2 3\n",
    "all at one place": "v 1 1 1\n" * 3 + "f 1 2 3\n",
    "a line for a mesh": "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
    "words": "v a b c\nf x y z\n",
    "UTF-16": (TETRAHEDRON + "f 1 2 3\n").encode("utf-16"),
    "a face of 200,000 corners, one wrong": TETRAHEDRON + "f " + "1 2 3 " * 66_667 + "9\n",
    "a number of 100,000 digits": "v 0 0 " + "9" * 100_000 + "\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "two coordinates": "v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n",
}

OFF: dict[str, bytes | str] = {
    "a trillion vertices": "OFF\n1000000000000 1 0\n0 0 0\n3 0 1 2\n",
    "NaN vertices": "OFF\nnan 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "infinite faces": "OFF\n3 inf 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "minus 3 vertices": "OFF\n-3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "a face of 1e18 corners": "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n1e18 0 1 2\n",
    "a corner of 1e18": "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 1e18\n",
    "a vertex that is NaN": "OFF\n3 1 0\nnan 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    "no numbers": "OFF\n",
    "binary": b"OFF BINARY\n" + struct.pack(">iii", 3, 1, 0) + bytes(60),
    "words": "OFF\n3 1 0\na b c\nd e f\ng h i\n3 0 1 2\n",
}


def _ply(body: bytes, *lines: str, form: str = "binary_little_endian") -> bytes:
    return "\n".join(["ply", f"format {form} 1.0", *lines, "end_header\n"]).encode() + body


_XYZ = ("property float x", "property float y", "property float z")
_FACE = "property list uchar int vertex_indices"
_POINTS = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)

PLY: dict[str, bytes | str] = {
    "a trillion vertices": _ply(_POINTS, "element vertex 1000000000000", *_XYZ, "element face 1", _FACE),
    "a trillion faces": _ply(_POINTS, "element vertex 3", *_XYZ, "element face 1000000000000", _FACE),
    "minus 3 vertices": _ply(_POINTS, "element vertex -3", *_XYZ, "element face 1", _FACE),
    "a face without corners to come": _ply(_POINTS + b"\xff", "element vertex 3", *_XYZ, "element face 1", _FACE),
    "a corner that is not there": _ply(
        _POINTS + struct.pack("<Biii", 3, 0, 1, 99), "element vertex 3", *_XYZ, "element face 1", _FACE
    ),
    "an unknown type": _ply(_POINTS, "element vertex 3", "property quad x", *_XYZ[1:], "element face 1", _FACE),
    "vertices without z": _ply(_POINTS, "element vertex 3", *_XYZ[:2], "element face 1", _FACE),
    "vertices that are NaN": _ply(
        struct.pack("<9f", *[float("nan")] * 9) + struct.pack("<Biii", 3, 0, 1, 2),
        "element vertex 3", *_XYZ, "element face 1", _FACE,
    ),
    "an unknown format": _ply(_POINTS, "element vertex 3", *_XYZ, form="ternary"),
    "a header without end": b"ply\nformat ascii 1.0\nelement vertex 3\n",
    "a property before any element": _ply(_POINTS, *_XYZ),
    "text that ends early": _ply(b"0 0 0\n1 0\n", "element vertex 3", *_XYZ, "element face 1", _FACE, form="ascii"),
    "text of words": _ply(b"a b c\n" * 3 + b"3 0 1 2\n", "element vertex 3", *_XYZ, "element face 1", _FACE,
                          form="ascii"),
}  # fmt: skip

STL: dict[str, bytes | str] = {
    "four billion triangles": bytes(80) + struct.pack("<I", 0xFFFFFFFF) + bytes(50),
    "no triangles": bytes(80) + struct.pack("<I", 0),
    "text that ends early": "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\n",
    "text of words": "solid a\nfacet normal a b c\nouter loop\nvertex x y z\nvertex x y z\nvertex x y z\nendloop\n"
    "endfacet\nendsolid\n",
    "triangles that are NaN": bytes(80) + struct.pack("<I", 1) + struct.pack("<12f", *[float("nan")] * 12) + b"\0\0",
}


def _glb(scene: object, content: bytes = bytes(64), announced: int | None = None) -> bytes:
    text = scene if isinstance(scene, bytes) else json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(content), 0x004E4942) + content
    return struct.pack("<III", 0x46546C67, 2, announced or 12 + len(chunks)) + chunks


def _scene(**changes: object) -> dict[str, object]:
    scene: dict[str, object] = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
                      {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36, "byteOffset": 0},
                        {"buffer": 0, "byteLength": 12, "byteOffset": 36}],
        "buffers": [{"byteLength": 64}],
    }  # fmt: skip
    return scene | changes


_HUGE = [{"bufferView": 0, "componentType": 5126, "count": 10**12, "type": "VEC3"}]
GLB: dict[str, bytes | str] = {
    "a trillion vertices": _glb(_scene(accessors=_HUGE * 2)),
    "a view beyond its buffer": _glb(_scene(bufferViews=[{"buffer": 0, "byteLength": 60, "byteOffset": 10**9}] * 2)),
    "a view that is not there": _glb(_scene(bufferViews=[])),
    "nodes in a circle": _glb(_scene(nodes=[{"children": [1], "mesh": 0}, {"children": [0]}])),
    "a node that is its own child": _glb(_scene(nodes=[{"children": [0], "mesh": 0}])),
    "a buffer of another folder": _glb(_scene(buffers=[{"byteLength": 64, "uri": "../../../config.txt"}])),
    "a buffer on the net": _glb(_scene(buffers=[{"byteLength": 64, "uri": "http://localhost:9/a.bin"}])),
    "a list for a scene": _glb([]),
    "no json": _glb(b"{" * 64),
    "brackets": _glb(b"[" * 100_000),
    "a length of 4 GB": _glb(_scene(), announced=0xFFFFFFFF)[:12] + struct.pack("<II", 0xFFFFFFFF, 0x4E4F534A),
    "vertices that are NaN": _glb(_scene(), struct.pack("<9f3I", *[float("nan")] * 9, 0, 1, 2)),
    "a matrix of words": _glb(_scene(nodes=[{"mesh": 0, "matrix": ["a"] * 16}])),
}  # fmt: skip

GLTF: dict[str, bytes | str] = {
    "a count of 1e8 without data": json.dumps(
        _scene(buffers=[], bufferViews=[], accessors=[{"componentType": 5126, "count": 10**8, "type": "VEC3"},
                                                      {"componentType": 5125, "count": 3, "type": "SCALAR"}])
    ),
    "100 million instances": json.dumps(
        _scene(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}}}],
               accessors=[{"componentType": 5126, "count": 10**8, "type": "VEC3"}],
               extensionsUsed=["EXT_mesh_gpu_instancing"])
    ),
    "an extension that is required and unknown": json.dumps(_scene(extensionsRequired=["X_unknown"])),
    "a sparse part of 1e12 numbers": json.dumps(
        _scene(accessors=[{"componentType": 5126, "count": 3, "type": "VEC3", "sparse": {
            "count": 10**12, "indices": {"bufferView": 0, "componentType": 5125}, "values": {"bufferView": 1}}}] * 2)
    ),
    "a percent sign that leads out": json.dumps(
        _scene(buffers=[{"byteLength": 64, "uri": "%2e%2e/%2e%2e/config.txt"}])
    ),
    "a data URI of no base64": json.dumps(_scene(buffers=[{"byteLength": 64, "uri": "data:;base64,****"}])),
    "a million nodes in a row": json.dumps(
        _scene(nodes=[{"children": [n + 1]} for n in range(1_000_000)] + [{"mesh": 0}])
    ),
    "nodes that double 40 times": json.dumps(
        _scene(nodes=[{"children": [n + 1, n + 1]} for n in range(40)] + [{"mesh": 0}])
    ),
}  # fmt: skip


def collada(vertices: object, faces: object, before: str = "", count: int | None = None) -> str:
    """A scene of triangles. before: what follows the XML declaration; count: of numbers, another than there are."""
    points, corners = np.asarray(vertices), np.asarray(faces)
    numbers = " ".join(map(str, points.ravel().tolist()))
    return f"""<?xml version="1.0"?>{before}
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<library_geometries><geometry id="g"><mesh>
<source id="p"><float_array id="a" count="{points.size if count is None else count}">{numbers}</float_array>
<technique_common><accessor source="#a" count="{len(points)}" stride="3"><param name="X" type="float"/>
<param name="Y" type="float"/><param name="Z" type="float"/></accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles count="{len(corners)}"><input semantic="VERTEX" source="#v" offset="0"/>
<p>{" ".join(map(str, corners.ravel().tolist()))}</p></triangles>
</mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node><instance_geometry url="#g"/></node></visual_scene>
</library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>
"""


_CORNERS, _TRIANGLE = [[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
DAE: dict[str, bytes | str] = {
    "a billion laughs": collada(_CORNERS, _TRIANGLE, f"<!DOCTYPE x [{_LAUGHS}]><!-- &l9; -->"),
    "an entity that reads a file": collada(
        _CORNERS, _TRIANGLE, '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    ),
    "a document type of the net": collada(_CORNERS, _TRIANGLE, '<!DOCTYPE x SYSTEM "http://localhost:9/x.dtd">'),
    "a trillion numbers": collada(_CORNERS, _TRIANGLE, count=10**12),
    "a corner of 1e18": collada(_CORNERS, [[0, 1, 10**18]]),
    "NaN": collada([[float("nan")] * 3] * 3, _TRIANGLE),
    "100,000 elements deep": "<COLLADA>" + "<node>" * 100_000,
    "a geometry of another file": collada(_CORNERS, _TRIANGLE).replace('url="#g"', 'url="../../config.txt#g"'),
    "nodes in a circle": collada(_CORNERS, _TRIANGLE).replace("<node>", '<node id="n"><instance_node url="#n"/>'),
    "UTF-16 that ends early": collada(_CORNERS, _TRIANGLE).encode("utf-16")[:400],
}
