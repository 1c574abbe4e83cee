"""Car files of public repositories come out as they are; skipped where they are not at hand (REAL_..._DIR)."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dataprocessing.mesh_io import load_mesh, triangle_areas
from lab.small.helpers import REAL_CARS, REAL_FILES

# Faces, area and sides of the box in the file's own units. Of plain .glb and .STL another reader gives the same; both
# files of bullet_chassis are twins; Draco's and autoware_car were looked at.
FILES = {
    "sketchbook_car.glb": (13278, 51.8063, (1.2813, 1.3107, 2.4926)),
    "racing_chassis_draco.glb": (5822, 51.536, (2.1835, 1.1849, 4.7157)),
    "folio_chassis_draco.glb": (1558, 9.50794, (2.0267, 1.1790, 0.9279)),
    "autoware_car.dae": (3810, 57.1123, (4.3508, 1.9559, 1.4741)),
    "bullet_chassis.dae": (324, 0.201617, (0.405, 0.2, 0.06)),
    "bullet_chassis.STL": (324, 0.201617, (0.405, 0.2, 0.06)),
    "twizy_z_up.stl": (75440, 313911, (143.1273, 248.5881, 147.7211)),
    "kenney_sedan.glb": (2032, 17.438, (1.5, 1.3, 2.55)),
    "kenney_race.glb": (1952, 11.4271, (1.3, 0.7325, 2.5598)),
    "quaternius_sports.glb": (3066, 0.154379, (0.1608, 0.1061, 0.3208)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_gives_the_surface_that_others_read(name: str):
    if not (REAL_FILES / name).is_file():
        pytest.skip(f"no {name} in {REAL_FILES}; set REAL_FILES_DIR")
    faces, area, sides = FILES[name]
    mesh = load_mesh(REAL_FILES / name)
    assert len(mesh.faces) == faces
    assert triangle_areas(mesh).sum() == pytest.approx(area, rel=2e-5)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(sides, abs=1e-4)


def test_real_cars_have_the_faces_that_their_list_says(real_cars: list[Path]):
    with open(REAL_CARS / "index.csv", newline="") as file:
        listed = {row["id"]: int(row["faces"]) for row in csv.DictReader(file)}
    assert {path.parts[-3]: len(load_mesh(path).faces) for path in real_cars} == listed
