"""Arrays of an .npz: what numpy reads, of any kind and order; cut off or of an unknown version: one line."""

import errno
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from runtime import reading
from runtime.artefacts import Records
from runtime.errors import message_for_user
from runtime.files import write_npz
from runtime.reading import DamagedFile, open_npz, read_json

ARRAYS = {
    "plain": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "by_columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "number": np.float64(0.5),
    "empty": np.zeros((0, 3), np.int64),
    "words": np.array(["a", "longer"]),
    "no_word": np.array(""),
    "bits": np.array([True, False]),
    "big_endian": np.arange(5, dtype=">i4"),
}


@pytest.mark.parametrize("compressed", [False, True, ["plain", "words"]])
def test_arrays_are_those_that_numpy_wrote_and_reads(tmp_path: Path, monkeypatch, compressed):
    monkeypatch.setattr(reading, "CHUNK", 7)
    write_npz(tmp_path / "a.npz", compressed=compressed, **ARRAYS)
    with np.load(tmp_path / "a.npz") as theirs, open_npz(tmp_path / "a.npz") as ours:
        assert list(ours) == list(theirs) == list(ARRAYS)
        for name in ARRAYS:
            found = ours[name]
            assert (found.dtype, found.shape) == (theirs[name].dtype, theirs[name].shape), name
            assert np.array_equal(found, theirs[name]) and found.flags.writeable, name


@pytest.mark.parametrize("compressed", [False, True])
def test_written_bytes_are_those_of_numpy(tmp_path: Path, compressed: bool):
    write_npz(tmp_path / "a.npz", compressed=compressed, **ARRAYS)
    theirs = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(theirs, **ARRAYS)
    assert (tmp_path / "a.npz").read_bytes() == theirs.getvalue()


def test_a_flipped_bit_and_an_unknown_version_are_told(tmp_path: Path):
    path = tmp_path / "a.npz"
    write_npz(path, points=np.arange(9.0))
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(8).tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="CRC"), open_npz(path) as file:
        file["points"]
    member = io.BytesIO()
    np.lib.format.write_array(member, np.zeros(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("points.npy", member.getvalue().replace(b"NUMPY\x01", b"NUMPY\x07"))
    with pytest.raises(DamagedFile, match="version"), open_npz(path) as file:
        file["points"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE])
def test_a_disk_that_is_away_is_no_damaged_file(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever makes damaged files again, or deletes them, must not do so with one that may be whole."""

    def away(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "made_of.json").write_text("{}")
    monkeypatch.setattr("runtime.reading.read_text", away)
    for read in (lambda path: read_json(path), lambda path: Records(path.parent)):
        with pytest.raises(OSError, match=os.strerror(number)) as found:
            read(tmp_path / "made_of.json")
        assert found.value.filename == str(tmp_path / "made_of.json")
        assert os.strerror(number) in message_for_user(found.value) and "made_of.json" in message_for_user(found.value)
