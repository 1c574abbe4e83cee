"""The page of shapes in a browser: what it draws, and that it does what its controls say. Skipped without Chromium."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from lab.pictures.chromium import Chromium, chromium_path
from visualization.html_page import PageShape, write_page

HOSTILE = "</script><img src=x onerror=window.hit=1>"
READY = "document.body && document.body.dataset.ready === 'yes'"


def ball(radius: float, seed: int, stretch: tuple[float, float, float] = (0.8, 0.6, 1.0)) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(3000, 3))
    return (radius * points / np.linalg.norm(points, axis=1, keepdims=True) * stretch).astype(np.float32)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hollow shapes, the first one with a core inside and a mesh, the last one with a name that is markup."""
    path = tmp_path_factory.mktemp("page") / "shapes.html"
    mesh = trimesh.creation.box((0.8, 0.4, 0.6))
    near = ("trained", ball(0.45, 5))
    shapes = [
        PageShape("first", np.concatenate([ball(0.5, 0), ball(0.1, 1)]), [("log-likelihood", "12.5 nats")],
                  (mesh.vertices, mesh.faces), near),
        PageShape("second", ball(0.5, 2), nearest=near),
        PageShape(HOSTILE, ball(0.4, 3), [(HOSTILE, HOSTILE)], nearest=near),
    ]  # fmt: skip
    write_page(path, HOSTILE, shapes)
    return path


@pytest.fixture(scope="module")
def browser(page_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium_path()
    with Chromium(tmp_path_factory.mktemp("profile"), (760, 460)) as running:
        yield running


@pytest.fixture
def shown(browser: Chromium, page_file: Path) -> Chromium:
    """The browser with the page just opened and read, whose complaints and requests are those of the page."""
    browser.resize((760, 460))
    browser.open("about:blank")
    browser.complaints.clear()
    browser.requests.clear()
    browser.stopped = 0
    browser.open(page_file.as_uri())
    browser.wait_for(READY)
    return browser


def settled(browser: Chromium, selector: str) -> np.ndarray:
    """The picture of an element, once it stays the same: fine pictures follow a moment later."""
    before = browser.screenshot(selector)
    for _ in range(400):
        time.sleep(0.3)
        now = browser.screenshot(selector)
        if now.shape == before.shape and (now == before).all():
            return now
        before = now
    raise AssertionError(f"{selector} changes all the time")


def choose(browser: Chromium, name: str, value: str) -> None:
    browser.evaluate(f"document.querySelector('input[name={name}][value={value}]').click()")


def drawn(picture: np.ndarray) -> np.ndarray:
    """Where a picture is bluish, as plain shapes are; shadow and background are grey or white."""
    return picture[..., 2].astype(int) - picture[..., 0] > 12


def large(browser: Chromium, number: int = 1) -> np.ndarray:
    browser.evaluate(f"location.hash = '#{number}'")
    browser.wait_for("!document.getElementById('large').hidden")
    return settled(browser, "#stage")


def middle(browser: Chromium, selector: str) -> tuple[float, float]:
    """Of an element in the window, pixels; scrolls to it."""
    browser.evaluate(f"document.querySelector('{selector}').scrollIntoView({{ block: 'center' }})")
    box = f"document.querySelector('{selector}').getBoundingClientRect()"
    x, y, width, height = browser.evaluate(f"(({{ x, y, width, height }}) => [x, y, width, height])({box})")
    return x + width / 2, y + height / 2


def test_every_shape_is_drawn_and_nothing_is_loaded(shown: Chromium, page_file: Path):
    for n in (1, 2, 3):
        picture = settled(shown, f"#gallery li:nth-child({n}) canvas")
        assert 0.05 < drawn(picture).mean() < 0.8
        assert (picture[2, 20:-20] > 250).all()  # the background reaches the border
    assert shown.requests == [page_file.as_uri()]
    assert shown.complaints == []


def test_names_from_files_are_text(shown: Chromium):
    large(shown, 3)
    texts = shown.evaluate(
        "['#title', '#name', '#facts-shown dt', '#facts-shown dd', 'li:nth-child(3) .name']"
        ".map((at) => document.querySelector(at).textContent)"
    )
    assert texts == [HOSTILE] * 5 and shown.evaluate("document.title") == HOSTILE
    assert shown.evaluate("window.hit === undefined && document.images.length === 0")
    assert shown.complaints == []


def test_the_policy_stops_scripts_and_loads(shown: Chromium):
    shown.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit = 1\">')")
    shown.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'window.hit = 2'")
    failed = shown.evaluate("fetch('data:text/plain,x').then(() => 'loaded', () => 'stopped')")
    assert failed == "stopped" and shown.evaluate("window.hit === undefined")
    assert len(shown.requests) == 1 + shown.stopped


def test_a_cut_opens_the_shape(shown: Chromium):
    whole = large(shown)
    choose(shown, "axis", "x")
    half = settled(shown, "#stage")
    orange = (half[..., 0].astype(int) - half[..., 2] > 60).sum()
    assert orange > 200  # the line along the cut
    assert 0.4 < drawn(half).sum() / drawn(whole).sum() < 0.97
    shown.evaluate("document.getElementById('flip').click()")
    other = settled(shown, "#stage")
    assert (np.abs(other.astype(int) - half).max(2) > 20).mean() > 0.02
    shown.evaluate(
        "(() => { const place = document.getElementById('place'); place.value = 1000;"
        " place.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert drawn(settled(shown, "#stage")).sum() > 0.9 * drawn(whole).sum()  # that half is now all of it
    assert shown.complaints == []


def test_colours_mesh_and_theme_change_the_picture(shown: Chromium):
    pictures = [large(shown)]
    for name, value in (("colour", "height"), ("colour", "normal"), ("colour", "distance"), ("kind", "mesh")):
        choose(shown, name, value)
        pictures.append(settled(shown, "#stage"))
        assert shown.evaluate("!document.getElementById('legend').hidden")
    shown.evaluate("document.getElementById('theme').click()")
    pictures.append(settled(shown, "#stage"))
    for before, after in zip(pictures, pictures[1:], strict=False):
        assert (np.abs(before.astype(int) - after).max(2) > 15).mean() > 0.03
    assert pictures[0][2, 300].min() > 250 > 60 > pictures[-1][2, 300].max()
    assert shown.complaints == []


def test_keys_alone_suffice(shown: Chromium):
    shown.evaluate("document.querySelector('.card').focus()")
    shown.key("Enter")
    shown.wait_for("!document.getElementById('large').hidden")
    first = settled(shown, "#stage")
    assert shown.evaluate("document.activeElement.id") == "stage"
    for _ in range(6):
        shown.key("ArrowLeft")
    turned = settled(shown, "#stage")
    assert (np.abs(turned.astype(int) - first).max(2) > 10).mean() > 0.02
    shown.key("+")
    assert drawn(settled(shown, "#stage")).sum() > 1.1 * drawn(turned).sum()
    shown.key("r")
    assert (np.abs(settled(shown, "#stage").astype(int) - first).max(2) > 10).mean() < 0.001
    shown.key("n")
    shown.wait_for("document.getElementById('name').textContent === 'second'")
    shown.key("Escape")
    shown.wait_for("document.getElementById('large').hidden && document.activeElement.className === 'card'")


def test_dragging_turns_and_a_click_opens(shown: Chromium):
    before = settled(shown, "li:nth-child(1) canvas")
    start = middle(shown, ".card")
    shown.drag(start, (start[0] + 120, start[1] + 10))
    after = settled(shown, "li:nth-child(1) canvas")
    assert (np.abs(after.astype(int) - before).max(2) > 10).mean() > 0.02
    assert shown.evaluate("document.getElementById('large').hidden")  # a drag is no click
    shown.drag(start, start, steps=1)
    shown.wait_for("!document.getElementById('large').hidden")
    before = settled(shown, "#stage")
    x, y = middle(shown, "#stage")
    shown.drag((x, y), (x + 110, y + 20))
    assert (np.abs(settled(shown, "#stage").astype(int) - before).max(2) > 10).mean() > 0.02


def test_on_a_phone_it_fits_and_fingers_turn_and_zoom(shown: Chromium):
    shown.resize((360, 640), touch=True)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    before = large(shown)
    x, y = middle(shown, "#stage")
    shown.touch("touchStart", (x, y))
    for step in range(1, 6):
        shown.touch("touchMove", (x + 15 * step, y))
    shown.touch("touchEnd")
    turned = settled(shown, "#stage")
    assert (np.abs(turned.astype(int) - before).max(2) > 10).mean() > 0.02
    x, y = middle(shown, "#stage")  # pictures may have scrolled
    shown.touch("touchStart", (x - 40, y), (x + 40, y))
    for step in range(1, 6):
        shown.touch("touchMove", (x - 40 - 8 * step, y), (x + 40 + 8 * step, y))
    shown.touch("touchEnd")
    assert drawn(settled(shown, "#stage")).sum() > 1.15 * drawn(turned).sum()
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360 and shown.complaints == []


def test_pictures_are_saved(shown: Chromium, tmp_path: Path):
    shown.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for number, name in ((0, "all"), (3, "one")):
        shown.evaluate(f"location.hash = '#{number}'")
        settled(shown, "main")
        shown.evaluate("document.getElementById('save').click()")
        until = time.monotonic() + 300
        while not (found := list(tmp_path.glob("*.png"))):
            assert time.monotonic() < until, name
            time.sleep(0.1)
        assert found[0].name == "script_img_src_x_onerror_window.hit_1_.png"
        picture = np.array(Image.open(found[0]).convert("RGB"))
        assert picture.shape[1] == 3 * 720 if name == "all" else picture.shape[1] < 900
        assert 0.02 < drawn(picture).mean() < 0.8
        found[0].unlink()


def test_without_what_they_need_choices_are_hidden(shown: Chromium, tmp_path: Path):
    write_page(tmp_path / "page.html", "t", [PageShape("a", ball(0.4, 0)[:1]), PageShape("b", ball(0.4, 0)[:2])])
    shown.open((tmp_path / "page.html").as_uri())
    shown.wait_for(READY)
    hidden = "['kinds', 'distances'].map((id) => document.getElementById(id).hidden)"
    assert shown.evaluate(hidden) == [True, True]
    settled(shown, "main")  # one point and two are drawn as well
    assert shown.complaints == []


def test_a_damaged_page_says_so(shown: Chromium, page_file: Path, tmp_path: Path):
    text = page_file.read_text()
    at = text.index('id="data-1">') + len('id="data-1">')
    (tmp_path / "page.html").write_text(text[:at] + base64.b64encode(b"no shape").decode() + text[at + 12 :])
    shown.open((tmp_path / "page.html").as_uri())
    shown.wait_for("document.getElementById('trouble') && !document.getElementById('trouble').hidden")
