"""A sheet of pictures in labelled rows, each picture with lines of text above it if there is something to say."""

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

from runtime.files import atomic_path
from runtime.pool import run_in_order
from visualization.mesh_rendering import render_mesh
from visualization.rendering import TINTS, render_cloud
from visualization.sheet_text import Caption, caption_lines, drawable, lines_of, width_of, write, write_line

Picture = NDArray[np.uint8]
Cloud = NDArray[np.float32]
Triangles = tuple[NDArray[np.floating], NDArray[np.integer]]  # vertices (V, 3), faces (F, 3)
Row = tuple[str, Sequence[Cloud], str, str]  # label, clouds, tint (of `TINTS`), cut (none, lengthwise)
PictureRow = tuple[str, Sequence[Picture]] | tuple[str, Sequence[Picture], Sequence[Caption]]

BORDER, GAP, ROW_GAP = 28, 10, 24  # pixels around the sheet, between pictures, between rows
TITLE_SIZE, LABEL_SIZE, CAPTION_SIZE = 40, 26, 26  # pixels
CAPTION_ROOM = 2 * CAPTION_SIZE - 12  # of a caption of one line, above its picture
NARROWEST = 1100  # pixels of the lines below the title, which are broken where the sheet is narrower
MANY = 12  # pictures of a second each, from which on processes are worth their start
LINE = 32  # pixels from a line of a caption to the next
TITLE_COLOR, LABEL_COLOR, RULE_COLOR = (35, 40, 48), (80, 88, 100), (225, 228, 232)
NAME_COLOR, PLAIN_COLOR, MARK_COLOR = (35, 40, 48), (110, 118, 130), (200, 30, 30)  # of the words of captions
LOOKS = {  # view, cut
    "front": ("three_quarter", "none"),
    "rear": ("rear_three_quarter", "none"),
    "cut": ("cutaway", "lengthwise"),
}


class ShapeRow(NamedTuple):
    """A row of a sheet: clouds, or meshes (look front or rear only), and the caption of each; None leaves a gap."""

    label: str
    shapes: Sequence[Cloud | Triangles | None]
    tint: str = "blue"  # of `TINTS`
    look: str = "front"  # of `LOOKS`
    captions: Sequence[Caption] = ()


def contact_sheet(rows: Sequence[PictureRow], path: Path | str, title: str, notes: Sequence[str] = ()) -> None:
    """Write rows of pictures as one PNG, each row under its label.

    rows: (label, pictures) or (label, pictures, captions) from top to bottom; pictures are (h, w, 3) uint8 of any
    sizes, rows may differ in length; a caption stands above its picture. notes: sentences below the title.
    Raises ValueError if there is no picture, or one is not (h, w, 3) uint8.
    """
    cell, title = _widest([picture for row in rows for picture in row[1]]), drawable(title)
    captions = [[caption_lines(one, cell, CAPTION_SIZE) for one in (row[2] if len(row) == 3 else ())] for row in rows]
    lines = [(drawable(row[0]), row[1], above) for row, above in zip(rows, captions, strict=True)]
    columns = max(len(row) for _, row, _ in lines)
    inner = max(columns * (cell + GAP) - GAP, *(int(width_of(label, LABEL_SIZE)) for label, _, _ in lines))
    inner = max(inner, int(width_of(title, TITLE_SIZE)), NARROWEST if notes else 0)
    told = [line for note in notes for line in lines_of(drawable(note), inner, LABEL_SIZE)]
    heights = [max((picture.shape[0] for picture in row), default=0) for _, row, _ in lines]
    above = [CAPTION_ROOM + LINE * (max(1, *map(len, of_row)) - 1) if of_row else 0 for of_row in captions]
    top = BORDER + 2 * TITLE_SIZE + len(told) * (LABEL_SIZE + 10)
    height = top + BORDER + sum(heights) + sum(above) + len(lines) * (2 * LABEL_SIZE + ROW_GAP)

    sheet = Image.new("RGB", (inner + 2 * BORDER, height), "white")
    draw = ImageDraw.Draw(sheet)
    write(draw, (BORDER, BORDER), title, TITLE_SIZE, TITLE_COLOR)
    for i, line in enumerate(told):
        y = BORDER + 1.5 * TITLE_SIZE + i * (LABEL_SIZE + 10)
        write(draw, (BORDER, y), line, LABEL_SIZE, LABEL_COLOR)
    y = top
    for (label, row, of_row), row_height, room in zip(lines, heights, above, strict=True):
        draw.line((BORDER, y - GAP, inner + BORDER, y - GAP), fill=RULE_COLOR, width=2)
        write(draw, (BORDER, y), label, LABEL_SIZE, LABEL_COLOR)
        y += 2 * LABEL_SIZE + room
        for i, picture in enumerate(row):
            left = BORDER + i * (cell + GAP)
            for n, words in enumerate(reversed(of_row[i] if i < len(of_row) else [])):  # the last one next to it
                write_line(draw, words, left, y - CAPTION_ROOM - n * LINE, CAPTION_SIZE)
            x = left + (cell - picture.shape[1]) // 2
            sheet.paste(Image.fromarray(picture), (x, y + row_height - picture.shape[0]))
        y += row_height + ROW_GAP
    with atomic_path(path) as spare:
        sheet.save(spare, format="PNG")


def _widest(pictures: Sequence[Picture]) -> int:
    """The width of the widest picture. Raises ValueError if there is none, or one is of another kind."""
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"pictures must be (h, w, 3) uint8, got {picture.shape} {picture.dtype}")
    return max(picture.shape[1] for picture in pictures)


def draw_rows(rows: Sequence[Row], path: Path, title: str) -> None:
    """Render rows of (label, clouds, tint, cut) from the front left, or cut open, and write them as one sheet."""
    looks = {"none": "front", "lengthwise": "cut"}
    draw_shapes([ShapeRow(label, clouds, tint, looks[cut]) for label, clouds, tint, cut in rows], path, title)


def draw_shapes(rows: Sequence[ShapeRow], path: Path, title: str, notes: Sequence[str] = (), workers: int = 1) -> None:
    """Render rows of clouds and meshes, and write them as one sheet.

    notes: sentences below the title. workers: processes that draw, where there is much to draw; the sheet does not
    depend on them.
    """
    wanted = [(shape, row.tint, *LOOKS[row.look]) for row in rows for shape in row.shapes]
    with closing(run_in_order(_drawn, wanted, workers if len(wanted) >= MANY else 1)) as waiting:  # Ctrl-C ends it
        drawn = iter(list(tqdm(waiting, total=len(wanted), desc="drawing", unit="picture", disable=None)))
    contact_sheet([(row.label, list(islice(drawn, len(row.shapes))), row.captions) for row in rows], path, title, notes)


def _drawn(shape: Cloud | Triangles | None, tint: str, view: str, cut: str) -> Picture:
    if shape is None:
        return np.full((2, 2, 3), 255, np.uint8)
    if isinstance(shape, tuple):
        return render_mesh(*shape, view=view, color=TINTS[tint])
    return render_cloud(shape, view=view, cut=cut, color=TINTS[tint])
