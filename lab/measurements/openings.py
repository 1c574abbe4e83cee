"""Does a decoder keep windows as they are? python -m lab.measurements.openings --config configs/demo_cars.txt

An opening is where a twin of the car with a pane in every window has its surface and the car has none within 0.02 mesh
units; a closed window is where the car has its surface and a twin with every window open has none. Prints the share of
each kind of training sample that lies in openings, and what the trained network says of test cars: its mean distance
there (mesh units), and the share of openings that it closes (below filter_val) and of closed windows that it opens.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from configs.config_loader import get_config
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.distances import unsigned_distance
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_arrays
from dataprocessing.surface import sample_surface
from demo_cars.car import build_car, to_obj
from generation.networks import Networks
from generation.reconstructions import reconstructed
from models.occupancy import to_grid_coords
from runtime.errors import run
from runtime.layout import DEMO_PARAMETERS, SCALED_MESH
from training.shape_samples import sample_files

PANES = {"front_glass": 1, "rear_glass": 1, "screen_glass": 1, "back_glass": 1}
NO_PANES = dict.fromkeys(PANES, 0) | {"glazing": "own"}
NUM_CARS, NUM_POINTS = 24, 30_000
OPEN, ON_PANE = 0.02, 0.01  # distances from the car and from its twin, mesh units


def twin_of(folder: Path, windows: dict) -> Mesh:
    """The car of a folder with other windows (values of its parameters), scaled as in preprocessing."""
    parameters = json.loads((folder / DEMO_PARAMETERS).read_text())
    with tempfile.NamedTemporaryFile("w", suffix=".obj") as file:
        file.write(to_obj(build_car(parameters | windows), "twin"))
        file.flush()
        return scale_mesh(load_mesh(Path(file.name)))


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv)
    networks = Networks(cfg)
    folders = [folder for folder in split_folders(cfg)["test"] if (folder / DEMO_PARAMETERS).is_file()][:NUM_CARS]
    shapes = reconstructed(networks, "test", len(folders))
    shares: dict[str, list[float]] = {name: [] for name, _ in sample_files(cfg)}
    openings: list[np.ndarray] = []
    panes: list[np.ndarray] = []
    for n, folder in enumerate(folders):
        car, twin, open_twin = load_mesh(folder / SCALED_MESH), twin_of(folder, PANES), twin_of(folder, NO_PANES)
        for name, found in shares.items():
            points, df = read_arrays(folder / name, "points", "df")
            found.append(((unsigned_distance(*twin, points) < ON_PANE) & (df > OPEN)).mean())
        for surface, other, said in ((twin, car, openings), (car, open_twin, panes)):
            points = sample_surface(surface, NUM_POINTS, np.random.default_rng(n)).astype(np.float32)
            points = torch.from_numpy(points[unsigned_distance(*other, points) > OPEN])
            if not len(points):
                continue  # a car without openings, or without closed windows
            with torch.no_grad():
                grids = networks.ndf.features(shapes.codes[n])
                said.append(
                    networks.ndf.query(to_grid_coords(points)[None].to(networks.device), grids)[0].cpu().numpy()
                )
    for name, found in shares.items():
        print(f"{name}: {100 * np.mean(found):.2f} % of the points are in openings")
    for what, said, wrong, word in (
        ("openings", openings, lambda v: v < cfg.decoding.filter_val, "closed"),
        ("closed windows", panes, lambda v: v >= cfg.decoding.filter_val, "opened"),
    ):
        print(
            f"{len(said)} cars with {what}: mean predicted distance there {np.mean([v.mean() for v in said]):.4f},"
            f" {100 * np.mean([wrong(v).mean() for v in said]):.1f} % of them {word}"
        )
    return 0


if __name__ == "__main__":
    run(main)
