"""Pictures for documents: a few hundred pixels high, in few colours, so that the repository stays small."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.files import atomic_path

COLORS = 64


def write_small(picture: Image.Image, path: Path, width: int) -> None:
    """Write a picture as a PNG of so many pixels across."""
    small = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    content = BytesIO()
    small.quantize(COLORS, dither=Image.Dither.NONE).save(content, format="PNG", optimize=True)
    with atomic_path(path) as spare:
        spare.write_bytes(content.getvalue())
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def from_both_sides(count: int, columns: int, draw: Callable[[int, str], np.ndarray]) -> list[list[np.ndarray]]:
    """Rows of pictures: `columns` shapes from the front left, and below them from the rear right, and so on.

    draw: the picture of shape n in a look of `LOOKS`.
    """
    parts = [range(start, min(start + columns, count)) for start in range(0, count, columns)]
    return [[draw(n, look) for n in part] for part in parts for look in ("front", "rear")]


def tiled(rows: list[list[np.ndarray]]) -> Image.Image:
    """Rows of pictures (H, W, 3) uint8 of one size, as one."""
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))
