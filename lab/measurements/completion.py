"""Completions of held-out demo cars from partial scans: `python -m lab.measurements.completion --config CONFIG`.

Needs no data: test cars are the first of `--cars` of seed 1, made in memory, or with `--real FOLDER` the first meshes
below it. Each is scanned as a view, a half and sparsely (dataprocessing/make_scan.py), and completed a second time with
what is known to be empty: the view with its camera, the others with the box that they cover. Compared are the best mode
and the draws of the chains, the mode without the prior, the code of the scan alone, a plain NDF of it, the nearest of
`--training` training cars, and the decoded code of the whole car, the best that a code can do. `--document FILE` writes
the table into a document and `--picture PNG` a strip of the first cars. Scores are kept in the experiment's folder
after every scan, so that a stopped run goes on.
Demo cars: about 20 s a scan on one free core.
"""

import argparse
import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.mesh_io import Mesh, load_mesh
from dataprocessing.partial_scans import SIZES, partial_scan
from dataprocessing.surface import at_most, sample_surface
from demo_cars.car import make_car
from evaluation.completion import POINTS, diversity, scores_of
from evaluation.metrics import nearest_distances
from frozen.loading import encode_clouds
from generation.cloud_files import Cloud
from generation.completion.chains import complete, search, starts
from generation.completion.evidence import empty_places, evidence_of
from generation.completion.posterior import Posterior
from generation.completion.results import facts_of
from generation.decode import decode
from generation.latents import codes_of
from generation.networks import Networks
from generation.plausible_codes import largest_norm
from runtime.errors import UserError, run
from runtime.files import atomic_path, write_json, write_npz, write_text
from runtime.seeds import generator
from visualization.contact_sheet import Row, draw_rows

TRAINING_SEED, TEST_SEED = 0, 1
PLAIN = "configs/any_car_pretrained.txt"
VIEW, CAMERA = "view", "view, camera"
INFORMED = {CAMERA: VIEW, "half, covered": "half", "sparse, covered": "sparse"}  # the same scans, with what is empty
KINDS = (*SIZES, *INFORMED)
WIDTH = 1500  # of the strip, pixels
MARGIN = 0.01  # mesh units: a surface nearer to an empty place than its bound less this is where none can be
BEGIN, END = "<!-- completion: begin -->", "<!-- completion: end -->"
METHODS = {  # in the order of the table
    "draws": "**draws, mean of all**",
    "best": "draws, the nearest to the truth",
    "mode": "the best mode",
    "no prior": "mode without the prior, one start",
    "code": "code of the scan",
    "plain": "plain NDF of the scan",
    "training": "nearest training car",
    "whole": "code of the whole car",
}
MEASURES = ("chamfer_udf", "scan_to_cloud_sq", "seen_through")
HEAD = (
    "scan",
    "completed by",
    "cars",
    "CD x1e4, mean",
    "median",
    "scan to cloud x1e4",
    "seen through %",
    "diversity x1e4",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, default=8, help="test cars (default 8)")
    parser.add_argument("--real", type=Path, default=None, help="folder of meshes to complete instead")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of scan (default all)")
    parser.add_argument("--training", type=int, default=1000, help="training cars to find the nearest of")
    parser.add_argument("--document", type=Path, default=None, help="file whose table is written anew")
    parser.add_argument("--picture", type=Path, default=None, help="PNG of the first cars' views")
    args, rest = parser.parse_known_args()
    networks = Networks(get_config(rest, "complete"))
    folder = networks.experiment.completion / ("measured_real" if args.real else "measured")
    meshes = dict(real_meshes(args) if args.real else demo_meshes(args))
    training = [] if args.training == 0 else training_clouds(args.training)
    scores: list[dict] = []
    for name, mesh in tqdm(meshes.items(), unit="car", desc="cars", disable=None):
        for kind in args.kinds:
            scores += kept(networks, folder, name, kind, mesh, training)
    table = table_of(scores)
    print(table)
    if args.document:
        write_block(args.document, table)
    if args.picture:
        draw_strip(networks, folder, meshes, args.picture)
    return 0


def demo_meshes(args: Namespace) -> Iterator[tuple[str, Mesh]]:
    for n in range(args.cars):
        vertices, faces, _ = make_car(TEST_SEED, n)
        yield f"demo_s{TEST_SEED}_{n:05d}", scale_mesh(Mesh(vertices, faces))


def real_meshes(args: Namespace) -> Iterator[tuple[str, Mesh]]:
    paths = sorted(path for kind in ("obj", "off", "ply") for path in args.real.rglob(f"*.{kind}"))
    if not paths:
        raise UserError(f"no .obj, .off or .ply in {args.real}; give the folder of real meshes")
    for n, path in enumerate(paths[: args.cars]):
        yield f"real_{n}", scale_mesh(load_mesh(path))


def training_clouds(count: int) -> list[Cloud]:
    """`POINTS` points of each of the first training cars."""
    clouds = []
    for n in tqdm(range(count), desc="training cars", unit="car", disable=None):
        vertices, faces, _ = make_car(TRAINING_SEED, n)
        clouds.append(points_of(scale_mesh(Mesh(vertices, faces)), f"training {n}"))
    return clouds


def points_of(mesh: Mesh, name: str) -> Cloud:
    return sample_surface(mesh, POINTS, generator(0, name, "points")).astype(np.float32)


def kept(networks: Networks, folder: Path, name: str, kind: str, mesh: Mesh, training: list[Cloud]) -> list[dict]:
    """The scores of one scan: from the file of an earlier run of the same weights and options, or measured."""
    path = folder / f"{name}_{kind.replace(', ', '_')}.json"
    names = ("scan_sd", "scan_cell", "scan_points", "num_chains", "num_starts", "map_steps", "warmup", "draws")
    made_by = {**networks.sources, "training": len(training)} | {one: networks.cfg.value(one) for one in names}
    if path.is_file() and (found := json.loads(path.read_text()))["made_by"] == made_by:
        return found["scores"]
    scores, clouds = measured(networks, name, kind, mesh, training)
    write_npz(path.with_suffix(".npz"), **clouds)
    write_json(path, {"made_by": made_by, "scores": scores})
    return scores


def measured(
    networks: Networks, name: str, kind: str, mesh: Mesh, training: list[Cloud]
) -> tuple[list[dict], dict[str, Cloud]]:
    """A row of scores for each of `METHODS`, and the clouds by method (draws as draw 0, ...)."""
    of_kind = INFORMED.get(kind, kind)
    scan, _, camera, covered = partial_scan(mesh, of_kind, SIZES[of_kind], generator(0, name, of_kind))
    truth = points_of(mesh, name)
    known = (camera, covered) if kind in INFORMED else (None, None)
    evidence = evidence_of(scan, networks.cfg.completion, known[0], np.random.default_rng(0), known[1])
    completion = complete(networks, evidence, progress=False)
    draws = decoded(networks, codes_of(networks, completion.draws()))
    clouds = {"mode": decoded(networks, codes_of(networks, completion.best_mode()))[0]}
    if kind not in INFORMED:
        clouds |= baselines(networks, scan, truth, evidence, training)
    seen = None if camera is None else empty_places(scan, camera, 2000, np.random.default_rng(1))

    def row(method: str, cloud: Cloud) -> dict:
        scores = {**scores_of(cloud, scan, truth), "seen_through": None if seen is None else broken(cloud, *seen)}
        return {"shape": name, "kind": kind, "method": method, **scores}

    rows = [row(method, cloud) for method, cloud in clouds.items()]
    of_draws = [row("draws", cloud) for cloud in draws]
    rows.append(min(of_draws, key=lambda one: one["chamfer_udf"]) | {"method": "best"})
    means = {key: mean([one[key] for one in of_draws]) for key in MEASURES}
    facts = facts_of(completion) | {"diversity": diversity(draws)}
    rows.append(of_draws[0] | means | {"facts": facts})
    return rows, clouds | {"scan": scan, "truth": truth} | {f"draw {n}": cloud for n, cloud in enumerate(draws)}


def baselines(
    networks: Networks, scan: Cloud, truth: Cloud, evidence: object, training: list[Cloud]
) -> dict[str, Cloud]:
    clouds = {}
    posterior = Posterior(networks, evidence, networks.cfg.completion.scan_sd, prior=0)
    cfg = networks.cfg.changed(num_chains=1)
    alone = search(posterior, starts(posterior, cfg), largest_norm(networks), cfg.completion.map_steps)
    clouds["no prior"] = decoded(networks, codes_of(networks, alone))[0]
    clouds["code"] = encoded(networks, scan)
    clouds["plain"] = encoded(plain_ndf(networks.cfg), scan)
    clouds["whole"] = encoded(networks, truth)
    if training:
        few = at_most(scan, 500, np.random.default_rng(0))
        misses = [np.square(nearest_distances(few, cloud)[0]).mean() for cloud in training]
        clouds["training"] = training[int(np.argmin(misses))]
    return clouds


def decoded(networks: Networks, codes: torch.Tensor) -> list[Cloud]:
    return [decode(networks, code, POINTS, n) for n, code in enumerate(codes.split(1))]


def encoded(networks: Networks, cloud: Cloud) -> Cloud:
    """The cloud decoded from a cloud's own code or features; all points may be one if nothing is found."""
    codes = encode_clouds(networks.ndf, cloud[None], networks.cfg, networks.device)
    try:
        return decode(networks, codes, POINTS, 0)
    except UserError:
        return np.zeros((1, 3), dtype=np.float32)


def plain_ndf(cfg: Config, made: dict[str, Networks] = {}) -> Networks:  # noqa: B006, one for the whole run
    if PLAIN not in made:
        made[PLAIN] = Networks(get_config(["--config", PLAIN, "--num_cpus", str(cfg.run.num_cpus)]))
    return made[PLAIN]


def broken(cloud: Cloud, places: np.ndarray, bounds: np.ndarray) -> float:
    """The share of places (M, 3), empty within bounds (M,), that have surface within."""
    distances = nearest_distances(places, cloud)[0]
    return float(np.mean(distances < bounds - MARGIN))


def mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def table_of(scores: list[dict]) -> str:
    """The table as Markdown, and below it what the chains report."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | --- |" + " ---: |" * (len(HEAD) - 2)]
    for kind in KINDS:
        for method, words in METHODS.items():
            rows = [row for row in scores if (row["kind"], row["method"]) == (kind, method)]
            if rows:
                lines.append("| " + " | ".join([kind, words, *cells_of(rows)]) + " |")
    lines += ["", "| scan | acceptance | effective draws of z, of each chain's | R-hat of energy | of z |"]
    lines.append("| --- |" + " ---: |" * 4)
    for kind in KINDS:
        facts = [row["facts"] for row in scores if row["kind"] == kind and "facts" in row]
        if facts:
            numbers = [np.mean([one["acceptance"] for one in facts])]
            numbers += [np.mean([one["effective_draws_of_z"] for one in facts])]
            numbers += [np.median([one[name] for one in facts]) for name in ("r_hat_of_energy", "r_hat_of_z_median")]
            lines.append(f"| {kind} | {numbers[0]:.2f} | {numbers[1]:.1f} | {numbers[2]:.2f} | {numbers[3]:.2f} |")
    return "\n".join(lines)


def cells_of(rows: list[dict]) -> list[str]:
    chamfer = [1e4 * row["chamfer_udf"] for row in rows]
    fit = 1e4 * np.mean([row["scan_to_cloud_sq"] for row in rows])
    through = mean([row["seen_through"] for row in rows])
    varied = mean([row["facts"]["diversity"] for row in rows if "facts" in row])
    cells = [str(len(rows)), f"{np.mean(chamfer):.2f}", f"{np.median(chamfer):.2f}", f"{fit:.2f}"]
    return cells + ["" if through is None else f"{100 * through:.1f}", "" if varied is None else f"{1e4 * varied:.2f}"]


def write_block(path: Path, table: str) -> None:
    """Put the table between the two comments of a document."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} lacks the comments {BEGIN} and {END}; put them where the table belongs")
    write_text(path, f"{before}{BEGIN}\n{table}\n{END}{after}")


def draw_strip(networks: Networks, folder: Path, meshes: dict[str, Mesh], path: Path) -> None:
    """For each kind of scan one car, each another where it was measured: scan, truth, the best mode and three draws."""
    rows: list[Row] = []
    names = list(meshes)
    for n, kind in enumerate(KINDS):
        files = [(name, folder / f"{name}_{kind.replace(', ', '_')}.npz") for name in names[n:] + names[:n]]
        name, path_of_clouds = next(((name, file) for name, file in files if file.is_file()), (None, None))
        if path_of_clouds is None:
            continue
        with np.load(path_of_clouds) as file:
            clouds = [file[key] for key in ("scan", "truth", "mode", "draw 0", "draw 1", "draw 2")]
        rows.append((f"{name}, {kind}: scan, truth, best mode, three draws", clouds, "blue", "none"))
        rows.append(("The same, cut open lengthwise", clouds, "amber", "lengthwise"))
    draw_rows(rows, path, networks.cfg.run.exp_name)
    shrink(path)


def shrink(path: Path) -> None:
    """Make a PNG as small as a document needs: `WIDTH` pixels, 128 colours."""
    with Image.open(path) as image:
        small = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    with atomic_path(path) as spare:
        small.quantize(128, dither=Image.Dither.NONE).save(spare, format="PNG", optimize=True)


if __name__ == "__main__":
    run(main)
