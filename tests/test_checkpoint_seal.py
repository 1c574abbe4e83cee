"""The checksum in a checkpoint: any changed byte is told, other programs read the file as before."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming

from frozen.checkpoint_files import DamagedCheckpoint, load_checkpoint
from frozen.checkpoint_seal import DamagedError, check_seal, write_sealed
from training.checkpoints import write_state

STATE = {"model_state_dict": {"w": torch.arange(999.0)}, "training_time": 1.0}


@pytest.mark.parametrize("compress", [False, True])
def test_a_sealed_file_is_read_by_others(tmp_path: Path, compress: bool):
    path = tmp_path / "a.tar"
    write_state(STATE, path, compress=compress)
    with open(path, "rb") as file:
        assert check_seal(file)
        assert file.tell() == 0
    assert torch.equal(torch.load(path, weights_only=True)["model_state_dict"]["w"], torch.arange(999.0))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256 ")


def test_every_changed_byte_is_told(tmp_path: Path):
    path = tmp_path / "a.tar"
    write_state(STATE, path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content) - 73, 200):  # the seal and its length are 73 bytes
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DamagedCheckpoint, match=naming(path)):
            load_checkpoint(path)
    path.write_bytes(content[:-1] + b"x")  # in the digest itself
    with pytest.raises(DamagedCheckpoint, match=naming(path, "SHA-256")):
        load_checkpoint(path)
    for length in (0, 1, 100, len(content) // 2, *range(len(content) - 99, len(content))):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedCheckpoint, match=naming(path)):
            load_checkpoint(path)


def test_files_of_others_have_no_seal(tmp_path: Path):
    torch.save(STATE, tmp_path / "a.tar")
    with open(tmp_path / "a.tar", "rb") as file:
        assert not check_seal(file)
    assert not check_seal(io.BytesIO(b""))
    with pytest.raises(ValueError, match="zip"):
        write_sealed(io.BytesIO(b"text" * 99), io.BytesIO())
    with pytest.raises(DamagedError):
        check_seal(io.BytesIO(b"PK\x05\x06" + b"\0" * 16 + b"\x47\x00sha256 " + b"0" * 64))
