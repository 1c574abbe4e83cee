"""The primitives of glTF meshes: vertices and triangles of each, morphed by its weights, before a node places them."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from dataprocessing.formats import draco
from dataprocessing.formats.gltf_accessors import rows, scaled, view_bytes
from dataprocessing.formats.gltf_document import Document, as_object, extension, is_whole, listed, whole_of
from dataprocessing.formats.gltf_extensions import DRACO

POINTS_AND_LINES, TRIANGLES, STRIP, FAN = (0, 1, 2, 3), 4, 5, 6
FAR = 0.1  # of the box of a part: Draco's rounding moves its sides by less, another attribute by more
LEAST_SECONDS, SLOWEST = 10, 200_000  # of Draco: damaged data may take seconds; bytes a second, of a slow machine


class Part(NamedTuple):
    """A primitive: vertices (V, 3) float64, triangles (F, 3) int64; attribute(name, type): another one's rows, None
    where there is none of that name."""

    vertices: np.ndarray
    triangles: np.ndarray
    attribute: Callable[[str, str], np.ndarray | None]


def part_of(document: Document, primitive: dict[str, Any], weights: np.ndarray | None, name: str) -> Part | None:
    """A primitive of a mesh; None for points and lines, and for one without positions, which is not drawn.

    weights: of its morph targets, (T,), or None for none. name: of the primitive, for messages. Raises ValueError.
    """
    mode = whole_of(primitive, "mode", name, TRIANGLES)
    if mode > FAN:
        raise ValueError(f"damaged: {name} is of mode {mode}, 0 to {FAN} expected")
    attributes = as_object(primitive.get("attributes"), f"attributes of {name}")
    if mode in POINTS_AND_LINES or "POSITION" not in attributes:
        return None

    def stored(key: str, kind: str) -> np.ndarray | None:
        return rows(document, attributes[key], kind, f"{key} of {name}") if key in attributes else None

    attribute, packed = stored, extension(primitive, DRACO, name)
    if packed is not None:
        unpacked = _unpacked(document, primitive, packed, name)
        if unpacked is None:
            return None
        numbers, triangles = as_object(packed.get("attributes"), f"Draco attributes of {name}"), unpacked.faces

        def attribute(key: str, kind: str) -> np.ndarray | None:
            return _of_draco(document, unpacked, numbers[key], attributes, key) if key in numbers else stored(key, kind)

    vertices = attribute("POSITION", "VEC3")
    assert vertices is not None
    if packed is None:
        triangles = cut(_corners(document, primitive, len(vertices), mode, name), mode, name)
    elif "POSITION" not in numbers:
        raise ValueError(f"damaged: {name} is packed by Draco without its positions")
    if triangles.size and triangles.max() >= len(vertices):
        raise ValueError(f"damaged: {name} uses vertex {triangles.max()}, it has {len(vertices)}")
    used: np.ndarray | slice = slice(None)
    count = len(vertices)
    if triangles.size < len(vertices):  # of vertices that it shares with other primitives
        used, triangles = np.unique(triangles, return_inverse=True)
        triangles = triangles.reshape(-1, 3)
    document.take(len(vertices[used]), f"{count} vertices")
    vertices = _morphed(document, primitive, vertices, used, weights, name)

    def of_used(key: str, kind: str) -> np.ndarray | None:
        values = attribute(key, kind)
        if values is not None and len(values) != count:
            raise ValueError(f"damaged: {key} of {name} is of {len(values)} vertices, {count} expected")
        return None if values is None else values[used]

    return Part(vertices, triangles, of_used)


def cut(corners: np.ndarray, mode: int, name: str) -> np.ndarray:
    """The triangles (F, 3) of corners (C,) in a list, a strip or a fan. Raises ValueError for a number of them that
    makes none."""
    if mode == TRIANGLES:
        if len(corners) % 3:
            raise ValueError(f"damaged: {name} has {len(corners)} corners of triangles, a multiple of 3 expected")
        return corners.reshape(-1, 3)
    if len(corners) < 3:
        raise ValueError(f"damaged: {name} has {len(corners)} corners in a strip or a fan, 3 or more expected")
    if mode == FAN:
        return np.stack([np.full(len(corners) - 2, corners[0]), corners[1:-1], corners[2:]], axis=1)
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]  # every other one turns the other way
    return strip


def _corners(document: Document, primitive: dict[str, Any], num_vertices: int, mode: int, name: str) -> np.ndarray:
    if "indices" not in primitive:
        document.take(num_vertices, f"{num_vertices} corners")
        return np.arange(num_vertices)
    stored = rows(document, primitive["indices"], "SCALAR", f"indices of {name}")[:, 0]
    if stored.dtype.kind != "u":
        raise ValueError(f"damaged: the indices of {name} are of type {stored.dtype}, whole numbers from 0 expected")
    most = int(stored.max()) if len(stored) else 0
    restart = mode != TRIANGLES and most == np.iinfo(stored.dtype).max
    if len(stored) and (most >= num_vertices or restart):
        what = "which would begin a new strip, and no glTF file may" if restart else f"it has {num_vertices} vertices"
        raise ValueError(f"damaged: {name} uses vertex {most}, {what}")
    return stored.astype(np.int64)


def _unpacked(
    document: Document, primitive: dict[str, Any], packed: dict[str, Any], name: str
) -> draco.Unpacked | None:
    """The Draco data of a primitive, which must hold what its accessors announce; None for points."""
    if whole_of(primitive, "mode", name, TRIANGLES) != TRIANGLES:
        raise ValueError(f"{name} is a strip or a fan packed by Draco, which is not known here; save it as triangles")
    positions = document.item("accessors", primitive["attributes"]["POSITION"], name)
    num_vertices = whole_of(positions, "count", f"the positions of {name}")
    indices = document.item("accessors", primitive.get("indices"), name)
    num_corners = whole_of(indices, "count", f"the indices of {name}")
    document.take(num_vertices + num_corners, f"{num_vertices} vertices")
    data, _ = view_bytes(document, packed.get("bufferView"), name)
    start = perf_counter()
    unpacked = draco.unpack(bytes(data), num_vertices, num_corners, name)
    document.draco_seconds += perf_counter() - start
    if document.draco_seconds > LEAST_SECONDS + document.size / SLOWEST:
        raise ValueError(f"{document.draco_seconds:.0f} s to unpack the Draco data up to {name}: damaged; not read")
    return unpacked


def _of_draco(
    document: Document, unpacked: draco.Unpacked, number: object, attributes: dict[str, Any], key: str
) -> np.ndarray:
    """The rows of an attribute of Draco data, compared with the box that its accessor announces."""
    if not is_whole(number) or number not in unpacked.attributes:
        found = list(unpacked.attributes)
        raise ValueError(f"damaged: {key} is attribute {number!r} of the Draco data, which holds {found}")
    values, accessor = unpacked.attributes[number], document.item("accessors", attributes.get(key), key)
    if key == "POSITION":
        if values.shape[1] != 3:
            raise ValueError(f"damaged: positions of {values.shape[1]} numbers in Draco data, 3 expected")
        for side, low in (("min", True), ("max", False)):
            announced = np.array(accessor.get(side, values.min(axis=0) if low else values.max(axis=0)), np.float64)
            found = values.min(axis=0) if low else values.max(axis=0)
            far = FAR * np.ptp(values, axis=0).max() + 1e-6 * np.abs(values).max()
            if announced.shape != (3,) or not (np.abs(announced - found) <= far).all():
                raise ValueError(
                    f"damaged: {side} of positions packed by Draco is {found.round(5).tolist()},"
                    f" {announced.tolist()} announced"
                )
    return scaled(values) if accessor.get("normalized") is True else values


def _morphed(
    document: Document,
    primitive: dict[str, Any],
    vertices: np.ndarray,
    used: np.ndarray | slice,
    weights: np.ndarray | None,
    name: str,
) -> np.ndarray:
    """The vertices that are used, float64, moved by the morph targets, each by its weight."""
    targets, moved = listed(primitive, "targets", name), vertices[used].astype(np.float64)
    if weights is None or not weights.any():
        return moved
    if len(weights) != len(targets):
        raise ValueError(f"damaged: {len(weights)} weights for the {len(targets)} morph targets of {name}")
    for number, weight in enumerate(weights):
        target = as_object(targets[number], f"morph target {number} of {name}")
        if weight and "POSITION" in target:
            moves = rows(document, target["POSITION"], "VEC3", f"morph target {number} of {name}")
            if len(moves) != len(vertices):
                raise ValueError(
                    f"damaged: morph target {number} of {name} moves {len(moves)} of {len(vertices)} vertices"
                )
            document.take(len(moved), f"{len(moved)} vertices")
            moved += weight * moves[used]
    return moved
