"""Make a folder like ShapeNetCore.v2's cars: `python -m lab.stand_in.make datasets/shapenet/data --shapes 500`.

OUT gets 02958343/ID/models/model_normalized.{obj,mtl,json,surface.binvox}, 02958343/ID/images/texture0.jpg,
split_cars.npz, which divides them as NDF's published split does, under the paths of another machine, and shapes.csv,
which says what each shape is. Shapes are demo cars and, with --real FOLDER, one in 20 is one of the meshes below it,
stretched by up to 3 %. A shape depends on the seed, its index and the real meshes alone: fewer shapes are the first of
more. What is there is kept, so a stopped run goes on. All 7,497 take about an hour of one core and 25 GB.
"""

import argparse
import csv
import io
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from dataprocessing.mesh_io import load_mesh
from demo_cars.car import build_car
from demo_cars.parameters import draw_parameters
from lab.stand_in import troubles, wavefront
from lab.stand_in.plan import SHAPES, Plan, parts_of, plans_of
from lab.stand_in.troubles import Polygons, Soup
from runtime.cores import num_workers
from runtime.errors import UserError, run
from runtime.files import atomic_path, write_json, write_npz, write_text
from runtime.pool import run_tasks
from runtime.reading import read_json
from runtime.room import check_room
from runtime.seeds import generator

CARS = "02958343"  # ShapeNet's number of the class car
OTHERS = f"/scratch/somebody/shapenet/data/{CARS}"  # where the shapes of the split lay: nowhere here
BYTES_A_SHAPE = 3_500_000
VERSION = 1  # raised when a seed gives other shapes
STRETCH = 0.03  # of a real mesh's axes, at most
MESH_ENDINGS = ("*.obj", "*.off", "*.ply", "*.stl")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that gets the class folder and the split")
    parser.add_argument("--shapes", type=int, default=SHAPES, help=f"how many (default {SHAPES})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=Path, default=None, help="folder of real meshes, y up, -z front")
    parser.add_argument("--num_cpus", type=int, default=-1, help="worker processes (default: all cores)")
    args = parser.parse_args(argv)
    if args.shapes < 1 or args.seed < 0:
        raise UserError(f"--shapes {args.shapes} --seed {args.seed}: 1 or more, and 0 or more, were expected")
    real = real_meshes(args.real)
    plans = plans_of(args.seed, args.shapes, len(real))
    check_same(args.out, {"version": VERSION, "seed": args.seed, "real": [path.name for path in real]})
    missing = [plan for plan in plans if not marker(args.out, plan).is_file()]
    print(f"{len(plans) - len(missing)} of {len(plans)} shapes are there already, {len(missing)} to make")
    check_room(args.out, BYTES_A_SHAPE * len(missing), f"{len(missing)} shapes", "lower --shapes")
    make_all(args.out, args.seed, missing, real, num_workers(args.num_cpus))
    write_lists(args.out, args.seed, plans)
    broken = sum(bool(plan.broken) for plan in plans)
    twice = sum(plan.origin != plan.index for plan in plans)
    print(
        f"{args.out / CARS}: {len(plans)} shapes, {broken} of them broken, {twice} the same as others; split_cars.npz"
    )
    return 0


def real_meshes(folder: Path | None) -> list[Path]:
    """The meshes below a folder, sorted; none without one. Raises UserError if there are none in it."""
    if folder is None:
        return []
    found = sorted(path for ending in MESH_ENDINGS for path in folder.rglob(ending))
    if not found:
        raise UserError(f"no mesh ({', '.join(MESH_ENDINGS)}) below {folder}; give a folder of real cars, or none")
    return found


def check_same(out: Path, told: dict) -> None:
    """Raise UserError if the folder was made of another seed, of other real meshes or by another version."""
    note = out / "stand_in.json"
    if note.is_file():
        if (former := read_json(note)) != told:
            raise UserError(f"{out} was made with {former}, not with {told}; give another folder")
    elif (out / CARS).exists():
        raise UserError(f"{out / CARS} is there, and no stand-in: it may be ShapeNet's own; give another folder")
    else:
        write_json(note, told)


def marker(out: Path, plan: Plan) -> Path:
    """The file of a shape that is written last."""
    return out / CARS / plan.name / "models" / "model_normalized.json"


def make_all(out: Path, seed: int, plans: list[Plan], real: list[Path], workers: int) -> None:
    """Make shapes on so many processes, the largest first, with a progress bar."""
    from tqdm import tqdm

    tasks = [(out, seed, plan, real) for plan in sorted(plans, key=lambda plan: -plan.faces)]
    with closing(run_tasks(make_shape, tasks, workers)) as results:  # closed: Ctrl-C ends it
        for _ in tqdm(results, total=len(tasks), unit="shape", desc="stand-in", disable=None):
            pass


def make_shape(out: Path, seed: int, plan: Plan, real: list[Path]) -> None:
    """Write all files of one shape, its marker last."""
    rng = generator(seed, "stand-in", "mesh", str(plan.origin))
    polygons = spoiled(base_mesh(seed, plan, real, rng), plan, rng)
    polygons, lines = wavefront.placed(polygons, plan, rng)
    folder = marker(out, plan).parent
    text = wavefront.obj_text(polygons, lines, plan)
    if plan.broken != "no mesh":
        with atomic_path(folder / "model_normalized.obj") as spare, spare.open("w") as file:
            file.writelines([wavefront.broken_text(text, plan.broken)] if plan.broken else text)
    groups = int(wavefront.groups_of(polygons, plan.groups).max()) + 1
    write_text(folder / "model_normalized.mtl", wavefront.mtl_text(plan, rng, groups))
    images = {f"images/texture{number}.jpg": wavefront.texture(rng) for number in range(plan.textures)}
    voxels = {"models/model_normalized.surface.binvox": wavefront.binvox(polygons.vertices)}
    for name, content in (images | voxels).items():
        with atomic_path(folder.parent / name) as spare:
            spare.write_bytes(content)
    write_text(marker(out, plan), wavefront.extent_json(plan.name, polygons.vertices))


def base_mesh(seed: int, plan: Plan, real: list[Path], rng: np.random.Generator) -> Soup:
    """The demo car of the shape's number, or a real mesh, a little stretched."""
    if plan.real < 0:
        car = build_car(draw_parameters(seed, plan.origin))
        return Soup(car.vertices, car.faces, np.repeat(np.arange(len(car.counts)), car.counts))
    mesh = load_mesh(real[plan.real])
    longest = np.ptp(mesh.vertices, axis=0).max()
    vertices = mesh.vertices / longest * (1 + STRETCH * rng.uniform(-1, 1, 3))
    return Soup(vertices, mesh.faces, np.zeros(len(mesh.faces), dtype=np.int64))


def spoiled(soup: Soup, plan: Plan, rng: np.random.Generator) -> Polygons:
    """A mesh with all the troubles of its plan that are in faces."""
    soup = troubles.with_components(soup, plan.components, rng)
    soup = troubles.subdivided(soup, plan.faces)
    soup = troubles.with_doubled(soup, plan.doubled, rng)
    soup = troubles.with_degenerate(soup, plan.degenerate, rng)
    return troubles.as_polygons(soup, plan.polygons, rng)


def write_lists(out: Path, seed: int, plans: list[Plan]) -> None:
    """split_cars.npz, in the form of NDF's, and shapes.csv."""
    parts = parts_of(seed, len(plans))
    paths = {part: [f"{OTHERS}/{plans[index].name}" for index in indices] for part, indices in parts.items()}
    write_npz(out / "split_cars.npz", train=paths["train"], val=paths["val"], test=paths["test"])
    table = io.StringIO()
    rows = csv.DictWriter(table, list(asdict(plans[0])), lineterminator="\n")
    rows.writeheader()
    rows.writerows(map(asdict, plans))
    write_text(out / "shapes.csv", table.getvalue())


if __name__ == "__main__":
    run(main)
