"""Fixtures for tests of several modules."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from slurm_stand_ins import make_repository

from configs.options import Config
from generation.networks import Networks
from lab.small.helpers import REAL_CARS, open_box, write_obj
from lab.small.tiny_experiment import make_experiment, tiny_config, write_shapes

# A test run in the background may have been told to ignore these, and so would all processes that tests start and stop.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def meshes(tmp_path: Path) -> list[Path]:
    """Five small open meshes in ShapeNetCore.v2 layout in tmp_path / "data", sorted."""
    rng = np.random.default_rng(7)
    paths = [tmp_path / "data" / f"car{i}" / "models" / "model_normalized.obj" for i in range(5)]
    for path in paths:
        write_obj(path, *open_box(rng))
    return paths


@pytest.fixture
def real_cars() -> list[Path]:
    """Meshes of real cars, sorted; the test is skipped where there are none (REAL_CARS_DIR names their folder)."""
    paths = sorted(REAL_CARS.glob("02958343/*/models/model_normalized.obj"))
    if not paths:
        pytest.skip(f"no real cars in {REAL_CARS}; set REAL_CARS_DIR")
    return paths


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder with preprocessed shapes, the spheres of `write_shapes`, and nothing trained on them."""
    write_shapes(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def experiment_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny experiment that is made once; tests use a copy, `root`."""
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder)
    return folder


@pytest.fixture(scope="module")
def root(experiment_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny experiment: 7 training shapes (14 codes, with mirrored ones), 1 to validate, 4 to test.

    The tests of a module share it, and leave it as it is but for its evaluation/ folder.
    """
    folder = tmp_path_factory.mktemp("copy") / "of_experiment"
    shutil.copytree(experiment_once, folder)
    return folder


@pytest.fixture(scope="module")
def cfg(root: Path) -> Config:
    return tiny_config(root)


@pytest.fixture(scope="module")
def networks(cfg: Config) -> Networks:
    return Networks(cfg)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The job scripts, with stand-ins of the steps and of Slurm."""
    return make_repository(tmp_path)


@pytest.fixture
def coarse_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode from 8 times fewer cells: enough for networks that have learned nothing."""
    monkeypatch.setattr("generation.surface_cells.COARSEST", 6)


@pytest.fixture
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit codes from fewer starts."""
    monkeypatch.setattr("generation.code_fitting.NUM_CANDIDATES", 9)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are made but not drawn, which takes most of their time; test_plots and test_analysis look at drawn ones."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path, **_: path.write_bytes(b"plot"))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Black pictures of shapes instead of rendered ones, which take seconds; test_rendering looks at those."""
    for place in ("contact_sheet.render_cloud", "contact_sheet.render_mesh", "movies.render_cloud"):
        monkeypatch.setattr(f"visualization.{place}", lambda *_, **__: np.zeros((4, 6, 3), np.uint8))
