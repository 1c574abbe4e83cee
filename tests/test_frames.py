"""The way of a mesh to the unit box and back, whatever axes its file has."""

import itertools

import numpy as np
import pytest
from facts import naming

from configs.options.data import AXES
from dataprocessing.frames import frame_of_matrix, front_of, to_unit_box, turn_of
from dataprocessing.mesh_io import Mesh
from lab.small.helpers import open_box, read_config
from runtime.errors import UserError

PAIRS = [(up, front) for up, front in itertools.product(AXES, AXES) if up[-1] != front[-1]]


def axis_of(name: str) -> np.ndarray:
    return (-1 if name[0] == "-" else 1) * np.eye(3)["xyz".index(name[-1])]


@pytest.mark.parametrize(("up", "front"), PAIRS)
def test_the_turn_takes_up_to_y_and_front_to_minus_z_without_mirroring(up: str, front: str):
    turn = turn_of(up, front)
    np.testing.assert_array_equal(turn @ axis_of(up), [0, 1, 0])
    np.testing.assert_array_equal(turn @ axis_of(front), [0, 0, -1])
    assert np.linalg.det(turn) == 1
    np.testing.assert_array_equal(turn @ turn.T, np.eye(3))


def test_the_default_is_shapenets_frame_and_leaves_the_axes_alone():
    np.testing.assert_array_equal(turn_of("y", None), np.eye(3))
    assert (front_of("z", None), front_of("z", "x"), front_of("-y", None)) == ("-y", "x", "-z")
    assert (front_of("auto", None), front_of("auto", "x"), front_of("x", "auto")) == ("auto", "x", "auto")


@pytest.mark.parametrize(("up", "front"), [("y", None), ("z", None), ("z", "x"), ("-x", "z")])
def test_a_mesh_comes_to_the_unit_box_and_back(up: str, front: str | None):
    rng = np.random.default_rng(0)
    vertices, faces = open_box(rng)
    own = Mesh(3000 * vertices + [5, -40_000, 700], faces)
    unit, frame = to_unit_box(own, up, front)
    low, high = unit.vertices.min(axis=0), unit.vertices.max(axis=0)
    np.testing.assert_allclose(low, -high, atol=1e-12)
    assert (high - low).max() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(frame.to_own(unit.vertices), own.vertices, atol=1e-8)
    np.testing.assert_allclose(frame.to_unit(own.vertices), unit.vertices, atol=1e-12)
    columns = np.c_[unit.vertices, np.ones(len(unit.vertices))]
    np.testing.assert_allclose((columns @ frame.own_from_unit().T)[:, :3], own.vertices, atol=1e-8)
    again = frame_of_matrix(frame.own_from_unit())
    np.testing.assert_allclose(again.to_unit(own.vertices), unit.vertices, atol=1e-9)
    assert frame.facts()["scale"] == pytest.approx(np.ptp(own.vertices, axis=0).max())


def test_axes_along_one_line_are_refused_and_minus_is_no_option(tmp_path):
    assert read_config(tmp_path, up="z", front="-x").data.front == "-x"
    assert read_config(tmp_path, up="auto", front="auto").data.front == "auto"
    with pytest.raises(UserError, match=naming("up z front -z")):
        read_config(tmp_path, up="z", front="-z")
