"""Options of edits of attributes, of what they are learned from, and of movies."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from configs.options.types import Group, not_negative, option, positive
from runtime.errors import UserError

if TYPE_CHECKING:
    from configs.options import Config


@dataclass(frozen=True)
class Editing(Group, title="edits", about="more or less of an attribute: docs/editing.md", decides="edit"):
    attributes_file: str | None = option(
        None,
        "what codes tell of attributes, as python -m evaluation.editing.fit wrote it; default: that of the experiment",
        decides="",
    )
    attribute: str | None = option(None, "the attribute to change, such as length")
    by: tuple[float, ...] | None = option(
        None,
        "by how much, in standard deviations of the attribute over the cars of the fit; default: edit_steps equal"
        " steps from -2 to 2",
    )
    to: tuple[str, ...] | None = option(
        None,
        "values that it is set to instead, numbers in its own unit; default for an attribute without numbers: all of"
        " its values",
    )
    edit_steps: int = option(5, "pictures from -2 to 2 standard deviations", positive)
    edit_shapes: tuple[str, ...] = option(
        ("0", "1", "2"), "the shapes to change: numbers of samples of the seed, names of test shapes"
    )
    hold: float = option(
        10.0,
        "how strongly all other attributes are held where they are; 0: they may follow as they do among cars",
        not_negative,
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        mode = cfg.generation.mode
        if self.by is not None and self.to is not None:
            raise UserError("--by and --to found; give one of them")
        if mode != "edit" and (unread := {"attribute", "by", "to"} & set(given)):  # in a config file they may wait
            raise UserError(f"--{min(unread)} found with --mode {mode}; give --mode edit too")
        if mode == "edit" and self.attribute is None:
            raise UserError("--mode edit without --attribute; name the one to change, such as --attribute length")


@dataclass(frozen=True)
class Views(Group, title="views", about="a page and movies, beside the contact sheet"):
    html: bool = option(
        False, "also write shapes.html, a page to turn them, cut them open and colour them in a browser", flag=True
    )
    movie: Literal["none", "gif", "webp"] = option(
        "none", "of a path or of edits, there and back; of what kind a turntable is", decides="movie"
    )
    turntable: bool = option(
        False,
        "also a short movie of each shape, turning (a GIF, unless movie says otherwise)",
        flag=True,
        decides="movie",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        mode = cfg.generation.mode
        if "movie" in given and self.movie != "none" and mode in ("sample", "reconstruct") and not self.turntable:
            raise UserError(
                f"--movie {self.movie} found, but --mode {mode} gives no series of shapes; use --mode interpolate or"
                " edit, or --turntable for shapes that turn"
            )


@dataclass(frozen=True)
class Attributes(Group, title="attributes", about="how codes tell of attributes"):
    num_attribute_cars: int = option(
        3000, "demo cars of extra_demo_seed that are made and encoded for it, in memory", positive, decides="attributes"
    )
