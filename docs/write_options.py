"""Write docs/options.md, the table of all options and of the scripts that read them: `python docs/write_options.py`."""

import argparse

from configs.config_loader import build_parser
from configs.errors import run
from configs.files import write_text
from configs.layout import ROOT
from configs.options import ALL_GROUPS, READ_BY
from configs.options.types import Group

PAGE = ROOT / "docs" / "options.md"
HEAD = """\
# All options

Written by `make options` from `configs/options`; do not edit it. Every script takes the options of all scripts from its
config file and reads those of its groups. On the command line, which wins over the file, an option that
the script does not read is told in a note and otherwise left alone. `--help` of a script shows its own options,
`--help-all` those of all.

Completion in bash, with the tab key after `python generate.py` and two dashes: `pip install -e ".[completion]"`, then
`activate-global-python-argcomplete` once.
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
    return "\n".join(parts)


def overview() -> str:
    """Which script reads which groups."""
    rows = [f"| [{group.title}](#{anchor(group.title)}) | {readers(group)} |" for group in ALL_GROUPS]
    return "\n".join(["| options | read by |", "|---|---|", *rows, ""])


def section(group: Group, actions: list[argparse.Action]) -> str:
    """A group: its heading, what it is about, and a row for each of its options."""
    rows = [f"| `--{one.dest}` | {default_of(one)} | {cell(meaning(one))} |" for one in actions]
    about = group.description[0].upper() + group.description[1:]
    title = f"## {group.title[0].upper()}{group.title[1:]}"
    table = ["| option | default | what it does |", "|---|---|---|", *rows, ""]
    return "\n".join([title, "", f"{cell(about)}. Read by {readers(group)}.", "", *table])


def readers(group: Group) -> str:
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
