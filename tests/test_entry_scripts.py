"""What a user first meets of every script: quick help, from any folder, and one line for a mistake."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from os.path import relpath
from pathlib import Path

import pytest

from lab.small.helpers import STEPS
from runtime.layout import ROOT

SCRIPTS = ["dataprocessing/make_demo_cars.py", *STEPS, "analyse_codes.py", "dataprocessing/make_scan.py", "complete.py"]
HEAVY = {"torch", "open3d", "matplotlib", "scipy", "trimesh", "tensorboard", "PIL"}
Call = Callable[..., str]


@pytest.fixture
def error_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Call:
    """Runs a script by its name and arguments, in a folder that has own.txt alone; gives its line of error."""
    (tmp_path / "own.txt").write_text("exp_name = none\ndata_dir = nowhere\nsplit_file = nowhere/split.npz\n")
    monkeypatch.chdir(tmp_path)

    def call(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        line = capsys.readouterr().err
        assert ended.value.code == 2 and line.startswith("error: ") and line.count("\n") == 1, line
        return line

    return call


def test_every_script_with_a_main_is_listed():
    candidates = [*ROOT.glob("*.py"), *(ROOT / "dataprocessing").glob("*.py")]
    found = [path for path in candidates if "\n    run(main)\n" in path.read_text()]
    assert {path.relative_to(ROOT).as_posix() for path in found} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_no_heavy_module_from_another_folder(script: str, tmp_path: Path):
    command = [sys.executable, "-X", "importtime", relpath(ROOT / script, tmp_path), "--help"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--seed" in result.stdout
    imported = re.findall(r"^import time:.*\| +(\w+)", result.stderr, flags=re.MULTILINE)
    assert "argparse" in imported and not HEAVY & set(imported)


@pytest.mark.parametrize("script", SCRIPTS)
def test_mistakes_with_options_are_one_line(script: str, error_of: Call):
    missing = error_of(script, "--config", "configs/nothing.txt")
    assert "configs/nothing.txt" in missing and "configs/demo_cars.txt" in missing  # found, and what there is
    assert "'input_res'" in error_of(script, "--config", "own.txt", "--inputres", "32")
    assert ("--scanned_mesh" if script.endswith("make_scan.py") else "--config") in error_of(script)


@pytest.mark.parametrize("script", ["dataprocessing/preprocess.py", "dataprocessing/create_split.py"])
def test_data_that_is_not_there_is_one_line(script: str, error_of: Call):
    assert "nowhere" in error_of(script, "--config", "own.txt")


@pytest.mark.parametrize("script", ["train_ndf.py", "train_rnvp.py", "generate.py", "evaluate.py", "analyse_codes.py"])
def test_step_before_the_ones_it_needs_is_one_line(script: str, tmp_path: Path, error_of: Call):
    line = error_of(script, "--config", "own.txt", "--code_kind", "vector", "--exp_root", str(tmp_path))
    advised = re.search(r"python (\S+\.py)", line).group(1)
    assert SCRIPTS.index(advised) < SCRIPTS.index(script)
