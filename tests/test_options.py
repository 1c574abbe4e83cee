"""Help, notes and completion: what a script tells of its options and of those that other scripts read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from facts import says
from test_entry_scripts import SCRIPTS
from test_readme import DOCUMENTS, fences

from configs.config_loader import SHARED, build_parser, get_config, option_names
from configs.options import ALL_GROUPS, READ_BY, declared
from lab.documents import write_options
from runtime.layout import ROOT

CONFIG = ("--config", str(ROOT / "configs" / "demo_cars.txt"))


def test_the_table_of_options_is_up_to_date():
    assert (ROOT / "docs" / "options.md").read_text() == write_options.page(), "run: make options"


def test_the_table_of_what_options_decide_holds_them():
    made = write_options
    assert made.page().endswith(made.decided_table())
    cells = dict(zip(made.COLUMNS, made.signs(declared()["num_points"]), strict=True))
    assert (cells["samples"], cells["split"], cells["NDF"], cells["flow"]) == ("x", "", "refused", "(refused)")
    assert (
        dict(zip(made.COLUMNS, made.signs(declared()["mesh_resolution"]), strict=True))["sheet, page, movies"] == "(x)"
    )
    assert "`num_cpus`" not in made.decided_table()


def test_the_table_has_every_option_once_and_every_script():
    page = write_options.page()
    for action in build_parser()._actions:
        if action.dest != "help":
            assert page.count(f"| `--{action.dest}` |") == 1, action.dest
    assert all(f"`{script}.py`" in page for script in READ_BY)


def test_each_option_is_in_one_group_and_each_script_in_the_table_of_readers():
    names = [name for group in ALL_GROUPS for name in option_names(group)]
    assert len(names) == len(set(names)) > 100
    assert {Path(script).stem for script in SCRIPTS} <= set(READ_BY)


def test_help_of_all_lists_every_option_with_its_default(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stop:
        get_config(["--help-all"], "create_split")
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(f"--{action.dest}" in text for action in build_parser()._actions)
    assert "(default: 100000)" in text and "--plausible true/false" in text


def note_of(capsys: pytest.CaptureFixture, script: str, *words: str) -> str:
    get_config([*CONFIG, *words], script)
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


def test_an_option_that_the_script_does_not_read_is_told_in_one_line(capsys: pytest.CaptureFixture):
    told = note_of(capsys, "generate", "--flow_steps", "3", "--num_eval_points=4", "--seed", "1")
    assert (
        says(told, "note: generate.py --flow_steps train_rnvp.py --num_eval_points evaluate.py")
        and "--seed" not in told
    )
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--num_points", "300", "--ndf_checkpoint", "a.tar", "-c", CONFIG[1]),  # its own
        ("--latent_dim", "3", "--batch_size", "2"),  # of networks: compared with the checkpoint
        ("--grad_clip", "1.0"),  # retired
        ("--samples=",),  # takes a line of the file back
        (),  # those of the config file are of all scripts
    ],
)
def test_other_options_are_no_news(words: tuple[str, ...], capsys: pytest.CaptureFixture):
    assert note_of(capsys, "generate", *words) == ""


def test_steps_that_share_their_options_tell_nothing(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SHARED, "1")
    assert note_of(capsys, "generate", "--flow_steps", "3") == ""
    for script in ("demo.sh", "slurm_scripts/common.sh", "lab/studies/latent_space.sh"):
        assert f"export {SHARED}=1" in (ROOT / script).read_text()


def documented_commands() -> list[tuple[str, list[str]]]:
    """(script, options) of each command line of the documents."""
    texts = [body for path in DOCUMENTS for _, body in fences(path.read_text())]
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    found = []
    for line in lines:
        words = line.partition(" #")[0].split()
        script = next((Path(word).stem for word in words if word.endswith(".py")), None)
        if script in READ_BY:
            found.append((script, [word for word in words if word.startswith("--")]))
    return found


def test_no_document_gives_a_script_options_that_it_does_not_read(capsys: pytest.CaptureFixture):
    from configs.config_loader import _tell_unused

    commands = documented_commands()
    assert len(commands) > 20
    for script, options in commands:
        _tell_unused(options, script)
    assert capsys.readouterr().err == ""


def test_every_script_asks_for_completion_in_its_first_line():
    for script in SCRIPTS:
        assert (ROOT / script).read_text().startswith("# PYTHON_ARGCOMPLETE_OK\n"), script


@pytest.mark.parametrize("script", ["generate.py", "dataprocessing/preprocess.py"])
def test_bash_completes_the_options_of_a_script(script: str, tmp_path: Path):
    pytest.importorskip("argcomplete")
    line, answer = f"{script} --exp", tmp_path / "answer"
    environment = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n"}
    environment |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    subprocess.run([sys.executable, ROOT / script], env=os.environ | environment, check=True)
    assert answer.read_text().split() == ["--exp_name", "--exp_root"]
