"""What is decoded: the one form in which samples, reconstructions, own meshes, paths, edits and completions come."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.distance_network import Code

if TYPE_CHECKING:
    from dataprocessing.frames import Frame
    from visualization.contact_sheet import ShapeRow


class OnAccess(Sequence[Any], ABC):
    """`num` things, each made when it is asked for by its number, since a chunk asks for its own: `made`."""

    num: int

    @abstractmethod
    def made(self, n: int) -> Any: ...

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, n: Any) -> Any:
        if not 0 <= n < self.num:
            raise IndexError(n)
        return self.made(n)


class CodesOnAccess(OnAccess):
    """Codes, each a batch of one."""

    @abstractmethod
    def made(self, n: int) -> Code: ...


class FactsOnAccess(OnAccess):
    """What decides each code: `facts_of(number)`, made once."""

    def __init__(self, num: int, facts_of: Callable[[int], dict[str, Any]]):
        self.num, self.facts_of = num, cache(facts_of)

    def made(self, n: int) -> dict[str, Any]:
        return self.facts_of(n)


class Group(NamedTuple):
    """Shapes that belong together, by number; walk: the name of the movie through them, if they are a series."""

    numbers: Sequence[int]
    walk: str = ""


def continued(label: str) -> Callable[[Sequence[int]], str]:
    """The label of some shapes, for the first ones on a sheet; those after them are the next."""
    return lambda numbers: label if numbers[0] == 0 else f"The next {len(numbers)}"


@dataclass
class Shapes:
    """Shapes to decode: a name for the folder of each, its code (a batch of one), and what decides it.

    Of each:
    codes: made on access. facts: what decides the code, as plain values. frames: where it lies in its user's file;
    without, and where `keep_frame` is false, it stays in the unit box. arrays_before, arrays_after: for the file of its
    cloud, from before and after the code is made; measures_tears: whether that says, too, how much of it is torn.
    streams: numbers of their random streams, default 0, 1, ..., among the `total` shapes of which these are a chunk.

    Of all:
    kind: what the codes are, an artefact of `runtime.artefacts`. folder: for the files, if no other is asked for.
    about: facts of all. source: the user's meshes or scan that they come from. told_in_index: what the index says
    beside, and decides nothing. label: of some of them on the sheet, by their numbers; title: of the sheet, after the
    experiment; groups: which belong together, default all; above: rows of the sheet over some shapes, above_of: facts
    that decide them. remarks: sentences for the user. report: of their `ShapeFolder`, what is written and told when all
    files are there. status: of the script.
    """

    kind: str
    names: list[str]
    codes: Sequence[Code]
    folder: Path
    label: Callable[[Sequence[int]], str]
    num_points: int
    facts: Sequence[dict[str, Any]] = ()
    about: dict[str, Any] = field(default_factory=dict)
    told_in_index: dict[str, Any] = field(default_factory=dict)
    arrays_before: Callable[[int], dict[str, Any]] = lambda n: {}
    arrays_after: Callable[[int], dict[str, Any]] = lambda n: {}
    streams: Sequence[int] = ()
    total: int | None = None
    measures_tears: bool = True
    frames: "Sequence[Frame]" = ()
    keep_frame: bool = False
    source: str | None = None
    title: str = ""
    groups: Sequence[Group] = ()
    above: "Callable[[Sequence[int]], list[ShapeRow]]" = lambda numbers: []
    above_of: dict[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    report: Callable[[Any], Iterator[str]] = lambda folder: iter(())
    status: int = 0

    def frame(self, n: int) -> "Frame | None":
        """Where shape n is to lie; None: in the unit box."""
        return self.frames[n] if self.frames and self.keep_frame else None

    def number(self, n: int) -> int:
        """The number of shape n, which decides its random streams: it does not depend on chunks."""
        return self.streams[n] if self.streams else n

    def in_groups(self) -> Sequence[Group]:
        return self.groups or [Group(range(len(self.names)))]
