"""How smooth the page of shapes is in a headless Chromium, which draws without a graphics card, and how large it is.

    python -m lab.measurements.time_viewer FOLDER/shapes.html [--seconds S] [--size WIDTH HEIGHT]

Drags over the large shape, and over the grid of all shapes, and prints the times between frames. Twice: as the page
is, which draws less carefully while frames are slow, and with all points and all shading in every frame. Linux only.
"""

import argparse
import contextlib
import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from lab.pictures.chromium import Chromium
from visualization.html_page import page as sources

COUNT = (
    "const old = requestAnimationFrame; window.frames_ = []; window.requestAnimationFrame = (then) => old((now) => {"
)
COUNT += " window.frames_.push(performance.now()); then(now); });"
CAREFUL = "{ share: 1, scale: 1, domes: 3 }"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0, help="of dragging, each time")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 860), help="of the window, pixels")
    options = parser.parse_args()
    print(f"{options.page}: {options.page.stat().st_size / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        careful = Path(folder) / "careful.html"
        careful.write_text(always_careful(options.page.read_text()))
        for name, page in (("as it is", options.page), ("with all points", careful)):
            with Chromium(Path(folder) / name, tuple(options.size)) as browser:
                measure(browser, page, name, options.seconds)


def always_careful(text: str) -> str:
    """The page without the levels of pace.js below the first one; its policy allows the changed program."""
    program = sources.joined_modules()
    changed, count = re.subn(r"const LEVELS = \[.*?\n\];", f"const LEVELS = [{CAREFUL}];", program, flags=re.S)
    assert count == 1 and program in text, "the page was written by another version; write it again"
    return text.replace(program, changed).replace(sources._source(program), sources._source(changed))


def measure(browser: Chromium, page: Path, name: str, seconds: float) -> None:
    browser.call("Page.addScriptToEvaluateOnNewDocument", source=COUNT)
    start = time.monotonic()
    browser.open(page.resolve().as_uri())
    browser.wait_for("document.body && document.body.dataset.ready === 'yes'")
    read = time.monotonic() - start
    settle(browser)
    print(f"{name}: read after {read:.1f} s, all pictures drawn after {time.monotonic() - start:.1f} s")
    report(browser, "grid", "#gallery", seconds)
    browser.evaluate("location.hash = '#1'")
    settle(browser)
    report(browser, "large", "#stage", seconds)


def settle(browser: Chromium) -> None:
    """Until the page has drawn nothing for a second, and the picture is on the screen."""
    for _ in range(2):
        browser.wait_for("window.frames_.length && performance.now() - window.frames_.at(-1) > 1000")
        browser.screenshot()


def report(browser: Chromium, what: str, selector: str, seconds: float) -> None:
    box = browser.evaluate(
        f"(() => {{ const r = document.querySelector('{selector}').getBoundingClientRect();"
        " return [r.x, r.y, r.width, r.height]; })()"
    )
    middle = (box[0] + box[2] / 2, box[1] + min(box[3], 500) / 2)
    browser.evaluate("window.frames_.length = 0")
    before = cpu_seconds(browser.process.pid)
    browser.mouse("mousePressed", middle, 1)
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        browser.mouse("mouseMoved", (middle[0] + 200 * np.sin(3 * passed), middle[1] + 20 * np.cos(3 * passed)), 1)
        time.sleep(0.004)
    browser.mouse("mouseReleased", middle, 0)
    times, used = browser.evaluate("window.frames_"), cpu_seconds(browser.process.pid) - before
    print(
        f"  {what}: {len(times)} frames in {passed:.1f} s, median {np.median(np.diff(times)):.0f} ms between two,"
        f" {1000 * used / len(times):.0f} ms of one core each"
    )
    settle(browser)


def cpu_seconds(process: int) -> float:
    """CPU time of a process and all below it, so far: unlike frames per second, it hardly depends on other programs."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            number = int(path.parent.name)
            parents[number], ticks[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {process}
    while more := {number for number, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(number, 0) for number in family) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
