"""Draw the cars of README.md and docs/: `python docs/draw_cars.py --config configs/demo_cars_pretrained.txt`.

Samples 16 cars with their meshes and, where the test cars are on the disk, reconstructs 8 of them; clouds that are
there already are kept.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # of generate.py

import generate
from configs.config_loader import get_config
from configs.errors import run
from configs.layout import DENSE_POINT_CLOUD, MESH, ROOT, Experiment, absolute
from dataprocessing.mesh_io import load_mesh
from dataprocessing.shapes import shape_name
from dataprocessing.surface import sample_surface, surface_points
from docs.small_picture import tiled, write_small
from generation.cloud_files import Cloud, read_cloud
from training.shape_samples import split_folders
from visualization.rendering import TINTS, render_cloud

IMAGES = ROOT / "docs" / "images"
POINTS_OF_MESH = 400_000
SIZE = 750, 470  # pixels of each car, before it is made smaller
SHOWN = 0, 4, 8, 14  # of the samples, in docs/images/meshes.png


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    cfg = get_config(words, "generate")
    generate.main([*words, "--temperature", "0.8", "--best_of", "4", "--num_shapes", "16", "--mesh"])
    folder = Experiment(cfg).generation
    meshes = [points_of_mesh(folder / str(n)) for n in range(16)]
    clouds = [read_cloud(folder / str(n) / DENSE_POINT_CLOUD) for n in range(16)]
    write_small(tiled([drawn(meshes[:4]), drawn(meshes[4:8])]), IMAGES / "demo_cars.png", 1500)
    write_small(tiled([drawn(meshes[:4], cut=True), drawn(meshes[4:8], cut=True)]), IMAGES / "demo_cars_cut.png", 1500)
    both = [drawn([cars[n] for n in SHOWN]) for cars in (meshes, clouds)]
    write_small(tiled(both), IMAGES / "meshes.png", 1500)
    if absolute(cfg.split_file).is_file():
        generate.main([*words, "--mode", "reconstruct", "--num_shapes", "8"])
        draw_reconstructions(cfg.seed, split_folders(cfg)["test"][:8], Experiment(cfg).reconstruction)
    return 0


def points_of_mesh(folder: Path) -> Cloud:
    mesh = load_mesh(folder / f"{MESH}.ply")
    return sample_surface(mesh, POINTS_OF_MESH, np.random.default_rng(0)).astype(np.float32)


def drawn(cars: list[Cloud], cut: bool = False, tint: str = "blue") -> list[np.ndarray]:
    look = {"cut": "lengthwise", "color": TINTS["amber"]} if cut else {"color": TINTS[tint]}
    return [render_cloud(car, size=SIZE, **look) for car in cars]


def draw_reconstructions(seed: int, folders: list[Path], decoded: Path) -> None:
    true = [surface_points(folder, 100_000, seed).astype(np.float32) for folder in folders]
    codes = [read_cloud(decoded / shape_name(folder) / DENSE_POINT_CLOUD) for folder in folders]
    rows = [drawn(true, tint="grey"), drawn(codes)]
    write_small(tiled(rows), IMAGES / "reconstructions.png", 1700)


if __name__ == "__main__":
    run(main)
