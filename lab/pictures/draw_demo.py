"""Draw docs/images/demo.png, all cars that `make demo` gives: `python -m lab.pictures.draw_demo --config CONFIG`.

The clouds of the experiment, as they are there: none is left out, and none is made here.
"""

from configs.config_loader import get_config
from generation.cloud_files import read_cloud
from lab.pictures.small_picture import from_both_sides, tiled, write_small
from runtime.errors import UserError, run
from runtime.layout import DENSE_POINT_CLOUD, ROOT
from visualization.contact_sheet import LOOKS
from visualization.rendering import render_cloud

PICTURE = ROOT / "docs" / "images" / "demo.png"
COLUMNS = 6  # cars side by side, each from two sides
SIZE = 500, 313  # pixels of each, before the picture is made smaller


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "generate")
    folder = cfg.experiment.generation
    files = [folder / str(n) / DENSE_POINT_CLOUD for n in range(cfg.generation.num_shapes)]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]} is not there; make it with: python generate.py --config {cfg.run.config}")
    if len(files) % COLUMNS:
        raise UserError(f"num_shapes {len(files)} found, a multiple of {COLUMNS} expected")
    clouds = [read_cloud(file) for file in files]
    rows = from_both_sides(len(clouds), COLUMNS, lambda n, look: render_cloud(clouds[n], LOOKS[look][0], SIZE))
    write_small(tiled(rows), PICTURE, 1200)
    return 0


if __name__ == "__main__":
    run(main)
