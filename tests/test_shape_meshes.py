"""Mesh files: other programs open them, `--mesh` works in all modes, and goes on where it was stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming, says

import generate
from dataprocessing.distances import load_open3d
from dataprocessing.mesh_io import load_mesh
from generation.cloud_files import write_cloud
from generation.decode import field_of
from generation.mesh_files import joined, mesh_beside, numbers_of, write_mesh
from generation.meshing import OpenMesh, mesh_of
from generation.networks import Networks
from generation.shape_folder import MESHES
from lab.small.helpers import times
from lab.small.known_shapes import bent_strip
from lab.small.tiny_experiment import save_random_ndf, tiny_config
from runtime.errors import UserError
from runtime.layout import MESH_FORMATS

pytestmark = pytest.mark.usefixtures("coarse_lattice", "no_pictures")


def empty_mesh() -> OpenMesh:
    return OpenMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("ending", MESH_FORMATS)
def test_other_programs_read_the_same_mesh_with_its_normals(ending: str, tmp_path: Path):
    import trimesh

    mesh = bent_strip()
    (path,) = write_mesh(tmp_path, mesh, [ending])
    assert path == tmp_path / f"mesh.{ending}"
    assert list(tmp_path.iterdir()) == [path]
    read = trimesh.load_mesh(path, process=False)
    np.testing.assert_allclose(read.vertices[read.faces], mesh.vertices[mesh.faces], atol=1e-6)
    assert ending == "stl" or np.array_equal(read.faces, mesh.faces)  # in which each triangle has its own corners
    theirs = load_open3d().io.read_triangle_mesh(str(path))  # may number vertices anew; trimesh makes own normals
    corners = np.asarray(theirs.triangles)
    np.testing.assert_allclose(np.asarray(theirs.vertices)[corners], mesh.vertices[mesh.faces], atol=1e-6)
    if ending != "stl":
        np.testing.assert_allclose(np.asarray(theirs.vertex_normals)[corners], mesh.normals[mesh.faces], atol=1e-5)
    ours = joined(load_mesh(path)) if ending == "stl" else load_mesh(path)  # preprocessing can read it again
    assert len(ours.faces) == len(mesh.faces) and len(ours.vertices) == len(mesh.vertices)
    if ending == "glb":
        assert read.visual.material.doubleSided


@pytest.mark.parametrize("ending", MESH_FORMATS)
def test_a_mesh_in_map_coordinates_keeps_its_place_and_its_shape(ending: str, tmp_path: Path, capsys):
    """float32 would round its vertices to half a metre; STL has no other numbers, and a note says what is taken off."""
    import trimesh

    mesh, place = bent_strip(), np.array([500_000.0, 30.0, 5_400_000.0])
    (path,) = write_mesh(tmp_path, mesh._replace(vertices=mesh.vertices.astype(np.float64) + place), [ending])
    low, high = mesh.vertices.min(axis=0) + place, mesh.vertices.max(axis=0) + place
    if ending == "stl":
        origin = np.round((low + high) / 2)
        assert says(capsys.readouterr().err, path, *origin.tolist())
        place = place - origin
    for read in (load_mesh(path), trimesh.load_scene(path, process=False).to_mesh()):
        np.testing.assert_allclose(read.vertices[read.faces] - place, mesh.vertices[mesh.faces], atol=1e-6)


def test_an_stl_alone_is_shown_as_the_mesh_that_it_was(tmp_path: Path):
    mesh = bent_strip()
    (path,) = write_mesh(tmp_path, mesh, ["stl"])
    data = path.read_bytes()
    assert len(data) == 84 + 50 * len(mesh.faces)
    assert not data.startswith(b"solid")  # which begins a text
    assert np.frombuffer(data[80:84], "<u4")[0] == len(mesh.faces)
    facets = np.frombuffer(data[84:], np.dtype([("numbers", "<f4", (4, 3)), ("about", "<u2")]))["numbers"]
    assert np.array_equal(facets[:, 1:], mesh.vertices[mesh.faces].astype(np.float32))
    shown = mesh_beside(write_cloud(tmp_path, mesh.vertices))
    assert shown is not None
    np.testing.assert_array_equal(shown[0][shown[1]], mesh.vertices[mesh.faces].astype(np.float32))
    assert numbers_of(OpenMesh(*shown, mesh.normals)) == numbers_of(mesh)  # borders and pieces too


def test_what_no_program_can_open_is_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="no faces"):
        write_mesh(tmp_path, empty_mesh(), ["ply"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "mesh.ply").mkdir()
    with pytest.raises(UserError, match=naming(tmp_path / "mesh.ply")):
        write_mesh(tmp_path, bent_strip(), ["ply"])


def run_generate(root: Path, *words: str, **options: object) -> None:
    cfg = tiny_config(root, **options)
    meshes = ["--mesh", "--mesh_resolution", "48"]
    assert generate.main(["--config", cfg.run.config, *meshes, *words]) == 0


def meshes_of(folder: Path) -> dict:
    return json.loads((folder / "index.json").read_text())[MESHES]


@pytest.mark.parametrize("mode", ["sample", "reconstruct", "interpolate"])
def test_every_mode_writes_the_meshes_of_its_clouds_codes(root: Path, mode: str, capsys: pytest.CaptureFixture):
    run_generate(root, "--mode", mode, "--num_shapes", "2")
    cfg = tiny_config(root)
    networks, experiment = Networks(cfg), cfg.experiment
    folders = {"sample": "generation", "reconstruct": "reconstruction", "interpolate": "interpolation"}
    folder = getattr(experiment, folders[mode])
    said = meshes_of(folder)
    assert said["options"] == {"resolution": 48, "formats": ["glb", "ply"], "faces": 0, "thickness": 0.0}
    assert len(said["shapes"]) == 2
    for name, numbers in said["shapes"].items():
        with np.load(folder / name / "dense_point_cloud.npz") as arrays:
            code = torch.from_numpy(arrays["code"])[None]
        mesh = mesh_of(field_of(networks, code), 48)
        read = load_open3d().io.read_triangle_mesh(str(folder / name / "mesh.ply"))
        assert np.array_equal(np.asarray(read.triangles), mesh.faces)
        np.testing.assert_allclose(np.asarray(read.vertices), mesh.vertices, atol=1e-6)
        assert numbers["triangles"] == len(mesh.faces) and numbers["pieces"] >= 1 and numbers["seconds"] >= 0
    assert says(capsys.readouterr().out, "2 meshes of 2 shapes")


def test_a_second_run_makes_nothing_and_what_is_missing_or_changed_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: bent_strip())
    folder = tiny_config(root).experiment.generation
    run_generate(root, "--seed", "8")
    first = times(folder, "mesh.*")
    assert set(first) == {f"{n}/mesh.{ending}" for n in range(3) for ending in ("ply", "glb")}
    clouds = (folder / "1" / "dense_point_cloud.npz").stat().st_mtime_ns
    run_generate(root, "--seed", "8")
    assert times(folder, "mesh.*") == first
    assert says(capsys.readouterr().out, "3 meshes of 3 shapes 0 made now")
    (folder / "1" / "mesh.glb").unlink()
    run_generate(root, "--seed", "8")
    again = times(folder, "mesh.*")
    assert {name for name in first if again[name] != first[name]} == {"1/mesh.glb", "1/mesh.ply"}
    run_generate(root, "--seed", "8", "--mesh_formats", "obj")
    assert set(times(folder, "mesh.*")) == {f"{n}/mesh.obj" for n in range(3)}
    assert (folder / "1" / "dense_point_cloud.npz").stat().st_mtime_ns == clouds
    run_generate(root, "--seed", "8", "--mesh", "false")  # the same clouds: the meshes stay
    assert set(times(folder, "mesh.*")) == {f"{n}/mesh.obj" for n in range(3)}
    run_generate(root, "--seed", "9", "--mesh", "false")  # other clouds: meshes of the old ones would lie
    assert not times(folder, "mesh.*")
    assert MESHES not in json.loads((folder / "index.json").read_text())


def test_a_stopped_run_goes_on_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    folder, made = tiny_config(root).experiment.generation, []

    def stops_at_the_third(*_: object) -> OpenMesh:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        return bent_strip()

    monkeypatch.setattr("generation.decoded_shape.mesh_of", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_generate(root, "--seed", "10")
    assert not (folder / "index.json").exists()  # which lists all
    before = times(folder, "mesh.*")
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: bent_strip())
    run_generate(root, "--seed", "10")
    after = times(folder, "mesh.*")
    assert {name: after[name] for name in before} == before
    assert len(after) == 6
    assert says(capsys.readouterr().out, "3 meshes of 3 shapes 1 made now")


def test_a_shape_without_surface_is_named_and_has_no_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    results = iter([bent_strip(), empty_mesh(), bent_strip()])
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: next(results))
    run_generate(root, "--seed", "11")
    folder = tiny_config(root).experiment.generation
    (line,) = [line for line in capsys.readouterr().out.splitlines() if says(line, "no mesh 1")]
    assert {name.split("/")[0] for name in times(folder, "mesh.*")} == {"0", "2"}
    assert meshes_of(folder)["shapes"]["1"] is None
    run_generate(root, "--seed", "11")  # nothing is asked of the iterator again
    assert line in capsys.readouterr().out.splitlines()


def test_a_plain_ndf_has_meshes_too(root: Path):
    cfg = tiny_config(root, exp_name="plain", code_kind="none")
    save_random_ndf(cfg)
    run_generate(root, "--mode", "reconstruct", "--num_shapes", "1", exp_name="plain", code_kind="none")
    assert len(times(cfg.experiment.reconstruction, "mesh.*")) == 2


def test_walls_and_fewer_triangles_by_options(root: Path, capsys: pytest.CaptureFixture):
    run_generate(root, "--num_shapes", "1", "--mesh_faces", "2000", "--thicken", "0.05")
    folder = tiny_config(root).experiment.evaluation / "generation"
    said = meshes_of(folder)
    assert (said["options"]["faces"], said["options"]["thickness"]) == (2000, 0.05)
    (found,) = said["shapes"].values()
    assert found["border_edges"] == found["junction_edges"] == 0 and 0 < found["triangles"] <= 2000
    run_generate(root, "--num_shapes", "1")
    (found,) = meshes_of(folder)["shapes"].values()
    assert found["border_edges"] > 0 or found["triangles"] > 2000
