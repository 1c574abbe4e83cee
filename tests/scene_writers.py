"""Writers of glTF and COLLADA scenes for tests, by the formats' descriptions, without anything of the readers."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

COMPONENTS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
TYPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
COLLADA = "http://www.collada.org/2005/11/COLLADASchema"


class GltfWriter:
    """A glTF file in the making: `json` may be changed at will; add what is needed, then `glb` or `gltf`."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "meshes": [], "nodes": [], "accessors": []}
        self.json["bufferViews"] = []
        self.blob = bytearray()
        self.more_buffers: list[dict[str, Any]] = []

    def view(self, data: bytes, **more: Any) -> int:
        self.blob += b"\0" * (-len(self.blob) % 4)
        self.json["bufferViews"].append({"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data), **more})
        self.blob += data
        return len(self.json["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, gap: int = 0, before: int = 0, **more: Any) -> int:
        """An accessor of rows (N, width), `gap` bytes between two and `before` bytes before the first."""
        rows = np.ascontiguousarray(values).reshape(len(values), -1)
        stride = {"byteStride": rows[0].nbytes + gap} if gap else {}
        data = b"\7" * before + (b"\7" * gap).join(row.tobytes() for row in rows)
        description = {"componentType": COMPONENTS[str(values.dtype)], "count": len(rows), "type": TYPES[rows.shape[1]]}
        where = {"byteOffset": before} if before else {}
        return self.add("accessors", {"bufferView": self.view(data, **stride), **description, **where, **more})

    def sparse(self, base: np.ndarray | None, at: np.ndarray, values: np.ndarray, count: int) -> int:
        """An accessor of a base, or of zeros, with some rows replaced."""
        number = self.accessor(values if base is None else base)
        if base is None:
            del self.json["accessors"][number]["bufferView"]
        indices = {"bufferView": self.view(at.tobytes()), "componentType": COMPONENTS[str(at.dtype)]}
        parts = {"count": len(at), "indices": indices, "values": {"bufferView": self.view(values.tobytes())}}
        self.json["accessors"][number].update(count=count, sparse=parts)
        return number

    def add(self, kind: str, item: dict[str, Any]) -> int:
        self.json.setdefault(kind, []).append(item)
        return len(self.json[kind]) - 1

    def mesh(self, vertices: np.ndarray, triangles: np.ndarray, **more: Any) -> int:
        """A plain mesh of one primitive. more: further parts of the primitive."""
        attributes = {"POSITION": self.accessor(vertices.astype("float32")), **more.pop("attributes", {})}
        primitive = {"attributes": attributes, "indices": self.accessor(triangles.ravel().astype("uint16")), **more}
        return self.add("meshes", {"primitives": [primitive]})

    def use(self, *names: str, required: bool = True) -> None:
        for key in ("extensionsUsed", "extensionsRequired")[: 2 if required else 1]:
            self.json.setdefault(key, []).extend(names)

    def glb(self) -> bytes:
        text = json.dumps({**self.json, "buffers": [{"byteLength": len(self.blob)}, *self.more_buffers]}).encode()
        text, binary = text + b" " * (-len(text) % 4), bytes(self.blob) + b"\0" * (-len(self.blob) % 4)
        return glb_of((b"JSON", text), (b"BIN\0", binary))

    def gltf(self, uri: str | None = None) -> bytes:
        """With a buffer elsewhere, or within."""
        within = "data:application/octet-stream;base64," + base64.b64encode(self.blob).decode()
        buffer = {"byteLength": len(self.blob), "uri": within if uri is None else uri}
        return json.dumps({**self.json, "buffers": [buffer, *self.more_buffers]}).encode()


def glb_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A binary glTF file of chunks, each of a kind and content."""
    content = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(content)) + content


def random_place(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, list[float]]]:
    """A 4 x 4 matrix, mirrored half of the time, and the parts of a glTF node that mean it."""
    translation, turn = rng.normal(size=3), Rotation.random(random_state=int(rng.integers(2**31)))
    scale = rng.uniform(0.3, 2, 3) * rng.choice([-1, 1], 3)
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = turn.as_matrix() @ np.diag(scale), translation
    if rng.random() < 0.4:
        return place, {"matrix": place.T.ravel().tolist()}
    quaternion = turn.as_quat() * rng.uniform(0.9, 1.1)
    return place, {"translation": translation.tolist(), "rotation": quaternion.tolist(), "scale": scale.tolist()}


def moved(place: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) where a 4 x 4 matrix brings them."""
    return (place @ np.c_[vertices, np.ones(len(vertices))].T).T[:, :3]


def words(values: Any) -> str:
    return " ".join(repr(value) for value in np.asarray(values).ravel().tolist())


def dae_source(name: str, rows: np.ndarray, columns: Sequence[str | None], gap: int = 0, before: int = 0) -> str:
    """A COLLADA source of rows (N, width), with `gap` numbers between two and `before` numbers before the first."""
    padded = np.concatenate([np.full(before, 7.0), np.c_[rows, np.full((len(rows), gap), 7.0)].ravel()])
    params = "".join(f'<param type="float"{f" name={column!r}" if column else ""}/>' for column in columns)
    return (
        f'<source id="{name}"><float_array id="{name}-a" count="{len(padded)}">{words(padded)}</float_array>'
        f'<technique_common><accessor source="#{name}-a" count="{len(rows)}" stride="{rows.shape[1] + gap}"'
        f' offset="{before}">{params}</accessor></technique_common></source>'
    )


def dae_geometry(name: str, vertices: np.ndarray, faces: str, **padding: int) -> str:
    """A COLLADA geometry; faces: its elements, with inputs that name "#NAME-v"."""
    return (
        f'<geometry id="{name}"><mesh>{dae_source(f"{name}-p", vertices, "XYZ", **padding)}'
        f'<vertices id="{name}-v"><input semantic="POSITION" source="#{name}-p"/></vertices>{faces}</mesh></geometry>'
    )


def dae_faces(kind: str, name: str, polygons: Sequence[Sequence[int]]) -> str:
    """Polygons as one element of a mesh; each corner has a number of something else before that of its vertex."""
    rings = [words([(7, corner) for corner in polygon]) for polygon in polygons]
    inputs = (
        f'<input semantic="NORMAL" source="#none" offset="0"/><input semantic="VERTEX" source="#{name}-v" offset="1"/>'
    )
    if kind in ("polygons", "tristrips", "trifans"):
        content = "".join(f"<p>{ring}</p>" for ring in rings)
    else:
        sizes = f"<vcount>{words([len(polygon) for polygon in polygons])}</vcount>" if kind == "polylist" else ""
        content = f"{sizes}<p>{' '.join(rings)}</p>"
    return f'<{kind} count="{len(polygons)}">{inputs}{content}</{kind}>'


def dae(geometries: str, nodes: str = "", libraries: str = "", asset: str = "") -> bytes:
    """A COLLADA document that shows nodes, or none at all."""
    scene = f'<library_visual_scenes><visual_scene id="scene">{nodes}</visual_scene></library_visual_scenes>'
    scene += '<scene><instance_visual_scene url="#scene"/></scene>'
    text = f'<?xml version="1.0"?><COLLADA xmlns="{COLLADA}" version="1.4.1"><asset>{asset}</asset>'
    text += f"<library_geometries>{geometries}</library_geometries>{libraries}{scene if nodes else ''}</COLLADA>"
    return text.encode()
