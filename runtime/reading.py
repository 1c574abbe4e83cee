"""Reading files that may be damaged, or made to do harm: in bounded memory, and nothing in them is executed.

Every reader of arrays, checkpoints and json goes through here. Whatever is wrong with a file becomes a `DamagedFile`:
one line, which the readers of caches take as "not there". What is wrong with the disk alone stays an OSError.
"""

import json
import math
import stat
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from runtime.errors import DISK_AWAY, UserError, one_line, raise_if_interrupted

if TYPE_CHECKING:
    import numpy as np

MOST_TEXT = 2**27  # bytes of a json or text file: a million codes have an index of this size
MOST_ARRAY = 2**32  # bytes of an array that is read into memory
MOST_UNPACKED = 2**28  # bytes of packed content that may be any number of times as large as its file
CHUNK = 2**18  # bytes of an array at a time, which stay in the cache while they are checked and copied
MOST_TIMES = 20  # as large as its file, beyond that: points and weights do not shrink so far, zip bombs do


class DamagedFile(UserError):
    """A file that cannot be used as what it should be. path: of it; reason: without the path and what to do."""

    def __init__(self, message: str, path: Path | str = "", reason: str = ""):
        super().__init__(message)  # alone, as copies between processes need it
        self.path, self.reason = path, reason


def damaged(path: Path | str, reason: str, advice: str = "") -> DamagedFile:
    reason = one_line(reason)[:300]
    return DamagedFile(f"{path}: {reason}" + (f"; {advice}" if advice else ""), path, reason)


@contextmanager
def reading(path: Path | str, advice: str = "") -> Iterator[None]:
    """Whatever goes wrong while a file is read or parsed becomes a DamagedFile; advice: what to do about it.

    But a disk that is out of reach raises its OSError: the file may be whole, and must not be made again, or deleted.
    """
    try:
        yield
    except DamagedFile as error:
        raise error if error.path != path or not advice else damaged(path, error.reason, advice) from error
    except UserError:
        raise
    except MemoryError as error:
        raise damaged(path, "its content needs more memory than there is", advice) from error
    except OSError as error:
        if error.errno in DISK_AWAY:
            error.filename = error.filename or str(path)
            raise
        raise damaged(path, f"cannot be read: {error.strerror or error}", advice) from error
    except ValueError as error:
        raise damaged(path, said(error), advice) from error
    except Exception as error:  # a parser given a broken file may raise anything
        raise_if_interrupted()
        raise damaged(path, f"damaged, or of another kind ({said(error)})", advice) from error


@contextmanager
def naming_file(path: Path | str) -> Iterator[None]:
    """An error while an open file is read tells the file, as one of opening it does."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def said(error: BaseException) -> str:
    """The message of an exception, or its kind if it has none."""
    return str(error) or type(error).__name__


def require_file(path: Path | str) -> int:
    """The size of a regular file in bytes. Raises DamagedFile for a folder, a device or a pipe, which may never end."""
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise damaged(path, "no file, but a folder, a device or a pipe")
    return found.st_size


def read_bytes(path: Path | str, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises OSError, and DamagedFile for any other."""
    if (size := require_file(path)) > most:
        raise damaged(path, f"{size / 1e9:,.1f} GB, at most {most / 1e9:.1f} GB expected")
    return Path(path).read_bytes()


def read_text(path: Path | str, most: int = MOST_TEXT) -> str:
    """A text file in UTF-8, with or without the mark that some editors put first. Raises DamagedFile."""
    with reading(path):
        data = read_bytes(path, most)
        if b"\0" in data:
            raise ValueError("zero bytes in a text file")
        return data.decode("utf-8-sig")


def read_json(path: Path | str, advice: str = "") -> dict[str, Any]:
    """The object that a json file holds. Raises DamagedFile, also for any other value."""
    with reading(path, advice):
        text = read_text(path)
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"cannot be read as json: {error}") from error
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__}, not a json object")
        return value


class Arrays(Mapping[str, "np.ndarray"]):
    """The arrays of an open .npz, each read when it is asked for, after its header was checked."""

    def __init__(self, path: Path | str, archive: zipfile.ZipFile):
        self.path, self.archive, self.packed = path, archive, require_file(path)
        self.names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def __contains__(self, name: object) -> bool:
        """By the names alone: that of Mapping would read the whole array."""
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def shape(self, name: str) -> tuple[int, ...]:
        """From its header alone."""
        with self._member(name) as member:
            return _checked_header(member, self.archive.getinfo(f"{name}.npy").file_size)[0]

    def __getitem__(self, name: str) -> "np.ndarray":
        with self._member(name) as member:
            return _content(member, *_checked_header(member, self.archive.getinfo(f"{name}.npy").file_size))

    def first(self, name: str, most: int) -> "np.ndarray":
        """The first `most` rows, or all if there are fewer."""
        import numpy as np

        shape = self.shape(name)
        with self._member(name) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            _, by_columns, kind = read(member)
            if by_columns or not shape or shape[0] <= most:
                return self[name]
            content = member.read(most * math.prod(shape[1:]) * kind.itemsize)
            return np.frombuffer(content, kind).reshape(most, *shape[1:])

    @contextmanager
    def _member(self, name: str) -> Iterator[BinaryIO]:
        if name not in self.names:
            raise KeyError(f"no array {name}, only {', '.join(self.names[:5]) or 'nothing'}")
        check_unpacked(self.archive.getinfo(f"{name}.npy").file_size, self.packed)
        with self.archive.open(f"{name}.npy") as member:
            yield cast(BinaryIO, member)


@contextmanager
def open_npz(path: Path | str, advice: str = "") -> Iterator[Arrays]:
    """The arrays of an .npz. Raises DamagedFile, also for what goes wrong in the block."""
    with reading(path, advice):
        require_file(path)
        with zipfile.ZipFile(path) as archive:
            yield Arrays(path, archive)


def read_npy(path: Path | str, mapped: bool = False) -> "np.ndarray":
    """The array of an .npy file, or, if `mapped`, its memory map. Raises DamagedFile."""
    import numpy as np

    with reading(path):
        size = require_file(path)
        with open(path, "rb") as file:
            _checked_header(file, size, math.inf if mapped else MOST_ARRAY)
        return cast("np.ndarray", np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))


def check_unpacked(size: int, packed: int) -> None:
    """Raise ValueError for content that is far larger than its file."""
    if size > max(MOST_UNPACKED, MOST_TIMES * packed):
        raise ValueError(f"{packed:,} bytes that unpack to {size:,}: not unpacked")


def read_torch(path: Path | str, file: BinaryIO | None = None) -> Any:
    """What torch.save wrote: tensors on the CPU, and plain containers of them. Raises DamagedFile.

    Also for tensors that are larger than their numbers, such as one number repeated a billion times. file: the same,
    open already.
    """
    import pickle

    import torch

    with reading(path):
        packed = require_file(path)
        with open(path, "rb") as start:
            if start.read(2) not in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04"):  # a tar would be unpacked
                raise ValueError("no file of torch.save, or damaged")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_unpacked(sum(entry.file_size for entry in archive.infolist()), packed)
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    raise ValueError("a program (TorchScript), not tensors; save the tensors alone with torch.save")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of other versions of pickle, which may be read or not
                loaded = torch.load(file or path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:  # its own message suggests running the file's content
            raise ValueError("more than tensors in it, or damaged; save the tensors alone with torch.save") from error
        _check_tensors(loaded, set())
        return loaded


def _check_tensors(value: Any, seen: set[int]) -> None:
    import torch

    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
        if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f"a tensor {tuple(value.shape)} without numbers of its own; save plain, contiguous ones")
    elif isinstance(value, Mapping):
        for part in value.values():
            _check_tensors(part, seen)
    elif isinstance(value, list | tuple | set):
        for part in value:
            _check_tensors(part, seen)


def _content(file: BinaryIO, shape: tuple[int, ...], by_columns: bool, kind: "np.dtype") -> "np.ndarray":
    """The array behind a header that was checked; numpy's own reader would parse that again."""
    import numpy as np

    flat = np.empty(math.prod(shape), kind)
    target = flat.view(np.uint8) if flat.nbytes else np.empty(0, np.uint8)
    for start in range(0, len(target), CHUNK):
        part = target[start : start + CHUNK]
        data = file.read(len(part))
        if len(data) != len(part):
            raise ValueError("cut off")
        part[:] = np.frombuffer(data, np.uint8)
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _checked_header(file: BinaryIO, size: int, most: float = MOST_ARRAY) -> tuple[tuple[int, ...], bool, "np.dtype"]:
    """Shape, whether by columns, and type that the header of an .npy of `size` bytes announces.

    Raises ValueError unless the file holds just that.
    """
    import numpy as np

    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"an .npy of version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if kind.hasobject:
        raise ValueError("Python objects, which may run code; arrays of numbers or words expected")
    if not all(isinstance(length, int) and length >= 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    announced, there = math.prod(shape) * kind.itemsize, size - file.tell()
    if announced != there or (math.prod(shape) and not kind.itemsize):
        raise ValueError(f"its header says {announced:,} bytes (shape {shape}, {kind}), {there:,} are there")
    if announced > most:
        raise ValueError(f"an array of {announced / 1e9:,.1f} GB, at most {most / 1e9:.1f} GB expected")
    return shape, by_columns, kind
