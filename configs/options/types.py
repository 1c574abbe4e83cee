"""Types of option values, and what a group of options is."""

import argparse
import copy
import math
from argparse import Namespace
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any


class Options:
    """Where a group declares its options, each once: its value, its help, and the artefacts that it decides.

    decides: names in `configs.decided.ARTEFACTS`, with spaces between; nothing where no file depends on the option.
    parser: a group of an argparse parser; None to learn of the artefacts alone.
    """

    def __init__(self, parser: argparse._ActionsContainer | None = None):
        self.parser, self.usual = parser, ""
        self.decides: dict[str, tuple[str, ...]] = {}

    def deciding(self, artefacts: str) -> "Options":
        """These options, where those that do not say what they decide decide these artefacts."""
        usual = copy.copy(self)
        usual.usual = artefacts
        return usual

    def add(self, *names: str, decides: str | None = None, **words: Any) -> None:
        self.decides[names[-1].removeprefix("--")] = tuple((self.usual if decides is None else decides).split())
        if self.parser is not None:
            self.parser.add_argument(*names, **words)


@dataclass(frozen=True)
class Group:
    """Options that belong together: how `--help` heads them, their declarations, and the check of values that are tied.

    check: of a configuration, and of the names of the options that the command line gave; raises UserError for values
    that each are fine, but not together.
    """

    title: str
    description: str
    add: Callable[[Options], None]
    check: Callable[[Namespace, Collection[str]], None] = lambda cfg, given: None


MOST = 1e12  # of a number, where nothing else is said: more is a slip, and no memory would do
MOST_SEED = 2**53


def positive(kind: Callable[[str], float], most: float = MOST) -> Callable[[str], float]:
    """An argparse type: `kind` (int or float), above zero, finite."""

    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text} found, a number above 0{_at_most(value, most)} expected")
        return value

    parse.__name__ = f"positive {kind.__name__}"  # argparse names the type in "invalid positive int value"
    return parse


def not_negative(kind: Callable[[str], float], most: float = MOST) -> Callable[[str], float]:
    """An argparse type: `kind` (int or float), zero or above, finite."""

    def parse(text: str) -> float:
        value = kind(text)
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} found, 0 or more{_at_most(value, most)} expected")
        return value

    parse.__name__ = f"non-negative {kind.__name__}"
    return parse


def _at_most(value: float, most: float) -> str:
    return f", at most {most:g}," if value > most else ""


def finite(text: str) -> float:
    """An argparse type: a real number."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} found, a finite number expected")
    return value


finite.__name__ = "float"


def boolean(text: str) -> bool:
    """An argparse type: true/false, yes/no, on/off, 1/0."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"{text!r} found, true or false expected")
    return words[text.lower()]


boolean.__name__ = "true/false"
