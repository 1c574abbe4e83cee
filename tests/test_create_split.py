from pathlib import Path

import numpy as np
import pytest
from facts import naming, says

from dataprocessing.create_split import main
from dataprocessing.shapes import expected_files
from dataprocessing.split import load_split, split_folders
from lab.small.helpers import read_config, write_config
from runtime.errors import UserError
from runtime.files import write_json


def make_shapes(root: Path, names: list[str], tmp_path: Path) -> None:
    """Folders with empty files of the right names: a split only looks whether they are there."""
    for name in names:
        folder = root / name / "models"
        folder.mkdir(parents=True)
        for file in expected_files(read_config(tmp_path)):
            (folder / file).touch()


def split(tmp_path: Path, **options: object) -> dict[str, list[str]]:
    assert main(["--config", str(write_config(tmp_path, **options))]) == 0
    with np.load(tmp_path / "split.npz", allow_pickle=False) as file:
        assert sorted(file) == ["made_of", "test", "train", "val"]
        return {part: file[part].tolist() for part in ("train", "val", "test")}


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Thirty shapes in tmp_path / "data"."""
    make_shapes(tmp_path / "data", [f"car{i:02}" for i in range(30)], tmp_path)
    return tmp_path / "data"


def test_parts_are_disjoint_complete_and_of_the_wanted_sizes(shapes, tmp_path, capsys):
    parts = split(tmp_path)
    assert {part: len(folders) for part, folders in parts.items()} == {"train": 21, "val": 3, "test": 6}
    assert sorted(sum(parts.values(), [])) == [str(shapes / f"car{i:02}" / "models") for i in range(30)]
    assert "train 21, val 3, test 6" in capsys.readouterr().out
    sizes = {part: len(folders) for part, folders in split(tmp_path, n_val=4, r_test=0.5).items()}
    assert sizes == {"train": 11, "val": 4, "test": 15}
    sizes = {part: len(folders) for part, folders in split(tmp_path, n_val=0, n_test=0).items()}
    assert sizes == {"train": 30, "val": 0, "test": 0}


def test_shapes_named_by_a_pattern_are_the_test_split(shapes, tmp_path):
    parts = split(tmp_path, test_pattern="car2*", n_val=4)
    assert parts["test"] == [str(shapes / f"car{i:02}" / "models") for i in range(20, 30)]
    assert len(parts["val"]) == 4
    assert sorted(parts["train"] + parts["val"]) == [str(shapes / f"car{i:02}" / "models") for i in range(20)]
    with pytest.raises(UserError, match=naming("test_pattern 'van*' car00")):
        split(tmp_path, test_pattern="van*")
    with pytest.raises(UserError, match=naming("test_pattern n_test")):
        split(tmp_path, test_pattern="car2*", n_test=3)


def test_meshes_that_are_in_two_parts_are_told(shapes, tmp_path, capsys):
    def record(name: str, digest: str) -> None:
        entry = {"of": {"mesh": digest}, "files": [], "finished": True}
        write_json(shapes / name / "models" / "made_of.json", {"mesh": entry})

    parts = {part: [Path(folder).parent.name for folder in folders] for part, folders in split(tmp_path).items()}
    assert "train too" not in capsys.readouterr().err
    for part, name in (("train", parts["train"][2]), ("train", parts["train"][4]), ("test", parts["test"][1])):
        record(name, "abc" if name != parts["train"][4] else part)
    split(tmp_path)
    told = capsys.readouterr().err
    assert says(told, f"1 meshes test train {parts['test'][1]} {parts['train'][2]}")
    assert " val " not in told


def test_split_is_seeded(shapes, tmp_path):
    first = split(tmp_path)
    assert split(tmp_path) == first
    other = split(tmp_path, seed=1)
    assert other["test"] != first["test"]
    assert first["test"] != sorted(sum(first.values(), []))[-6:]  # not just the last ones


def test_shapes_that_lack_a_file_are_left_out(shapes, tmp_path, capsys):
    (shapes / "car07" / "models" / "boundary_0.003_samples.npz").unlink()
    (shapes / "car11" / "models" / "uniform_samples.npz").unlink()
    parts = split(tmp_path)
    used = " ".join(sum(parts.values(), []))
    assert "car07" not in used
    assert "car11" not in used
    assert says(capsys.readouterr().out, 28)
    assert sum(map(len, split(tmp_path, num_uniform_samples=0).values())) == 29


def test_each_class_is_split_on_its_own(tmp_path):
    make_shapes(tmp_path / "data" / "02958343", [f"a{i}" for i in range(10)], tmp_path)
    make_shapes(tmp_path / "data" / "02691156", [f"b{i}" for i in range(20)], tmp_path)
    layout = {"input_data_glob": "/*/*/models/model_normalized.obj", "class_folders": "/*/"}
    parts = split(tmp_path, **layout)
    for name, sizes in {"02958343": (7, 1, 2), "02691156": (14, 2, 4)}.items():
        assert tuple(sum(f"/{name}/" in path for path in parts[part]) for part in ("train", "val", "test")) == sizes
    with pytest.raises(UserError, match=naming("02958343 10 4 6")):
        split(tmp_path, **layout, n_val=4, n_test=6)
    with pytest.raises(UserError, match=naming("class_folders '/cars*/'")):
        split(tmp_path, **layout | {"class_folders": "/cars*/"})


def test_a_split_of_the_same_facts_is_there_already_wherever_the_data_are(shapes, tmp_path, capsys):
    parts = split(tmp_path)
    file = tmp_path / "split.npz"
    before = file.read_bytes(), file.stat().st_mtime_ns
    split(tmp_path)
    shapes.rename(tmp_path / "moved")
    split(tmp_path, data_dir=tmp_path / "moved")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    told = capsys.readouterr()
    assert told.out.count("already") == 2 and not told.err
    assert split(tmp_path, data_dir=tmp_path / "moved", seed=3) != parts
    told = capsys.readouterr()
    assert "seed 0 -> 3" in told.err and "already" not in told.out


def test_a_network_trained_on_the_former_split_is_told_of(shapes, tmp_path, capsys):
    (tmp_path / "experiments" / "test" / "checkpoints_ndf").mkdir(parents=True)
    (tmp_path / "experiments" / "test" / "checkpoints_ndf" / "best.tar").touch()
    split(tmp_path)
    split(tmp_path, r_val=0.1)  # as by default
    assert not says(capsys.readouterr().err, "network")
    split(tmp_path, seed=5)
    assert says(capsys.readouterr().err, "test network")


def test_a_split_of_an_earlier_version_is_taken_and_that_of_others_kept(shapes, tmp_path, capsys):
    parts, file = split(tmp_path), tmp_path / "split.npz"
    np.savez(file, **parts)
    assert split(tmp_path) == parts
    assert "already" in capsys.readouterr().out and not (tmp_path / "split_former.npz").exists()
    np.savez(file, train=["/theirs/car01"], val=["/theirs/car02"], test=["/theirs/car03"])
    theirs = file.read_bytes()
    assert split(tmp_path) == parts
    assert (tmp_path / "split_former.npz").read_bytes() == theirs
    np.savez(file, train=["/theirs/car04"], val=["/theirs/car02"], test=["/theirs/car03"])
    with pytest.raises(UserError, match=naming(tmp_path / "split_former.npz")):
        split(tmp_path)
    for data in (b"notes of mine", b""):
        file.write_bytes(data)
        with pytest.raises(UserError, match=naming(file)):
            split(tmp_path)
        assert file.read_bytes() == data


def test_split_lists_the_folders_below_processed_dir(tmp_path):
    make_shapes(tmp_path / "out", ["x", "y", "z"], tmp_path)
    parts = split(tmp_path, data_dir=tmp_path / "read_only", processed_dir=tmp_path / "out")
    assert sorted(sum(parts.values(), [])) == [str(tmp_path / "out" / name / "models") for name in "xyz"]


def test_mistakes_are_told_with_what_to_do(shapes, tmp_path):
    with pytest.raises(UserError, match=naming("30 20 10")):
        split(tmp_path, n_val=20, n_test=10)
    with pytest.raises(UserError, match=naming("30 15")):
        split(tmp_path, r_val=0.5, r_test=0.5)
    step_1 = "dataprocessing/preprocess.py --config"
    with pytest.raises(UserError, match=naming(30, "boundary_0.5_samples.npz", shapes / "car00" / "models", step_1)):
        split(tmp_path, sample_std_dev=[0.08, 0.5])
    with pytest.raises(UserError, match=naming(0, tmp_path / "nowhere", step_1)):
        split(tmp_path, data_dir=tmp_path / "nowhere")


def test_all_shapes_may_be_test_shapes_but_nothing_is_trained_on_such_a_split(shapes, tmp_path):
    parts = split(tmp_path, test_pattern="*", n_val=0)
    assert (parts["train"], parts["val"], len(parts["test"])) == ([], [], 30)
    cfg = read_config(tmp_path)
    assert len(split_folders(cfg, needed=["test"])["test"]) == 30
    with pytest.raises(UserError, match=naming("split.npz train 1 dataprocessing/create_split.py")):
        split_folders(cfg, needed=("train", "val"))


def test_the_parts_of_a_published_split_are_kept_without_what_is_not_here(shapes, tmp_path, capsys):
    theirs = tmp_path / "theirs.npz"
    names = [f"/theirs/car{i:02}" for i in range(40)]  # of which 30 are here
    np.savez(theirs, train=names[35:5:-1], val=names[:3], test=names[36:] + names[3:6])
    (shapes / "car08" / "models" / "uniform_samples.npz").unlink()
    parts = split(tmp_path, published_split=theirs)
    numbers = {"train": [i for i in range(29, 5, -1) if i != 8], "val": [0, 1, 2], "test": [3, 4, 5]}
    assert parts == {part: [str(shapes / f"car{i:02}" / "models") for i in numbers[part]] for part in parts}
    assert split_folders(read_config(tmp_path))["val"] == [Path(path) for path in parts["val"]]
    assert says(capsys.readouterr().out, theirs, "train 7", "val 0", "test 4", "train 23, val 3, test 3 of 29", 0)
    split(tmp_path, published_split=theirs)
    assert "already" in capsys.readouterr().out
    np.savez(theirs, train=names[:20], val=names[20:22], test=[])
    assert len(split(tmp_path, published_split=theirs)["train"]) == 19
    told = capsys.readouterr()
    assert "published" in told.err and says(told.out, "8 shapes")
    np.savez(theirs, train=["/theirs/van"], val=[], test=[])
    with pytest.raises(UserError, match=naming(theirs, 29, "/theirs/van", shapes / "car00" / "models")):
        split(tmp_path, published_split=theirs)
    with pytest.raises(UserError, match=naming(tmp_path / "gone.npz")):
        split(tmp_path, published_split=tmp_path / "gone.npz")


def test_own_split_is_read_back(shapes, tmp_path):
    parts = split(tmp_path)
    assert load_split(tmp_path / "split.npz", shapes) == {part: list(map(Path, parts[part])) for part in parts}


def write_split(tmp_path: Path, prefix: str, suffix: str) -> Path:
    """A split file of car00 to car05 as somebody else wrote it, in their folders."""
    names = [f"{prefix}car{i:02}{suffix}" for i in range(6)]
    np.savez(tmp_path / "theirs.npz", train=names[:3], val=names[3:4], test=names[4:])
    return tmp_path / "theirs.npz"


@pytest.mark.parametrize("suffix", ["", "/", "/models", "/models/"])
@pytest.mark.parametrize("prefix", ["/some/one/elses/shapenet/data/02958343/", "data/02958343/", "", "C:\\cars\\"])
@pytest.mark.parametrize("level", ["models", "", "class"])
def test_a_published_split_loads_whatever_its_prefix(prefix, suffix, level, tmp_path):
    """Also where our files are in ID (ShapeNet v1) and not in ID/models, or data_dir is a folder of classes."""
    below = Path("02958343") if level == "class" and "02958343" in prefix else Path()
    folders = [tmp_path / "mine" / below / f"car{i:02}" / ("models" if level == "models" else "") for i in range(6)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "boundary_0.02_samples.npz").touch()
        (folder.parent / "other").mkdir(exist_ok=True)
    parts = load_split(write_split(tmp_path, prefix, suffix), tmp_path / "mine")
    assert parts == {"train": folders[:3], "val": folders[3:4], "test": folders[4:]}


def test_a_split_of_another_place_is_taken_as_it_stands(shapes, tmp_path):
    file = write_split(tmp_path, f"{shapes}/", "/models")
    assert load_split(file, tmp_path / "elsewhere")["val"] == [shapes / "car03" / "models"]
    make_shapes(tmp_path / "elsewhere", ["car03"], tmp_path)  # a copy below the root comes first
    assert load_split(file, tmp_path / "elsewhere")["val"] == [tmp_path / "elsewhere" / "car03" / "models"]


def test_missing_folders_are_counted_and_the_first_named(shapes, tmp_path):
    for name in ("car01", "car04"):
        (shapes / name).rename(tmp_path / name)
    file = write_split(tmp_path, "/not/here/", "")
    with pytest.raises(UserError, match=naming(2, 6, file, shapes, "/not/here/car01 data_dir processed_dir")):
        load_split(file, shapes)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": ["a"], "val": ["b"]}, "test train, val"),
        ({"train": np.array(["a", None]), "val": ["b"], "test": ["c"]}, "objects"),
        ({"train": np.arange(3), "val": [1], "test": [2]}, "numbers paths"),
    ],
)
def test_files_that_are_no_split_are_told(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=naming(tmp_path / "a.npz", message)):
        load_split(tmp_path / "a.npz", tmp_path)


def test_a_split_file_that_is_missing_or_no_npz_is_told(tmp_path):
    with pytest.raises(UserError, match=naming(tmp_path / "gone.npz", "dataprocessing/create_split.py")):
        load_split(tmp_path / "gone.npz", tmp_path)
    for data in (b"", b"PK\3\4 cut off", b"hello"):
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(UserError, match=naming(tmp_path / "a.npz")):
            load_split(tmp_path / "a.npz", tmp_path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(UserError, match=naming(tmp_path / "a.npy")):
        load_split(tmp_path / "a.npy", tmp_path)
