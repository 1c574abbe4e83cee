"""Write docs/options.md, all options with what they decide: `python -m lab.documents.write_options`."""

import argparse
from collections.abc import Iterable, Iterator, Sequence

from configs.config_loader import build_parser
from configs.decided import ARTEFACTS
from configs.options import ALL_GROUPS, READ_BY, declared
from configs.options.types import Group
from runtime.errors import run
from runtime.files import write_text
from runtime.layout import ROOT

PAGE = ROOT / "docs" / "options.md"
COLUMNS = {  # heading -> artefacts, each with the sign of an option that decides it
    "samples": {"scaled_mesh": "x", "input": "x", "samples": "x"},
    "split": {"split": "x"},
    "NDF": {"ndf": "refused", "ndf_best": "best anew", "ndf_course": "told"},
    "codes": {"codes": "x", "extra_codes": "x"},
    "flow": {"flow": "refused", "flow_best": "best anew", "flow_course": "told"},
    "attributes": {"attributes": "x"},
    "clouds": {
        **{kind: kind.replace("_", " ") for kind in ("sample", "reconstruction", "own_mesh", "path", "edit")},
        **{"chains": "completion", "cloud": "x"},
    },
    "meshes": {"mesh": "x"},
    "sheet, page, movies": {"sheet": "x", "page": "x", "movie": "x"},
    "evaluation": {"set": "x", "wholeness": "x", "matrix": "x", "tables": "x"},
}
HEAD = """\
# All options

Written by `make options` from `configs/options`; do not edit it. Every script takes the options of all scripts from its
config file and reads those of its groups. On the command line, which wins over the file, an option that
the script does not read is told in a note and otherwise left alone. `--help` of a script shows its own options,
`--help-all` those of all.

Completion in bash, with the tab key after `python generate.py` and two dashes: `pip install -e ".[completion]"`, then
`activate-global-python-argcomplete` once.
"""
DECIDED = """\
## What each option decides

x: the option decides it, and another value makes it again; (x): it is made from what the option decides. Trainings:
refused: a training with another value is not resumed, nor its network used; best anew: it is, and its best validation
value starts anew; told: it is, in a line that says so. A word under clouds: of these alone. What is up to date:
[formats.md](formats.md#what-is-up-to-date).
"""


def main() -> int:
    write_text(PAGE, page())
    print(PAGE)
    return 0


def page() -> str:
    """The whole of docs/options.md."""
    parts = [HEAD, overview()]
    groups = {group.title: group for group in ALL_GROUPS}
    for heading in build_parser()._action_groups:
        if heading.title in groups:
            parts.append(section(groups[heading.title], heading._group_actions))
    return "\n".join([*parts, DECIDED, decided_table()])


def decided_table() -> str:
    """What each option decides, and what follows from that; options of one row in one line."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, decided in declared().items():
        if decided:
            rows.setdefault(tuple(signs(decided)), []).append(f"`{name}`")
    lines = [f"| {', '.join(names)} | {' | '.join(cells)} |" for cells, names in rows.items()]
    return "\n".join([f"| options | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|", *lines, ""])


def signs(decided: Sequence[str]) -> Iterator[str]:
    """The cells of an option: `x`, or a word, for what it decides itself; (x) or (refused) for what follows."""
    follow = made_from(decided)
    for artefacts in COLUMNS.values():
        found = [sign for name, sign in artefacts.items() if name in decided]
        if "cloud" in decided and "cloud" in artefacts:
            found = ["x"]
        elif not found and follow & artefacts.keys():
            found = ["(refused)" if "refused" in artefacts.values() else "(x)"]
        yield ", ".join(dict.fromkeys(found))


def made_from(decided: Iterable[str]) -> set[str]:
    """The artefacts that are made from these, and from those that are."""
    found = set(decided)
    while more := {name for name, of in ARTEFACTS.items() if found & set(of)} - found:
        found |= more
    return found - set(decided)


def overview() -> str:
    """Which script reads which groups."""
    rows = [f"| [{group.title}](#{anchor(group.title)}) | {readers(group)} |" for group in ALL_GROUPS]
    return "\n".join(["| options | read by |", "|---|---|", *rows, ""])


def section(group: type[Group], actions: list[argparse.Action]) -> str:
    """A group: its heading, what it is about, and a row for each of its options."""
    rows = [f"| `--{one.dest}` | {default_of(one)} | {cell(meaning(one))} |" for one in actions]
    about = group.about[0].upper() + group.about[1:]
    title = f"## {group.title[0].upper()}{group.title[1:]}"
    table = ["| option | default | what it does |", "|---|---|---|", *rows, ""]
    return "\n".join([title, "", f"{cell(about)}. Read by {readers(group)}.", "", *table])


def readers(group: type[Group]) -> str:
    found = [f"`{script}.py`" for script, groups in READ_BY.items() if group in groups]
    return "every script" if len(found) == len(READ_BY) else ", ".join(found)


def meaning(action: argparse.Action) -> str:
    """The help of an option, with its choices if it does not name them all."""
    choices = [str(choice) for choice in action.choices or ()]
    told = all(choice in str(action.help) for choice in choices)
    return f"{action.help}{'' if told else ' (' + ', '.join(choices) + ')'}"


def default_of(action: argparse.Action) -> str:
    if action.default is None:
        return ""
    value = action.default
    return cell(" ".join(map(str, value)) if isinstance(value, list) else str(value))


def cell(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    text = text.replace("`", "")
    for sign in "|*<":
        text = text.replace(sign, f"\\{sign}")
    return text


def anchor(title: str) -> str:
    """The place of a heading on the page, as Markdown viewers name it."""
    return "".join(c for c in title.lower() if c.isalnum() or c in " -_").replace(" ", "-")


if __name__ == "__main__":
    run(main)
