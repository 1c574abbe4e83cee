"""Scenes of random polygons come back from every format with their area, their box and the distances to them."""

from pathlib import Path
from typing import Any

import mesh_writers as writers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mesh_writers import Part

from dataprocessing.distances import point_triangle_distance
from dataprocessing.formats import ply
from dataprocessing.mesh_io import load_mesh, triangle_areas

SETTINGS = settings(derandomize=True, max_examples=25, deadline=None, database=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
POINTS = np.random.default_rng(0).uniform(-7, 7, (11, 3))
TEXT = {"mark": st.booleans(), "line": st.sampled_from(["\n", "\r\n", "\r"])}


def check(scene: list[Part], path: Path, data: bytes, atol: float = 1e-9) -> None:
    path.write_bytes(data)
    mesh = load_mesh(path)
    assert triangle_areas(mesh).sum() == pytest.approx(writers.area(scene), rel=1e-5)
    corners = np.concatenate([part.corners() for part in scene])
    np.testing.assert_allclose(mesh.vertices.min(axis=0), corners.min(axis=0), atol=atol)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), corners.max(axis=0), atol=atol)
    triangles = mesh.vertices[mesh.faces]
    pairs = np.repeat(POINTS, len(triangles), axis=0), np.tile(triangles, (len(POINTS), 1, 1))
    found = point_triangle_distance(*pairs).reshape(len(POINTS), -1).min(axis=1)
    np.testing.assert_allclose(found, writers.distances(scene, POINTS), atol=max(atol, 1e-9))


OBJ = st.fixed_dictionaries(TEXT | {
    "comments": st.booleans(), "colours": st.booleans(), "interleaved": st.booleans(), "negative": st.booleans(),
    "word": st.sampled_from(["{0}", "{0}/1", "{0}//1", "{0}/1/1"]), "split": st.booleans(),
    "face": st.sampled_from(["f ", "f\t", "  f  ", "fo "]), "after": st.sampled_from(["", " ", " # of 12\\"]),
    "newline": st.booleans(),
})  # fmt: skip


@SETTINGS
@given(scene=writers.scenes, kind=OBJ)
def test_obj(scene: list[Part], kind: dict[str, Any], tmp_path: Path):
    check(scene, tmp_path / "a.obj", writers.obj_text(scene, kind))


OFF = st.fixed_dictionaries(TEXT | {
    "header": st.sampled_from(["OFF", "COFF", "NOFF", "STOFF"]), "comments": st.booleans(), "stream": st.booleans(),
    "colour": st.sampled_from(["", " 7", " 255 0 0", " 0.5 0.5 0.5 1"]), "newline": st.booleans(),
})  # fmt: skip


@SETTINGS
@given(scene=writers.scenes, kind=OFF)
def test_off(scene: list[Part], kind: dict[str, Any], tmp_path: Path):
    check(scene, tmp_path / "a.off", writers.off_text(scene, kind))


STL = st.fixed_dictionaries(TEXT | {
    "name": st.sampled_from(["", "car", "vertex colored", "facet of 2", "1 2 3"]), "stream": st.booleans(),
    "end": st.sampled_from(["endsolid", "end solid"]), "upper": st.booleans(),
    "normal": st.sampled_from(["0 0 1", "nan nan nan", "-1.#IND 1e+00 -nan(ind)"]),
})  # fmt: skip


@SETTINGS
@given(scene=writers.scenes, kind=STL)
def test_text_stl(scene: list[Part], kind: dict[str, Any], tmp_path: Path):
    check(scene, tmp_path / "a.stl", writers.stl_text(scene, kind))


@SETTINGS
@given(
    scene=writers.scenes,
    header=st.sampled_from([b"", b"solid car", b"COLOR=abcd"]),
    padding=st.sampled_from([0, 2, 512]),
)
def test_binary_stl(scene: list[Part], header: bytes, padding: int, tmp_path: Path):
    check(scene, tmp_path / "a.stl", writers.stl_binary(scene, header, padding), atol=2e-6)


PLY = st.fixed_dictionaries({
    "format": st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]), "before": st.booleans(),
    "place": st.sampled_from(["float", "double"]), "length": st.sampled_from(["uchar", "int", "ushort"]),
    "corner": st.sampled_from(["uchar", "short", "int", "uint"]), "after": st.booleans(), "lists": st.booleans(),
    "name": st.sampled_from(["vertex_index", "vertex_indices"]), "line": st.sampled_from(["\n", "\r\n", "\r"]),
})  # fmt: skip


@SETTINGS
@given(scene=writers.scenes, kind=PLY)
def test_ply(scene: list[Part], kind: dict[str, Any], tmp_path: Path):
    data = writers.ply(scene, kind)
    check(scene, tmp_path / "a.ply", data, atol=1e-9 if kind["place"] == "double" else 2e-6)
    corners = np.concatenate([part.corners() for part in scene])
    np.testing.assert_allclose(ply.points(data), corners, atol=1e-6)
