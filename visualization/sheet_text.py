"""Words of a sheet: in a font that has them, and in lines of a given width, so that none is cut or lost unseen."""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from visualization.rendering import Color

Caption = Sequence[tuple[str, Color]]  # words and their colours; the first one is a name, and may take several lines
Line = list[tuple[str, Color]]

WORD_GAP = 16  # pixels between the words of a caption
MOST_LINES = 4  # of a name; the middle of a longer one is left out
LEFT_OUT = "..."
_ABSENT = "\U0010fffe"  # no character: fonts show it as they show those that they lack


def width_of(text: str, size: int) -> float:
    """Pixels that a drawable text takes."""
    return font_of(text, size).getlength(text)


def write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, color: Color) -> None:
    draw.text(place, text, font=font_of(text, size), fill=color)


def drawable(text: str) -> str:
    """A text of characters that can be drawn, in one line: the others, and those that are none, as \\u and a number."""
    return "".join(
        char if _can_be_drawn(char) else char.encode("unicode_escape").decode("ascii") for char in composed(text)
    )


def can_be_drawn(text: str) -> bool:
    return all(map(_can_be_drawn, composed(text)))


def composed(text: str) -> str:
    """A text whose letters are one character each: file names of a Mac have ö in two parts."""
    return unicodedata.normalize("NFC", text)


def font_of(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The usual font, which has little more than English; where it lacks a character, one that has more."""
    return (_usual if all(map(_is_usual, text)) else _wide)(size)


def lines_of(text: str, width: float, size: int) -> list[str]:
    """A drawable text as lines of at most so many pixels: broken at spaces, and words that are too long anywhere."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for char in word:
            if lines[-1] and width_of(lines[-1] + char, size) > width:
                lines.append("")
            lines[-1] += char
    return lines


def caption_lines(caption: Caption, width: float, size: int) -> list[Line]:
    """A caption in lines of at most so many pixels; the words that follow the name stay together.

    Of a name of more than MOST_LINES the middle is left out, where its letters differ least from those of others.
    """
    if not caption:
        return []
    (name, color), *others = [(drawable(text), color) for text, color in caption]
    lines: list[Line] = [[(line, color)] for line in _name_lines(name, width, size)]
    if others:
        together = sum(WORD_GAP + width_of(text, size) for text, _ in others)
        if width_of(lines[-1][0][0], size) + together <= width:
            lines[-1] += others
        else:
            lines.append(others)
    return lines


def write_line(draw: ImageDraw.ImageDraw, line: Line, x: float, y: float, size: int) -> None:
    """The words of a line side by side."""
    for text, color in line:
        write(draw, (x, y), text, size, color)
        x += width_of(text, size) + WORD_GAP


@cache
def _name_lines(name: str, width: float, size: int) -> list[str]:
    def shortened(kept: int) -> list[str]:
        return lines_of(name[: (kept + 1) // 2] + LEFT_OUT + name[len(name) - kept // 2 :], width, size)

    lines = lines_of(name, width, size)
    if len(lines) <= MOST_LINES:
        return lines
    too_many = bisect_right(range(len(name)), MOST_LINES, key=lambda kept: len(shortened(kept)))
    return shortened(max(too_many - 1, 0))


@cache
def _usual(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


@cache
def _wide(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _can_be_drawn(char: str) -> bool:
    return char.isprintable() and (_is_usual(char) or _has(_wide(20), char))


@cache
def _is_usual(char: str) -> bool:
    return " " <= char <= "~" or _has(_usual(20), char)


def _has(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, char: str) -> bool:
    return bytes(font.getmask(char)) != bytes(font.getmask(_ABSENT))
