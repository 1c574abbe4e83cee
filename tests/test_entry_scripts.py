"""What a user first meets of every script: quick help, from any folder, and one line for a mistake."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.small.helpers import STEPS
from runtime.layout import ROOT

SCRIPTS = ["dataprocessing/make_demo_cars.py", *STEPS, "analyse_codes.py", "dataprocessing/make_scan.py", "complete.py"]
HEAVY = {"torch", "open3d", "matplotlib", "scipy", "trimesh", "tensorboard", "PIL"}


def call(script: str, *arguments: str, cwd: Path, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a script by a relative path from another folder, as `python ../train_rnvp.py`."""
    command = [sys.executable, *python, os.path.relpath(ROOT / script, cwd), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_text("exp_name = none\ndata_dir = nowhere\nsplit_file = nowhere/split.npz\n")
    return path


def test_every_script_with_a_main_is_listed():
    candidates = [*ROOT.glob("*.py"), *(ROOT / "dataprocessing").glob("*.py")]
    found = [path for path in candidates if "\n    run(main)\n" in path.read_text()]
    assert {path.relative_to(ROOT).as_posix() for path in found} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_quick_from_another_folder(script, tmp_path):
    result = call(script, "--help", cwd=tmp_path, python=("-X", "importtime"))
    assert result.returncode == 0, result.stderr
    assert "--seed" in result.stdout
    times = re.findall(r"^import time: +\d+ \| +(\d+) \| (\S+)$", result.stderr, flags=re.MULTILINE)
    assert not HEAVY & {name.split(".")[0] for _, name in times}
    assert sum(int(time) for time, _ in times) < 1_500_000  # microseconds, not nested: imports at the top level


def assert_one_line_error(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_missing_config_is_one_line(script, tmp_path):
    result = call(script, "--config", "configs/nothing.txt", cwd=tmp_path)
    assert_one_line_error(result, "configs/nothing.txt", "configs/demo_cars.txt")  # found, and what there is


@pytest.mark.parametrize("script", SCRIPTS)
def test_misspelt_option_is_one_line_with_the_right_one(script, tmp_path, config):
    assert_one_line_error(call(script, "--config", "own.txt", "--inputres", "32", cwd=tmp_path), "'input_res'")


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_config_at_all_is_one_line(script, tmp_path):
    wanted = "--scanned_mesh" if script.endswith("make_scan.py") else "--config"
    assert_one_line_error(call(script, cwd=tmp_path), wanted)


@pytest.mark.parametrize("script", ["dataprocessing/preprocess.py", "dataprocessing/create_split.py"])
def test_data_that_is_not_there_is_one_line(script, tmp_path, config):
    assert_one_line_error(call(script, "--config", "own.txt", cwd=tmp_path), "nowhere")


@pytest.mark.parametrize("script", ["train_ndf.py", "train_rnvp.py", "generate.py", "evaluate.py", "analyse_codes.py"])
def test_step_before_the_ones_it_needs_is_one_line(script, tmp_path, config):
    arguments = ("--config", "own.txt", "--code_kind", "vector", "--exp_root", str(tmp_path))
    result = call(script, *arguments, cwd=tmp_path)
    assert_one_line_error(result)
    advised = re.search(r"python (\S+\.py)", result.stderr).group(1)
    assert SCRIPTS.index(advised) < SCRIPTS.index(script)
