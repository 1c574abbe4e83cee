"""Writers on a full disk, and in folders that are gone or closed: the former file stays, and one line tells.

The disk is full by a limit on the size of files, under which the kernel refuses to write as it does when space runs
out. `make hostile` tries every step on a real full disk.
"""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import says
from matplotlib.figure import Figure

from dataprocessing.convert_to_scaled_off import write_off
from dataprocessing.mesh_io import Mesh
from evaluation.metrics.matrix_cache import MatrixCache
from generation.cloud_files import write_cloud, write_cloud_parts
from runtime.errors import run
from runtime.files import atomic_path, write_json, write_npz, write_text
from training.checkpoints import save_checkpoint, write_state
from training.encoding import write_codes
from visualization.contact_sheet import contact_sheet

MOST = 3000  # bytes
POINTS = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
INDEX = {"rows": [{"name": "a"}] * 500, "code_shape": [3], "sha256": ""}


def _mesh() -> Mesh:
    return Mesh(POINTS.astype(float), np.arange(300).reshape(100, 3))


def _cached(path: Path) -> None:
    cache = MatrixCache(path, "key", (50, 50))
    cache.put(0, slice(0, 50), np.ones(50))
    cache.save()


def _picture(path: Path) -> None:
    contact_sheet([("a", [np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)])], path, "title")


def _plot(path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    with atomic_path(path) as spare:
        figure.savefig(spare, format="png")


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "npz": ("a.npz", lambda path: write_npz(path, points=POINTS)),
    "packed npz": ("a.npz", lambda path: write_npz(path, compressed=True, points=POINTS)),
    "text": ("a.txt", lambda path: write_text(path, "a line\n" * 1000)),
    "json": ("a.json", lambda path: write_json(path, list(range(2000)))),
    "off": ("a.off", lambda path: write_off(path, _mesh())),
    "cloud": ("dense_point_cloud.npz", lambda path: write_cloud(path.parent, POINTS, code=POINTS)),
    "cloud in parts": (
        "dense_point_cloud.ply",
        lambda path: write_cloud_parts(path.parent, [POINTS[:9], POINTS[9:]], 500),
    ),
    "codes": ("train.npy", lambda path: write_codes(path.parent, "train", iter([POINTS[:100], POINTS[100:]]), INDEX)),
    "state": ("best.tar", lambda path: write_state({"model_state_dict": {"a": torch.zeros(2000)}}, path)),
    "cache": ("cd.npz", _cached),
    "picture": ("contact_sheet.png", _picture),
    "plot": ("plot.png", _plot),
}


@contextmanager
def full_disk() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def ending(main: Callable[[], object], capsys: pytest.CaptureFixture) -> tuple[int, str]:
    def returns_0() -> int:
        main()
        return 0

    with pytest.raises(SystemExit) as ended:
        run(returns_0)
    err = capsys.readouterr().err
    return int(ended.value.code), err


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_the_former_file_and_is_told_in_one_line(writer, tmp_path, capsys):
    name, write = WRITERS[writer]
    (tmp_path / name).write_bytes(b"the former file")
    with full_disk():
        status, err = ending(lambda: write(tmp_path / name), capsys)
    assert status == 2 and err.count("\n") == 1, err
    assert says(err, "error: space") and str(tmp_path) in err, err
    assert (tmp_path / name).read_bytes() == b"the former file"
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*.part"))
    write(tmp_path / name)  # and it works again
    assert (tmp_path / name).read_bytes() != b"the former file"


def test_a_full_disk_leaves_the_former_checkpoint(tmp_path, capsys):
    small, large = ({"model_state_dict": {"a": torch.zeros(n)}, "training_time": float(n)} for n in (2, 2000))
    save_checkpoint(tmp_path, small, is_best=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk():
        status, err = ending(lambda: save_checkpoint(tmp_path, large, is_best=True), capsys)
    assert status == 2 and says(err, "error: space")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_where_a_folder_should_be_is_told_in_one_line(writer, tmp_path, capsys):
    name, write = WRITERS[writer]
    (tmp_path / "file").write_text("")
    status, err = ending(lambda: write(tmp_path / "file" / name), capsys)
    assert status == 2 and err.count("\n") == 1, err
    assert str(tmp_path / "file") in err


def test_a_folder_that_vanishes_while_a_file_is_written_is_told(tmp_path, capsys):
    def main() -> None:
        with atomic_path(tmp_path / "folder" / "a.txt") as spare:
            spare.write_text("a")
            spare.unlink()
            spare.parent.rmdir()

    status, err = ending(main, capsys)
    assert status == 2 and err.count("\n") == 1
    assert says(err, "error:", tmp_path / "folder" / "a.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_closed_folder_is_told(tmp_path, capsys):
    tmp_path.chmod(0o500)
    status, err = ending(lambda: write_text(tmp_path / "a.txt", "a"), capsys)
    tmp_path.chmod(0o700)
    assert status == 2 and says(err, tmp_path / "a.txt", "--exp_root")
