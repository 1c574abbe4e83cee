"""Arrays of numbers in the buffers of a glTF file, each checked against the bytes that are there."""

from typing import Any

import numpy as np

from dataprocessing.formats.gltf_document import Document, as_object, extension, whole_of
from dataprocessing.formats.gltf_extensions import MESHOPT

KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
LEAST_ZEROS = 65_536  # rows that an accessor without data may announce in a small file


def rows(document: Document, number: object, kind: str, user: str) -> np.ndarray:
    """All of an accessor, (count, width), as stored: sparse values set, normalized ones scaled (float64).

    kind: the type that is expected, "VEC3" and so on. user: who names it, for messages. Raises ValueError.
    """
    accessor = document.item("accessors", number, user)
    name = f"accessor {number}"
    if accessor.get("type") != kind:
        raise ValueError(f"{name}, of {user}, is of type {str(accessor.get('type'))[:20]!r}, {kind} expected")
    if id(accessor) not in document.read:
        document.read[id(accessor)] = _rows(document, accessor, WIDTHS[kind], name)
    return document.read[id(accessor)]


def _rows(document: Document, accessor: dict[str, Any], width: int, name: str) -> np.ndarray:
    stored, count = _kind(accessor.get("componentType"), name), whole_of(accessor, "count", name)
    values = _base(document, accessor, stored, count, width, name)
    if "sparse" in accessor:
        document.take(count, f"{count} rows")
        values = _with_sparse(document, as_object(accessor["sparse"], f"sparse of {name}"), values, stored, name)
    normalized = accessor.get("normalized", False)
    if not isinstance(normalized, bool):
        raise ValueError(f"damaged: normalized of {name} is {str(normalized)[:20]}, true or false expected")
    if normalized:
        document.take(count, f"{count} rows")
    return scaled(values) if normalized else values


def view_bytes(document: Document, number: object, user: str) -> tuple[memoryview, dict[str, Any]]:
    """The bytes of a buffer view, and its object. Raises ValueError."""
    view, name = document.item("bufferViews", number, user), f"bufferView {number}"
    for packed in MESHOPT:  # where the file does not need it, there may be plain data besides
        if extension(view, packed, name) is not None and (
            packed in document.all("extensionsRequired") or not document.has_data(view.get("buffer"), name)
        ):
            raise ValueError(f"{packed} is not unpacked here: save it without compression (gltf-transform, Blender)")
    start, length = whole_of(view, "byteOffset", name, 0), whole_of(view, "byteLength", name)
    content = document.buffer(view.get("buffer"), name)
    if start + length > len(content):
        raise ValueError(f"truncated or damaged: {name} ends at byte {start + length} of {len(content)}")
    return memoryview(content)[start : start + length], view


def _kind(number: object, name: str) -> np.dtype:
    if not isinstance(number, int) or number not in KINDS:
        raise ValueError(f"damaged: componentType of {name} is {str(number)[:20]}, one of {list(KINDS)} expected")
    return np.dtype(KINDS[number])


def _base(
    document: Document, accessor: dict[str, Any], stored: np.dtype, count: int, width: int, name: str
) -> np.ndarray:
    """The values (count, width) before sparse ones are set; zeros without a view."""
    if "bufferView" not in accessor:
        most = max(LEAST_ZEROS, document.size)
        if count > most:
            raise ValueError(f"damaged: {name} announces {count} rows and has no data; at most {most} are believed")
        document.take(count, f"{count} rows")
        return np.zeros((count, width), stored)
    data, view = view_bytes(document, accessor["bufferView"], name)
    size, start = stored.itemsize * width, whole_of(accessor, "byteOffset", name, 0)
    step = whole_of(view, "byteStride", name, size)
    if step < size:
        raise ValueError(f"damaged: rows of {size} bytes every {step} bytes in {name}")
    if count and start + step * (count - 1) + size > len(data):
        raise ValueError(f"truncated or damaged: {name} announces {count} rows, its {len(data)} bytes hold fewer")
    if not count:
        return np.zeros((0, width), stored)
    return np.ndarray((count, width), stored, data, start, (step, stored.itemsize))


def _with_sparse(
    document: Document, sparse: dict[str, Any], values: np.ndarray, stored: np.dtype, name: str
) -> np.ndarray:
    """A copy of the values with those of the sparse part set."""
    name = f"sparse of {name}"
    count = whole_of(sparse, "count", name)
    at_kind = as_object(sparse.get("indices"), f"indices of {name}")
    kind = _kind(at_kind.get("componentType"), name)
    if kind.kind != "u":
        raise ValueError(f"damaged: indices of {name} are of type {kind}")
    at = _base(document, {**at_kind, "bufferView": at_kind.get("bufferView")}, kind, count, 1, name)[:, 0]
    new = as_object(sparse.get("values"), f"values of {name}")
    new_values = _base(document, {**new, "bufferView": new.get("bufferView")}, stored, count, values.shape[1], name)
    at = at.astype(np.int64)
    if count and (at.max() >= len(values) or (np.diff(at) <= 0).any()):
        raise ValueError(f"damaged: indices of {name} do not rise, or go beyond row {len(values)}")
    values = values.copy()
    values[at] = new_values
    return values


def scaled(values: np.ndarray) -> np.ndarray:
    """Whole numbers as what they stand for if they are normalized: -1 to 1, or 0 to 1."""
    if values.dtype.kind == "f":
        return values
    return np.maximum(values / np.float64(np.iinfo(values.dtype).max), -1)
