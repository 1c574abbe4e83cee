"""A sheet of pictures in labelled rows, each picture with a line of text above it if there is something to say."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from runtime.files import atomic_path
from visualization.mesh_rendering import render_mesh
from visualization.rendering import TINTS, Color, render_cloud

Picture = NDArray[np.uint8]
Cloud = NDArray[np.float32]
Triangles = tuple[NDArray[np.floating], NDArray[np.integer]]  # vertices (V, 3), faces (F, 3)
Row = tuple[str, Sequence[Cloud], str, str]  # label, clouds, tint (of `TINTS`), cut (none, lengthwise)
Caption = Sequence[tuple[str, Color]]  # words and their colours; the first one is shortened where there is no room
PictureRow = tuple[str, Sequence[Picture]] | tuple[str, Sequence[Picture], Sequence[Caption]]

BORDER, GAP, ROW_GAP = 28, 10, 24  # pixels around the sheet, between pictures, between rows
TITLE_SIZE, LABEL_SIZE, CAPTION_SIZE = 40, 26, 26  # pixels
NARROWEST = 1100  # pixels of the lines below the title, which are broken where the sheet is narrower
WORD_GAP = 16  # pixels between the words of a caption
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
    lines = [(row[0], row[1], row[2] if len(row) == 3 else ()) for row in rows]
    pictures = [picture for _, row, _ in lines for picture in row]
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"pictures must be (h, w, 3) uint8, got {picture.shape} {picture.dtype}")
    cell = max(picture.shape[1] for picture in pictures)
    columns = max(len(row) for _, row, _ in lines)
    inner = max(columns * (cell + GAP) - GAP, *(int(_width(label, LABEL_SIZE)) for label, _, _ in lines))
    inner = max(inner, int(_width(title, TITLE_SIZE)), NARROWEST if notes else 0)
    told = [line for note in notes for line in _broken(note, inner)]
    heights = [max((picture.shape[0] for picture in row), default=0) for _, row, _ in lines]
    above = [2 * CAPTION_SIZE - 12 if captions else 0 for _, _, captions in lines]
    top = BORDER + 2 * TITLE_SIZE + len(told) * (LABEL_SIZE + 10)
    height = top + BORDER + sum(heights) + sum(above) + len(lines) * (2 * LABEL_SIZE + ROW_GAP)

    sheet = Image.new("RGB", (inner + 2 * BORDER, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((BORDER, BORDER), title, font=_font(TITLE_SIZE), fill=TITLE_COLOR)
    for i, line in enumerate(told):
        y = BORDER + 1.5 * TITLE_SIZE + i * (LABEL_SIZE + 10)
        draw.text((BORDER, y), line, font=_font(LABEL_SIZE), fill=LABEL_COLOR)
    y = top
    for (label, row, captions), row_height, room in zip(lines, heights, above, strict=True):
        draw.line((BORDER, y - GAP, inner + BORDER, y - GAP), fill=RULE_COLOR, width=2)
        draw.text((BORDER, y), label, font=_font(LABEL_SIZE), fill=LABEL_COLOR)
        y += 2 * LABEL_SIZE + room
        for i, picture in enumerate(row):
            left = BORDER + i * (cell + GAP)
            if i < len(captions):
                _write(draw, captions[i], left, y - room, cell)
            x = left + (cell - picture.shape[1]) // 2
            sheet.paste(Image.fromarray(picture), (x, y + row_height - picture.shape[0]))
        y += row_height + ROW_GAP
    with atomic_path(path) as spare:
        sheet.save(spare, format="PNG")


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _broken(text: str, width: int) -> list[str]:
    """A text as lines of at most so many pixels, broken at spaces."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, LABEL_SIZE) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _write(draw: ImageDraw.ImageDraw, caption: Caption, x: float, y: float, width: int) -> None:
    """Write the words of a caption side by side, at most `width` pixels: the first one is a name, and may be cut."""
    words = [text for text, _ in caption]
    others = sum(WORD_GAP + _width(text, CAPTION_SIZE) for text in words[1:])
    room, name = width - others, words[0] if words else ""
    if _width(name, CAPTION_SIZE) > room:
        while name and _width(f"{name}...", CAPTION_SIZE) > room:
            name = name[:-1]
        words[0] = f"{name}..."
    for text, (_, color) in zip(words, caption, strict=True):
        draw.text((x, y), text, font=_font(CAPTION_SIZE), fill=color)
        x += _width(text, CAPTION_SIZE) + WORD_GAP


def draw_rows(rows: Sequence[Row], path: Path, title: str) -> None:
    """Render rows of (label, clouds, tint, cut) from the front left, or cut open, and write them as one sheet."""
    looks = {"none": "front", "lengthwise": "cut"}
    draw_shapes([ShapeRow(label, clouds, tint, looks[cut]) for label, clouds, tint, cut in rows], path, title)


def draw_shapes(rows: Sequence[ShapeRow], path: Path, title: str, notes: Sequence[str] = ()) -> None:
    """Render rows of clouds and meshes, and write them as one sheet. notes: sentences below the title."""
    pictures = []
    with tqdm(total=sum(len(row.shapes) for row in rows), desc="drawing", unit="picture", disable=None) as bar:
        for row in rows:
            drawn = []
            for shape in row.shapes:
                drawn.append(_drawn(shape, row.tint, *LOOKS[row.look]))
                bar.update()
            pictures.append((row.label, drawn, row.captions))
    contact_sheet(pictures, path, title, notes)


def _drawn(shape: Cloud | Triangles | None, tint: str, view: str, cut: str) -> Picture:
    if shape is None:
        return np.full((2, 2, 3), 255, np.uint8)
    if isinstance(shape, tuple):
        return render_mesh(*shape, view=view, color=TINTS[tint])
    return render_cloud(shape, view=view, cut=cut, color=TINTS[tint])
