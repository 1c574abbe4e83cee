"""One folder of shapes: leftovers, moves, two writers, users' files, and views that follow what they show."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_shape_meshes import small_mesh

import generate
from generation.cloud_files import listed_clouds
from generation.networks import Networks
from generation.sampling import sampled
from lab.small.tiny_experiment import make_shapes, tiny_config
from runtime.artefacts import RECORDS
from runtime.errors import UserError
from runtime.layout import CONTACT_SHEET, DENSE_POINT_CLOUD, HTML_PAGE, INDEX, ROOT

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.fixture(autouse=True)
def quick_pictures_and_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.decoded_shape.mesh_of", lambda *_: small_mesh())
    monkeypatch.setattr("visualization.mesh_rendering.render_mesh", lambda *_, **__: np.zeros((4, 6, 3), np.uint8))
    monkeypatch.setattr("visualization.contact_sheet.render_mesh", lambda *_, **__: np.zeros((4, 6, 3), np.uint8))
    monkeypatch.setattr("visualization.contact_sheet.render_cloud", lambda *_, **__: np.zeros((4, 6, 3), np.uint8))


def run(root: Path, out: Path, *words: str, **options: object) -> None:
    assert generate.main(["--config", tiny_config(root, **options).run.config, "--out", str(out), *words]) == 0


def times(folder: Path, pattern: str = "*") -> dict[str, int]:
    files = [path for path in folder.rglob(pattern) if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_leftovers_stay_and_are_not_listed_and_are_used_again(root: Path, tmp_path: Path):
    run(root, tmp_path, "--num_shapes", "3")
    before = times(tmp_path, "dense*")
    run(root, tmp_path, "--num_shapes", "1", "--seed", "7")
    assert [path.parent.name for path in listed_clouds(tmp_path)] == ["0"]
    kept = {name: at for name, at in times(tmp_path, "dense*").items() if name[0] != "0"}
    assert kept.items() <= before.items()
    run(root, tmp_path, "--num_shapes", "3")
    after = times(tmp_path, "dense*")
    assert {name for name in after if after[name] != before[name]} == {
        f"0/{DENSE_POINT_CLOUD}",
        "0/dense_point_cloud.ply",
    }


def test_moved_networks_and_shapes_make_nothing_again(root: Path, tmp_path: Path):
    run(root, tmp_path / "shapes", "--mesh", "--mesh_resolution", "48", "--html")
    before = times(tmp_path / "shapes")
    shutil.copytree(tiny_config(root).experiment.root, tmp_path / "moved" / "test")
    shutil.copytree(tmp_path / "shapes", tmp_path / "elsewhere", copy_function=shutil.copy2)
    made = tiny_config(root, exp_root=tmp_path / "moved")
    words = ["--config", made.run.config, "--out", str(tmp_path / "elsewhere"), "--mesh", "--mesh_resolution", "48"]
    assert generate.main([*words, "--html"]) == 0
    after = times(tmp_path / "elsewhere")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {INDEX, RECORDS, HTML_PAGE}  # the index tells where the networks are; the page names its folder


def test_without_its_data_a_sample_has_a_sheet_and_a_page(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    shutil.copytree(tiny_config(root).experiment.root, tmp_path / "experiments" / "test")
    words = {"data_dir": tmp_path / "none", "split_file": tmp_path / "none.npz", "exp_root": tmp_path / "experiments"}
    run(root, tmp_path / "out", "--html", **words)
    assert {CONTACT_SHEET, HTML_PAGE, INDEX} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert "no training shapes on the contact sheet" in capsys.readouterr().err


def test_reconstructions_whose_data_are_away_are_shown_and_not_lost(root: Path, tmp_path: Path):
    shutil.copytree(root, tmp_path / "copy")
    words = ["--mode", "reconstruct", "--num_shapes", "2"]
    run(tmp_path / "copy", tmp_path / "out", *words)
    before = times(tmp_path / "out", "dense*")
    (tmp_path / "copy" / "split.npz").rename(tmp_path / "away.npz")
    run(tmp_path / "copy", tmp_path / "out", *words, "--html", "--mesh", "--mesh_resolution", "48")
    assert times(tmp_path / "out", "dense*") == before
    with pytest.raises(UserError, match="no split file"):
        run(tmp_path / "copy", tmp_path / "out", *words, "--num_output_points", "50")
    assert times(tmp_path / "out", "dense*") == before and len(listed_clouds(tmp_path / "out")) == 2


def test_a_page_and_a_sheet_follow_the_meshes(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    run(root, tmp_path, "--html")
    before = times(tmp_path)
    run(root, tmp_path, "--html")
    assert times(tmp_path) == before and "page was there already" in capsys.readouterr().out
    run(root, tmp_path, "--mesh", "--mesh_resolution", "48")
    after = times(tmp_path)
    assert after[HTML_PAGE] > before[HTML_PAGE] and after[CONTACT_SHEET] > before[CONTACT_SHEET]
    assert after[f"0/{DENSE_POINT_CLOUD}"] == before[f"0/{DENSE_POINT_CLOUD}"]
    run(root, tmp_path, "--num_shapes", "2")
    assert times(tmp_path)[HTML_PAGE] > after[HTML_PAGE]


def test_users_files_stay_and_what_would_overwrite_one_is_refused(root: Path, tmp_path: Path):
    theirs = ["walk_mine.gif", "notes.txt", "0/mesh.obj", "7/dense_point_cloud.npz", "walk.gif"]
    for name in theirs:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("theirs")
    run(root, tmp_path, "--seed", "1")
    run(root, tmp_path, "--seed", "2")
    assert {(tmp_path / name).read_text() for name in theirs} == {"theirs"}
    with pytest.raises(UserError, match=r"0/mesh.obj is in the way"):
        run(root, tmp_path, "--seed", "2", "--mesh", "--mesh_resolution", "48", "--mesh_formats", "obj")
    for name in (CONTACT_SHEET, HTML_PAGE, INDEX):
        other = tmp_path / name.replace(".", "_")
        other.mkdir()
        (other / name).write_text("{}")
        with pytest.raises(UserError, match=rf"{name} is in the way"):
            run(root, other, "--html")
        assert (other / name).read_text() == "{}"


def test_a_folder_of_an_earlier_version_is_ours(root: Path, tmp_path: Path):
    run(root, tmp_path, "--num_shapes", "2")
    for path in tmp_path.rglob(RECORDS):
        path.unlink()
    (tmp_path / "walk_mine.txt").write_text("theirs")
    run(root, tmp_path, "--num_shapes", "2", "--seed", "4")
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["shapes"] == ["0", "1"] and index["seed"] == 4
    assert (tmp_path / "walk_mine.txt").read_text() == "theirs"


def test_a_folder_of_an_experiment_is_ours_even_without_an_index(root: Path):
    words = ["--config", tiny_config(root).run.config, "--num_shapes", "2", "--seed", "9"]
    assert generate.main(words) == 0
    folder = tiny_config(root).experiment.generation
    for path in [*folder.rglob(RECORDS), folder / INDEX]:
        path.unlink()
    assert generate.main(words) == 0
    assert json.loads((folder / INDEX).read_text())["shapes"] == ["0", "1"]


def test_a_run_that_broke_off_leaves_no_index(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(root, tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("generation.decoded_shape.decode_parts", killed)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path, "--seed", "1")
    assert not (tmp_path / INDEX).exists()
    with pytest.raises(UserError, match="not finished"):
        listed_clouds(tmp_path)


@pytest.mark.parametrize("content", [None, "", "[]", '{"shapes": [1]}', '{"shapes": ["..", "0"]}'])
def test_an_index_that_is_damaged_or_gone_is_written_again(root: Path, tmp_path: Path, content: str | None):
    run(root, tmp_path)
    before, clouds = (tmp_path / INDEX).read_bytes(), times(tmp_path, "dense*")
    (tmp_path / INDEX).unlink() if content is None else (tmp_path / INDEX).write_text(content)
    run(root, tmp_path)
    assert (tmp_path / INDEX).read_bytes() == before and times(tmp_path, "dense*") == clouds


HOLD = """
import sys, time
from pathlib import Path
from runtime.locks import only_run
with only_run(Path(sys.argv[1]), "writing shapes there"):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("held", "words", "refused"),
    [
        (".generate.lock", [], True),
        (".generate_1.lock", [], True),
        (".generate.lock", ["--num_chunks", "2"], True),
        (".generate_1.lock", ["--num_chunks", "2", "--current_chunk", "1"], True),
        (".generate_1.lock", ["--num_chunks", "2", "--current_chunk", "0"], False),
    ],
)
def test_of_two_runs_in_one_folder_the_second_is_refused(
    root: Path, tmp_path: Path, held: str, words: list[str], refused: bool
):
    command = [sys.executable, "-c", HOLD, str(tmp_path / held)]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "holds\n"
        if refused:
            with pytest.raises(UserError, match=rf"process {other.pid} on .* is writing shapes there; wait for it"):
                run(root, tmp_path, *words)
            assert [path.name for path in tmp_path.iterdir()] == [held]
        else:
            run(root, tmp_path, *words)
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        other.stdout.close()
    time.sleep(0.05)
    run(root, tmp_path, *words)  # the lock of a dead process is none


def test_shape_n_is_made_of_what_decides_it_alone(root: Path, tmp_path: Path):
    made = Networks(tiny_config(root))
    assert make_shapes(made, sampled(made, 2, 0), tmp_path) == 2
    assert make_shapes(made, sampled(made, 3, 0), tmp_path) == 1
