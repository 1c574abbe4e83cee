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
    length = file.seek(0, io.SEEK_END) - SEAL_LENGTH - 2
    file.seek(max(0, length))
    end = file.read()
    file.seek(0)
    if length < 0 or end[2 : 2 + len(TAG)] != TAG:
        return False
    digest, left = hashlib.sha256(), length
    while left and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    file.seek(0)
    if digest.hexdigest().encode("ascii") != end[2 + len(TAG) :]:
        raise DamagedError("its SHA-256 is not the one that was written with it")
    return True
