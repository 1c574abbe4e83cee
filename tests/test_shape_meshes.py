"""Mesh files: other programs open them, `--mesh` works in all modes, and goes on where it was stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import generate
from dataprocessing.distances import load_open3d
from dataprocessing.mesh_io import load_mesh
from generation.decode import field_of
from generation.mesh_files import write_mesh
from generation.meshing import OpenMesh, mesh_of
from generation.meshing.topology import vertex_normals
from generation.networks import Networks
from generation.shape_folder import MESHES
from lab.small.tiny_experiment import save_random_ndf, tiny_config
from runtime.errors import UserError
from runtime.layout import MESH_FORMATS

pytestmark = pytest.mark.usefixtures("coarse_lattice", "no_pictures")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "visualization.contact_sheet.render_cloud", lambda cloud, view, cut, color: np.zeros((4, 6, 3), np.uint8)
    )


def small_mesh() -> OpenMesh:
    """A bent strip: open, with a vertex order that a program may not change."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(0, 0.2, 4), indexing="ij")
    vertices = np.stack([x, y, 0.3 * x**2], axis=-1).reshape(-1, 3).astype(np.float32)
    corner = np.arange(36).reshape(9, 4)
    quads = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], axis=-1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return OpenMesh(vertices, faces, vertex_normals(vertices, faces))


def empty_mesh() -> OpenMesh:
    return OpenMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("ending", MESH_FORMATS)
def test_other_programs_read_the_same_mesh_with_its_normals(ending: str, tmp_path: Path):
    import trimesh

    mesh = small_mesh()
    (path,) = write_mesh(tmp_path, mesh, [ending])
    assert path == tmp_path / f"mesh.{ending}"
    assert list(tmp_path.iterdir()) == [path]
    read = trimesh.load_mesh(path, process=False)
    np.testing.assert_allclose(read.vertices, mesh.vertices, atol=1e-6)
    assert np.array_equal(read.faces, mesh.faces)
    theirs = load_open3d().io.read_triangle_mesh(str(path))  # may number vertices anew; trimesh makes own normals
    corners = np.asarray(theirs.triangles)
    np.testing.assert_allclose(np.asarray(theirs.vertices)[corners], mesh.vertices[mesh.faces], atol=1e-6)
    np.testing.assert_allclose(np.asarray(theirs.vertex_normals)[corners], mesh.normals[mesh.faces], atol=1e-5)
    ours = load_mesh(path)  # preprocessing can read it again
    assert len(ours.faces) == len(mesh.faces) and len(ours.vertices) == len(mesh.vertices)
    if ending == "glb":
        assert read.visual.material.doubleSided


def test_what_no_program_can_open_is_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="no faces"):
        write_mesh(tmp_path, empty_mesh(), ["ply"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "mesh.ply").mkdir()
    with pytest.raises(UserError, match=r"mesh.ply is no file, and in the way of the mesh; move it away"):
        write_mesh(tmp_path, small_mesh(), ["ply"])


def run_generate(root: Path, *words: str, **options: object) -> None:
    cfg = tiny_config(root, **options)
    meshes = ["--mesh", "--mesh_resolution", "48"]
    assert generate.main(["--config", cfg.run.config, *meshes, *words]) == 0


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("mesh.*"))}


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
    assert said["options"] == {"resolution": 48, "formats": ["glb", "ply"]}
    assert len(said["shapes"]) == 2
    for name, numbers in said["shapes"].items():
        with np.load(folder / name / "dense_point_cloud.npz") as arrays:
            code = torch.from_numpy(arrays["code"])[None]
        mesh = mesh_of(field_of(networks, code), 48)
        read = load_open3d().io.read_triangle_mesh(str(folder / name / "mesh.ply"))
        assert np.array_equal(np.asarray(read.triangles), mesh.faces)
        np.testing.assert_allclose(np.asarray(read.vertices), mesh.vertices, atol=1e-6)
        assert numbers["triangles"] == len(mesh.faces) and numbers["pieces"] >= 1 and numbers["seconds"] >= 0
    assert "2 of 2 meshes made" in capsys.readouterr().out


def test_a_second_run_makes_nothing_and_what_is_missing_or_changed_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: small_mesh())
    folder = tiny_config(root).experiment.generation
    run_generate(root, "--seed", "8")
    first = files(folder)
    assert set(first) == {f"{n}/mesh.{ending}" for n in range(3) for ending in ("ply", "glb")}
    clouds = (folder / "1" / "dense_point_cloud.npz").stat().st_mtime_ns
    run_generate(root, "--seed", "8")
    assert files(folder) == first
    assert "0 of 3 meshes made" in capsys.readouterr().out
    (folder / "1" / "mesh.glb").unlink()
    run_generate(root, "--seed", "8")
    again = files(folder)
    assert {name for name in first if again[name] != first[name]} == {"1/mesh.glb", "1/mesh.ply"}
    run_generate(root, "--seed", "8", "--mesh_formats", "obj")
    assert set(files(folder)) == {f"{n}/mesh.obj" for n in range(3)}
    assert (folder / "1" / "dense_point_cloud.npz").stat().st_mtime_ns == clouds
    run_generate(root, "--seed", "8", "--mesh", "false")  # the same clouds: the meshes stay
    assert set(files(folder)) == {f"{n}/mesh.obj" for n in range(3)}
    run_generate(root, "--seed", "9", "--mesh", "false")  # other clouds: meshes of the old ones would lie
    assert not files(folder)
    assert MESHES not in json.loads((folder / "index.json").read_text())


def test_a_stopped_run_goes_on_where_it_was(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    folder, made = tiny_config(root).experiment.generation, []

    def stops_at_the_third(*_: object) -> OpenMesh:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        return small_mesh()

    monkeypatch.setattr("generation.decoded_shape.mesh_of", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_generate(root, "--seed", "10")
    assert not (folder / "index.json").exists()  # which lists all
    before = files(folder)
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: small_mesh())
    run_generate(root, "--seed", "10")
    after = files(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == 6
    assert "1 of 3 meshes made" in capsys.readouterr().out


def test_a_shape_without_surface_is_named_and_has_no_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    results = iter([small_mesh(), empty_mesh(), small_mesh()])
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: next(results))
    run_generate(root, "--seed", "11")
    folder = tiny_config(root).experiment.generation
    line = "no mesh of 1: its field has no surface larger than a speck\n"
    assert line in capsys.readouterr().out
    assert {name.split("/")[0] for name in files(folder)} == {"0", "2"}
    assert meshes_of(folder)["shapes"]["1"] is None
    run_generate(root, "--seed", "11")  # nothing is asked of the iterator again
    assert line in capsys.readouterr().out


def test_a_plain_ndf_has_meshes_too(root: Path):
    cfg = tiny_config(root, exp_name="plain", code_kind="none")
    save_random_ndf(cfg)
    run_generate(root, "--mode", "reconstruct", "--num_shapes", "1", exp_name="plain", code_kind="none")
    assert len(files(cfg.experiment.reconstruction)) == 2
