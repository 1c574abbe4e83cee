"""The contact sheet of a folder of shapes: what the data look like, what the decoder keeps, what the flow makes.

It hides nothing: the first shapes are shown, whatever they look like, from the front left, from the rear right and cut
open, and above each stands how likely it is and how much of its surface is torn.
"""

from pathlib import Path

from generation.shape_folder import ShapeFolder
from generation.sheet_rows import notes, shape_rows
from generation.torn_surfaces import CloudNumbers, numbers_of_cloud
from runtime.cores import num_workers
from runtime.layout import CONTACT_SHEET
from visualization.contact_sheet import ShapeRow, draw_shapes

COLUMNS = 8
MOST_SHAPES = 2 * COLUMNS  # of a folder, but for those in several groups, which are all shown


def write_contact_sheet(folder: ShapeFolder) -> Path:
    """Draw the clouds and meshes of a folder as `contact_sheet.png` in it, unless it is current. Returns its path.

    Shapes stand below what their source shows of them (`Shapes.above`): training shapes and their reconstructions, true
    surfaces, a scan.
    """
    shapes, cfg = folder.shapes, folder.cfg
    title = cfg.run.exp_name + (f": {shapes.title}" if shapes.title else "")
    of = {"title": title, "shapes": folder.facts_of_files(), **shapes.above_of}
    folder.records.make("sheet", of, [CONTACT_SHEET], lambda: draw(folder, title))
    return folder.path / CONTACT_SHEET


def draw(folder: ShapeFolder, title: str) -> None:
    of_clouds = {name: numbers_of_cloud(folder.cloud(n)) for n, name in enumerate(folder.shapes.names)}
    most = len(of_clouds) if len(folder.shapes.in_groups()) > 1 else MOST_SHAPES
    rows, workers = rows_of(folder, of_clouds, most), num_workers(folder.cfg.run.num_cpus)
    draw_shapes(rows, folder.path / CONTACT_SHEET, title, notes(of_clouds, most), workers)


def rows_of(folder: ShapeFolder, of_clouds: dict[str, CloudNumbers], most: int) -> list[ShapeRow]:
    """The first `most` shapes of each group, in parts of one width, each below what its source shows."""
    names = folder.shapes.names
    rows: list[ShapeRow] = []
    for group in folder.shapes.in_groups():
        numbers = list(group.numbers)[:most]
        columns = columns_for(len(numbers))
        for start in range(0, len(numbers), columns):
            part = numbers[start : start + columns]
            rows += folder.shapes.above(part)
            shown = {names[n]: of_clouds[names[n]] for n in part}
            rows += shape_rows(folder.path, shown, folder.shapes.label(part))
    return rows


def columns_for(num: int) -> int:
    """How many of `num` shapes stand side by side: at most `COLUMNS`, and as many in each part as in the others."""
    parts = -(-num // COLUMNS)
    return -(-num // parts)
