"""What is said of sizes and axes: of specks, plates and turned cars, and nothing of plain ones."""

from pathlib import Path

import numpy as np
import pytest
from car_like import block, car, joined
from facts import says
from test_pose import in_axes

from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.scale_notes import MOST_TOLD, Note, lines_of, scale_notes
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car


def grid(nodes: int, half: float, height: float) -> Mesh:
    """A flat square of many faces."""
    x, z = np.meshgrid(*2 * [np.linspace(-half, half, nodes)])
    number = np.arange(nodes**2).reshape(nodes, nodes)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]))
    return Mesh(np.c_[x.ravel(), np.full(nodes**2, height), z.ravel()], np.r_[np.c_[a, b, c], np.c_[b, d, c]])


def demo_car(number: int) -> Mesh:
    return Mesh(*make_car(2, number)[:2])


@pytest.mark.parametrize("mesh", [car(), *map(demo_car, range(6))])
def test_nothing_is_said_of_a_car_with_an_antenna_and_mirrors(mesh: Mesh):
    high, wide, long = mesh.vertices.max(axis=0)[[1, 0, 2]]
    antenna = block((-1e-3, high, 0), (1e-3, high + 0.2 * long, 2e-3))
    mirrors = block((-1.15 * wide, 0.9 * high, 0), (1.15 * wide, 0.91 * high, 0.02 * long))
    for one in (mesh, joined(mesh, antenna, mirrors)):
        assert scale_notes(one, "y", "-z") == []
        assert scale_notes(sample_surface(one, 3001, np.random.default_rng(0)), "y", "-z") == []


def test_a_speck_is_told_with_its_place_and_how_much_longer_it_makes_the_box():
    speck = block((100, 0.5, 0), (100.001, 0.501, 0.001))
    (note,) = scale_notes(joined(car(), speck), "y", "-z")
    length = np.ptp(car().vertices[:, 2])
    factor = float(note.text.split(" times")[0].split()[-1])
    assert factor == pytest.approx((100.001 + 0.85) / length, rel=0.05)
    assert says(note.text, "99 % x 100.001")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("nodes", [2, 40])
@pytest.mark.parametrize("half", [4.0, 20.0])
def test_a_ground_plate_is_told_whatever_its_faces(sign: int, nodes: int, half: float):
    mesh = joined(car(), grid(nodes, half, 0.0))
    (note,) = scale_notes(Mesh(mesh.vertices * [1, sign, 1], mesh.faces), "y", "-z")
    assert says(note.text, "ground plate")
    factor = float(note.text.split(" times")[0].split()[-1])
    assert factor == pytest.approx(2 * half / 4.1, rel=0.3)
    points = sample_surface(mesh, 20_000, np.random.default_rng(0))
    assert [note.kind for note in scale_notes(points, "y", "-z")] == ["size"]


def test_a_sky_around_the_car_is_told():
    sky = block((-60, -1, -60), (60, 60, 60))
    (note,) = scale_notes(joined(demo_car(1), sky), "y", "-z")
    assert says(note.text, "faces sky")


def test_a_turned_car_is_told_with_the_axes_that_would_do():
    (note,) = scale_notes(in_axes(car(), "y", "x"), "y", "-z")
    assert note.kind == "front" and says(note.text, "longest side x", "--front x?") and "--up" not in note.text
    (note,) = scale_notes(in_axes(car(), "z", "-y"), "y", "-z")
    assert note.kind == "up" and says(note.text, "longest side y", "--up z --front -y?")
    (note,) = scale_notes(in_axes(car(), "z", "x"), "z", "-y")  # in the file's own axes
    assert says(note.text, "longest side x", "--front x?")
    for up, front in (("z", "x"), ("-x", "y")):
        assert scale_notes(in_axes(car(), up, front), up, front) == []
    half_as_wide = Mesh(car().vertices * [2.2, 1, 1], car().faces)  # 0.86 as wide as long: not clearly turned
    assert scale_notes(half_as_wide, "y", "-z") == []


def test_few_points_and_points_at_one_place_have_no_notes():
    assert scale_notes(np.ones((50, 3)), "y", "-z") == []
    assert scale_notes(np.random.default_rng(0).random((9, 3)), "y", "-z") == []
    assert scale_notes(np.array([[0, 0, 0], [0, 1, 1], [5, 0, 0], [0, 9, 0]]), "y", "-z") == []


def test_a_line_of_points_is_told_without_a_number_that_means_nothing():
    (note,) = scale_notes(np.linspace([0, 0, 0], [5, 0, 0], 1000), "y", "-z")
    assert says(note.text, "longest side is x", "front -z") and "e+" not in note.text


def test_notes_of_many_meshes_are_one_line_a_kind():
    few = {f"{n}.obj": [Note("size", f"is {n}")] for n in range(MOST_TOLD)}
    assert lines_of(few) == [f"{n}.obj: is {n}" for n in range(MOST_TOLD)]
    many = {f"{n}.obj": [Note("size", f"is {n}"), Note("front", "turned")][n % 2 :] for n in range(40)}
    lines = lines_of(many)
    assert len(lines) == 2 and says(lines[0], "0.obj", 19) and says(lines[1], "0.obj", "turned", 39)
    assert lines_of({}) == lines_of({"a.obj": []}) == []


def test_nothing_is_said_of_real_cars(real_cars: list[Path]):
    assert {path: notes for path in real_cars if (notes := scale_notes(load_mesh(path), "y", "-z"))} == {}
