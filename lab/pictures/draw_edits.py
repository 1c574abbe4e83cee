"""Draw docs/images/edits.png: `python -m lab.pictures.draw_edits --config configs/demo_cars_pretrained.txt`.

Makes the edits with generate.py (finished ones are kept), and shows the ends and the middle of each.
"""

import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

import generate
from configs.config_loader import get_config
from configs.options import Config
from generation.cloud_files import Cloud, read_cloud
from lab.pictures.small_picture import write_small
from runtime.errors import run
from runtime.layout import DENSE_POINT_CLOUD, ROOT
from visualization.contact_sheet import Row, draw_rows

PICTURE = ROOT / "docs" / "images" / "edits.png"
NUMBER, SWITCH = ("-2", "0", "+2"), ("as it is", "closed", "open")
ROWS = (  # (shape, attribute, what is asked for) side by side
    (("1", "length", NUMBER), ("1", "height", NUMBER)),
    (("3", "wheel_radius", NUMBER), ("3", "screen_rake", NUMBER)),
    (("2", "windows", SWITCH), ("2", "top", SWITCH)),
    (("1", "furnished", ("as it is", "0", "1")), ("2", "furnished", ("as it is", "0", "1"))),
)
CUT = {"furnished"}  # shown cut open
OPTIONS = ["--mode", "edit", "--temperature", "0.8"]
WIDTH = 1300


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "generate")
    wanted: dict[str, list[str]] = {}
    for shape, attribute, _ in (part for row in ROWS for part in row):
        wanted.setdefault(attribute, []).append(shape)
    for attribute, shapes in wanted.items():
        words = [*OPTIONS, "--edit_steps", "3", "--attribute", attribute, "--edit_shapes", *shapes]
        generate.main([*(sys.argv[1:] if argv is None else argv), *words])
    rows: list[Row] = []
    for row in ROWS:
        label = "; ".join(f"car {shape}, {attribute} {', '.join(asked)}" for shape, attribute, asked in row)
        clouds = [cloud for part in row for cloud in clouds_of(cfg, *part)]
        cut = row[0][1] in CUT
        rows.append((label, clouds, "amber" if cut else "blue", "lengthwise" if cut else "none"))
    with tempfile.TemporaryDirectory() as scratch:
        draw_rows(rows, sheet := Path(scratch) / "sheet.png", "Edits of sampled cars")
        with Image.open(sheet) as picture:
            write_small(picture, PICTURE, WIDTH)
    return 0


def clouds_of(cfg: Config, shape: str, attribute: str, asked: tuple[str, ...]) -> list[Cloud]:
    folder = cfg.experiment.edits / attribute
    index = json.loads((folder / "index.json").read_text())
    found = {(fact["shape"], fact["asked"]): name for name, fact in zip(index["shapes"], index["facts"], strict=True)}
    return [read_cloud(folder / found[shape, degree] / DENSE_POINT_CLOUD) for degree in asked]


if __name__ == "__main__":
    run(main)
