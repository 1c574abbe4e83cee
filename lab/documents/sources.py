"""What the numbers of a page were made with: weights and configurations, by digest, in a line at its end.

    Weights: demo_cars_pretrained_ndf.tar 0123456789ab, demo_cars_pretrained_rnvp.tar ...
    Config: configs/demo_cars.txt 0123456789ab

`python -m lab.documents.sources` lists the entries of README.md and docs/ whose digest is no longer that of the file:
the numbers of these pages are to be made again. `--renew` writes the present digests, if the change moves no number.
"""

import argparse
import re
from collections.abc import Iterable, Mapping
from typing import Any

from configs.config_loader import get_config
from configs.decided import ARTEFACTS, options_of
from configs.options import Config
from runtime.artefacts import digest, file_sha256
from runtime.errors import UserError, run
from runtime.files import write_text
from runtime.layout import ROOT

Options = Config | Mapping[str, Any]  # the merged values of all options

DIGITS = 12  # of the SHA-256
WEIGHTS, CONFIG = "Weights", "Config"
LINE = re.compile(rf"^({WEIGHTS}|{CONFIG}): (.+)$", flags=re.MULTILINE)
ENTRY = re.compile(rf"([\w./-]+) ([0-9a-f]{{{DIGITS}}})(?![0-9a-f])")
MEASURED = ("set", "matrix", "wholeness", "reconstruction")  # artefacts that the tables of results are of
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", action="store_true", help="write the present digests into the pages")
    renew = parser.parse_args(argv).renew
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for entry in stale(text):
            print(f"{page.relative_to(ROOT)}: {entry} is another one now")
        if renew and renewed(text) != text:
            write_text(page, renewed(text))
    return 0


def weights_line(names: Iterable[str]) -> str:
    """The line of a page whose numbers are of these files of models/pretrained."""
    return f"{WEIGHTS}: " + ", ".join(f"{name} {digest_now(WEIGHTS, name)}" for name in names)


def config_line(config: str, values: Options) -> str:
    """The line of a page whose numbers are of an experiment with these merged values of a config below the root."""
    return f"{CONFIG}: {config} {config_digest(values)}"


def digest_now(kind: str, name: str) -> str:
    """First digits of the SHA-256 of a file of weights, or of the values of a config that decide files.

    Raises UserError if there is no such file.
    """
    path = ROOT / "models" / "pretrained" / name if kind == WEIGHTS else ROOT / name
    if not path.is_file():
        raise UserError(f"no {path}, which a page says its numbers were made with")
    if kind == WEIGHTS:
        return file_sha256(path)[:DIGITS]
    return config_digest(get_config(["--config", str(path)]))


def config_digest(values: Options) -> str:
    """First digits of the SHA-256 of the merged values, defaults included, that decide the tables of results."""
    deciding = {
        name: value for part in behind(MEASURED) | {"tables"} for name, value in options_of(part, values).items()
    }
    return digest(deciding)[:DIGITS]


def behind(artefacts: Iterable[str]) -> set[str]:
    """These artefacts and all that they are made from."""
    known = set(artefacts)
    while more := {source for name in known for source in ARTEFACTS[name]} - known:
        known |= more
    return known


def entries(text: str) -> list[tuple[str, str, str]]:
    """(kind, name, digest) of each entry of the lines of a page."""
    return [(kind, *entry) for kind, names in LINE.findall(text) for entry in ENTRY.findall(names)]


def stale(text: str) -> list[str]:
    """The names whose digest is another one now."""
    return [name for kind, name, written in entries(text) if digest_now(kind, name) != written]


def renewed(text: str) -> str:
    """The page with the present digests."""

    def line(match: re.Match[str]) -> str:
        kind = match[1]
        names = ENTRY.sub(lambda entry: f"{entry[1]} {digest_now(kind, entry[1])}", match[2])
        return f"{kind}: {names}"

    return LINE.sub(line, text)


if __name__ == "__main__":
    run(main)
