"""How options are declared: fields of a frozen dataclass, each with its default, its help and what it decides.

`Group` is a set of options that belong together. Its fields tell `add_to_parser` all that argparse has to know: the
annotation is the type, a tuple takes several words, a Literal its values only.
"""

import argparse
import dataclasses
import math
import types
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from runtime.errors import UserError

if TYPE_CHECKING:
    from configs.options import Config

Value = TypeVar("Value")
MOST = 1e12  # of a number, where nothing else is said: more is a slip, and no memory would do
MOST_SEED = 2**53


class Bound(NamedTuple):
    """What a number must be. word: for messages; allows: whether a number is fine; expected: in words."""

    word: str
    allows: Callable[[float], bool]
    expected: str
    most: float = MOST

    def at_most(self, most: float) -> "Bound":
        return self._replace(most=most)


positive = Bound("positive", lambda value: value > 0, "a number above 0")
not_negative = Bound("non-negative", lambda value: value >= 0, "0 or more")


class Declaration(NamedTuple):
    """What is said of an option beside its type and default; see `option`."""

    help: str
    bound: Bound | None
    choices: Collection[str] | None
    flag: bool
    may_be_empty: bool
    metavar: str | tuple[str, ...] | None
    decides: str | None
    names: tuple[str, ...]
    is_config_file: bool


def option(
    default: Any,
    help: str,
    bound: Bound | None = None,
    *,
    choices: Collection[str] | None = None,
    flag: bool = False,
    may_be_empty: bool = False,
    metavar: str | tuple[str, ...] | None = None,
    decides: str | None = None,
    names: tuple[str, ...] = (),
    is_config_file: bool = False,
) -> Any:
    """A field of a `Group`: one option.

    bound: of a number. choices: of words, where the annotation does not list them. flag: true if given without a value.
    may_be_empty: of a tuple. decides: artefacts of `configs.decided` that depend on it, with spaces between; default:
    those of its group. names: on the command line, if others than --NAME. is_config_file: it names the config file.
    """
    declaration = Declaration(help, bound, choices, flag, may_be_empty, metavar, decides, names, is_config_file)
    return dataclasses.field(default=default, metadata={"option": declaration})


class Group:
    """Options that belong together: a frozen dataclass, `class Flow(Group, title=..., about=..., decides=...)`.

    title, about: how `--help` heads them. decides: the artefacts that its options decide where they do not say it.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    decides: ClassVar[str]

    def __init_subclass__(cls, *, title: str, about: str, decides: str = "") -> None:
        cls.title, cls.about, cls.decides = title, about, decides

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        """Raise UserError for values that each are fine, but not together.

        cfg: the other groups. given: names of the options that the command line gave.
        """

    @classmethod
    def options(cls) -> Iterator[tuple[str, Any, Declaration]]:
        """(name, default, declaration) of each option."""
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # each subclass is a dataclass
            yield field.name, field.default, field.metadata["option"]

    @classmethod
    def decided(cls) -> dict[str, tuple[str, ...]]:
        """Its options by name, with the artefacts that each decides."""
        return {
            name: tuple((cls.decides if declaration.decides is None else declaration.decides).split())
            for name, _, declaration in cls.options()
        }

    @classmethod
    def add_to_parser(cls, parser: argparse._ActionsContainer) -> None:
        annotations = get_type_hints(cls)
        for name, default, declaration in cls.options():
            words = _argparse_words(annotations[name], declaration)
            if declaration.names:
                words["dest"] = name
            words["default"] = list(default) if isinstance(default, tuple) else default
            parser.add_argument(*(declaration.names or (f"--{name}",)), help=declaration.help, **words)


def _argparse_words(annotation: Any, declaration: Declaration) -> dict[str, Any]:
    """type, nargs, choices and so on of an option, from its annotation."""
    words: dict[str, Any] = {}
    if isinstance(annotation, types.UnionType):  # X | None
        (annotation,) = (part for part in get_args(annotation) if part is not types.NoneType)
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        fixed = len(parts) if parts[-1] is not Ellipsis else None
        words["nargs"] = fixed or ("*" if declaration.may_be_empty else "+")
        annotation = parts[0]
    if get_origin(annotation) is Literal:
        words["choices"] = get_args(annotation)
        annotation = type(get_args(annotation)[0])
    elif declaration.choices is not None:
        words["choices"] = declaration.choices
    if annotation is not str:
        words["type"] = _reader(annotation, declaration.bound)
    if declaration.flag:
        words |= {"nargs": "?", "const": True}
    if declaration.metavar:
        words["metavar"] = declaration.metavar
    if declaration.is_config_file:
        words["is_config_file_arg"] = True
    return words


def _reader(kind: type, bound: Bound | None) -> Callable[[str], Any]:
    """An argparse type for values of a kind; argparse puts its __name__ into messages."""
    if kind is bool:
        return boolean
    if bound is None:
        return finite if kind is float else kind

    def read(text: str) -> Any:
        value = kind(text)
        if not (bound.allows(value) and value <= bound.most):
            limit = f", at most {bound.most:g}," if value > bound.most else ""
            raise argparse.ArgumentTypeError(f"{text} found, {bound.expected}{limit} expected")
        return value

    read.__name__ = f"{bound.word} {kind.__name__}"
    return read


def needed(value: Value | None, name: str) -> Value:
    """The value of an option without which a script cannot go on. Raises UserError if it is not given."""
    if value is None:
        raise UserError(f"--{name} is missing; give it, see --help")
    return value


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
