"""The cars that all rows work on: demo cars as they are drawn, or meshes that a user names."""

from pathlib import Path

import numpy as np

from dataprocessing.frames import to_unit_box
from dataprocessing.mesh_folder import shapes_below
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.surface import sample_surface
from demo_cars.car import build_car, to_obj
from demo_cars.parameters import draw_parameters
from runtime.errors import UserError


def mesh_files(folder: Path, count: int, own: str | None) -> list[Path]:
    """`count` mesh files: demo cars written to `folder`, or the first that lie below the folder `own`."""
    if own is not None:
        found = shapes_below(Path(own), left_out=folder).shapes
        if len(found) < count:
            raise UserError(f"{len(found)} meshes found below {own}, {count} expected; give --meshes another folder")
        step = len(found) / count
        return [found[int(n * step)] for n in range(count)]  # spread over all of them
    paths = [folder / f"{n:03d}" / "model.obj" for n in range(count)]
    for n, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_obj(build_car(draw_parameters(0, n)), f"demo car {n}"))
    return paths


def scaled_mesh(path: Path) -> Mesh:
    """Box centre at the origin, longest side 1."""
    return to_unit_box(load_mesh(path))[0]


def demo_mesh(number: int) -> Mesh:
    car = build_car(draw_parameters(0, number))
    return Mesh(car.vertices, car.faces)


def demo_cloud(number: int, num_points: int) -> np.ndarray:
    """Surface points of a demo car, (num_points, 3) float32, mesh units."""
    return sample_surface(demo_mesh(number), num_points, np.random.default_rng(number)).astype(np.float32)
