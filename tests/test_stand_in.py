"""The stand-in for ShapeNet: the same files from the same seed, whatever interrupts it, and every trouble in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataprocessing.mesh_folder import shapes_below
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh, triangle_areas
from dataprocessing.split import paths_in
from demo_cars.car import make_car
from lab.small.helpers import contents, open_box, write_obj
from lab.stand_in import make, plan, troubles, wavefront
from lab.stand_in.plan import BROKEN, Plan, parts_of, plans_of
from lab.stand_in.troubles import Soup, components_of
from runtime.errors import UserError

LISTS = ("shapes.csv", "split_cars.npz")  # the only files that tell of all shapes


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Meshes as the demo cars are, and a broken one in every 6."""
    monkeypatch.setattr(plan, "FACES", ())
    monkeypatch.setattr(plan, "BROKEN_EVERY", 6)
    monkeypatch.setattr(plan, "HUGE_FACES", 30_000)
    monkeypatch.setattr(plan, "HUGE_EVERY", 5)


def made(out: Path, shapes: int = 5, seed: int = 3, *others: str) -> dict[str, bytes]:
    assert make.main([str(out), "--shapes", str(shapes), "--seed", str(seed), "--num_cpus", "1", *others]) == 0
    return contents(out)


def car(index: int = 0) -> Soup:
    vertices, faces, _ = make_car(3, index)
    return Soup(vertices, faces, np.arange(len(faces)) // 500)


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(triangle_areas(Mesh(vertices, faces)).sum())


def test_files_lie_as_in_shapenet(tmp_path):
    files = made(tmp_path, 6)
    plans = plans_of(3, 6)
    assert {path.split("/")[1] for path in files if path.startswith("02958343/")} == {one.name for one in plans}
    for one in plans:
        folder = f"02958343/{one.name}"
        endings = {path.rpartition("/")[2] for path in files if path.startswith(f"{folder}/models/")}
        whole = {f"model_normalized.{kind}" for kind in ("obj", "mtl", "json", "surface.binvox")}
        assert endings == whole - ({"model_normalized.obj"} if one.broken == "no mesh" else set())
        named = files[f"{folder}/models/model_normalized.mtl"].decode().count("map_Kd ../images/texture")
        images = [path for path in files if path.startswith(f"{folder}/images/")]
        assert named <= len(images) == one.textures
        if not one.broken:
            mesh = load_mesh(tmp_path / folder / "models" / "model_normalized.obj")
            assert components_of(*mesh)[0] == one.components or one.components >= 4
    listing = shapes_below(tmp_path / "02958343")
    assert len(listing.shapes) == sum(one.broken != "no mesh" for one in plans)
    assert not listing.unknown and not listing.left_out


def test_a_seed_gives_the_same_files_and_fewer_shapes_are_the_first_ones(tmp_path):
    once, again, fewer = made(tmp_path / "a"), made(tmp_path / "b"), made(tmp_path / "c", 3)
    assert once == again
    assert fewer.items() - {(name, fewer[name]) for name in LISTS} < once.items()
    assert set(made(tmp_path / "d", seed=4)) != set(once)


def test_a_stopped_run_goes_on_to_the_same_files(tmp_path, monkeypatch):
    expected = made(tmp_path / "whole")
    calls, write = [], make.write_text

    def stop(path, text):
        calls.append(path)
        if len(calls) == 6:  # before the marker of the third shape
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(make, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "stopped")
    there = contents(tmp_path / "stopped")
    assert 0 < len(there) < len(expected)
    monkeypatch.setattr(make, "write_text", write)
    assert made(tmp_path / "stopped") == expected


def test_other_folders_are_left_alone(tmp_path):
    made(tmp_path / "a", 1)
    with pytest.raises(UserError, match="'seed': 3.*give another folder"):
        made(tmp_path / "a", 1, seed=4)
    (tmp_path / "b" / "02958343").mkdir(parents=True)
    with pytest.raises(UserError, match="ShapeNet's own"):
        made(tmp_path / "b", 1)
    with pytest.raises(UserError, match="no mesh"):
        made(tmp_path / "c", 1, 3, "--real", str(tmp_path / "b"))


def test_real_meshes_take_some_places_and_change_no_others(tmp_path, monkeypatch):
    write_obj(tmp_path / "cars" / "box.obj", *open_box(np.random.default_rng(0)))
    monkeypatch.setattr(plan, "REAL", 0.5)
    alone, with_real = plans_of(3, 40), plans_of(3, 40, num_real=1)
    real = [one for one in with_real if one.real == 0]
    assert 5 < len(real) < 35
    assert [replace(one, real=-1) for one in with_real] == alone
    first = next(one for one in real if not one.broken and not one.faces)
    made(tmp_path / "mixed", first.index + 1, 3, "--real", str(tmp_path / "cars"))
    mesh = load_mesh(tmp_path / "mixed" / "02958343" / first.name / "models" / "model_normalized.obj")
    assert len(mesh.faces) < 3000  # a demo car has more


def test_the_full_set_has_every_trouble(monkeypatch):
    monkeypatch.undo()  # the real shares
    plans = plans_of(0, plan.SHAPES)
    assert len({one.name for one in plans}) == 7497
    assert {len(one.name) for one in plans} <= {29, 30, 31, 32}
    assert {one.broken for one in plans} == {"", *BROKEN}
    assert sum(bool(one.broken) for one in plans) == 30
    originals = [one for one in plans if one.origin == one.index]
    assert 60 < len(plans) - len(originals) < 170
    assert sum(one.faces == 1_000_000 for one in originals) == 3
    assert min(one.components for one in plans) == 1
    assert 470 < max(one.components for one in plans) <= 475
    assert max(one.groups for one in plans) > 550
    for name in ("lines", "loose_vertices", "outside", "doubled", "degenerate", "polygons", "own_vertices", "textures"):
        share = np.mean([bool(getattr(one, name)) for one in plans])
        assert 0.05 < share < 0.5, name
    for one in plans:
        first = plans[one.origin]
        assert replace(one, index=first.index, name=first.name) == first
        assert first.origin == first.index


@pytest.mark.parametrize("shapes", [1, 10, 7497])
def test_the_split_has_the_proportions_of_the_published_one(shapes, tmp_path):
    parts = parts_of(5, shapes)
    assert sorted(index for part in parts.values() for index in part) == list(range(shapes))
    counts = tuple(len(parts[part]) for part in ("train", "val", "test"))
    assert counts == {1: (1, 0, 0), 10: (7, 1, 2), 7497: (5249, 749, 1499)}[shapes]
    if shapes == 10:
        made(tmp_path, shapes, seed=5)
        paths = paths_in(tmp_path / "split_cars.npz")
        assert [path.rpartition("/")[2] for path in paths["val"]] == [plans_of(5, 10)[parts["val"][0]].name]
        assert not Path(paths["val"][0]).exists()


@pytest.mark.parametrize("wanted", [1, 3, 475])
def test_a_car_gets_as_many_pieces_as_it_should_have(wanted):
    soup = troubles.with_components(car(), wanted, np.random.default_rng(0))
    assert components_of(soup.vertices, soup.faces)[0] == wanted
    assert len(soup.part) == len(soup.faces)


@pytest.mark.parametrize("more", [0, 1, 2500, 70_001])
def test_more_faces_are_the_same_surface(more):
    soup = car()
    finer = troubles.subdivided(soup, len(soup.faces) + more)
    assert 0 <= len(finer.faces) - len(soup.faces) - more <= 2
    assert area(finer.vertices, finer.faces) == pytest.approx(area(soup.vertices, soup.faces), rel=1e-9)
    for part in range(int(soup.part.max()) + 1):
        of_part = [area(one.vertices, one.faces[one.part == part]) for one in (soup, finer)]
        assert of_part[0] == pytest.approx(of_part[1], rel=1e-9)


def test_doubled_and_degenerate_faces_are_in_the_mesh():
    soup, rng = car(), np.random.default_rng(0)
    doubled = troubles.with_doubled(soup, 0.1, rng)
    added = round(0.1 * len(soup.faces))
    assert len(doubled.faces) == len(soup.faces) + added
    assert len(np.unique(np.sort(doubled.faces, axis=1), axis=0)) <= len(soup.faces)
    degenerate = troubles.with_degenerate(soup, 21, rng)
    areas = triangle_areas(Mesh(degenerate.vertices, degenerate.faces))
    assert (areas[-21:] < 1e-12).all()
    assert (areas[:-21] > 1e-12).all()


ALL = Plan(
    0, "a", 0, components=475, groups=300, lines=50, outside=True, loose_vertices=7, degenerate=30, polygons=0.4,
    own_vertices=True, textures=2, faces=14_000,
)  # fmt: skip


def written(path: Path, one: Plan, soup: Soup | None = None) -> list[str]:
    """The lines of the OBJ file of a plan."""
    rng = np.random.default_rng(0)
    polygons, lines = wavefront.placed(make.spoiled(soup or car(), one, rng), one, rng)
    text = wavefront.obj_text(polygons, lines, one)
    path.write_text(wavefront.broken_text(text, one.broken) if one.broken else "".join(text))
    return path.read_text().splitlines()


def test_a_file_with_all_troubles_is_still_the_same_surface(tmp_path):
    rows = written(tmp_path / "car.obj", ALL)
    first = [row.split() for row in rows if row]
    corners = [len(words) - 1 for words in first if words[0] == "f"]
    assert {3, 4, 5} == set(corners)
    assert sum(words[0] == "l" for words in first) == 50
    assert 200 < sum(words[0] == "usemtl" for words in first) == sum(words[0] == "g" for words in first) < 400
    assert any("nan" in words for words in first if words[0] == "vn")
    used = {int(word.partition("/")[0]) for words in first if words[0] == "f" for word in words[1:]}
    num_vertices = sum(words[0] == "v" for words in first)
    assert num_vertices - len(used) == 7 + 2
    mesh = load_mesh(tmp_path / "car.obj")
    assert 465 <= components_of(*mesh)[0] <= 475  # the digits that are written join some
    whole = troubles.with_components(car(), 475, np.random.default_rng(0))
    scale = np.ptp(mesh.vertices, axis=0).max() / np.ptp(whole.vertices[whole.faces.ravel()], axis=0).max()
    assert scale < 0.5  # what lies around it sets the frame
    assert area(*mesh) == pytest.approx(scale**2 * area(whole.vertices, whole.faces), rel=2e-3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty file"),
        ("no faces", "no faces|vertices alone|points"),
        ("cut off", "truncated|damaged"),
        ("lines alone", "no faces|vertices alone|points"),
        ("not finite", "finite|number"),
    ],
)
def test_a_broken_mesh_is_one_that_cannot_be_used(kind, reason, tmp_path):
    written(tmp_path / "car.obj", replace(ALL, broken=kind))
    with pytest.raises(MeshError, match=reason):
        load_mesh(tmp_path / "car.obj")


def test_voxels_are_runs_of_all_places_in_binvox_order():
    vertices = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    data = wavefront.binvox(vertices)
    runs = np.frombuffer(data[data.index(b"data\n") + 5 :], np.uint8).reshape(-1, 2)
    voxels = np.repeat(runs[:, 0], runs[:, 1]).reshape(128, 128, 128)  # x, z, y
    at = ((vertices - vertices.min(axis=0)) / np.ptp(vertices, axis=0).max() * 127).astype(int)
    assert voxels[at[:, 0], at[:, 2], at[:, 1]].all()
    assert voxels.sum() == len(np.unique(at, axis=0))
