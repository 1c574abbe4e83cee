"""Short movies: pictures one after another, as GIF or animated WebP; and the pictures of a shape that turns."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.files import atomic_path
from visualization.rendering import VIEWS, Color, render_cloud

Picture = NDArray[np.uint8]
Cloud = NDArray[np.float32]

FORMATS = ("gif", "webp")
PALETTE_PICTURES = 8  # that the colours of a GIF are taken from
FRAME_POINTS = 20_000  # that a camera is fitted to


def write_movie(pictures: Sequence[Picture], path: Path, milliseconds: int) -> None:
    """Write pictures (h, w, 3) uint8 of one size, each shown for that long, to a file whose end is one of `FORMATS`.

    It repeats for ever. Raises ValueError without pictures, or for another file.
    """
    kind = path.suffix.removeprefix(".")
    if not len(pictures) or kind not in FORMATS:
        raise ValueError(f"a movie needs pictures and a name that ends in {', '.join(FORMATS)}; got {path.name}")
    images = [Image.fromarray(picture) for picture in pictures]
    options: dict[str, Any] = {"quality": 80, "method": 4}
    if kind == "gif":
        images, options = _with_one_palette(images), {"optimize": True, "disposal": 1}
    options |= {"save_all": True, "append_images": images[1:], "duration": milliseconds, "loop": 0}
    with atomic_path(path) as spare:
        images[0].save(spare, format=kind, **options)


def _with_one_palette(images: list[Image.Image]) -> list[Image.Image]:
    """Images in the 256 colours that suit all of them, without dithering: what stands still does not flicker."""
    some = images[:: -(-len(images) // PALETTE_PICTURES)]
    strip = Image.fromarray(np.concatenate([np.asarray(image) for image in some]))
    palette = strip.quantize(256, dither=Image.Dither.NONE)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def turning(cloud: Cloud, count: int, color: Color) -> Iterator[Picture]:
    """`count` pictures of a cloud (N, 3) on a turntable, once round, from the view "three_quarter" on."""
    start, elevation = VIEWS["three_quarter"]
    frame = swept(cloud)
    for n in range(count):
        yield render_cloud(cloud, view=((start + 360 * n / count) % 360, elevation), color=color, frame=frame)


def swept(cloud: Cloud) -> Cloud:
    """Points of all places that a cloud passes when it turns around the vertical through its middle."""
    some = cloud[:: -(-len(cloud) // (FRAME_POINTS // 16))]
    middle = (cloud.min(axis=0) + cloud.max(axis=0)) / 2
    x, y, z = (some - middle).T
    radius = np.hypot(x, z)
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)[:, None]
    ring = np.stack(np.broadcast_arrays(radius * np.cos(angles), y, radius * np.sin(angles)), axis=-1)
    return (ring.reshape(-1, 3) + middle).astype(np.float32)


def walking(clouds: Sequence[Cloud], color: Color) -> list[Picture]:
    """A picture of each cloud, by one camera that stays in its place."""
    frame = np.concatenate([cloud[:: -(-len(cloud) * len(clouds) // FRAME_POINTS)] for cloud in clouds])
    return [render_cloud(cloud, color=color, frame=frame) for cloud in clouds]
