"""Sets of a few shapes: what is left out with a note, and what is refused before anything is made."""

from pathlib import Path

import pytest
from facts import naming, says

from configs.options import Config
from evaluation.evaluate_all import TASKS
from evaluation.latent_space.analyse import ANALYSES
from evaluation.study import Study
from lab.small.helpers import read_config
from runtime.errors import UserError
from runtime.files import write_text
from runtime.layout import INDEX
from training.flow_codes import make_codes


@pytest.fixture
def cfg(shapes: Path, tmp_path: Path) -> Config:
    """With reconstructions, of which only the index is looked for."""
    cfg = read_config(shapes, exp_root=tmp_path)
    write_text(cfg.experiment.reconstruction / INDEX, "")
    return cfg


def study_of(cfg: Config, test: int, train: int) -> Study:
    study = Study(cfg, Path("nowhere"))
    study.folders = {"test": [Path(f"test{n}") for n in range(test)], "train": [Path(f"{n}") for n in range(train)]}
    return study


@pytest.mark.parametrize(("test", "train"), [(1, 4), (4, 1), (1, 1)])
def test_parts_that_compare_sets_need_two_shapes_of_each(cfg: Config, test: int, train: int, capsys):
    study = study_of(cfg, test, train)
    left = {part.name for part in study.possible([*TASKS, *ANALYSES])}
    expected = {"generation", "temperatures"} | ({"paths"} if test < 2 else set())
    assert {part.name for part in (*TASKS, *ANALYSES)} - left == expected
    told = capsys.readouterr().err.splitlines()
    assert len(told) == len(expected) and all(says(line, "note", "left out", 2) for line in told), told
    with pytest.raises(UserError, match=naming("2 test training num_eval_shapes n_val n_test")):
        study.possible([part for part in TASKS if part.name == "generation"])


def test_two_shapes_of_each_suffice_for_all(cfg: Config, capsys: pytest.CaptureFixture):
    parts = [*TASKS, *ANALYSES]
    assert study_of(cfg, 2, 2).possible(parts) == parts
    assert capsys.readouterr().err == ""


def test_a_flow_of_one_shape_is_refused_before_anything_is_made(cfg: Config, tmp_path: Path):
    folders = {"train": [tmp_path / "a"], "val": [tmp_path / "b"], "test": []}
    with pytest.raises(UserError, match=naming("1 training shape 2 --extra_demo_cars")):
        make_codes(None, tmp_path / "ndf.tar", folders, [], cfg, None)
