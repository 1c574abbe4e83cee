"""Names on sheets: whole, in a font that has their characters, and within the width of their picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generation.sheet_rows import notes
from generation.torn_surfaces import CloudNumbers
from visualization.contact_sheet import GAP, MARK_COLOR, NAME_COLOR, contact_sheet
from visualization.sheet_text import LEFT_OUT, MOST_LINES, caption_lines, drawable, font_of, lines_of, width_of

SIZE = 26
WIDTH = 300
LONG = "my vehicles__sedans__nineteen eighties__saloon car with four doors, version 12.obj"
NAMES = [
    "7",
    "sedans__red car.obj",
    "Größe 1.5.glb",
    "автомобиль.obj",
    "汽车.ply",
    "x" * 80,
    LONG,
    "a" * 200,
    "v\udce9h.obj",
]


def text_of(lines: list) -> str:
    return "".join(word for line in lines for word, _ in line)


@pytest.mark.parametrize("name", NAMES)
def test_captions_stay_within_their_width_and_hold_the_name_and_what_follows(name: str):
    lines = caption_lines([(name, NAME_COLOR), ("torn 3.1 %", MARK_COLOR)], WIDTH, SIZE)
    for line in lines:
        assert sum(width_of(word, SIZE) for word, _ in line) + 16 * (len(line) - 1) <= WIDTH
    assert lines[-1][-1] == ("torn 3.1 %", MARK_COLOR)
    found = text_of(lines).removesuffix("torn 3.1 %").replace(" ", "")
    whole = drawable(name).replace(" ", "")
    if LEFT_OUT in found:
        start, end = found.split(LEFT_OUT)
        assert len(lines_of(drawable(name), WIDTH, SIZE)) > MOST_LINES and min(len(start), len(end)) > 20
        assert whole.startswith(start) and whole.endswith(end)
        assert len(lines) <= MOST_LINES + 1
    else:
        assert found == whole


def test_every_character_is_drawn_or_named():
    assert drawable("Gro\u0308\u00dfe ~ sedan_1") == "Größe ~ sedan_1"
    assert drawable("汽\udce9\n\x1b[31m") == r"\u6c7d\udce9\n\x1b[31m"
    for text in ("Größe", "автомобиль", "plain"):
        font = font_of(text, SIZE)
        masks = {bytes(font.getmask(char)) for char in set(text)}
        assert bytes(font.getmask("\U0010fffe")) not in masks and len(masks) == len(set(text))


def test_words_too_long_for_a_line_are_broken():
    for text in ("a" * 200, "few words " + "b" * 90 + " end"):
        lines = lines_of(text, WIDTH, SIZE)
        assert max(width_of(line, SIZE) for line in lines) <= WIDTH
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("count", [1, 3, 16])
def test_names_overlap_neither_each_other_nor_their_pictures(tmp_path: Path, count: int):
    names = (NAMES * 2)[-count:]
    pictures = [np.full((40, WIDTH, 3), 200, np.uint8)] * count
    captions = [[(name, NAME_COLOR), ("12.5 nats", NAME_COLOR), ("torn 3.1 %", MARK_COLOR)] for name in names]
    contact_sheet([("", pictures, captions)], tmp_path / "sheet.png", "", ["b" * 300])
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    top, left = np.argwhere((sheet == 200).all(axis=2))[0]
    ink = (sheet < 120).any(axis=2)
    for n in range(count):
        start = left + n * (WIDTH + GAP)
        assert (sheet[top : top + 40, start : start + WIDTH] == 200).all()  # nothing is written over a picture
        assert ink[:top, start : start + WIDTH].any()
    between = [left + n * (WIDTH + GAP) + WIDTH + x for n in range(count) for x in range(1, GAP - 1)]
    rule = np.flatnonzero((sheet[:, left] == (225, 228, 232)).all(axis=1))[0]
    assert not ink[rule:, [x for x in between if x < sheet.shape[1]]].any()
    assert not ink[:, -20:].any()  # the note is broken too


def test_a_sheet_says_what_escapes_are():
    assert any("\\u" in note for note in notes({"汽车": CloudNumbers()}, 16))
    assert not any("\\u" in note for note in notes({"Größe": CloudNumbers()}, 16))
