"""`generate.py --own_meshes`: a folder of anybody's meshes to clouds in their own frame, by every kind of weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

import generate
from dataprocessing import own_meshes, preprocess
from dataprocessing.frames import frame_of_matrix, to_unit_box
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.voxelized_pointcloud_sampling import input_points
from frozen.checkpoint_files import best_checkpoint
from generation import decode, decoded_shape
from generation.cloud_files import read_cloud, read_unit_cloud
from lab.small.helpers import open_box, write_obj
from lab.small.tiny_experiment import save_random_ndf, tiny_config
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD, voxelized_point_cloud

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The clouds of all pictures that are asked for, in the place of the renderer, which takes seconds."""
    clouds = []

    def render(cloud: np.ndarray, view: str, cut: str, color: tuple[int, int, int]) -> np.ndarray:
        clouds.append(cloud)
        return np.full((4, 6, 3), color, dtype=np.uint8)

    monkeypatch.setattr("visualization.contact_sheet.render_cloud", render)
    return clouds


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Three meshes in z-up frames of different sizes and places, two of them with one name."""
    rng = np.random.default_rng(3)
    for n, name in enumerate(("rotes Auto ü.obj", "vans/a.obj", "sedans/a.obj")):
        vertices, faces = open_box(rng)
        write_obj(tmp_path / "mine" / name, 4000 * vertices + [n, -70_000, 300], faces)
    return tmp_path / "mine"


def weights(root: Path) -> list[str]:
    """The NDF of the tiny experiment, for a run in an experiment of its own."""
    return ["--ndf_checkpoint", str(best_checkpoint(tiny_config(root).experiment.ndf_checkpoints))]


def flow(root: Path) -> list[str]:
    return ["--rnvp_checkpoint", str(best_checkpoint(tiny_config(root).experiment.rnvp_checkpoints))]


def run(folder: Path, meshes: Path, *words: str, name: str = "alone") -> tuple[int, Path]:
    """Exit status, and the folder of the clouds. No data and no split is there, and no experiment of that name."""
    cfg = tiny_config(folder, exp_name=name, data_dir=folder / "no_data", split_file=folder / "no_split.npz")
    out = folder / f"clouds_{name}"
    status = generate.main(
        ["--config", cfg.run.config, "--own_meshes", str(meshes), "--own_meshes_out", str(out), *words]
    )
    assert not cfg.experiment.codes.exists()
    return status, out


def index_of(out: Path) -> dict:
    return json.loads((out / "index.json").read_text())


def plain_weights(root: Path, tmp_path: Path) -> list[str]:
    """A plain NDF with random weights: `save_random_ndf` needs training shapes, those of the tiny experiment."""
    save_random_ndf(tiny_config(root, exp_name="plain_of_meshes", code_kind="none"))
    cfg = tiny_config(root, exp_name="plain_of_meshes", code_kind="none")
    found = ["--ndf_checkpoint", str(best_checkpoint(cfg.experiment.ndf_checkpoints)), "--code_kind", "none"]
    tiny_config(root)
    return found


@pytest.mark.parametrize("kind", ["vector", "vector_no_flow", "vector_and_flow", "plain"])
def test_every_kind_of_weights_reconstructs_without_data_codes_or_split(kind: str, root: Path, mine: Path, tmp_path):
    words = {
        "vector": lambda: weights(root),
        "vector_no_flow": lambda: [*weights(root), "--rnvp_checkpoint="],
        "vector_and_flow": lambda: [*weights(root), *flow(root)],
        "plain": lambda: plain_weights(root, tmp_path),
    }[kind]()
    status, out = run(tmp_path, mine, *words, "--up", "z")
    assert status == 0
    assert index_of(out)["shapes"] == ["rotes Auto ü.obj", "sedans__a.obj", "vans__a.obj"]
    for name in index_of(out)["shapes"]:
        assert len(read_cloud(out / name / DENSE_POINT_CLOUD)) == 90
        with np.load(out / name / DENSE_POINT_CLOUD) as file:
            assert ("log_likelihood" in file) == (kind == "vector_and_flow")
            assert ("code" in file) == (kind != "plain")


def test_clouds_come_back_into_the_frame_of_their_meshes(root: Path, mine: Path, tmp_path: Path, drawn: list):
    _, kept = run(tmp_path, mine, *weights(root), "--up", "z", name="kept")
    assert all(np.abs(cloud).max() < 0.6 for cloud in drawn) and len(drawn) == 15  # pictures are of the unit box
    _, unit = run(tmp_path, mine, *weights(root), "--up", "z", "--keep_frame", "false", name="unit")
    for facts, name in zip(index_of(kept)["facts"], index_of(kept)["shapes"], strict=True):
        vertices = np.array([line.split()[1:] for line in (mine / facts["mesh"]).open() if line[0] == "v"], float)
        frame = frame_of_matrix(np.array(facts["own_from_unit"]))
        assert (facts["up"], facts["front"]) == ("z", "-y")
        assert facts["scale"] == pytest.approx(np.ptp(vertices, axis=0).max())
        own, box = (read_cloud(folder / name / DENSE_POINT_CLOUD) for folder in (kept, unit))
        np.testing.assert_allclose(frame.to_unit(own), box, atol=1e-4)  # float32 at 70,000
        np.testing.assert_allclose(read_unit_cloud(kept / name / DENSE_POINT_CLOUD), box, atol=1e-4)
        np.testing.assert_array_equal(read_unit_cloud(unit / name / DENSE_POINT_CLOUD), box)
        np.testing.assert_array_equal(read_cloud(kept / name / "dense_point_cloud.ply"), own)
        middle, size = (vertices.max(axis=0) + vertices.min(axis=0)) / 2, np.ptp(vertices, axis=0).max()
        assert (np.abs(own - middle) < 0.56 * size).all()


def test_the_points_are_those_of_steps_1_and_6(root: Path, tmp_path: Path, meshes: list[Path]):
    """The five meshes of `meshes` lie in ShapeNet's layout."""
    cfg = tiny_config(tmp_path, exp_name="steps", num_shapes=9, split_file="none")
    assert preprocess.main(["--config", cfg.run.config]) == 0
    stored = [np.load(path.parent / voxelized_point_cloud(9, 53))["point_cloud"] for path in meshes]
    assert generate.main(["--config", cfg.run.config, "--mode", "reconstruct", *weights(root)]) == 0
    assert generate.main(["--config", cfg.run.config, "--own_meshes", str(tmp_path / "data"), *weights(root),
                          "--keep_frame", "false"]) == 0  # fmt: skip
    experiment = cfg.experiment
    read = own_meshes.read_own_meshes(cfg.changed(own_meshes=str(tmp_path / "data")), tmp_path / "out")
    for one, cloud in zip(read.meshes, stored, strict=True):
        np.testing.assert_array_equal(one.cloud, cloud)
        made = [folder / one.name / DENSE_POINT_CLOUD for folder in (experiment.reconstruction,
                                                                     experiment.own_meshes / "data")]  # fmt: skip
        np.testing.assert_array_equal(read_cloud(made[0]), read_cloud(made[1]))


def test_points_of_a_mesh_do_not_depend_on_its_ending_or_its_neighbours(root: Path, tmp_path: Path):
    """Those of a mesh without a twin are what earlier versions drew for its name without ending."""
    cfg = tiny_config(root).changed(own_meshes=str(tmp_path / "mine"), num_points=53)
    write_obj(tmp_path / "mine" / "vans" / "a.obj", *open_box(np.random.default_rng(3)))
    (alone,) = own_meshes.read_own_meshes(cfg, tmp_path / "out").meshes
    shape = Mesh(*open_box(np.random.default_rng(3)))
    np.testing.assert_array_equal(alone.cloud, input_points(to_unit_box(shape)[0], "vans__a", cfg))
    write_obj(tmp_path / "mine" / "vans__a.obj", *open_box(np.random.default_rng(4)))
    both = {one.name: one for one in own_meshes.read_own_meshes(cfg, tmp_path / "out").meshes}
    assert sorted(both) == ["vans__a.obj", "vans__a.obj~a84037b8"]
    np.testing.assert_array_equal(both["vans__a.obj"].cloud, alone.cloud)
    surfaces = [own_meshes.true_surface(one, 9, cfg) for one in (alone, both["vans__a.obj"])]
    np.testing.assert_array_equal(*surfaces)


def sorted_centres(mesh: Mesh) -> np.ndarray:
    """The centres of all faces, (F, 3), in an order that does not depend on that of the faces."""
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    return centres[np.lexsort(np.round(centres, 3).T)]


@pytest.mark.parametrize("ending", ["glb", "gltf", "stl", "ply", "off"])
def test_scenes_and_other_formats_give_the_same_faces(ending: str, tmp_path: Path):
    rng = np.random.default_rng(1)
    parts = [trimesh.Trimesh(*open_box(rng), process=False) for _ in range(2)]
    turn = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3], [4, 5, 6]) @ np.diag([2, 2, 2, 1])
    parts[1].apply_transform(turn)
    whole = trimesh.util.concatenate(parts)
    write_obj(tmp_path / "car.obj", whole.vertices, whole.faces)
    if ending in ("glb", "gltf"):
        parts[1].apply_transform(np.linalg.inv(turn))
        scene = trimesh.Scene()
        scene.add_geometry(parts[0], node_name="body")
        scene.add_geometry(parts[1], node_name="wheel", transform=turn)
        scene.export(tmp_path / f"car.{ending}")
    else:
        whole.export(tmp_path / f"car.{ending}")
    one, other = (to_unit_box(load_mesh(tmp_path / f"car.{end}")) for end in ("obj", ending))
    np.testing.assert_allclose(sorted_centres(one[0]), sorted_centres(other[0]), atol=1e-5)
    np.testing.assert_allclose(one[1].own_from_unit(), other[1].own_from_unit(), atol=1e-4)


def test_what_cannot_be_used_is_left_out_with_a_line_and_counted(root: Path, mine: Path, tmp_path: Path, capsys):
    (mine / "empty.stl").touch()
    (mine / "text.glb").write_text("hello")
    (mine / "flat.obj").write_text("v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n")
    trimesh.PointCloud(np.random.default_rng(0).random((9, 3))).export(mine / "scan.ply")
    (mine / "points.obj").write_text("v 0 0 0\nv 1 1 1\n")
    status, out = run(tmp_path, mine, *weights(root))
    assert status == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"8 meshes in {mine}, 5 of them left out"
    told = {line.split(": ")[1]: line.split(": ", 2)[2] for line in lines if line.startswith("  left out: ")}
    assert told == index_of(out)["left_out"]
    assert told["scan.ply"] == told["points.obj"] == "no faces: a point cloud, a mesh expected"
    assert told["empty.stl"] == "empty file" and told["flat.obj"].startswith("zero area")
    assert told["text.glb"].startswith("not a mesh that can be read")
    assert len(index_of(out)["shapes"]) == 3
    for path in mine.rglob("a.obj"):
        path.unlink()
    (mine / "rotes Auto ü.obj").unlink()
    with pytest.raises(UserError, match=r"none of the 5 meshes in .*mine can be used, the first, empty.stl: empty"):
        run(tmp_path, mine, *weights(root))


def test_a_second_run_makes_nothing_and_a_changed_mesh_or_frame_makes_anew(root: Path, mine: Path, tmp_path, capsys):
    def times(out: Path) -> list[int]:
        return [(out / name / DENSE_POINT_CLOUD).stat().st_mtime_ns for name in index_of(out)["shapes"]]

    _, out = run(tmp_path, mine, *weights(root))
    before = times(out)
    run(tmp_path, mine, *weights(root))
    assert times(out) == before and "were there already" in capsys.readouterr().out
    write_obj(mine / "vans" / "a.obj", *open_box(np.random.default_rng(9)))
    run(tmp_path, mine, *weights(root))
    changed = times(out)
    assert changed != before
    run(tmp_path, mine, *weights(root), "--keep_frame", "false")
    assert times(out) != changed


def test_a_stopped_run_goes_on_and_one_with_other_options_starts_over(
    root: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = []

    def decode_until_stopped(networks, field, num_points, n, decode=decode.decode_parts):
        if len(made) == stop_at:
            raise KeyboardInterrupt
        made.append(n)
        return decode(networks, field, num_points, n)

    monkeypatch.setattr(decoded_shape, "decode_parts", decode_until_stopped)
    stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, mine, *weights(root))
    assert made == [0, 1] and not (tmp_path / "clouds_alone" / "index.json").exists()
    stop_at = 3
    _, out = run(tmp_path, mine, *weights(root))
    assert made == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, mine, *weights(root), "--num_output_points", "80")
    assert not (out / "index.json").exists()  # the clouds there are no longer those of one run
    stop_at = 9
    run(tmp_path, mine, *weights(root), "--num_output_points", "80")
    assert made == [0, 1, 2, 0, 1, 2]
    assert {len(read_cloud(path)) for path in out.glob(f"*/{DENSE_POINT_CLOUD}")} == {80}


def test_clouds_of_another_folder_are_not_overwritten_and_clouds_are_no_meshes(root: Path, mine: Path, tmp_path: Path):
    _, out = run(tmp_path, mine, *weights(root))
    write_obj(tmp_path / "others" / "vans" / "a.obj", *open_box(np.random.default_rng(5)))
    with pytest.raises(UserError, match=r"alone holds vans__a.obj of .*mine, .*others found; give another --out"):
        run(tmp_path, tmp_path / "others", *weights(root))
    inside = ["--own_meshes_out", str(mine / "out")]
    for _ in range(2):
        assert run(tmp_path, mine, *weights(root), *inside)[0] == 0
    assert len(index_of(mine / "out")["shapes"]) == 3


def test_a_flow_or_codes_of_another_ndf_do_not_stop_a_reconstruction(root: Path, mine: Path, tmp_path: Path, capsys):
    cfg = tiny_config(root, exp_name="trained_on")  # its flow and codes are those of another NDF
    save_random_ndf(cfg, seed=5)
    for name in ("checkpoints_rnvp", "codes"):
        (cfg.experiment.root / name).symlink_to(tiny_config(root).experiment.root / name)
    words = ["--config", cfg.run.config, "--exp_name", "trained_on", "--own_meshes", str(mine)]
    assert generate.main([*words, "--own_meshes_out", str(tmp_path / "out")]) == 0
    assert "note: reconstructed without a flow, since the flow in" in capsys.readouterr().err
    assert "rnvp_sha256" not in index_of(tmp_path / "out")
    with pytest.raises(UserError, match="the flow in .*of another NDF checkpoint"):  # named: it is meant
        generate.main([*words, *flow(root)])


def test_options_that_do_not_fit_are_told(root: Path, mine: Path, tmp_path: Path):
    cfg = tiny_config(tmp_path)
    with pytest.raises(UserError, match="--own_meshes reconstructs meshes, --mode interpolate found"):
        generate.main(["--config", cfg.run.config, "--own_meshes", str(mine), "--mode", "interpolate"])
    with pytest.raises(UserError, match="no folder or file .*nowhere; give the folder"):
        run(tmp_path, tmp_path / "nowhere", *weights(root))
