"""A sheet of pictures in labelled rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from configs.files import atomic_path
from visualization.rendering import TINTS, render_cloud

Picture = NDArray[np.uint8]
Row = tuple[str, Sequence[NDArray[np.float32]], str, str]  # label, clouds, tint (of `TINTS`), cut (none, lengthwise)

BORDER, GAP, ROW_GAP = 28, 10, 24  # pixels around the sheet, between pictures, between rows
TITLE_SIZE, LABEL_SIZE = 34, 22  # pixels
TITLE_COLOR, LABEL_COLOR, RULE_COLOR = (35, 40, 48), (80, 88, 100), (225, 228, 232)


def contact_sheet(rows: Sequence[tuple[str, Sequence[Picture]]], path: Path | str, title: str) -> None:
    """Write rows of pictures as one PNG, each row under its label.

    rows: (label, pictures) from top to bottom; pictures are (h, w, 3) uint8 of any sizes, rows may differ in length.
    Raises ValueError if there is no picture, or one is not (h, w, 3) uint8.
    """
    pictures = [picture for _, row in rows for picture in row]
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"pictures must be (h, w, 3) uint8, got {picture.shape} {picture.dtype}")
    cell = max(picture.shape[1] for picture in pictures)
    columns = max(len(row) for _, row in rows)
    label_font, title_font = (ImageFont.load_default(size=size) for size in (LABEL_SIZE, TITLE_SIZE))
    text_width = max(label_font.getlength(label) for label, _ in rows)
    width = 2 * BORDER + max(columns * (cell + GAP) - GAP, int(text_width), int(title_font.getlength(title)))
    heights = [max((picture.shape[0] for picture in row), default=0) for _, row in rows]
    height = 2 * BORDER + 2 * TITLE_SIZE + sum(heights) + len(rows) * (2 * LABEL_SIZE + ROW_GAP)

    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((BORDER, BORDER), title, font=title_font, fill=TITLE_COLOR)
    y = BORDER + 2 * TITLE_SIZE
    for (label, row), row_height in zip(rows, heights, strict=True):
        draw.line((BORDER, y - GAP, width - BORDER, y - GAP), fill=RULE_COLOR, width=2)
        draw.text((BORDER, y), label, font=label_font, fill=LABEL_COLOR)
        y += 2 * LABEL_SIZE
        for i, picture in enumerate(row):
            x = BORDER + i * (cell + GAP) + (cell - picture.shape[1]) // 2
            sheet.paste(Image.fromarray(picture), (x, y + row_height - picture.shape[0]))
        y += row_height + ROW_GAP
    with atomic_path(path) as spare:
        sheet.save(spare, format="PNG")


def draw_rows(rows: Sequence[Row], path: Path, title: str) -> None:
    """Render rows of (label, clouds, tint, cut) and write them as one sheet."""
    pictures = []
    with tqdm(total=sum(len(row[1]) for row in rows), desc="drawing", unit="picture", disable=None) as bar:
        for label, clouds, tint, cut in rows:
            view = "cutaway" if cut == "lengthwise" else "three_quarter"
            row = []
            for cloud in clouds:
                row.append(render_cloud(cloud, view=view, cut=cut, color=TINTS[tint]))
                bar.update()
            pictures.append((label, row))
    contact_sheet(pictures, path, title)
