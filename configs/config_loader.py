"""The only reader of the command line and of config files."""

import argparse
import difflib
import importlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import configargparse

from configs.config_text import ConfigLines, Words, line_of
from configs.options import ALL_GROUPS, COMPARED, READ_BY, RETIRED, Config
from configs.options.data import Data
from configs.options.types import Group
from runtime.errors import UserError, note
from runtime.layout import ROOT
from runtime.reading import DamagedFile, read_text

EXPERIMENT_OPTIONS = ("config", "exp_name", "data_dir", "split_file")  # without default; every experiment needs them
SHARED = "OPTIONS_FOR_ALL_STEPS"  # in the environment of scripts that are all given the same options: no notes
MOST_CONFIG = 2**17  # characters of a config file and all that it includes


class _Parser(configargparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit. Takes -y, an axis, as a value like -1e-3."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"^-(([\d_]+\.?[\d_]*|\.\d+)([eE][+-]?\d+)?|[xyz]|inf|nan)$")

    def convert_item_to_command_line_arg(self, action: argparse.Action | None, key: str, value: Any) -> list[str]:
        one_word = isinstance(value, Words) and action is not None and action.nargs in (None, "?")
        return cast(
            "list[str]", super().convert_item_to_command_line_arg(action, key, value.text if one_word else value)
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that there are, and N or X where a whole or a real number is wanted."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        kind = getattr(action.type, "__name__", "")
        if kind == "true/false":
            return kind
        found = next((letter for word, letter in (("int", "N"), ("float", "X")) if kind.endswith(word)), None)
        return found or super()._get_default_metavar_for_optional(action)


class _HelpOfAll(argparse.Action):
    """Prints the options of all scripts, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *words: Any) -> NoReturn:
        build_parser().print_help()
        parser.exit()


def build_parser(script: str | None = None) -> configargparse.ArgumentParser:
    """A parser of all options, whose help shows those that `script` reads (a key of `READ_BY`), in order of use.

    Every script takes the options of all others too: a config file serves all steps, and `demo.sh` hands its options
    to each of them.
    """
    parser = _Parser(
        usage="%(prog)s --config FILE [--OPTION VALUE ...]",
        description="Options may stand in the config file (`key = value`) or on the command line, which wins.",
        epilog="A config file may hold the options of all scripts; this list has those that this one reads, --help-all"
        " and docs/options.md have them all.",
        formatter_class=_HelpFormatter,
        add_config_file_help=False,
        config_file_open_func=_open_config,
        config_file_parser_class=ConfigLines,
        allow_abbrev=False,
        add_env_var_help=False,
    )
    parser.add_argument(
        "--help-all", "--help_all", nargs=0, action=_HelpOfAll, dest="help", default=argparse.SUPPRESS,
        help="show the options of all scripts and exit",
    )  # fmt: skip
    shown = ALL_GROUPS if script is None else READ_BY[script]
    for group in dict.fromkeys([*shown, *ALL_GROUPS]):
        if group in shown:
            group.add_to_parser(parser.add_argument_group(group.title, group.about))
        else:
            hidden = parser.add_argument_group()
            group.add_to_parser(hidden)
            for action in hidden._group_actions:
                action.help = argparse.SUPPRESS
    return parser


def get_config(argv: list[str] | None = None, script: str | None = None, instead: str | None = None) -> Config:
    """Merge defaults, config file and command line (`argv`, default: the process's own), and check them.

    script: whose options `--help` shows, a key of `configs.options.READ_BY`; default: all.
    instead: an option with which the script works without an experiment; where it is given, those that name one may
    be missing, and are None.
    Raises UserError for a missing config, an unknown key (naming the nearest right one) or a value out of range.
    """
    parser = build_parser(script)
    _complete(parser)
    values, unknown = parser.parse_known_args(argv)
    unknown = _without_retired(unknown)
    if unknown:
        raise UserError(_describe_unknown(unknown[0], vars(values)))
    missing = [f"--{name}" for name in EXPERIMENT_OPTIONS if getattr(values, name) is None]
    if missing and (instead is None or getattr(values, instead) is None):
        needs_no_data = script is not None and Data not in READ_BY[script]
        wanted = [f"--{instead}"] if instead and needs_no_data else missing
        raise UserError(f"the following arguments are required: {', '.join(wanted)}; see --help")
    cfg = Config.of(values)
    given = {word.split("=")[0].lstrip("-") for word in (sys.argv[1:] if argv is None else argv)}
    for group in ALL_GROUPS if script is None else READ_BY[script]:
        next(part for part in vars(cfg).values() if isinstance(part, group)).check(cfg, given)
    if script and SHARED not in os.environ:
        _tell_unused(sys.argv[1:] if argv is None else argv, script)
    return cfg


def config_as_text(cfg: Config) -> str:
    """The merged configuration as a config file that gives the same configuration again: it is read to see that.

    Raises UserError if a value cannot be written.
    """
    values = {key: value for key, value in cfg.values().items() if key != "config" and value is not None}
    text = "\n".join(line_of(key, value) for key, value in values.items()) + "\n"
    again = vars(build_parser().parse_known_args([], config_file_contents=text)[0])
    if wrong := [key for key, value in values.items() if key in again and again[key] != value]:
        raise UserError(f"{wrong[0]} {values[wrong[0]]!r} cannot be written into a config file; choose another value")
    return text


def _open_config(name: str, mode: str = "r") -> io.StringIO:
    """A config file, given relative to the working directory or else to the repository root, as one text.

    A line `include = OTHER` puts the lines of another file of the same folder there: later lines win over earlier ones.
    """
    for path in (Path(name), ROOT / name):
        if path.is_file():
            return io.StringIO(_with_includes(path))
    near = ", ".join(f"configs/{path.name}" for path in sorted((ROOT / "configs").glob("*.txt")))
    raise UserError(f"no config file {name}; the project has {near}")


def _with_includes(path: Path, including: tuple[Path, ...] = ()) -> str:
    if path in including:
        raise UserError(f"{path} includes itself; take the line out")
    lines = []
    for line in _config_text(path).splitlines():
        key, _, value = line.partition("=")
        if key.strip() != "include":
            lines.append(line)
            continue
        name = value.partition("#")[0].strip()
        other = path.parent / Path(name).name
        if Path(name).name != name or not other.is_file():
            raise UserError(f"{path} includes {name}, which is not beside it; name a file of the same folder")
        lines.append(_with_includes(other, (*including, path)))
        if sum(map(len, lines)) > MOST_CONFIG:
            raise UserError(f"{path} has more than {MOST_CONFIG:,} characters with all that it includes; make it short")
    return "\n".join(lines)


def _config_text(path: Path) -> str:
    try:
        return read_text(path, MOST_CONFIG)
    except DamagedFile as error:
        raise UserError(f"{path} is no config file ({error.reason}); lines `key = value` in UTF-8 expected") from error


def _describe_unknown(token: str, known: dict[str, object]) -> str:
    name = token.lstrip("-").split("=")[0].replace("-", "_")
    if not token.startswith("-"):
        return f"unexpected word {token!r}; options start with --, see --help"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown option {name!r}; did you mean {near[0]!r}? (see --help)"


def _tell_unused(words: list[str], script: str) -> None:
    """Say in a line which options of the command line `script` leaves unread, and who reads them.

    No error: a line of options is often reused for the next script. In config files they are no news, and neither are
    options without a value (`--ndf_checkpoint=`), which take one of the file back.
    """
    readers: dict[str, list[str]] = {}
    for reader, groups in READ_BY.items():
        for group in groups:
            for name in option_names(group):
                readers.setdefault(name, []).append(reader)
    compared = {name for group in COMPARED for name in option_names(group)}
    given = dict.fromkeys(word.split("=")[0] for word in words if word.startswith("--") and not word.endswith("="))
    unused = [name for name in given if script not in readers.get(name, [script]) and name not in compared]
    if unused:
        said = [f"{name} (read by {', '.join(f'{reader}.py' for reader in readers[name])})" for name in unused]
        note(f"{script}.py makes no use of {', '.join(said)}")


def option_names(group: type[Group]) -> list[str]:
    """The options of a group as they are typed: --exp_name and so on."""
    return [f"--{name}" for name in group.decided()]


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions (docs/options.md), where argcomplete is installed."""
    if "_ARGCOMPLETE" in os.environ:
        importlib.import_module("argcomplete").autocomplete(parser)


def _without_retired(unknown: list[str]) -> list[str]:
    """Unknown words less options of earlier versions. Raises UserError if one has another value than it has now."""
    rest: list[str] = []
    words = iter(unknown)
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--") or name not in RETIRED:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not _is_same(value, RETIRED[name]):
            raise UserError(f"option {name} is no longer there, its value is always {RETIRED[name]}; leave it out")
    return rest


def _is_same(text: str, value: float | str) -> bool:
    try:
        return text == value or float(text) == value
    except ValueError:
        return False
