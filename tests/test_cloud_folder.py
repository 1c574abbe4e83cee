"""Folders of clouds in every kind of file: the same points come out, and what is wrong is told with its file."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from facts import naming
from numpy.testing import assert_allclose, assert_array_equal

from evaluation.cloud_folder import CloudFolder, cloud_files
from generation.cloud_files import listed_clouds, write_cloud
from lab.small.helpers import write_ply
from runtime.errors import UserError
from runtime.files import write_json
from runtime.layout import given_path

CLOUDS = np.random.default_rng(0).normal(size=(4, 20, 3)).astype(np.float32)


def read(folder: Path) -> CloudFolder:
    return CloudFolder(str(folder), "samples", 20, seed=3)


def write(path: Path) -> None:
    """CLOUDS, or the first one, by the name of the file."""
    writers = {
        "stack.npy": lambda: np.save(path, CLOUDS),
        "one.npy": lambda: np.save(path, CLOUDS[0].astype(np.float64)),
        "named.npz": lambda: np.savez(path, codes=np.zeros((4, 3)), point_cloud=CLOUDS),
        "first.npz": lambda: np.savez(path, codes=np.zeros((4, 8)), samples=CLOUDS, normals=CLOUDS + 1),
        "stack.pt": lambda: torch.save(torch.from_numpy(CLOUDS), path),
        "half.pt": lambda: torch.save({"step": 3, "samples": torch.from_numpy(CLOUDS).to(torch.float64)}, path),
        "one.ply": lambda: write_ply(path, CLOUDS[0]),
        "one.off": lambda: path.write_text(
            "OFF\n20 0 0\n" + "\n".join(" ".join(map(str, p)) for p in CLOUDS[0].tolist())
        ),
    }
    writers[path.name]()


@pytest.mark.parametrize(
    "name", ["stack.npy", "one.npy", "named.npz", "first.npz", "stack.pt", "half.pt", "one.ply", "one.off"]
)
def test_each_kind_of_file_gives_its_points(tmp_path: Path, name: str):
    write(tmp_path / name)
    found = read(tmp_path)
    expected = CLOUDS[:1] if name.startswith("one") else CLOUDS
    assert_allclose(np.stack(list(found)), expected, rtol=1e-6)
    assert found[0].dtype == np.float32
    path = str(tmp_path / name)
    assert found.names == ([path] if len(expected) == 1 else [f"{path}[{n}]" for n in range(4)])


def test_files_come_in_the_order_of_their_numbers_and_twins_count_once(tmp_path: Path):
    for n in (10, 9, 1):
        write_cloud(tmp_path / "deep" / str(n), CLOUDS[n % 4])  # an .npz and a .ply of the same points
    (tmp_path / "deep" / "index.json").write_text("{}")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.bin").write_text("")
    found = read(tmp_path)
    assert [Path(name).parent.name for name in found.names] == ["1", "9", "10"]
    assert {Path(name).suffix for name in found.names} == {".npz"}
    assert_array_equal(found[2], CLOUDS[2])


def test_of_a_folder_with_an_index_only_the_clouds_that_it_lists_are_read(tmp_path: Path):
    place = tmp_path / "deep"
    for n in range(4):
        write_cloud(place / str(n), CLOUDS[n])
    np.save(place / "mine.npy", CLOUDS[0, :7])  # what a user put there
    write_json(place / "index.json", {"shapes": ["3", "1"], "facts": []})
    for folder in (place, tmp_path):
        assert [Path(name).parent.name for name in read(folder).names] == ["1", "3"]
    np.save(tmp_path / "other.npy", CLOUDS[:2])
    assert len(read(tmp_path)) == 4
    assert listed_clouds(tmp_path) is None
    for other in ({"shapes": 3}, {"files": []}):  # of another program
        write_json(place / "index.json", other)
        assert len(cloud_files(place, "samples")) == 5
    write_json(place / "index.json", {"shapes": ["3", "4"]})
    with pytest.raises(UserError, match=naming("index.json 4/dense_point_cloud.npz")):
        read(place)
    (place / "index.json").rename(place / "made_of.json")
    with pytest.raises(UserError, match=naming(place)):
        read(place)


@pytest.mark.parametrize("kind", ["ply", "off"])
def test_meshes_give_points_of_their_surface(tmp_path: Path, kind: str):
    trimesh.creation.box(extents=(1, 2, 4)).export(tmp_path / f"box.{kind}")
    found = read(tmp_path)
    assert found[0].shape == (20, 3)
    at_a_side = np.isclose(abs(found[0]), [0.5, 1, 2], atol=1e-6).any(axis=1)
    assert at_a_side.all()
    assert len(np.unique(found[0], axis=0)) == 20  # no vertices
    assert_array_equal(found[0], read(tmp_path)[0])


class Trap:
    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('a file was executed')",))


def wrong_file(folder: Path, name: str) -> None:
    """One file with a mistake, by its name."""
    nan, path = CLOUDS.copy(), folder / name
    nan[2, 5] = np.nan
    contents = {
        "nan.npy": nan,
        "infinite.npy": np.where(np.arange(20)[:, None] < 3, np.inf, CLOUDS[0]),
        "flat.npy": CLOUDS[0, :, :2],
        "deep.npy": CLOUDS[None],
        "empty.npy": CLOUDS[:0],
        "words.npy": np.array([["a", "b", "c"]]),
    }
    if name in contents:
        np.save(path, contents[name])
    elif name == "objects.npy":
        np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    elif name == "pickle.pt":
        path.write_bytes(pickle.dumps(Trap(), protocol=2))
    elif name == "list.pt":
        torch.save([torch.zeros(3, 3)], path)
    elif name == "keys.npz":
        np.savez(path, a=np.zeros(3), b=np.zeros((2, 2)))
    elif name == "mixed.npz":
        np.savez(path, points=CLOUDS[0, :7])
    elif name == "cut.ply":
        write_ply(path, CLOUDS[0])
        path.write_bytes(path.read_bytes()[:-5])
    elif name == "cut.off":
        path.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n")
    else:
        path.write_text("not what its name says")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan.npy", "1 20 2 NaN infinite (N, 3) (S, N, 3)"),
        ("infinite.npy", "3 20 NaN infinite"),
        ("flat.npy", "(20, 2)"),
        ("deep.npy", "(1, 4, 20, 3)"),
        ("empty.npy", "(0, 20, 3)"),
        ("words.npy", "type numbers"),
        ("objects.npy", "Python objects"),
        ("pickle.pt", "tensors torch.save"),
        ("list.pt", "list tensor dict"),
        ("keys.npz", "a (3,), b (2, 2)"),
        ("junk.npz", "(N, 3)"),
        ("junk.pt", "(N, 3)"),
        ("junk.npy", "(N, 3)"),
        ("junk.ply", "PLY (N, 3)"),
        ("junk.off", "OFF (N, 3)"),
        ("cut.ply", "vertex 20 19"),
        ("cut.off", "truncated 3 vertices 1 faces"),
        ("junk.vtp", ".npz .npy .pt .ply .off"),
        ("mixed.npz", "7 20 good.npy[0]"),
    ],
)
def test_mistakes_name_their_file(tmp_path: Path, name: str, message: str):
    np.save(tmp_path / "good.npy", CLOUDS)
    assert len(read(tmp_path)) == 4
    wrong_file(tmp_path, name)
    with pytest.raises(UserError, match=naming(tmp_path / name, message)):
        read(tmp_path)


def test_missing_and_empty_folders_and_small_clouds(tmp_path: Path):
    with pytest.raises(UserError, match=naming(tmp_path / "nowhere", "samples .npz")):
        read(tmp_path / "nowhere")
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(UserError, match=naming(tmp_path, "samples .npz .npy .pt .ply .off")):
        cloud_files(tmp_path, "samples")
    np.save(tmp_path / "a.npy", CLOUDS)
    read(tmp_path).require_points(20)
    with pytest.raises(UserError, match=naming("a.npy[0] 20 21")):
        read(tmp_path).require_points(21)


def test_folders_are_looked_for_here_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    assert given_path("models") == Path("models")  # though the project has one too
    assert given_path("configs").is_absolute() and given_path("configs").is_dir()


def test_pages_and_meshes_beside_clouds_are_no_clouds(tmp_path):
    write_cloud(tmp_path / "0", np.random.default_rng(0).random((30, 3), np.float32))
    (tmp_path / "shapes.html").write_text("<p>")
    for ending in ("ply", "glb", "obj"):
        (tmp_path / "0" / f"mesh.{ending}").write_text("a mesh")
    assert [path.name for path in cloud_files(tmp_path, "samples")] == ["dense_point_cloud.npz"]
