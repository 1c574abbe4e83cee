# PYTHON_ARGCOMPLETE_OK
"""Step 0: write parametric cars in ShapeNet's layout, for those without ShapeNet."""

import json
from contextlib import closing
from pathlib import Path

from configs.config_loader import get_config
from configs.options import Config, Data, DemoCars
from dataprocessing.shapes import MODEL_FOLDER, demo_car_name
from runtime.cores import num_workers
from runtime.errors import UserError, run
from runtime.files import write_text
from runtime.layout import DEMO_PARAMETERS, absolute
from runtime.room import check_room

BYTES_A_CAR = 350_000  # of its mesh
MESH = "model_normalized.obj"


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "make_demo_cars")
    if cfg.demo_cars.demo_seed < 0:
        raise UserError(f"demo_seed is {cfg.demo_cars.demo_seed}, expected 0 or more; choose another seed")
    folders = {index: car_folder(cfg.data, cfg.demo_cars, index) for index in range(cfg.demo_cars.num_demo_cars)}
    missing = [index for index, folder in folders.items() if not is_finished(folder)]
    print(f"{len(folders) - len(missing)} of {len(folders)} demo cars are there already, {len(missing)} to make")
    if missing:
        what = f"{len(missing)} cars"
        check_room(absolute(cfg.data.data_dir), BYTES_A_CAR * len(missing), what, "lower --num_demo_cars")
        make_all(cfg, missing)
    print(f"cars: {absolute(cfg.data.data_dir)}/*/models/{MESH}, parameters beside each in {DEMO_PARAMETERS}")
    return 0


def car_folder(data: Data, demo_cars: DemoCars, index: int) -> Path:
    """The folder of a car's files; its name carries seed and index."""
    return absolute(data.data_dir) / demo_car_name(demo_cars.demo_seed, index) / MODEL_FOLDER


def is_finished(folder: Path) -> bool:
    """Whether both files are there; a power cut may leave the name of one alone."""
    return all(path.is_file() and path.stat().st_size > 0 for path in (folder / MESH, folder / DEMO_PARAMETERS))


def make_all(cfg: Config, indices: list[int]) -> None:
    """Make the cars `indices` on cfg.run.num_cpus processes, with a progress bar."""
    from tqdm import tqdm

    from runtime.pool import run_tasks

    tasks = [(cfg, index) for index in indices]
    with closing(run_tasks(write_car, tasks, num_workers(cfg.run.num_cpus))) as results:  # closed: Ctrl-C ends it
        for _ in tqdm(results, total=len(tasks), unit="car", desc="demo cars", disable=None):
            pass


def write_car(cfg: Config, index: int) -> None:
    """Write the mesh and the parameters of one car; the mesh last, so that it marks the car as finished."""
    from demo_cars.car import build_car, to_obj
    from demo_cars.parameters import draw_parameters

    folder = car_folder(cfg.data, cfg.demo_cars, index)
    parameters = draw_parameters(cfg.demo_cars.demo_seed, index)
    comment = f"{parameters['style']}, demo car {index} of seed {cfg.demo_cars.demo_seed}; x right, y up, -z front"
    write_text(folder / DEMO_PARAMETERS, json.dumps(parameters, indent=2) + "\n")
    write_text(folder / MESH, to_obj(build_car(parameters), comment))


if __name__ == "__main__":
    run(main)
