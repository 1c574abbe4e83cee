"""All that is made of some shapes in one folder: clouds, meshes, an index, a sheet, movies, a page."""

from collections.abc import Iterator
from pathlib import Path

from generation.movies import write_movies
from generation.networks import Networks
from generation.plausible_codes import brought_back_sentence
from generation.shape_folder import ShapeFolder
from generation.shapes import Shapes
from generation.showcase import write_contact_sheet
from generation.torn_surfaces import numbers_of_cloud, torn_sentence
from runtime.layout import MESH


def make_products(networks: Networks, shapes: Shapes) -> Iterator[str]:
    """Make what the options ask for, unless current; yields the sentences that the user is told on the way.

    The folder is the one that `out` names, or the shapes' own. A chunk makes clouds and meshes alone.
    """
    cfg = networks.cfg
    folder = ShapeFolder(networks, shapes, Path(cfg.output.out).expanduser() if cfg.output.out else shapes.folder)
    with folder.locked():
        made = folder.make()
        if cfg.chunks.num_chunks > 1:
            yield from told_of_chunk(folder)
            return
        yield from told_of_shapes(folder, *made)
        yield from shapes.report(folder)
        yield f"pictures: {write_contact_sheet(folder)}"
        if movies := write_movies(folder):
            yield f"movies: {', '.join(str(path) for path in movies)}"
        if cfg.views.html or "page" in folder.records.entries:  # one that is there is kept current
            from generation.html_page import make_page

            yield make_page(folder)


def told_of_shapes(folder: ShapeFolder, num_clouds: int, num_meshes: int) -> Iterator[str]:
    """How many clouds and meshes there are and were made, and what is odd about them."""
    shapes, count = folder.shapes, len(folder.numbers)
    there = "" if num_clouds == count else " were there already" if not num_clouds else f", {num_clouds} made now"
    yield f"{count} clouds of {shapes.num_points} points{there}: {folder.path}"
    yield from shapes.remarks
    torn = torn_sentence({shapes.names[n]: numbers_of_cloud(folder.cloud(n)) for n in folder.numbers})
    yield from filter(None, (brought_back_sentence(folder.path), torn))
    if folder.cfg.meshes.mesh:
        empty = folder.without_surface()
        now = "" if num_meshes == count else f", {num_meshes} made now"
        yield f"{count - len(empty)} meshes of {count} shapes{now}: {folder.path}/*/{MESH}.*"
        for name in empty:
            yield f"no mesh of {name}: its field has no surface larger than a speck"


def told_of_chunk(folder: ShapeFolder) -> Iterator[str]:
    chunks, count = folder.cfg.chunks, folder.shapes.total or len(folder.numbers)
    which = f"chunk {chunks.current_chunk} of {chunks.num_chunks}"
    yield f"{which}: {len(folder.chunk)} of {count} clouds are in {folder.path}"
    yield "after all chunks: the same command without --num_chunks and --current_chunk, for the index and pictures"
