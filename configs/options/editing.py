"""Options of edits of attributes, of what they are learned from, and of movies."""

from argparse import Namespace
from collections.abc import Collection

from configs.options.types import Group, Options, boolean, finite, not_negative, positive
from runtime.errors import UserError


def _add_editing(group: Options) -> None:
    group = group.deciding("edit")
    group.add(
        "--attributes_file",
        default=None,
        help="what codes tell of attributes, as python -m evaluation.editing.fit wrote it; default: that of the"
        " experiment",
        decides="",
    )
    group.add("--attribute", default=None, help="the attribute to change, such as length")
    group.add(
        "--by",
        type=finite,
        nargs="+",
        default=None,
        help="by how much, in standard deviations of the attribute over the cars of the fit; default: edit_steps equal"
        " steps from -2 to 2",
    )
    group.add(
        "--to",
        nargs="+",
        default=None,
        help="values that it is set to instead, numbers in its own unit; default for an attribute without numbers: all"
        " of its values",
    )
    group.add("--edit_steps", type=positive(int), default=5, help="pictures from -2 to 2 standard deviations")
    group.add(
        "--edit_shapes",
        nargs="+",
        default=["0", "1", "2"],
        help="the shapes to change: numbers of samples of the seed, names of test shapes",
    )
    group.add(
        "--hold",
        type=not_negative(float),
        default=10.0,
        help="how strongly all other attributes are held where they are; 0: they may follow as they do among cars",
    )


def _check_editing(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.by is not None and cfg.to is not None:
        raise UserError("--by and --to found; give one of them")
    if cfg.mode != "edit" and (unread := {"attribute", "by", "to"} & set(given)):  # in a config file they may wait
        raise UserError(f"--{min(unread)} found with --mode {cfg.mode}; give --mode edit too")
    if cfg.mode == "edit" and cfg.attribute is None:
        raise UserError("--mode edit without --attribute; name the one to change, such as --attribute length")


def _add_views(group: Options) -> None:
    group.add(
        "--html",
        nargs="?",
        type=boolean,
        const=True,
        default=False,
        help="also write shapes.html, a page to turn them, cut them open and colour them in a browser",
    )
    group.add(
        "--movie",
        choices=["none", "gif", "webp"],
        default="none",
        help="of a path or of edits, there and back; of what kind a turntable is",
        decides="movie",
    )
    group.add(
        "--turntable",
        nargs="?",
        type=boolean,
        const=True,
        default=False,
        help="also a short movie of each shape, turning (a GIF, unless movie says otherwise)",
        decides="movie",
    )


def _check_views(cfg: Namespace, given: Collection[str]) -> None:
    if "movie" in given and cfg.movie != "none" and cfg.mode in ("sample", "reconstruct") and not cfg.turntable:
        raise UserError(
            f"--movie {cfg.movie} found, but --mode {cfg.mode} gives no series of shapes; use --mode interpolate or"
            " edit, or --turntable for shapes that turn"
        )


def _add_attributes(group: Options) -> None:
    group.add(
        "--num_attribute_cars",
        type=positive(int),
        default=3000,
        help="demo cars of extra_demo_seed that are made and encoded for it, in memory",
        decides="attributes",
    )
    group.add(
        "--num_edited",
        type=positive(int),
        default=4,
        help="shapes that are edited to compare ways of doing it",
        decides="tables",
    )


EDITING = Group("edits", "more or less of an attribute: docs/editing.md", _add_editing, _check_editing)
VIEWS = Group("views", "a page and movies, beside the contact sheet", _add_views, _check_views)
ATTRIBUTES = Group("attributes", "how codes tell of attributes", _add_attributes)
