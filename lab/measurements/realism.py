"""How near the demo cars are to real cars: `python -m lab.measurements.realism --real FOLDER --picture strip.png`.

For each real mesh below FOLDER (*.obj, *.off, *.ply, at any depth) the nearest of so many demo cars: by CD of
`--points` points (chamfer_l2_sq x1e4), of the whole car and of its outer shell alone, with the F-score of that pair.
Then proportions and oddities of both sets side by side. The strip shows each real car above its nearest demo car.
The real cars measure; nothing is fitted to them. 33 cars against 2,000 take about 6 minutes on 2 cores.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.distances import load_open3d
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car
from evaluation.interior import interior_mask
from evaluation.metrics import CloudSet, f_score, pairwise
from runtime.cores import num_workers
from runtime.errors import UserError, run
from runtime.pool import run_tasks
from visualization.contact_sheet import draw_rows

DENSE, F_THRESHOLD = 20_000, 0.01
VARIETY = 240  # demo cars whose distances to each other are measured
COLUMNS = 11
RAYS = 48  # per axis of the lattices that look through a car

Facts = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder of real meshes")
    parser.add_argument("--cars", type=int, default=2000, help="demo cars (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the demo cars (default 0)")
    parser.add_argument("--points", type=int, default=2048, help="per cloud that is compared (default 2048)")
    parser.add_argument("--picture", type=Path, default=None, help="PNG of real cars and their nearest demo cars")
    parser.add_argument("--num_cpus", type=int, default=-1)
    args = parser.parse_args()
    paths = sorted(path for kind in ("obj", "off", "ply") for path in args.real.rglob(f"*.{kind}"))
    if not paths:
        raise UserError(f"no .obj, .off or .ply in {args.real}; give the folder of real meshes")
    workers = num_workers(args.num_cpus)
    real = measured([(str(path), args.points) for path in paths], "real cars", workers)
    demo = measured([((args.seed, n), args.points) for n in range(args.cars)], "demo cars", workers)
    nearest = {}
    for part in ("whole", "shell"):
        of_real, of_demo = (CloudSet([car[part] for car in cars]) for cars in (real, demo))
        distances = pairwise("cd", of_real, of_demo, workers, description=f"real to demo, {part}")
        nearest[part] = distances.argmin(axis=1), distances.min(axis=1)
    few = CloudSet([car["whole"] for car in demo[:VARIETY]])
    within = pairwise("cd", few, None, workers, description="demo to demo")
    np.fill_diagonal(within, np.inf)
    print_distances(paths, real, demo, nearest)
    print(f"nearest other demo car of {VARIETY}: median CD {1e4 * np.median(within.min(axis=1)):.2f} x1e4")
    print_facts(real, demo)
    if args.picture:
        draw_strip(paths, nearest["whole"], args)
    return 0


def measured(sources: list[tuple], name: str, workers: int) -> list[dict[str, Any]]:
    """`measure` of each source, in their order."""
    tasks = [(n, *source) for n, source in enumerate(sources)]
    found = dict(tqdm(run_tasks(measure, tasks, workers), total=len(tasks), desc=name, unit="car", disable=None))
    return [found[n] for n in range(len(tasks))]


def mesh_of(source: str | tuple[int, int]) -> Mesh:
    """A real mesh by its path, or a demo car by (seed, index); scaled to longest side 1."""
    if isinstance(source, str):
        return scale_mesh(load_mesh(Path(source)))
    vertices, faces, _ = make_car(*source)
    return scale_mesh(Mesh(vertices, faces))


def measure(n: int, source: str | tuple[int, int], num_points: int) -> tuple[int, dict[str, Any]]:
    """Clouds (num_points, 3) of the whole car and of its outer shell, and `facts`; n tells whose they are."""
    mesh, rng = mesh_of(source), np.random.default_rng(0)
    points = sample_surface(mesh, 4 * num_points, rng).astype(np.float32)
    inside = interior_mask(mesh.vertices, mesh.faces, points, num_threads=1)
    shell = points[~inside]
    shell = np.resize(shell, (num_points, 3)) if len(shell) < num_points else shell[:num_points]
    return n, {"whole": points[:num_points], "shell": shell, "facts": facts_of(mesh, points, inside), "source": source}


def facts_of(mesh: Mesh, points: NDArray[np.float32], inside: NDArray[np.bool_]) -> Facts:
    """Proportions and oddities of one car: x right, y up, front at -z, longest side 1.

    The wheels are read from the ground contact: points lower than 0.02 above the lowest, in two groups along z.
    """
    width, height, length = np.ptp(mesh.vertices, axis=0)
    low = points[points[:, 1] < points[:, 1].min() + 0.02]
    front, rear = low[low[:, 2] < 0], low[low[:, 2] > 0]
    wheelbase = float(np.median(rear[:, 2]) - np.median(front[:, 2])) if len(front) and len(rear) else np.nan
    half_chord = 0.5 * float(np.ptp(np.percentile(front[:, 2], [5, 95]))) if len(front) else np.nan
    through, under = see_through(mesh)
    return {
        "width / length": width / length,
        "height / length": height / length,
        "wheelbase / length": wheelbase / length,
        "wheel diameter / length": min((half_chord**2 + 0.02**2) / 0.02, 1.0) / length,
        "see-through share of the cabin": through,
        "share of the underside that is closed": under,
        "interior share of the surface": float(inside.mean()),
        "faces": float(len(mesh.faces)),
    }


def see_through(mesh: Mesh) -> tuple[float, float]:
    """Share of rays across the upper third that pass the car unblocked, and of rays from below that end low in it.

    Rays from below count where something of the car is above; low: in the lowest 40 % of its height.
    """
    scene = load_open3d().t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    axis = (np.arange(RAYS) + 0.5) / RAYS
    y, z = np.meshgrid(low[1] + (0.62 + 0.3 * axis) * (high[1] - low[1]), low[2] + axis * (high[2] - low[2]))
    across = np.stack(
        [np.full(y.size, low[0] - 1), y.ravel(), z.ravel(), np.ones(y.size), 0 * y.ravel(), 0 * y.ravel()]
    )
    blocked = scene.test_occlusions(across.T.astype(np.float32), nthreads=1).numpy()
    x, z = np.meshgrid(low[0] + axis * (high[0] - low[0]), low[2] + axis * (high[2] - low[2]))
    zero = 0 * x.ravel()
    up = np.stack([x.ravel(), zero + low[1] - 1, z.ravel(), zero, zero + 1, zero])
    hit = scene.cast_rays(up.T.astype(np.float32), nthreads=1)["t_hit"].numpy() - 1
    over = np.isfinite(hit)
    inside_outline = blocked.reshape(RAYS, RAYS)
    columns = inside_outline.any(axis=1)  # z at which the car is that high
    through = 1 - inside_outline[columns].mean() if columns.any() else 0.0
    return float(through), float((hit[over] < 0.4 * (high[1] - low[1])).mean())


def print_distances(paths: list[Path], real: list[dict], demo: list[dict], nearest: dict[str, tuple]) -> None:
    print(f"{'real car':44} {'nearest':>8} {'CD x1e4':>8} {'F 0.01':>7} {'shell: nearest':>15} {'CD x1e4':>8}")
    scores = []
    for n, path in enumerate(paths):
        (a, d), (b, e) = ((int(index[n]), float(value[n])) for index, value in nearest.values())
        clouds = [sample_surface(mesh_of(car["source"]), DENSE, np.random.default_rng(1)) for car in (real[n], demo[a])]
        scores.append(f_score(*clouds, F_THRESHOLD))
        name = path.relative_to(path.parents[min(2, len(path.parents) - 1)]).as_posix()[:44]
        print(f"{name:44} {a:8d} {1e4 * d:8.2f} {scores[-1]:7.3f} {b:15d} {1e4 * e:8.2f}")
    medians = {part: 1e4 * np.median(value) for part, (_, value) in nearest.items()}
    means = {part: 1e4 * np.mean(value) for part, (_, value) in nearest.items()}
    print(f"median CD x1e4: whole {medians['whole']:.2f}, outer shell {medians['shell']:.2f}", end="; ")
    print(f"mean: {means['whole']:.2f}, {means['shell']:.2f}; median F 0.01: {np.median(scores):.3f}")


def print_facts(real: list[dict], demo: list[dict]) -> None:
    """10 %, 50 % and 90 % quantiles of each fact over both sets."""
    print(f"\n{'10 %, 50 %, 90 %':38} {'real':>24} {'demo':>24}")
    for name in real[0]["facts"]:
        columns = []
        for cars in (real, demo):
            values = np.nanpercentile([car["facts"][name] for car in cars], [10, 50, 90])
            columns.append(" ".join(f"{value:7.0f}" if name == "faces" else f"{value:7.3f}" for value in values))
        print(f"{name:38} {columns[0]:>24} {columns[1]:>24}")


def draw_strip(paths: list[Path], nearest: tuple[NDArray[np.int64], NDArray], args: argparse.Namespace) -> None:
    """Real cars in grey, below each the demo car nearest to it in blue, best pairs first."""
    rows = []
    order = np.argsort(nearest[1])
    for start in range(0, len(order), COLUMNS):
        part = order[start : start + COLUMNS]
        clouds = [
            [sample_surface(mesh_of(source), 60_000, np.random.default_rng(2)).astype(np.float32) for source in sources]
            for sources in ([str(paths[n]) for n in part], [(args.seed, int(nearest[0][n])) for n in part])
        ]
        rows.append(("Real cars", clouds[0], "grey", "none"))
        label = "Nearest demo cars, CD x1e4: " + ", ".join(f"{1e4 * nearest[1][n]:.1f}" for n in part)
        rows.append((label, clouds[1], "blue", "none"))
    draw_rows(rows, args.picture, f"Real cars and the nearest of {args.cars} demo cars")


if __name__ == "__main__":
    run(main)
