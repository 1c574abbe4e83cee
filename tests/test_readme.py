"""Every path, command, option and import that README.md and the manual name exists, and every link of the notebook."""

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from test_layout import ROOMS

from configs.config_loader import build_parser
from lab.documents.write_options import anchor
from runtime.layout import ROOT

OUTPUTS = ("datasets/", "models/experiments/", "slurm_scripts/logs/", ".venv/")  # made by the commands
WRITTEN = ("config_train_ndf.txt", "codes.md")  # by an experiment
EXPERIMENT = ("checkpoints_ndf", "checkpoints_rnvp", "codes", "summary", "evaluation")  # folders of one experiment
SOURCES = (".py", ".sh", ".yml", ".toml", ".md", ".txt")  # a bare name with such an end is a file of the repository
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "slurm_scripts" / "README.md"]
DOCUMENTS += sorted(ROOT.glob("C*.md"))
NOTES = sorted((ROOT / "lab" / "notes").glob("*.md"))  # dated: what they name may be gone since
STEPS = ("make_demo_cars", "preprocess", "create_split", "train_ndf", "train_rnvp", "generate", "evaluate")


@cache
def known_options() -> set[str]:
    """The options of the project's scripts, and those that the measurements in lab/ add."""
    files = sorted((ROOT / "lab").rglob("*.py"))
    text = "".join(path.read_text() for path in files)
    of_measurements = set(re.findall(r'add_argument\("(--\w+)"', text))
    return of_measurements | {name for action in build_parser()._actions for name in action.option_strings}


@cache
def sbatch_options() -> set[str]:
    """The options of sbatch that the job scripts use."""
    text = "".join(path.read_text() for path in (ROOT / "slurm_scripts").glob("*.sh"))
    return set(re.findall(r"(?<=[ (])--[a-z][a-z-]+(?==)", text))


def fences(text: str) -> Iterator[tuple[str, str]]:
    """(language, body) of each fenced block."""
    for match in re.finditer(r"^[ ]*```([^\n]*)\n(.*?)^[ ]*```", text, flags=re.MULTILINE | re.DOTALL):
        yield match.group(1).strip(), match.group(2)


def problems(text: str, folder: Path = ROOT) -> list[str]:
    """What `text` (Markdown) names and the repository lacks, one message each. Its links are relative to `folder`."""
    found = []
    for language, body in fences(text):
        if language == "python":
            found += import_problems(body)
        else:
            for line in body.replace("\\\n", " ").splitlines():
                found += command_problems(line) or config_problems(line)
    prose = re.sub(r"^[ ]*```.*?^[ ]*```", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`\n]+)`", prose):
        found += code_problems(code)
    return found + link_problems(prose, folder)


def link_problems(prose: str, folder: Path) -> list[str]:
    """Links, to pages and pictures, that lead nowhere; one to a heading needs that heading."""
    found = []
    for target, place in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose):
        if "://" in target or not target:
            continue
        path = folder / target
        if not path.exists():
            found.append(f"link to {target}")
        elif place and place not in places(path.read_text()):
            found.append(f"link to {target}#{place}")
    return found


def places(text: str) -> set[str]:
    """The headings of a page, as links name them."""
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def code_problems(code: str) -> list[str]:
    """Problems of inline code: a command, an option, a `key = value`, or a path."""
    if " " in code:
        found = command_problems(code) + config_problems(code)
    else:
        found = path_problems(code)
    options = [code.split()[0].split("=")[0]] if code.startswith("--") else []
    return found + option_problems([name for name in options if name not in sbatch_options()])


def command_problems(line: str) -> list[str]:
    """Problems of one shell line; text that is no command of this project has none."""
    line = re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ")
    try:
        words = shlex.split(line)
    except ValueError:  # an apostrophe: prose or a folder tree
        return []
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if len(words) < 2:
        return []
    program = words[0].rpartition("/")[2]
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return [f"make {word}" for word in words[1:] if "=" not in word and word not in targets]
    if program not in ("python", "bash", "sbatch"):
        return []
    if program == "python" and words[1] == "-m":
        return module_problems(words[2:])
    script = next((word for word in words[1:] if word.endswith((".py", ".sh"))), None)
    if script is None:
        return []
    relative = script.removeprefix("../")
    found = [] if (ROOT / relative).is_file() else [f"{program} {script}"]
    for word in words[words.index(script) + 1 :]:
        if word.startswith("configs/"):
            found += path_problems(word)
    if program == "python":
        found += option_problems([word for word in words if word.startswith("--")])
        if "--config" in words[:-1]:
            found += path_problems(words[words.index("--config") + 1].removeprefix("../"))
    return found


def module_problems(words: list[str]) -> list[str]:
    """Problems of `python -m MODULE ...`, where the module is one of this project."""
    module = words[0]
    if not (ROOT / module.split(".")[0]).is_dir():
        return []
    path = ROOT.joinpath(*module.split("."))
    if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
        return [f"python -m {module}"]
    configs = [word for word in words[1:] if word.startswith("configs/")]
    options = option_problems([word for word in words[1:] if word.startswith("--")])
    return [problem for config in configs for problem in path_problems(config)] + options


def option_problems(options: list[str]) -> list[str]:
    names = {option.split("=")[0] for option in options}
    return [f"option {name}" for name in sorted(names - known_options() - {"--help"})]


def config_problems(line: str) -> list[str]:
    match = re.match(r"\s*([a-z_]+) = \S", line)
    return option_problems([f"--{match.group(1)}"]) if match and match.group(1) != "include" else []


def path_problems(code: str) -> list[str]:
    """Problems of one word that may be a path below the root; placeholders (<n>, *, EXP_NAME, {a,b}) are no paths."""
    is_name = re.fullmatch(r"[\w.-]+", code) and code.endswith(SOURCES) and not code.startswith(".")
    is_path = re.fullmatch(r"\.?\w[\w.-]*(/[\w.-]+)*/?", code) and "/" in code
    if not (is_name or is_path) or re.search(r"\b[A-Z]+_?[A-Z]*(?![\w.])", code.removesuffix(".md")):
        return []
    if code in WRITTEN or code.startswith(OUTPUTS) or code.split("/")[0] in EXPERIMENT or (ROOT / code).exists():
        return []
    anywhere = is_name and any(ROOT.glob(f"[!.]*/**/{code}"))  # `real_nvp.py` in a sentence about its folder
    return [] if anywhere else [f"path {code}"]


def import_problems(body: str) -> list[str]:
    """Modules and names of this project that a Python example imports and that are not there."""
    found = []
    imports = [node for node in ast.walk(ast.parse(body)) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        if node.module.split(".")[0] not in ROOMS:
            continue
        try:
            spec = importlib.util.find_spec(node.module)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            found.append(f"module {node.module}")
            continue
        source = Path(spec.origin).read_text()
        for alias in node.names:
            defined = rf"^(def|class) {alias.name}\b|^{alias.name}\b.*=|import .*\b{alias.name}\b"
            if not re.search(defined, source, flags=re.MULTILINE):
                found.append(f"{alias.name} in {node.module}")
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_that_a_document_names_exists(path: Path):
    assert problems(path.read_text(), path.parent) == []


@pytest.mark.parametrize("path", NOTES, ids=lambda path: path.name)
def test_every_link_of_a_note_leads_somewhere(path: Path):
    assert link_problems(path.read_text(), path.parent) == []


@pytest.mark.parametrize("step", STEPS)
def test_readme_shows_the_command_of_every_step(step):
    assert re.search(rf"python \S*{step}\.py --config ", (ROOT / "README.md").read_text())


def test_the_documents_name_every_config_and_the_readme_both_commands():
    text = "".join(path.read_text() for path in DOCUMENTS)
    for config in (ROOT / "configs").glob("*.txt"):
        assert f"configs/{config.name}" in text
    assert all(command in (ROOT / "README.md").read_text() for command in ("make demo", "make test"))


def test_readme_is_short_and_its_table_has_the_numbers_of_the_results():
    readme, results = ((ROOT / name).read_text() for name in ("README.md", "docs/results.md"))
    assert len(readme.splitlines()) < 130
    table = readme.partition("<!-- results: begin -->")[2].partition("<!-- results: end -->")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 6
    for _, *cells in rows:
        for cell in cells[:4]:  # torn surface and 1-NNA, as they stand in both
            assert f" {cell.strip(' |')} |" in results, cell


GOOD = """\
See `configs/demo_cars.txt`, `configs/`, `Makefile`, `dataprocessing/preprocess.py`, `config_loader.py`, [it](LICENSE),
[steps](README.md#the-steps).
Outputs: `datasets/demo_cars/02958343`, `models/experiments/EXP_NAME/summary`, `evaluation/generation/<n>/cloud.npz`.
Call `make test ARGS="-k flow"`, `--input_res 32`, `--dependency=afterok:7`.
See `latent_dim = 256`, `train.loss`, `x / y`, `(B, N, 3)`, `.npz`.

```bash
$ make demo        # makes everything
python ../dataprocessing/preprocess.py --config ../configs/demo_cars.txt --num_cpus 2 \\
  --seed 1
python -m lab.measurements.meshes --config configs/miniature.txt --temperature 0.5
python -m torch.distributed.run --standalone train_ndf.py
CHUNKS=8 bash slurm_scripts/submit_all.sh configs/demo_cars.txt --partition=gpu
tensorboard --logdir models/experiments/demo_cars/summary
```

```
data_dir = somewhere/else
```

```python
from configs.config_loader import get_config
import numpy
```
"""


def test_checker_accepts_what_exists():
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("`configs/demo_cars.txt`", "`configs/demo_car.txt`", "path configs/demo_car.txt"),
        ("`config_loader.py`", "`config_reader.py`", "path config_reader.py"),
        ("`configs/`", "`config/`", "path config/"),
        ("[it](LICENSE)", "[it](LICENCE)", "link to LICENCE"),
        ("make test ARGS", "make tests ARGS", "make tests"),
        ("make demo ", "make demos ", "make demos"),
        ("`--input_res 32`", "`--inputres 32`", "option --inputres"),
        ("--dependency=afterok:7", "--dependent=afterok:7", "option --dependent"),
        ("latent_dim = 256", "latent_dims = 256", "option --latent_dims"),
        ("../dataprocessing/preprocess.py", "../preprocess.py", "python ../preprocess.py"),
        ("../configs/demo_cars.txt", "../configs/cars.txt", "path configs/cars.txt"),
        ("--seed 1", "--sead 1", "option --sead"),
        ("-m lab.measurements.meshes", "-m lab.measurements.mesh", "python -m lab.measurements.mesh"),
        ("configs/miniature.txt", "configs/minature.txt", "path configs/minature.txt"),
        ("--temperature 0.5", "--temprature 0.5", "option --temprature"),
        ("README.md#the-steps", "README.md#the-step", "link to README.md#the-step"),
        ("submit_all.sh", "submit.sh", "bash slurm_scripts/submit.sh"),
        ("configs/demo_cars.txt --partition", "configs/cars.txt --partition", "path configs/cars.txt"),
        ("data_dir = ", "datadir = ", "option --datadir"),
        ("import get_config", "import read_config", "read_config in configs.config_loader"),
        ("configs.config_loader", "configs.loader", "module configs.loader"),
    ],
)
def test_checker_finds_what_does_not_exist(right, wrong, message):
    assert GOOD.count(right) == 1
    assert problems(GOOD.replace(right, wrong)) == [message]
