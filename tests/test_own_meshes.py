"""`generate.py --own_meshes`: a folder of anybody's meshes to clouds in their own frame, by every kind of weights."""

import json
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import trimesh
from facts import naming, says
from numpy.testing import assert_array_equal

import generate
from dataprocessing import own_meshes, preprocess
from dataprocessing.frames import frame_of_matrix, to_unit_box
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.point_io import load_points
from dataprocessing.surface import sample_surface
from dataprocessing.voxelized_pointcloud_sampling import input_points
from generation import decode, decoded_shape
from generation.cloud_files import read_cloud, read_unit_cloud
from lab.small.helpers import contents, open_box, write_obj
from lab.small.tiny_experiment import best_flow, best_ndf, save_random_ndf, tiny_config
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
    return ["--ndf_checkpoint", str(best_ndf(root))]


def flow(root: Path) -> list[str]:
    return ["--rnvp_checkpoint", str(best_flow(root))]


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


def plain_weights(root: Path) -> list[str]:
    """A plain NDF with random weights: `save_random_ndf` needs training shapes, those of the tiny experiment."""
    save_random_ndf(tiny_config(root, exp_name="plain_of_meshes", code_kind="none"))
    return ["--ndf_checkpoint", str(best_ndf(root, exp_name="plain_of_meshes")), "--code_kind", "none"]


@pytest.mark.parametrize("kind", ["vector", "vector_no_flow", "vector_and_flow", "plain"])
def test_every_kind_of_weights_reconstructs_without_data_codes_or_split(kind: str, root: Path, mine: Path, tmp_path):
    words = {
        "vector": lambda: weights(root),
        "vector_no_flow": lambda: [*weights(root), "--rnvp_checkpoint="],
        "vector_and_flow": lambda: [*weights(root), *flow(root)],
        "plain": lambda: plain_weights(root),
    }[kind]()
    status, out = run(tmp_path, mine, *words, "--up", "z")
    assert status == 0
    assert index_of(out)["shapes"] == ["rotes Auto ü.obj", "sedans__a.obj", "vans__a.obj"]
    for name in index_of(out)["shapes"]:
        assert len(read_cloud(out / name / DENSE_POINT_CLOUD)) == 90
        with np.load(out / name / DENSE_POINT_CLOUD) as file:
            assert ("log_likelihood" in file) == (kind == "vector_and_flow")
            assert ("code" in file) == (kind != "plain")


def test_a_chunk_reads_its_own_meshes_and_makes_the_files_of_one_process(
    root: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One of the four cannot be used: no number depends on whether it can, which only its own chunk knows."""
    (mine / "broken.obj").write_text("v 0 0 nan\n")
    words, read, read_one = [*weights(root), *flow(root), "--num_cpus", "1"], [], own_meshes.read_own_mesh
    status, out = run(tmp_path, mine, *words)
    whole = contents(out)
    shutil.rmtree(out)
    assert status == 1
    monkeypatch.setattr(own_meshes, "read_own_mesh", lambda path, *more: (read.append(path), read_one(path, *more))[1])
    statuses = []
    for chunk in (4, 2, 0, 3, 1):  # of five chunks of four meshes one has none
        statuses.append(run(tmp_path, mine, *words, "--num_chunks", "5", "--current_chunk", str(chunk))[0])
    assert len(read) == len(set(read)) == 4
    assert sorted(statuses) == [0, 0, 0, 0, 1]
    monkeypatch.setattr(own_meshes, "read_own_mesh", read_one)
    status, parts = run(tmp_path, mine, *words)
    assert status == 1 and contents(parts) == whole


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
        np.testing.assert_allclose(read_cloud(made[0]), read_cloud(made[1]), atol=1e-6)  # other batches


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
    (mine / "cut.xyz").write_text("0 0 0\n1 1\n")
    (mine / "points.obj").write_text("v 0 0 0\nv 1 1 1\n")
    status, out = run(tmp_path, mine, *weights(root))
    assert status == 1
    lines = capsys.readouterr().out.splitlines()
    assert says(lines[0], 8, mine, 5)
    told = {line.split(": ")[1]: line.split(": ", 2)[2] for line in lines if line.startswith("  left out: ")}
    assert told == index_of(out)["left_out"]
    assert says(told["cut.xyz"], "three numbers") and says(told["points.obj"], "point cloud")
    assert says(told["empty.stl"], "empty") and says(told["flat.obj"], "area")
    assert says(told["text.glb"], "mesh")
    assert len(index_of(out)["shapes"]) == 3
    for path in mine.rglob("a.obj"):
        path.unlink()
    (mine / "rotes Auto ü.obj").unlink()
    with pytest.raises(UserError, match=naming(5, mine, "cut.xyz")):
        run(tmp_path, mine, *weights(root))


def test_a_second_run_makes_nothing_and_a_changed_mesh_or_frame_makes_anew(root: Path, mine: Path, tmp_path, capsys):
    def times(out: Path) -> list[int]:
        return [(out / name / DENSE_POINT_CLOUD).stat().st_mtime_ns for name in index_of(out)["shapes"]]

    _, out = run(tmp_path, mine, *weights(root))
    before = times(out)
    run(tmp_path, mine, *weights(root))
    assert times(out) == before and "already" in capsys.readouterr().out
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
    with pytest.raises(UserError, match=naming(out, "vans__a.obj", mine, tmp_path / "others", "--out")):
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
    assert says(capsys.readouterr().err, "note: flow NDF")
    assert "rnvp_sha256" not in index_of(tmp_path / "out")
    with pytest.raises(UserError, match=naming("flow NDF checkpoint")):  # named: it is meant
        generate.main([*words, *flow(root)])


def test_options_that_do_not_fit_are_told(root: Path, mine: Path, tmp_path: Path):
    cfg = tiny_config(tmp_path)
    with pytest.raises(UserError, match=naming("--own_meshes --mode interpolate")):
        generate.main(["--config", cfg.run.config, "--own_meshes", str(mine), "--mode", "interpolate"])
    with pytest.raises(UserError, match=naming(tmp_path / "nowhere")):
        run(tmp_path, tmp_path / "nowhere", *weights(root))


def cloud_of_box(count: int, seed: int = 4) -> np.ndarray:
    vertices, faces = open_box(np.random.default_rng(3))
    return sample_surface(Mesh(vertices, faces), count, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", ["vector", "plain"])
def test_point_clouds_are_shapes_too_each_with_its_own_number_of_points(kind: str, root: Path, tmp_path: Path, capsys):
    """Far from the origin they come back in float64, where they were."""
    mine, place = tmp_path / "mine", np.array([500_000.0, 30.0, 5_400_000.0])
    mine.mkdir()
    np.save(mine / "few.npy", cloud_of_box(37))
    np.save(mine / "map.npy", cloud_of_box(2000) + place)
    np.savetxt(mine / "v\udce9hicule.xyz", cloud_of_box(1500))
    write_obj(mine / "box.obj", *open_box(np.random.default_rng(3)))
    status, out = run(tmp_path, mine, *(weights(root) if kind == "vector" else plain_weights(root)))
    assert status == 0
    index, told = index_of(out), capsys.readouterr().out
    assert index["shapes"] == ["box.obj", "few.npy", "map.npy", "v\udce9hicule.xyz"]
    given = {fact["mesh"]: (fact.get("num_points"), fact.get("scatter")) for fact in index["facts"]}
    assert given["box.obj"] == (None, None) and given["few.npy"] == (37, None) and given["map.npy"][0] == 2000
    assert given["map.npy"][1] < 0.03
    assert says(next(line for line in told.splitlines() if "map.npy" in line), "2,000", f"{given['map.npy'][1]:.4f}")
    assert says(next(line for line in told.splitlines() if "few.npy" in line), 37)
    near, far = (np.load(out / name / DENSE_POINT_CLOUD)["point_cloud"] for name in ("v\udce9hicule.xyz", "map.npy"))
    assert near.dtype == np.float32 and far.dtype == np.float64
    assert_array_equal(load_points(out / "map.npy" / "dense_point_cloud.ply"), far)
    assert len(np.unique(far[:, 2])) > 85  # float32 has one number every 0.5 there
    assert np.abs(read_unit_cloud(out / "map.npy" / DENSE_POINT_CLOUD)).max() < 0.6


def test_the_points_of_a_cloud_are_its_own(tmp_path: Path, root: Path):
    """All of them where it has few, else a draw of them that the seed decides; its longest side is that of all."""
    cfg, points = tiny_config(root), cloud_of_box(3000) * [9, 7, 5] + 3
    np.save(tmp_path / "all.npy", points)
    one = own_meshes.read_own_mesh(tmp_path / "all.npy", PurePosixPath("all.npy"), cfg)
    assert isinstance(one, own_meshes.OwnMesh) and len(one.cloud) == cfg.grid.num_points < len(points)
    apart = np.abs(one.frame.to_own(one.cloud)[:, None] - points[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-5
    assert one.frame.size == pytest.approx(np.ptp(points, axis=0).max(), rel=1e-6)
    np.save(tmp_path / "few.npy", points[:50])
    few = own_meshes.read_own_mesh(tmp_path / "few.npy", PurePosixPath("few.npy"), cfg)
    assert isinstance(few, own_meshes.OwnMesh) and len(few.cloud) == 50


def test_a_linked_file_keeps_its_own_name_and_ending(mine: Path, root: Path, tmp_path: Path):
    mesh = next(mine.rglob("*.obj"))
    (tmp_path / "car.obj").symlink_to(mesh.rename(tmp_path / "blob"))
    cfg = tiny_config(root).changed(own_meshes=str(tmp_path / "car.obj"))
    assert [one.name for one in own_meshes.read_own_meshes(cfg, tmp_path / "out").meshes] == ["car.obj"]
    (tmp_path / "round.obj").symlink_to("round.obj")
    with pytest.raises(UserError, match=naming("round.obj")):
        own_meshes.read_own_meshes(cfg.changed(own_meshes=str(tmp_path / "round.obj")), tmp_path / "out")


def test_no_file_of_a_folder_is_passed_over_in_silence(root: Path, mine: Path, tmp_path: Path, capsys):
    for name in ("car.fbx", "old.3DS", "all.zip", "thing.zzz", "none", "car.mtl", "skin.png", ".hidden.obj"):
        (mine / name).write_text("x")
    (mine / "boundary_0.08_samples.npz").write_text("x")
    (mine / "gone.obj").symlink_to(tmp_path / "nowhere")
    (tmp_path / "more").mkdir()
    write_obj(tmp_path / "more" / "linked.obj", *open_box(np.random.default_rng(1)))
    (mine / "link").symlink_to(tmp_path / "more")
    status, out = run(tmp_path, mine, *weights(root))
    assert status == 1 and "link__linked.obj" in index_of(out)["shapes"]
    told = capsys.readouterr().out
    left_out = index_of(out)["left_out"]
    assert set(left_out) == {"car.fbx", "old.3DS", "all.zip", "gone.obj"}
    assert says(left_out["car.fbx"], "FBX .glb") and says(left_out["all.zip"], "archive unpack")
    assert says(told, "4 left out", "car.fbx old.3DS all.zip gone.obj thing.zzz none", "1 .mtl .png hidden")
