"""A page of the clouds in a folder: `python -m generation.html_page FOLDER`, which `generate.py --html` writes too.

The folder holds those of `generate.py` (one folder for each shape, with its mesh if there is one), or cloud files of
any system. The page goes to FOLDER/shapes.html. --training FOLDER: clouds that the shapes may be coloured by their
distance to.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from configs.config_loader import get_config
from configs.options.types import needed
from dataprocessing.point_io import READERS
from generation.cloud_files import listed_clouds, natural, read_unit_cloud
from generation.mesh_files import mesh_beside
from generation.nearest_training import TrainingClouds, training_digest, training_in, training_of
from generation.shape_folder import ShapeFolder
from generation.torn_surfaces import UNSETTLED
from runtime.artefacts import RECORDS, Records, entry_of
from runtime.errors import UserError, run
from runtime.layout import DENSE_POINT_CLOUD, HTML_PAGE, MESH, given_path
from runtime.reading import open_npz
from visualization.html_page import PageShape, write_page

SUFFIXES = tuple(
    dict.fromkeys([".npz", ".npy", ".ply", ".off", *READERS])
)  # of a.npz and a.ply, only the first is read
MOST_SHAPES = 64  # in one page; each takes 2 seconds to prepare
OURS = b"<title>Shapes</title>"  # near the beginning of each page that is made here
FACTS = (  # key in the file of a cloud, and how the page says it
    ("log_likelihood", "log-likelihood", "{:,.1f} nats"),
    ("nll_nats_per_dim", "NLL", "{:.3f} nats/dim"),
    (UNSETTLED, "torn surface", "{:.1%}"),
    ("seed", "seed", "{:.0f}"),
)


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words and not words[0].startswith("-"):
        words = ["--samples", *words]
    if not {"--samples", "--help", "-h"} & {word.split("=")[0] for word in words}:
        raise UserError("no folder of clouds given; name one: python -m generation.html_page FOLDER")
    cfg = get_config(words, "html_page", instead="samples")
    training = None
    if cfg.clouds.training is not None:
        paths = cloud_paths(given_path(cfg.clouds.training))
        training = training_in(paths, [name_of(path) for path in paths])
    folder = given_path(needed(cfg.clouds.samples, "samples"))
    check_page(folder / HTML_PAGE)
    print(write_html(folder, training))
    if (folder / RECORDS).is_file():
        Records(folder).put({"page": entry_of({}, [HTML_PAGE])})
    return 0


def check_page(page: Path) -> None:
    """Raise UserError if a page is there that was not made here."""
    if page.exists() and (not page.is_file() or OURS not in page.read_bytes()[:2048]):
        raise UserError(f"{page} is in the way: it was not made here, and would be overwritten; move it away")


def make_page(folder: ShapeFolder) -> str:
    """`write_html` of a folder of shapes, coloured by the distance to the training shapes where these are at hand; of a
    page that is current it says so."""
    of = {"shapes": folder.facts_of_files(), "training": training_digest(folder.cfg), "title": title_of(folder.path)}
    said: list[str] = []
    write = lambda: said.append(write_html(folder.path, training_of(folder.cfg)))  # noqa: E731
    folder.records.make("page", of, [HTML_PAGE], write)
    return said[0] if said else f"the page was there already: {folder.path / HTML_PAGE}"


def write_html(folder: Path, training: TrainingClouds | None = None) -> str:
    """Write the page of a folder's clouds into it. Returns a line that says where it is, and what it shows.

    Raises UserError, naming the file, for a folder without clouds, and for points, meshes or numbers that are unusable.
    """
    paths = cloud_paths(folder)
    shown = paths[:MOST_SHAPES]
    shapes = [page_shape(path, training) for path in tqdm(shown, desc="page", unit="shape", disable=None)]
    page = folder / HTML_PAGE
    size = write_page(page, title_of(folder), shapes)
    some = f"the first {len(shown)} of {len(paths)}" if len(shown) < len(paths) else f"{len(shown)}"
    return f"page of {some} shapes, {size / 1e6:.1f} MB, to open in a browser: {page}"


def cloud_paths(folder: Path) -> list[Path]:
    """The clouds of a folder in natural order: each `*/dense_point_cloud.npz`, else all cloud files in it.

    Raises UserError if it is missing or holds none.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder} of clouds; make some with: python generate.py --config ...")
    dense = listed_clouds(folder)
    if dense is None:
        dense = [path for path in folder.glob(f"*/{DENSE_POINT_CLOUD}") if not path.parent.name.startswith(".")]
    if not dense:
        inside = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        clouds = [path for path in inside if path.suffix.lower() in SUFFIXES and path.stem != MESH]
        ordered = sorted(clouds, key=lambda path: SUFFIXES.index(path.suffix.lower()), reverse=True)
        dense = list({path.stem: path for path in ordered}.values())  # of twins the last one stays
    if not dense:
        raise UserError(
            f"{folder} holds no */{DENSE_POINT_CLOUD} and no {', '.join(SUFFIXES)} files; name a folder of clouds, such"
            " as evaluation/generation of an experiment"
        )
    return sorted(dense, key=natural)


def title_of(folder: Path) -> str:
    """The folder's name, after that of its experiment if it belongs to one."""
    folder = folder.resolve()
    return f"{folder.parents[1].name}: {folder.name}" if folder.parent.name == "evaluation" else folder.name


def name_of(path: Path) -> str:
    name = path.parent.name if path.name == DENSE_POINT_CLOUD else path.stem
    return f"Shape {name}" if name.isdecimal() else name


def page_shape(path: Path, training: TrainingClouds | None) -> PageShape:
    points = read_unit_cloud(path)
    mesh = mesh_beside(path) if path.name == DENSE_POINT_CLOUD else None
    nearest = training.nearest(points) if training else None
    return PageShape(name_of(path), points, _facts(path), mesh, nearest)


def _facts(path: Path) -> Sequence[tuple[str, str]]:
    """What the file of a cloud tells about it. Raises UserError if that is no single number; NaN is left out."""
    if path.suffix != ".npz":
        return []
    found = []
    with open_npz(path) as arrays:
        for key, label, form in FACTS:
            if key in arrays:
                value = _number(arrays, key, path)
                if math.isfinite(value):
                    found.append((label, form.format(value).replace("-", "\N{MINUS SIGN}")))
    return found


def _number(arrays: Any, key: str, path: Path) -> float:
    value = arrays[key]
    if value.dtype.kind not in "fiu" or value.size != 1:
        raise UserError(f"{path}: {key} is of type {value.dtype} and shape {value.shape}; a single number expected")
    return float(value.item())


if __name__ == "__main__":
    run(main)
