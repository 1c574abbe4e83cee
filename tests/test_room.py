"""Room on the disk is asked for before work, with about what its files take."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from facts import naming

from dataprocessing import preprocess
from dataprocessing.room import BYTES_A_POINT, bytes_of
from lab.small.helpers import read_config
from runtime.errors import UserError
from runtime.layout import boundary_samples, voxelized_point_cloud

OPTIONS = {"num_boundary_samples": 5000, "num_uniform_samples": 3000, "num_gap_samples": 0, "num_points": 4000,
           "input_res": 16, "sample_std_dev": [0.05], "sample_ratio": [1.0], "distance_backend": "torch"}  # fmt: skip
TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n"


@pytest.mark.parametrize("grid_coords", [False, True])
def test_step_1_asks_for_what_its_files_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid_coords: bool):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "model.obj").write_text(TETRAHEDRON)
    places = {"data_dir": tmp_path / "data", "input_data_glob": "/*/model.obj", "split_file": tmp_path / "split.npz"}
    cfg = read_config(tmp_path, **OPTIONS, **places, grid_coords=grid_coords)
    command = ["--config", cfg.run.config]
    files = [boundary_samples(0.05), "uniform_samples.npz", voxelized_point_cloud(16, 4000)]
    wanted = sum(bytes_of(name, cfg) for name in files)
    free = SimpleNamespace(free=2 * wanted - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(UserError, match=naming("8 files of shapes", "GB", "--num_boundary_samples")):
        preprocess.main(command)
    assert not (tmp_path / "data" / "a" / files[0]).exists()
    free.free += 1
    assert preprocess.main(command) == 0
    for name in files:
        size = (tmp_path / "data" / "a" / name).stat().st_size
        assert bytes_of(name, cfg) <= size < 1.1 * bytes_of(name, cfg) + 1500
    free.free = 0
    assert preprocess.main(command) == 0  # all is there
    (tmp_path / "data" / "b" / files[2]).unlink()
    free.free = BYTES_A_POINT * 4000 - 1
    with pytest.raises(UserError, match=naming("1 files of shapes")):
        preprocess.main(command)
