"""What a glTF file is made of: its JSON, looked into with checks, and its buffers."""

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import unquote_to_bytes

import numpy as np

from dataprocessing.formats.beside import MOST_BESIDE, read_beside

MOST_BRACKETS = 4_000_000  # lists and objects of the JSON: each takes a hundred bytes of memory and more
MOST_COMMAS = 20_000_000
MOST_TAKEN = 20_000_000  # rows and corners; or twice the file's bytes: parts may be shown again and again


class Document:
    """A glTF file. json: its object; size: bytes of the file; binary: its BIN chunk, if any; path: where it lies."""

    def __init__(self, json: dict[str, Any], binary: bytes | None, path: Path, size: int):
        self.json, self.binary, self.path, self.size = json, binary, path, size
        self._buffers: dict[int, bytes] = {}
        self._taken = self._beside = 0
        self.draco_seconds = 0.0
        self.read: dict[int, np.ndarray] = {}  # rows of accessors, which parts may share

    def all(self, kind: str) -> list[Any]:
        """The list of all `kind`, as "nodes"; empty if there are none. Raises ValueError for anything but a list."""
        return listed(self.json, kind, "the file")

    def item(self, kind: str, number: object, user: str) -> dict[str, Any]:
        """The object `number` of the list `kind`. user: who names it, for messages. Raises ValueError."""
        there = self.all(kind)
        if not is_whole(number) or number >= len(there):
            raise ValueError(f"damaged: {user} names number {number!r} of its {kind}, there are {len(there)}")
        return as_object(there[int(number)], f"number {number} of its {kind}")

    def take(self, count: int, what: str) -> None:
        """Count rows and corners, before they are read or made. Raises ValueError if they are too many for the file."""
        self._taken += count
        if self._taken > max(MOST_TAKEN, 2 * self.size):
            raise ValueError(f"{what} of {self.size:,} bytes of a file: too many parts, repeated too often; not read")

    def has_data(self, number: object, user: str) -> bool:
        """Whether a buffer names its data, or is the binary chunk. Raises ValueError."""
        return "uri" in self.item("buffers", number, user) or (number == 0 and self.binary is not None)

    def buffer(self, number: object, user: str) -> bytes:
        """The content of a buffer, `byteLength` bytes at least. Raises ValueError."""
        buffer = self.item("buffers", number, user)
        assert is_whole(number)
        if int(number) not in self._buffers:
            content = self._content(buffer, number)
            length = whole_of(buffer, "byteLength", f"buffer {number}")
            if length > len(content):
                raise ValueError(f"truncated: buffer {number} announces {length} bytes, {len(content)} are there")
            self._buffers[int(number)] = content
        return self._buffers[int(number)]

    def _content(self, buffer: dict[str, Any], number: object) -> bytes:
        uri = buffer.get("uri")
        if uri is None:
            if number != 0 or self.binary is None:
                raise ValueError(f"buffer {number} has no data: neither a uri nor a binary chunk of the file")
            return self.binary
        if not isinstance(uri, str):
            raise ValueError(f"damaged: the uri of buffer {number} is no text")
        if uri[:5].lower() == "data:":
            return data_of(uri)
        content = read_beside(self.path, uri, MOST_BESIDE - self._beside)
        self._beside, self.size = self._beside + len(content), self.size + len(content)
        return content


def parsed(data: bytes, path: Path) -> Document:
    """The document of a .glb or .gltf, told apart by its first bytes. Raises ValueError."""
    if data[:4] != b"glTF":
        return Document(_json(data), None, path, len(data))
    if len(data) < 20:
        raise ValueError(f"truncated: {len(data)} bytes of a binary glTF file")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ValueError(f"binary glTF of version {version}; version 2 expected: save it again from a newer program")
    if length > len(data) or data[length:].strip(b"\0 \r\n"):
        reason = "truncated" if length > len(data) else "damaged"
        raise ValueError(f"{reason}: a file of {length} bytes is announced, {len(data)} are there")
    chunks, at = [], 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        if at + 8 + size > length:
            raise ValueError(f"truncated: a chunk of {size} bytes is announced, {length - at - 8} are there")
        chunks.append((kind, at + 8, size))
        at += 8 + size
    if at != length or not chunks or chunks[0][0] != b"JSON":
        raise ValueError("damaged: a binary glTF file starts with a chunk of JSON and ends with the end of a chunk")
    texts = [data[start : start + size] for _, start, size in chunks[:1]]
    binaries = [data[start : start + size] for kind, start, size in chunks[1:] if kind == b"BIN\0"]
    return Document(_json(texts[0]), binaries[0] if binaries else None, path, len(data))


def _json(text: bytes) -> dict[str, Any]:
    brackets, commas = text.count(b"{") + text.count(b"["), text.count(b",")
    if brackets > MOST_BRACKETS or commas > MOST_COMMAS:
        raise ValueError(f"{brackets:,} lists and objects, {commas:,} commas: more than a scene needs; not read")
    try:
        value = json.loads(text.decode("utf-8-sig").rstrip("\0"))
    except RecursionError as error:
        raise ValueError("lists within lists, deeper than any scene; not read") from error
    except ValueError as error:
        raise ValueError(f"not a mesh in glTF, or damaged: cannot be read as json ({error})") from error
    document = as_object(value, "the file")
    version = str(as_object(document.get("asset"), "its asset").get("version"))
    if version.split(".")[0] != "2":
        raise ValueError(f"glTF of version {version[:20]}; version 2 expected: save it again from a newer program")
    if (least := str(document["asset"].get("minVersion", "2.0"))) != "2.0":
        raise ValueError(f"glTF that needs version {least[:20]} of the format; 2.0 is known here")
    return document


def data_of(uri: str) -> bytes:
    """The bytes of a "data:" URI, base64 or percent-encoded. Raises ValueError."""
    head, comma, content = uri.partition(",")
    if not comma:
        raise ValueError("damaged: data within the file, without a comma before its content")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        plain = unquote_to_bytes(content) if "%" in content else content.encode("ascii")
        plain = plain.translate(None, b" \t\r\n").rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"damaged: data within the file is no base64 ({error})") from error


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value of the JSON is a whole number from 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 and value == int(value)


def as_object(value: object, what: str) -> dict[str, Any]:
    """A value of the JSON as the object that it must be. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"not glTF, or damaged: {what} is no object")
    return value


def listed(parent: dict[str, Any], key: str, what: str) -> list[Any]:
    """The list `key` of an object; empty without it. Raises ValueError."""
    value = parent.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"damaged: {key} of {what} is no list")
    return value


def whole_of(parent: dict[str, Any], key: str, what: str, default: int | None = None) -> int:
    """The whole number `key`, from 0, of an object. Raises ValueError."""
    value = parent.get(key, default)
    if not is_whole(value):
        raise ValueError(f"damaged: {key} of {what} is {value!r}, a whole number from 0 expected"[:200])
    return int(value)


def numbers_of(parent: dict[str, Any], key: str, length: int, what: str) -> np.ndarray | None:
    """The `length` numbers `key` of an object as float64, None without them. Raises ValueError."""
    if key not in parent:
        return None
    values = listed(parent, key, what)
    if len(values) != length or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"damaged: {key} of {what} is {str(values)[:60]}, {length} numbers expected")
    return np.array(values, dtype=np.float64)


def extension(parent: dict[str, Any], name: str, what: str) -> dict[str, Any] | None:
    """The object of an extension, None where it isn't used."""
    if "extensions" not in parent:
        return None
    extensions = as_object(parent["extensions"], f"extensions of {what}")
    return as_object(extensions[name], f"{name} of {what}") if name in extensions else None
