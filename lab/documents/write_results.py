"""Write the results of an evaluation into the documentation: `python -m lab.documents.write_results --config FILE`.

Reads what evaluate.py wrote (`evaluation/results.json` and `results.md` of the experiment), writes docs/results.md with
all its tables, and rewrites the small table in README.md between its two comments. The same results give the same text.
"""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.config_loader import get_config
from evaluation.tables import Column, Table
from lab.documents.sources import config_line
from runtime.errors import UserError, run
from runtime.files import write_text
from runtime.layout import RESULTS, ROOT

PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
WIDTH = 120
FLOOR = "floor: training shapes"
SETS = {  # rows of the small table, in their order: label in results.json -> words for a reader
    "flow": "our flow",
    "flow, unselected": "its first draws",
    "Gaussian on whitened codes": "Gaussian on whitened codes",
    "interpolated neighbours": "interpolated neighbours",
    FLOOR: "floor: real training cars",
    "test shapes": "real test cars",
}
WHOLENESS = {"unsettled_mean": "torn surface %, mean", "unsettled_median": "median"}
MEASURES = {"nna_acc": ("1-NNA %", ".1f", 100), "cov": ("COV %", ".1f", 100), "mmd": ("MMD x1e4", ".3f", 1e4)}
HOW_TO_READ = """\
- **True and decoded test cars.** Against *true* test cars (points on the surface of the mesh) a score judges the whole
  system, decoder included. Against *decoded* test cars (encoded and decoded by the same NDF) it judges the generator of
  latent codes alone.
- **Floor.** The score that real training cars get against the test cars, the best a generator can hope for. With few
  clouds a set can beat it by chance. In the reconstruction table the floor is the true surface, sampled twice.
- **Baselines.** *Gaussian on whitened codes*: latent codes drawn from a Gaussian fitted to the training codes.
  *Interpolated neighbours*: a random training code mixed with one of its three nearest neighbours; such codes can
  hardly leave the training data.
- **1-NNA.** Accuracy of a leave-one-out nearest-neighbour classifier that separates samples from test cars. 50 % is
  best (indistinguishable), 100 % worst; below 50 %, samples sit on top of test cars.
- **COV** (coverage, more is better): share of test cars that are the nearest one of some sample. **MMD** (minimum
  matching distance, less is better): mean distance from a test car to the nearest sample.
- **Torn surface.** Share of the decoded surface on which the field comes close to 0 and does not reach it, as on a roof
  that is half there, over the first cars of each kind. The decoder tears a little of real test cars too.
- **First draws.** What the flow samples before selection: `best_of` draws a car again until its surface is whole.
- **CD.** Chamfer distance: mean squared distance to the nearest point of the other cloud, both directions summed, in
  mesh units (the longest side of a car is 1). chamfer_udf is half of it.
- **±.** Standard deviation over the sample sets of one trained network. It does not include the spread between two
  trainings; see the [notebook](../lab/notes/evaluation.md#how-much-one-run-says).
"""


def main(argv: list[str] | None = None) -> int:
    folder = get_config(argv).experiment.evaluation
    report, tables = read_results(folder)
    readme = with_block(README.read_text(), small_block(report))
    write_text(PAGE, page(report, tables))
    write_text(README, readme)
    print(f"{PAGE} and the table in {README}: from {folder / RESULTS}.json")
    return 0


def read_results(folder: Path) -> tuple[dict[str, Any], str]:
    """results.json, and the tables of results.md. Raises UserError where they are missing or not complete."""
    paths = [folder / f"{RESULTS}.{suffix}" for suffix in ("json", "md")]
    for path in paths:
        if not path.is_file():
            raise UserError(f"no {path}; write it first: python evaluate.py --config ...")
    report = json.loads(paths[0].read_text())
    if "generation_cd" not in report["tables"]:
        raise UserError(f"{paths[0]} has no table of generation; run evaluate.py without --tasks")
    return report, paths[1].read_text()


def page(report: Mapping[str, Any], tables: str) -> str:
    """docs/results.md. tables: as evaluate.py wrote them, titles in bold."""
    config = config_name(report)
    intro = (
        f"Written by `make results CONFIG={config}` (`lab/documents/write_results.py`) from what `evaluate.py`"
        " measured. Do not edit it by hand. One training run, one seed."
    )
    facts = [
        f"config: `{config}`, experiment `{report['config']['exp_name']}`, seed {report['seeds']['seed']}",
        f"commit of the evaluation: `{report['commit']}`",
        f"protocol: `{report['protocol']['name']}` ([evaluation.md](evaluation.md#protocols))",
        *(f"SHA-256 of the {name} checkpoint: `{report['checkpoints'][key]}`" for name, key in
          (("NDF", "ndf_sha256"), ("RealNVP", "rnvp_sha256"))),
    ]  # fmt: skip
    sections = re.sub(r"^\*\*(.+)\*\*$", r"## \1", tables, flags=re.MULTILINE)
    lines = [line if line.startswith(("| ", "#")) else wrapped(line) for line in sections.splitlines()]
    parts = ["# Results", wrapped(intro), "\n".join(f"- {fact}" for fact in facts), "## How to read the tables"]
    return "\n\n".join([*parts, HOW_TO_READ.rstrip(), "\n".join(lines), config_line(config, report["config"])]) + "\n"


def small_block(report: Mapping[str, Any]) -> str:
    """The small table for README.md, and what it was made with, between its two comments."""
    tables = report["tables"]
    rows, whole = (tables.get(name, {}).get("rows", []) for name in ("generation_cd", "wholeness"))
    known = {row["set"] for row in [*rows, *whole]}
    merged = [small_row(rows, label, title) | torn(whole, label) for label, title in SETS.items() if label in known]
    _, _, table = Table("small", "", small_columns(), merged).markdown().partition("\n\n")  # without its empty title
    return f"{BEGIN}\n{table}\n{config_line(config_name(report), report['config'])}\n{END}"


def small_columns() -> list[Column]:
    found = [Column("set", "cars"), *(Column(key, title, ".2f", 100) for key, title in WHOLENESS.items())]
    for key, (title, spec, scale) in MEASURES.items():
        references = ("true", "decoded") if key == "nna_acc" else ("true",)  # the others: in docs/results.md
        found += [Column(f"{key}_{against}", f"{title}, {against}", spec, scale) for against in references]
    return found


def small_row(rows: Sequence[Mapping[str, Any]], label: str, title: str) -> dict[str, Any]:
    """The measures of a generator against true and against decoded cars, in one row; missing ones stay out."""
    found: dict[str, Any] = {"set": title}
    for row in rows:
        against = "decoded" if row["reference"].endswith(", decoded") else "true"
        if row["set"] in (label, f"{label}, decoded"):
            found |= {f"{key}_{against}": row[key] for key in MEASURES}
    return found


def torn(rows: Sequence[Mapping[str, Any]], label: str) -> dict[str, Any]:
    """The measures of wholeness of the shapes of a row."""
    names = (label, label.removeprefix("floor: "))
    return {key: row[key] for row in rows if row["set"] in names for key in WHOLENESS}


def with_block(text: str, block: str) -> str:
    """README's text with another block of results. Raises UserError if the two comments are not there, once each."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"{README} must hold the lines {BEGIN!r} and {END!r} once each, in this order")
    return text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]


def config_name(report: Mapping[str, Any]) -> str:
    """The config file below the repository root; of one elsewhere, its name alone: no paths of this machine."""
    path = Path(report["config"]["config"])
    if not path.is_absolute():
        return path.as_posix() if (ROOT / path).is_file() else path.name
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def wrapped(text: str) -> str:
    """A paragraph, in lines; one that starts with a bar is not to look like a table."""
    text = re.sub(r"^\|(.*?)\|", r"\\|\1\\|", text)
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    run(main)
