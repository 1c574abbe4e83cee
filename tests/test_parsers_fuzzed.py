"""Parsers and samplers on inputs that hypothesis makes up: whole ones come back, others are refused in one line."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from configs.config_loader import get_config
from dataprocessing.convert_to_scaled_off import scale_mesh, write_off
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh
from dataprocessing.split import load_split
from dataprocessing.surface import sample_surface_and_faces
from evaluation.tables import Column, Table, long_csv
from generation.cloud_files import read_cloud, write_cloud_parts
from lab.small.helpers import write_ply
from runtime.errors import UserError, one_line
from runtime.reading import DamagedFile, open_npz, read_json, read_npy
from training.shape_samples import draw_points

# The same inputs at every run; a file of the last one is overwritten by the next.
settings.register_profile("here", derandomize=True, max_examples=40, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
settings.load_profile("here")

COORDINATES = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 3))
POINTS = arrays_of.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-2, 2, width=32))


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """Triangles of any kind, with area and extent."""
    vertices = draw(arrays_of.arrays(np.float64, st.tuples(st.integers(3, 12), st.just(3)), elements=COORDINATES))
    vertices[:3] = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    count = len(vertices)
    faces = draw(
        arrays_of.arrays(np.int64, st.tuples(st.integers(1, 15), st.just(3)), elements=st.integers(0, count - 1))
    )
    return Mesh(vertices, np.concatenate([[[0, 1, 2]], faces]))


def corners(mesh: Mesh) -> np.ndarray:
    return mesh.vertices[mesh.faces]


@given(mesh=meshes(), signs=st.booleans())
def test_a_mesh_written_as_obj_comes_back(mesh: Mesh, signs: bool, tmp_path: Path):
    path, count = tmp_path / "a.obj", len(mesh.vertices)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist()]
    indices = (mesh.faces - count if signs else mesh.faces + 1).tolist()  # from the end, or from the start
    path.write_text("\n".join(lines + [f"f {a}//1 {b}/2/ {c}" for a, b, c in indices]) + "\n")
    np.testing.assert_array_equal(corners(load_mesh(path)), corners(mesh))


@given(mesh=meshes())
def test_a_scaled_mesh_written_as_off_comes_back_in_its_box(mesh: Mesh, tmp_path: Path):
    scaled = scale_mesh(mesh)
    assert np.ptp(scaled.vertices, axis=0).max() == pytest.approx(1)
    write_off(tmp_path / "a.off", scaled)
    try:
        found = load_mesh(tmp_path / "a.off")
    except MeshError as error:  # of a mesh so long that its triangles are thinner than a digit
        assert "zero" in str(error)
        return
    np.testing.assert_allclose(corners(found), corners(scaled), atol=6e-8)


@given(data=st.binary(max_size=300), kind=st.sampled_from(["obj", "off", "ply", "stl", "glb", "gltf", "zip"]))
def test_any_bytes_are_a_mesh_or_refused_in_one_line(data: bytes, kind: str, tmp_path: Path):
    starts = {
        "obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "off": b"OFF\n3 1 0\n",
        "ply": b"ply\nformat ascii 1.0\n",
        "glb": b"glTF\x02\0\0\0",
        "gltf": b'{"asset": {"version": "2.0"}}',
        "stl": b"solid x\n",
        "zip": b"PK",
    }
    path = tmp_path / f"a.{kind}"
    path.write_bytes(starts[kind] + data)
    try:
        mesh = load_mesh(path)
    except MeshError as error:
        assert str(error) == one_line(str(error))
        return
    assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)


@given(
    words=st.lists(
        st.sampled_from(["v", "f", "1", "2", "-1", "nan", "inf", "1e40", "0.5", "/", "#", "\n", "\\\n", "x"])
    )
)
def test_any_words_are_an_obj_or_refused(words: list[str], tmp_path: Path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + " ".join(words))
    try:
        assert len(load_mesh(tmp_path / "a.obj").faces)
    except MeshError as error:
        assert str(error) == one_line(str(error))


@given(points=POINTS, kind=st.sampled_from(["ply", "npz", "npy"]), cut=st.integers(0, 400), flip=st.integers(0, 7))
def test_a_cloud_comes_back_and_a_damaged_one_is_refused(points, kind: str, cut: int, flip: int, tmp_path: Path):
    path = tmp_path / f"a.{kind}"
    {"ply": write_ply, "npz": lambda file, array: np.savez(file, point_cloud=array), "npy": np.save}[kind](path, points)
    np.testing.assert_array_equal(read_cloud(path), points)
    data = bytearray(path.read_bytes())
    data[cut % len(data)] ^= 1 << flip
    path.write_bytes(data if cut % 2 else data[: -1 - cut % len(data)])
    try:
        assert np.isfinite(read_cloud(path)).all()
    except UserError as error:
        assert str(path) in str(error)


@given(points=POINTS, ends=st.lists(st.integers(1, 29)))
def test_a_cloud_written_in_parts_has_the_bytes_of_one_written_at_once(points, ends: list[int], tmp_path: Path):
    parts = [part for part in np.split(points, sorted(end for end in set(ends) if end < len(points))) if len(part)]
    path = write_cloud_parts(tmp_path / "parts", iter(parts), len(points), seed=3, code=np.arange(4.0))
    whole = io.BytesIO()
    np.savez(whole, point_cloud=points, seed=3, code=np.arange(4.0))
    assert path.read_bytes() == whole.getvalue()
    write_ply(tmp_path / "whole.ply", points)
    assert path.with_suffix(".ply").read_bytes() == (tmp_path / "whole.ply").read_bytes()


KINDS = ["<f4", "|O", "<U0", "|V0", "<i8", "<M8[s]"]


@given(shape=st.lists(st.integers(-2, 10**6), max_size=4), kind=st.sampled_from(KINDS),
       size=st.integers(0, 100))  # fmt: skip
def test_an_array_is_read_only_if_its_header_tells_what_is_there(
    shape: list[int], kind: str, size: int, tmp_path: Path
):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size)
    (tmp_path / "a.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", data)
    fits = kind in ("<f4", "<i8", "<M8[s]") and all(n >= 0 for n in shape)
    fits = fits and np.prod(shape, dtype=float) * np.dtype(kind).itemsize == size
    for mapped in (False, True):
        try:
            found = read_npy(tmp_path / "a.npy", mapped)
        except DamagedFile:
            assert not fits or (mapped and not size)
        else:
            assert fits or not found.size
    try:
        with open_npz(tmp_path / "a.npz") as file:
            assert file["a"].shape == tuple(shape)
    except DamagedFile:
        assert not fits


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_json_a_config_and_a_split_or_refused(data: bytes, tmp_path: Path):
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    for read in (read_json, lambda file: load_split(file, tmp_path), lambda file: get_config(["--config", str(file)])):
        with pytest.raises(UserError):
            read(path)


@given(mesh=meshes(), count=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_sampled_points_lie_on_their_faces(mesh: Mesh, count: int, seed: int):
    points, face = sample_surface_and_faces(mesh, count, np.random.default_rng(seed))
    a, b, c = np.moveaxis(corners(mesh)[face], 1, 0)
    edges = np.stack([b - a, c - a], axis=2)  # (N, 3, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert (area > 0).all()
    uv = np.linalg.pinv(edges) @ (points - a)[..., None]
    scale = np.abs(mesh.vertices).max()
    np.testing.assert_allclose(points, a + (edges @ uv)[..., 0], atol=1e-6 * scale)
    thick = area > 1e-3 * scale
    assert (uv[thick] > -1e-6).all() and (uv[thick].sum(axis=1) < 1 + 1e-6).all()


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4), count=st.integers(1, 300), data=st.data())
def test_points_are_drawn_from_each_set_by_its_share(sizes: list[int], count: int, data: st.DataObject):
    weights = np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(sizes), max_size=len(sizes))))
    shares = weights / weights.sum()
    sets = [(np.full((size, 3), n, np.float32), np.full(size, n, np.float32)) for n, size in enumerate(sizes)]
    points, distances = draw_points(sets, shares.tolist(), count, np.random.default_rng(0))
    assert points.shape == (count, 3)
    np.testing.assert_array_equal(points[:, 0], distances)
    drawn = np.bincount(distances.astype(int), minlength=len(sizes))
    assert (np.abs(drawn - shares * count) <= 1).all()


@given(text=st.text(st.characters(), max_size=60))
def test_one_line_is_one_line_that_a_terminal_only_shows(text: str):
    line = one_line(text)
    assert line.isprintable() and "\n" not in line


@given(name=st.sampled_from("=+-@|%\t\r\n").flatmap(lambda first: st.text(max_size=20).map(lambda rest: first + rest)))
def test_names_are_neither_formulas_nor_markup_in_tables(name: str):
    row = {"set": name, "shape": name, "cd": -1.5}
    table = Table("t", "Title", [Column("set", "set"), Column("cd", "cd", ".1f")], [row])
    lines = long_csv([table]).splitlines()
    assert len(lines) == 2
    import csv

    cells = next(csv.reader(lines[1:]))
    assert not any(cell[:1] in tuple("=+-@|%\t\r") for cell in cells[:-1] if cell)
    assert cells[-1] == "-1.5"
    body = table.markdown().splitlines()[4]
    assert "<" not in body and body.replace("\\|", "").count("|") == 3


def test_links_in_names_do_not_become_links():
    table = Table("t", "Title", [Column("set", "set")], [{"set": "[a](javascript:alert(1))<b>|x"}])
    assert table.markdown().splitlines()[4] == "| \\[a\\](javascript:alert(1))&lt;b>\\|x |"


def test_a_tensor_is_not_larger_than_its_file(tmp_path: Path):
    from runtime.reading import read_torch

    torch.save(torch.zeros(1).expand(10**12), tmp_path / "a.pt")
    with pytest.raises(DamagedFile, match="numbers"):
        read_torch(tmp_path / "a.pt")
