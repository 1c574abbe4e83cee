"""Draco-compressed meshes of glTF files, unpacked by DracoPy after what they announce was checked."""

from typing import NamedTuple

import numpy as np

MESH, CLOUD = 1, 0
FLAG_METADATA = 0x8000


class Unpacked(NamedTuple):
    """A Draco mesh: triangles (F, 3) int64, and its attributes (V, width) by their ids."""

    faces: np.ndarray
    attributes: dict[int, np.ndarray]


def unpack(data: bytes, num_vertices: int, num_corners: int, name: str) -> Unpacked | None:
    """The content of Draco data, None for a point cloud.

    num_vertices, num_corners: what the glTF file announces; Draco data that announces more is never handed on, since
    its decoder takes memory for any number. name: of the part, for messages. Raises ValueError.
    """
    import DracoPy

    kind, most_vertices, most_faces = announced(data, name)
    if kind == CLOUD:
        return None
    most = max(num_vertices, num_corners)  # packing cuts seams: some writers announce the vertices before it
    if most_faces * 3 > num_corners or most_vertices > most:
        raise ValueError(
            f"damaged: {name} announces {num_vertices} vertices and {num_corners // 3} faces, its Draco data"
            f" {most_vertices} and {most_faces}"
        )
    try:
        mesh = DracoPy.decode(data)
    except (DracoPy.FileTypeException, ValueError, RuntimeError, MemoryError) as error:
        raise ValueError(f"damaged: the Draco data of {name} cannot be unpacked ({error})") from error
    if not isinstance(mesh, DracoPy.DracoMesh):
        return None
    faces = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
    attributes = {int(each["unique_id"]): np.asarray(each["data"]) for each in mesh.attributes}
    found = {len(values) for values in attributes.values()}
    if faces.size != num_corners or len(found) != 1 or max(found) > most:
        raise ValueError(
            f"damaged: {name} announces {num_vertices} vertices and {num_corners // 3} faces, its Draco data holds"
            f" {max(found, default=0)} and {len(faces)}"
        )
    return Unpacked(faces, attributes)


def announced(data: bytes, name: str) -> tuple[int, int, int]:
    """Kind, MESH or CLOUD, and the least number of vertices and of faces that Draco data speaks of in its head.

    As the bitstream specification of Draco 2.2 has it. Raises ValueError for another version, and for no Draco data.
    """
    if len(data) < 13 or data[:5] != b"DRACO":
        raise ValueError(f"damaged: the Draco data of {name} doesn't start with DRACO, or is cut off")
    major, minor, kind, method = data[5:9]
    if kind == CLOUD:
        return CLOUD, 0, 0
    if major != 2 or minor > 2 or kind != MESH:
        raise ValueError(
            f"Draco data of version {major}.{minor}, kind {kind}, in {name}; a mesh of version 2.2 expected"
        )
    if int.from_bytes(data[9:11], "little") & FLAG_METADATA:
        raise ValueError(f"the Draco data of {name} holds metadata, which no glTF file needs; save it without")
    if method == 0:  # one after another: faces, then points
        faces, at = _varint(data, 11, name)
        return MESH, _varint(data, at, name)[0], faces
    first, at = _varint(data, 12, name)  # EdgeBreaker: behind the kind of its traversal
    return MESH, first, _varint(data, at, name)[0]


def _varint(data: bytes, at: int, name: str) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for place in range(5):
        if at + place >= len(data):
            break
        value |= (data[at + place] & 127) << (7 * place)
        if data[at + place] < 128:
            return value, at + place + 1
    raise ValueError(f"damaged: the Draco data of {name} is cut off, or no number where one is expected")
