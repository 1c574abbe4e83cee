"""A checksum inside a checkpoint, so that a damaged one is told from a good one before anything is read from it.

A checkpoint is a zip archive. The comment at its very end, which other readers pass over, is `sha256 ` and the SHA-256
of all bytes before the two that give the comment's length. The archive's own checksums (CRC-32) cover the weights only
as far as a reader looks at them.
"""

import hashlib
import io
import struct
from typing import BinaryIO

TAG = b"sha256 "
SEAL_LENGTH = len(TAG) + 64  # bytes
_END_LENGTH = 22  # of a zip archive's last record, without comment
_END = b"PK\x05\x06"
_BLOCK = 1 << 20


class DamagedError(ValueError):
    """A file is not what was written."""


def write_sealed(archive: io.BytesIO, file: BinaryIO) -> None:
    """Write a zip archive without comment to `file`, with its seal. Raises ValueError for anything else."""
    content = archive.getbuffer()
    if bytes(content[-_END_LENGTH:][:4]) != _END or bytes(content[-2:]) != b"\0\0":
        raise ValueError("not a zip archive without comment")
    file.write(content[:-2])
    file.write(struct.pack("<H", SEAL_LENGTH) + TAG + hashlib.sha256(content[:-2]).hexdigest().encode("ascii"))


def check_seal(file: BinaryIO) -> bool:
    """Whether the archive is sealed (others wrote theirs without). Raises DamagedError if its bytes are not the sealed.

    file: open for reading; it is left at its start.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END_LENGTH - SEAL_LENGTH))
    end = file.read()
    file.seek(0)
    _, _, record = end.rpartition(_END)
    length, comment = record[_END_LENGTH - 6 : _END_LENGTH - 4], record[_END_LENGTH - 4 :]
    if len(record) == len(end) or len(length) < 2:  # no such record: a file of another kind, or half of one
        return False
    if struct.unpack("<H", length)[0] != len(comment):
        raise DamagedError("it is cut off")
    if not comment.startswith(TAG):
        return False
    digest, left = hashlib.sha256(), size - 2 - len(comment)
    while left and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    file.seek(0)
    if digest.hexdigest().encode("ascii") != comment[len(TAG) :]:
        raise DamagedError("its SHA-256 is not the one that was written with it")
    return True
