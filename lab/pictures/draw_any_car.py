"""Draw meshes that nobody trained on above what networks rebuild of them.

`python -m lab.pictures.draw_any_car --real FOLDER`. Of every nth mesh below FOLDER, its longest side scaled to 1:
100,000 points of its surface, then as many that the network of each config decodes from the first `num_points` of
them. Writes lab/notes/images/any_car.png, or --out.
"""

import argparse
from pathlib import Path

import numpy as np

from configs.config_loader import get_config
from dataprocessing.surface import sample_surface
from generation.networks import Networks
from lab.measurements.any_car import Input, meshes_below, rebuilt
from lab.pictures.small_picture import tiled, write_small
from runtime.errors import run
from runtime.layout import ROOT
from visualization.rendering import TINTS, render_cloud

CONFIGS = ("configs/any_car_grid.txt", "configs/any_car_pretrained.txt")
NUM_POINTS = 100_000
SIZE = 620, 430  # pixels of each car, before the picture is made smaller


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder of meshes with y up and front at -z")
    parser.add_argument("--configs", nargs="+", default=CONFIGS, help="a row of each")
    parser.add_argument("--num_points", type=int, default=None, help="that networks see (default: by their config)")
    parser.add_argument("--every", type=int, default=4, help="every nth mesh (default 4)")
    parser.add_argument("--most", type=int, default=8, help="so many at most (default 8)")
    parser.add_argument("--view", default="three_quarter")
    parser.add_argument("--out", type=Path, default=ROOT / "lab" / "notes" / "images" / "any_car.png")
    args = parser.parse_args()
    meshes = meshes_below(args.real, args.every)[: args.most]
    true = [
        sample_surface(mesh, NUM_POINTS, np.random.default_rng(n)).astype(np.float32) for n, mesh in enumerate(meshes)
    ]
    given = ["--num_points", str(args.num_points)] if args.num_points else []
    networks = [Networks(get_config(["--config", config, *given]), alone=True) for config in args.configs]
    rows = [true]
    for network in networks:
        seen = Input("as many points as its config says", network.cfg.grid.num_points)
        rows.append([rebuilt(network, seen, n, cloud) for n, cloud in enumerate(true)])
    pictures = [
        [render_cloud(cloud, args.view, size=SIZE, color=TINTS[tint]) for cloud in row]
        for row, tint in zip(rows, ["grey"] + ["blue"] * len(args.configs), strict=True)
    ]
    write_small(tiled(pictures), args.out, 1700)
    return 0


if __name__ == "__main__":
    run(main)
