"""Ways to break a file: whatever it holds, and whatever it is."""

import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[Path], None]


class RunsCode:
    """A pickle of it makes a file when it is loaded."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch victim/was_run",)


def _changed(change: Callable[[bytes], bytes]) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


def _flipped(seed: int) -> Damage:
    def change(data: bytes) -> bytes:
        rng, content = np.random.default_rng(seed), bytearray(data)
        content[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        return bytes(content)

    return _changed(change)


def _instead(make: Callable[[Path], None]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _sparse(path: Path) -> None:
    """Eight gigabytes of zeros, which take no place on the disk, after the start of the file."""
    with open(path, "r+b") as file:
        file.truncate(8 << 30)


def unreadable(path: Path) -> None:
    path.chmod(0)


# The damages after which a file still may be what it was: where no check sum tells.
FLIPS: dict[str, Damage] = {f"bit {seed} flipped": _flipped(seed) for seed in range(4)}
BROKEN: dict[str, Damage] = {
    "empty": _changed(lambda data: b""),
    "first quarter": _changed(lambda data: data[: len(data) // 4]),
    "first half": _changed(lambda data: data[: len(data) // 2]),
    "last byte missing": _changed(lambda data: data.rstrip()[:-1]),
    "zeros": _changed(lambda data: bytes(4096)),
    "random bytes": _changed(lambda data: np.random.default_rng(5).bytes(5000)),
    "a web page": _changed(lambda data: b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"),
    "brackets": _changed(lambda data: b"[" * 200_000),
    "a pickle that runs code": _changed(lambda data: pickle.dumps(RunsCode())),
    "a folder": _instead(lambda path: path.mkdir()),
    "a link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "a link to /dev/zero": _instead(lambda path: path.symlink_to("/dev/zero")),
    "a pipe": _instead(lambda path: os.mkfifo(path)),
    "8 GB of zeros behind it": _sparse,
}


def npy(array: np.ndarray | None = None, header: str = "", content: bytes = b"") -> bytes:
    """An .npy as numpy writes it (objects too), or one with any header."""
    import io

    file = io.BytesIO()
    if array is not None:
        np.lib.format.write_array(file, array, allow_pickle=True)
        return file.getvalue()
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + content


def header(shape: str, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


def zipped(members: dict[str, bytes], method: int = 0, flags: int = 0, times: int = 0) -> bytes:
    """A zip archive. method: of compression; flags: 1 for encrypted; times: megabytes of zeros that follow each member,
    packed by a factor of a thousand."""
    local, central, at = [], [], 0
    for name, data in members.items():
        packed, size, crc = data, len(data), zlib.crc32(data)
        if times:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
            packed += block * times + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
            method, size = 8, len(data) + (times << 20)
        fields = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, crc, len(packed), size, len(name), 0)
        local.append(b"PK\3\4" + fields + name.encode() + packed)
        central.append(b"PK\1\2\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, at) + name.encode())
        at += len(local[-1])
    end = struct.pack("<HHHHIIH", 0, 0, len(central), len(central), sum(map(len, central)), at, 0)
    return b"".join(local) + b"".join(central) + b"PK\5\6" + end


def hostile_npz(key: str, good: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Broken .npz files: what may be wrong with the array `key` of `good`."""
    others = {name: npy(array) for name, array in good.items() if name != key}
    right = good[key]
    arrays = {
        "objects that run code": np.array([RunsCode()], dtype=object),
        "words" if right.dtype.kind == "f" else "numbers": np.array(
            ["a", "b"] if right.dtype.kind == "f" else [1.0, 2]
        ),
        "complex numbers": np.ones(right.shape, np.complex64),
        "records": np.zeros(3, dtype=[("a", "f4"), ("b", "f4", (2, 2))]),
        "dates": np.zeros(right.shape, "M8[s]"),
        "no rows": right[:0],
        "another shape": np.zeros((2, 3, 4, 5), np.float32),
        "a single number": np.array(1.0),
    }
    if right.dtype.kind == "f":
        arrays |= {name: np.where(np.arange(right.size).reshape(right.shape) == 1, value, right)
                   for name, value in (("NaN", np.nan), ("infinite", np.inf))}  # fmt: skip
    headers = {
        "a trillion rows": header("(1000000000000, 3)"),
        "a trillion rows of nothing": header("(1000000000000,)", "<U0"),
        "a negative shape": header("(-1, 3)"),
        "a shape of words": header("('a', 3)"),
        "a header that is code": "__import__('os').system('touch victim/was_run')",
        "a header of brackets": "(" * 9000,
        "a header of objects": header("(1,)", "|O"),
    }
    broken = {name: zipped({f"{key}.npy": npy(array)} | _npys(others)) for name, array in arrays.items()}
    broken |= {name: zipped({f"{key}.npy": npy(None, text, bytes(64))} | _npys(others))
               for name, text in headers.items()}  # fmt: skip
    plain = {f"{key}.npy": npy(right)} | _npys(others)
    bomb = {f"{key}.npy": npy(None, header(f"({(3000 << 20) // 12}, 3)"))} | _npys(others)
    return broken | {
        "without its key": zipped(_npys(others) | {"other.npy": npy(right)}),
        "no arrays": zipped({}),
        "an unknown packing": zipped(plain, method=99),
        "encrypted": zipped(plain, flags=1),
        "a zip bomb of 3 GB": zipped(bomb, times=3000),
        "damaged within": zipped(plain).replace(npy(right)[-12:], b"\x01" * 12),
        "an .npy": npy(right),
    }


def _npys(members: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.npy": data for name, data in members.items()}
