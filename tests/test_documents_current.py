"""The pages are of the present weights and configurations, short enough to read, and show every picture there is."""

import re
from pathlib import Path

import pytest

from configs.config_loader import get_config
from lab.documents import sources
from runtime.errors import UserError
from runtime.layout import ROOT

MANUAL = sorted((ROOT / "docs").glob("*.md"))
NOTES = sorted((ROOT / "lab" / "notes").glob("*.md"))
GENERATED = "options.md"
MOST_WORDS = 10_000  # of the manual, without the table of all options
DEMO = ROOT / "configs" / "demo_cars.txt"
WEIGHTS_FILE = "any_car_pretrained_ndf.tar"


def words(text: str) -> int:
    """Words with a letter or a digit: the bars of a table are none."""
    return sum(bool(re.search(r"\w", word)) for word in text.split())


@pytest.mark.parametrize("page", sources.PAGES, ids=lambda path: path.name)
def test_the_numbers_of_a_page_are_of_the_present_weights(page: Path):
    assert sources.stale(page.read_text()) == [], f"make the numbers of {page.name} again (lab/documents/sources.py)"


@pytest.mark.parametrize("page", sources.PAGES, ids=lambda path: path.name)
def test_a_page_with_pictures_or_measured_numbers_says_what_they_are_of(page: Path):
    text = page.read_text()
    measured = re.search(r"\]\((docs/)?images/", text) or "---:" in text
    assert not measured or sources.entries(text)


def test_the_manual_is_short_enough_to_read():
    count = sum(words(path.read_text()) for path in MANUAL if path.name != GENERATED)
    assert 1000 < count < MOST_WORDS
    assert words((ROOT / "README.md").read_text()) < 1000


@pytest.mark.parametrize("pages", [MANUAL, NOTES], ids=["manual", "notebook"])
def test_the_list_of_pages_has_them_all(pages: list[Path]):
    overview, *others = sorted(pages, key=lambda path: path.name != "README.md")
    assert overview.name == "README.md"
    assert [path.name for path in others if f"]({path.name})" not in overview.read_text()] == []


def test_every_picture_is_shown_somewhere():
    text = "".join(path.read_text() for path in (ROOT / "README.md", *MANUAL, *NOTES))
    pictures = [path for folder in ("docs", "lab/notes") for path in (ROOT / folder / "images").iterdir()]
    assert [path.name for path in pictures if f"images/{path.name})" not in text] == []


@pytest.mark.parametrize("note", NOTES, ids=lambda path: path.name)
def test_every_entry_of_the_notebook_has_its_date(note: Path):
    entries = re.split(r"^## ", note.read_text(), flags=re.MULTILINE)[1:]
    dated = re.compile(r"^\*2026-\d\d-\d\d", flags=re.MULTILINE)
    assert [entry.partition("\n")[0] for entry in entries if not dated.search(entry)] == []


def test_lines_tell_other_weights_and_can_be_renewed():
    good = sources.weights_line([WEIGHTS_FILE])
    assert sources.entries(good) == [("Weights", WEIGHTS_FILE, good.split()[-1])]
    assert sources.stale(good) == []
    old = good.replace(good.split()[-1], "0" * sources.DIGITS)
    assert sources.stale(f"Text.\n\n{old}\n") == [WEIGHTS_FILE]
    assert sources.renewed(f"Text.\n\n{old}\n") == f"Text.\n\n{good}\n"
    with pytest.raises(UserError, match="nowhere.tar"):
        sources.stale(old.replace(WEIGHTS_FILE, "nowhere.tar"))


@pytest.mark.parametrize(("option", "same"), [("num_cpus", True), ("mesh_resolution", True), ("latent_dim", False)])
def test_a_config_is_told_by_the_values_that_decide_its_results(option: str, same: bool):
    plain = get_config(["--config", str(DEMO)])
    other = get_config(["--config", str(DEMO), f"--{option}", "96"])
    line = sources.config_line("configs/demo_cars.txt", plain)
    assert sources.stale(line) == []
    assert (sources.config_line("configs/demo_cars.txt", other) == line) == same
