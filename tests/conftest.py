"""Fixtures for tests of several modules."""

from pathlib import Path

import numpy as np
import pytest
from helpers import REAL_CARS, open_box, write_obj


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
def coarse_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode from 64 times fewer cells: enough for networks that have learned nothing."""
    monkeypatch.setattr("generation.projection.LATTICE", 12)
