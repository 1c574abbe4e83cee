"""Clouds and sets that many jobs make in chunks: the same bytes as of one process, whatever happens to the jobs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from facts import naming, says
from torch import Tensor

import evaluate
import generate
from configs.options import Chunks
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes
from lab.small.helpers import contents
from lab.small.tiny_experiment import tiny_config
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD

pytestmark = pytest.mark.usefixtures("coarse_lattice", "no_pictures", "no_plots", "few_candidates")


@pytest.fixture
def off_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders that give the test shapes 0 and 2 codes 1,000 times too long, and shape 3 one that is not finite."""
    plain = PlausibleCodes.__init__

    def init(self: PlausibleCodes, networks: Networks, names: list[str], codes: list[Tensor], cloud: Callable) -> None:
        changed = [1e3 * codes[0], codes[1], 1e3 * codes[2], codes[3] + float("inf")]
        plain(self, networks, names, changed, cloud)

    monkeypatch.setattr(PlausibleCodes, "__init__", init)


def options(root: Path, mode: str) -> list[str]:
    return ["--config", tiny_config(root, num_shapes=4, fit_steps=3).run.config, "--mode", mode]


def folder_of(root: Path, mode: str) -> Path:
    experiment = tiny_config(root).experiment
    return experiment.reconstruction if mode == "reconstruct" else experiment.generation


def run(root: Path, mode: str, *words: str) -> Path:
    assert generate.main([*options(root, mode), *words]) == 0
    return folder_of(root, mode)


def run_chunk(root: Path, mode: str, number: int, count: int, *words: str) -> Path:
    return run(root, mode, "--num_chunks", str(count), "--current_chunk", str(number), *words)


def names_of(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{DENSE_POINT_CLOUD}"))


def whole(root: Path, mode: str) -> dict[str, bytes]:
    """All files of one process without chunks."""
    shutil.rmtree(folder_of(root, mode), ignore_errors=True)
    files = contents(run(root, mode))
    shutil.rmtree(folder_of(root, mode))
    return files


@pytest.mark.parametrize(("num", "count"), [(1, 1), (7, 3), (4, 4), (3, 5), (0, 2)])
def test_every_shape_is_in_one_chunk_and_chunks_are_equally_long(num: int, count: int):
    chunks = [Chunks(num_chunks=count, current_chunk=k).part_of(num) for k in range(count)]
    assert [n for chunk in chunks for n in chunk] == list(range(num))
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1


@pytest.mark.parametrize("mode", ["sample", "reconstruct", "interpolate"])
def test_chunks_in_any_order_and_the_run_after_them_give_the_files_of_one_process(
    root: Path, mode: str, capsys: pytest.CaptureFixture
):
    mode_folder = tiny_config(root).experiment.interpolation if mode == "interpolate" else folder_of(root, mode)
    shutil.rmtree(mode_folder, ignore_errors=True)
    run(root, mode)
    expected = contents(mode_folder)
    shutil.rmtree(mode_folder)
    for number in (2, 0):
        run_chunk(root, mode, number, 3)
    assert says(capsys.readouterr().out, "2 3: 4 clouds", mode_folder)
    assert len(names_of(mode_folder)) == 3 and not (mode_folder / "index.json").exists()
    run_chunk(root, mode, 1, 3)
    before = {path: path.stat().st_mtime_ns for path in mode_folder.glob(f"*/{DENSE_POINT_CLOUD}")}
    run(root, mode)
    assert contents(mode_folder) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before  # no cloud was made twice


@pytest.mark.usefixtures("off_data")
def test_codes_brought_back_in_chunks_are_told_as_by_one_process(root: Path, capsys: pytest.CaptureFixture):
    expected = whole(root, "reconstruct")
    (sentence,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("3 of 4 shapes have codes")]
    for number in (1, 0):
        run_chunk(root, "reconstruct", number, 2)
    assert sentence not in capsys.readouterr().out
    assert contents(run(root, "reconstruct")) == expected
    assert sentence in capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("off_data")
def test_a_stopped_run_goes_on_and_tells_of_all_codes_brought_back(root: Path, monkeypatch: pytest.MonkeyPatch):
    expected = whole(root, "reconstruct")
    plain, asked = PlausibleCodes.__getitem__, []

    def stopped_at_the_third(self: PlausibleCodes, n: int) -> Tensor:
        asked.append(n)
        if n == 2 and len(asked) == 3:
            raise KeyboardInterrupt
        return plain(self, n)

    monkeypatch.setattr(PlausibleCodes, "__getitem__", stopped_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(root, "reconstruct")
    assert contents(run(root, "reconstruct")) == expected
    assert asked == [0, 1, 2, 2, 3]


def test_a_chunk_that_is_lost_is_made_by_itself_or_by_the_run_after(root: Path):
    expected = whole(root, "sample")
    folder = run_chunk(root, "sample", 0, 2)
    assert names_of(folder) == ["0", "1"]
    (folder / "1" / DENSE_POINT_CLOUD).unlink()  # killed before it was there
    run_chunk(root, "sample", 0, 2)
    assert names_of(folder) == ["0", "1"]
    assert contents(run(root, "sample")) == expected
    run_chunk(root, "sample", 1, 2)  # all is there: nothing changes
    assert contents(folder) == expected


def test_clouds_of_other_options_are_not_taken_for_those_of_other_chunks(root: Path):
    expected = whole(root, "sample")
    run(root, "sample", "--seed", "3")
    run_chunk(root, "sample", 1, 2, "--seed", "4")
    run_chunk(root, "sample", 1, 2)
    assert contents(run(root, "sample")) == expected


def test_sets_of_an_evaluation_in_chunks_are_those_of_one_process(root: Path, capsys: pytest.CaptureFixture):
    cfg = tiny_config(root, num_sample_sets=2, num_eval_shapes=3)
    experiment, words = cfg.experiment, ["--config", cfg.run.config, "--tasks", "generation"]
    assert evaluate.main(words) == 0
    expected = {path.name: path.read_bytes() for path in experiment.sets.glob("*.npz")}
    tables = (experiment.evaluation / "results.json").read_bytes()
    assert len(expected) == 1 + 3 * 2 + 2
    shutil.rmtree(experiment.evaluation)
    for number, made in ((3, 2), (1, 2), (0, 3), (2, 2)):
        capsys.readouterr()
        assert evaluate.main([*words, "--num_chunks", "4", "--current_chunk", str(number)]) == 0
        assert says(capsys.readouterr().out, f"{number} 4: {made} 9 sets")
        assert not (experiment.evaluation / "results.json").exists()
    times = {path: path.stat().st_mtime_ns for path in experiment.sets.glob("*.npz")}
    assert {path.name: path.read_bytes() for path in times} == expected
    assert evaluate.main(words) == 0
    assert (experiment.evaluation / "results.json").read_bytes() == tables
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_folders_of_clouds_are_not_divided(tmp_path: Path):
    with pytest.raises(UserError, match=naming("num_chunks folders")):
        evaluate.main(["--samples", str(tmp_path), "--references", str(tmp_path), "--num_chunks", "2"])
