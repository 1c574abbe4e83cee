"""Make docs/images/viewer.png: the page of a folder of shapes in a headless Chromium, all of them above one cut open.

python -m lab.pictures.viewer FOLDER/shapes.html
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lab.pictures.chromium import Chromium

ROOT = Path(__file__).resolve().parents[2]


SIZE = (1340, 640)
GAP = 16  # pixels between the two pictures
COLORS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page.resolve()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Chromium(Path(profile), SIZE) as browser:
        browser.open(page.as_uri())
        browser.wait_for("document.body && document.body.dataset.ready === 'yes'")
        grid = settled(browser)
        browser.evaluate("location.hash = '#2'")
        browser.evaluate("document.querySelector('input[name=axis][value=x]').click()")
        pictures = [grid, settled(browser)]
    gap = np.full((GAP, SIZE[0], 3), 255, np.uint8)
    sheet = np.concatenate([pictures[0], gap, pictures[1]])
    path = ROOT / "docs" / "images" / "viewer.png"
    Image.fromarray(sheet).quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def settled(browser: Chromium) -> np.ndarray:
    """The page once nothing has changed for 4 seconds."""
    before, since = browser.screenshot(), time.monotonic()
    while time.monotonic() - since < 4:
        time.sleep(0.5)
        now = browser.screenshot()
        if now.shape != before.shape or (now != before).any():
            before, since = now, time.monotonic()
    return before


if __name__ == "__main__":
    main()
