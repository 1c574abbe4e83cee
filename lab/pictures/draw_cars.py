"""Draw the cars of README.md and docs/: `python -m lab.pictures.draw_cars --config configs/demo_cars_pretrained.txt`.

Samples 16 cars with their meshes, the first ones of the seed and not chosen, with the options of the configuration,
and, where the test cars are on the disk, reconstructs 8 of them; clouds that are there already are kept.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import generate
from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.mesh_io import Mesh
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from dataprocessing.surface import sample_surface, surface_points
from generation.cloud_files import Cloud, read_cloud
from generation.mesh_files import mesh_beside
from lab.pictures.small_picture import from_both_sides, tiled, write_small
from runtime.errors import UserError, run
from runtime.layout import DENSE_POINT_CLOUD, ROOT, absolute
from visualization.contact_sheet import LOOKS
from visualization.mesh_rendering import render_mesh
from visualization.rendering import TINTS, render_cloud

IMAGES = ROOT / "docs" / "images"
POINTS_OF_MESH = 400_000
SIZE = 750, 470  # pixels of each car, before it is made smaller
NUM_CARS = 16
COLUMNS = 4  # cars side by side in docs/images/demo_cars.png, each from two sides
SHOWN = 0, 4, 8, 14  # of the samples, in docs/images/meshes.png
NUMBER_SIZE, NUMBER_COLOR = 52, (110, 118, 130)  # pixels before the picture is made smaller


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    cfg = get_config(words, "generate")
    generate.main([*words, "--num_shapes", str(NUM_CARS), "--mesh"])
    folder = cfg.experiment.generation
    meshes = [mesh_of(folder / str(n)) for n in range(NUM_CARS)]
    write_small(
        tiled(from_both_sides(NUM_CARS, COLUMNS, partial(numbered_mesh, meshes))), IMAGES / "demo_cars.png", 1200
    )
    cut = drawn([points_of(mesh) for mesh in meshes[:8]], cut=True)
    write_small(tiled([cut[:4], cut[4:]]), IMAGES / "demo_cars_cut.png", 1500)
    clouds = [read_cloud(folder / str(n) / DENSE_POINT_CLOUD) for n in SHOWN]
    both = [[render_mesh(*meshes[n], size=SIZE) for n in SHOWN], drawn(clouds)]
    write_small(tiled(both), IMAGES / "meshes.png", 1500)
    if absolute(cfg.data.split_file).is_file():
        generate.main([*words, "--mode", "reconstruct", "--num_shapes", "8"])
        draw_reconstructions(cfg, split_folders(cfg)["test"][:8])
    return 0


def mesh_of(folder: Path) -> Mesh:
    found = mesh_beside(folder / DENSE_POINT_CLOUD)
    if found is None:
        raise UserError(f"no mesh in {folder}: the field of this car has no surface; draw another seed")
    return Mesh(*found)


def numbered_mesh(meshes: list[Mesh], number: int, look: str) -> np.ndarray:
    """A picture of mesh `number`, which stands in it where it is seen from the front."""
    picture = render_mesh(*meshes[number], LOOKS[look][0], SIZE)
    if look != "front":
        return picture
    image = Image.fromarray(picture)
    font = ImageFont.load_default(size=NUMBER_SIZE)
    ImageDraw.Draw(image).text((16, 10), str(number), font=font, fill=NUMBER_COLOR)
    return np.asarray(image)


def points_of(mesh: Mesh) -> Cloud:
    return sample_surface(mesh, POINTS_OF_MESH, np.random.default_rng(0)).astype(np.float32)


def drawn(cars: list[Cloud], cut: bool = False, tint: str = "blue") -> list[np.ndarray]:
    look = {"cut": "lengthwise", "color": TINTS["amber"]} if cut else {"color": TINTS[tint]}
    return [render_cloud(car, size=SIZE, **look) for car in cars]


def draw_reconstructions(cfg: Config, folders: list[Path]) -> None:
    true = [surface_points(folder, 100_000, cfg.run.seed, cfg.data) for folder in folders]
    codes = [read_cloud(cfg.experiment.reconstruction / shape_name(folder) / DENSE_POINT_CLOUD) for folder in folders]
    rows = [drawn(true, tint="grey"), drawn(codes)]
    write_small(tiled(rows), IMAGES / "reconstructions.png", 1700)


if __name__ == "__main__":
    run(main)
