"""Axes of cars that are found: from whatever axes a car is in, and with a doubt where there is one."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from car_like import block, car, joined

from configs.options.data import AXES
from dataprocessing.frames import turn_of
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.pose import CLEAR_FRONT, find_pose, pose_of_mesh
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car

PAIRS = [(up, front) for up, front in itertools.product(AXES, AXES) if up[-1] != front[-1]]


def in_axes(mesh: Mesh, up: str, front: str) -> Mesh:
    """A mesh with y up and front at -z, as a file with these axes holds it; elsewhere and of another size, too."""
    return Mesh(700 * mesh.vertices @ turn_of(up, front) + [3e4, -5, 70], mesh.faces)


@pytest.mark.parametrize(("up", "front"), PAIRS)
def test_a_car_is_found_under_every_turn(up: str, front: str):
    pose = pose_of_mesh(in_axes(car(), up, front))
    assert (pose.up, pose.front, pose.doubts) == (up, front, [])
    assert CLEAR_FRONT < pose.sure < 1


@pytest.mark.parametrize("number", range(8))
def test_demo_cars_are_found_and_the_rear_is_told_from_the_front(number: int):
    vertices, faces, _ = make_car(3, number)
    up, front = PAIRS[(5 * number) % len(PAIRS)]
    pose = pose_of_mesh(in_axes(Mesh(vertices, faces), up, front))
    assert (pose.up, pose.front) == (up, front)


def test_what_is_known_is_kept_and_the_rest_is_found():
    mesh = in_axes(car(), "z", "x")
    assert pose_of_mesh(mesh, up="z")[:2] == pose_of_mesh(mesh, front="x")[:2] == ("z", "x")
    assert pose_of_mesh(mesh, up="z", front="-y")[:2] == ("z", "-y")
    assert pose_of_mesh(mesh, up="-z").up == "-z"
    assert pose_of_mesh(mesh, front="-x")[:2] == ("z", "-x")
    for up, front in itertools.product((*AXES, None), (*AXES, None)):
        if up is None or front is None or up[-1] != front[-1]:
            pose = pose_of_mesh(mesh, up, front)
            assert up in (None, pose.up) and front in (None, pose.front) and pose.up[-1] != pose.front[-1]


def test_specks_and_the_order_of_points_do_not_matter():
    points = sample_surface(in_axes(car(), "-x", "y"), 15_001, np.random.default_rng(0))
    points[::3001] += [9e4, 2e5, -1e6]
    again = points[np.random.default_rng(1).permutation(len(points))]
    assert find_pose(points)[:2] == find_pose(again)[:2] == ("-x", "y")
    assert find_pose(points) == find_pose(points.copy())


def test_what_is_no_car_is_doubted():
    ball = np.random.default_rng(0).standard_normal((5000, 3))
    assert any("side to side" in doubt for doubt in find_pose(ball).doubts)
    plate = block((-1, 0, -2), (1, 0.2, 2))
    assert any("side to side" in doubt for doubt in pose_of_mesh(plate).doubts)
    shuttle = joined(*(Mesh(car().vertices * [1, 1, sign] - [0, 0, sign * 0.05], car().faces) for sign in (1, -1)))
    pose = pose_of_mesh(shuttle)  # the same from both ends
    assert pose.up == "y" and pose.front[-1] == "z" and any("front" in doubt for doubt in pose.doubts)
    assert pose.sure < CLEAR_FRONT
    for odd in (np.zeros((400, 3)), np.linspace(0, 1, 500)[:, None] * [1, 0, 0]):
        assert find_pose(odd).doubts  # and nothing is raised


def test_too_few_points_are_told():
    with pytest.raises(ValueError, match="299"):
        find_pose(np.zeros((299, 3)))


def test_real_cars_stand_on_their_wheels(real_cars: list[Path]):
    """Those of ShapeNet's axes; the front is right, or doubted."""
    for path in real_cars:
        pose = pose_of_mesh(load_mesh(path))
        assert pose.up == "y" and pose.front[-1] == "z", path
        assert pose.front == "-z" or pose.doubts, path
