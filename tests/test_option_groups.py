"""The binder: what a field of a group tells argparse, and how a Config is read and changed."""

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest

from configs.options import ALL_GROUPS, Config, Run, group_of
from configs.options.types import Group, needed, not_negative, option, positive
from runtime.errors import UserError


@dataclass(frozen=True)
class Example(Group, title="example", about="one of each kind", decides="cloud"):
    name: str | None = option(None, "a word")
    count: int = option(3, "a number", positive.at_most(9))
    ratio: float = option(0.5, "a share", not_negative, decides="mesh set")
    shift: float = option(0.0, "any number")
    sizes: tuple[int, ...] = option((1, 2), "numbers", positive)
    layers: tuple[int, ...] = option((), "numbers or none", positive, may_be_empty=True)
    corner: tuple[float, float, float] | None = option(None, "three numbers")
    kind: Literal["a", "b"] = option("a", "one of two")
    places: Literal[1, 7] = option(1, "one of two numbers")
    colour: str = option("red", "one of some", choices=("red", "blue"))
    sure: bool = option(True, "yes or no")
    loud: bool = option(False, "a switch", flag=True)
    given: str = option("", "with another name", names=("-g", "--gift"))


def parsed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser(exit_on_error=False)
    Example.add_to_parser(parser)
    return vars(parser.parse_args(words))


def test_defaults_are_those_of_the_fields():
    assert parsed() == {**dataclasses.asdict(Example()), "sizes": [1, 2], "layers": []}


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--count", "9"], "count", 9),
        (["--ratio", "0"], "ratio", 0.0),
        (["--shift=-1e-3"], "shift", -0.001),
        (["--sizes", "4", "5"], "sizes", [4, 5]),
        (["--layers"], "layers", []),
        (["--corner", "1", "2", "3"], "corner", [1.0, 2.0, 3.0]),
        (["--kind", "b"], "kind", "b"),
        (["--places", "7"], "places", 7),
        (["--colour", "blue"], "colour", "blue"),
        (["--sure", "no"], "sure", False),
        (["--loud"], "loud", True),
        (["--loud", "false"], "loud", False),
        (["-g", "x"], "given", "x"),
    ],
)
def test_words_become_values_of_the_annotated_type(words: list[str], name: str, value: object):
    assert parsed(*words)[name] == value and type(parsed(*words)[name]) is type(value)


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["--count", "0"], "above 0"),
        (["--count", "10"], "at most 9"),
        (["--ratio", "-1"], "0 or more"),
        (["--ratio", "nan"], "0 or more"),
        (["--shift", "inf"], "finite"),
        (["--sizes"], "at least one"),
        (["--corner", "1"], "3"),
        (["--kind", "c"], "'c'"),
        (["--places", "3"], "3"),
        (["--colour", "green"], "green"),
        (["--sure", "maybe"], "true or false"),
    ],
)
def test_other_words_are_refused(words: list[str], fact: str):
    with pytest.raises(argparse.ArgumentError) as error:
        parsed(*words)
    assert fact in str(error.value)


def test_an_option_decides_what_it_says_or_else_what_its_group_says():
    assert Example.decided()["ratio"] == ("mesh", "set") and Example.decided()["count"] == ("cloud",)


def test_a_config_is_changed_by_option_names_and_stays_as_it_is():
    cfg = Config().changed(seed=7, sample_ratio=[0.5, 0.5], by=[1.0])
    assert (cfg.run.seed, cfg.sampling.sample_ratio, cfg.editing.by) == (7, (0.5, 0.5), (1.0,))
    assert cfg.values()["sample_ratio"] == [0.5, 0.5] and cfg.value("seed") == 7
    assert Config().run.seed == 0 and list(cfg.values()) == sorted(group_of())
    with pytest.raises(dataclasses.FrozenInstanceError):
        cfg.run.seed = 8  # type: ignore[misc]
    with pytest.raises(KeyError):
        cfg.changed(sed=1)


def test_every_default_of_every_group_is_allowed():
    cfg = Config()
    for group in (group for group in cfg.values().values() if not isinstance(group, Run)):
        group.check(cfg, ())
    assert len({type(group) for group in cfg.values().values()}) == len(ALL_GROUPS)


def test_what_is_needed_and_not_given_is_named():
    assert needed("x", "scan") == "x"
    with pytest.raises(UserError, match="--scan"):
        needed(None, "scan")
