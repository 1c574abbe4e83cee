"""What a flow does with few cars: 4,000 demo cars to train (ShapeNet: 5,249), none extra, codes of the shipped NDF.

    python -m lab.studies.few_cars --out FOLDER --codes               # once: about 0.2 s a car on one core
    python -m lab.studies.few_cars --out FOLDER --trials              # all of TRIALS, a few minutes each
    python -m lab.studies.few_cars --out FOLDER --trials base "64 Gaussians"    # these

Each car has codes of its points and of their mirror image; the first FULL cars also of other points of theirs, and of
the car with each axis stretched by up to STRETCH. A trial trains a flow on some of these and is one line of
FOLDER/results.jsonl and of the table that is printed: NLL (nats per dimension) of training and of validation codes at
the best validation, and 1-NNA of ten sets of samples against the validation codes. Both parts resume.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.mesh_io import Mesh
from dataprocessing.shapes import demo_car_name
from dataprocessing.surface import stretched
from dataprocessing.voxelized_pointcloud_sampling import input_points
from demo_cars.car import make_car
from frozen.checkpoint_files import fingerprint, load_checkpoint, ndf_checkpoint_path
from frozen.codes import SPLITS
from frozen.loading import load_flow, load_frozen_ndf
from models.ndf import NDF
from models.real_nvp import CodeFlow
from runtime.devices import pick_device
from runtime.files import atomic_path
from training.code_nna import code_coordinates, num_leading, one_nna_of_points
from training.encoding import encode_batch, index_of, turned, write_codes
from training.flow_task import FlowTask
from training.loop import train

SEEDS = {"train": 2000, "val": 2001}  # of cars that neither the shipped NDF nor its flow has seen
COUNTS = {"train": 4000, "val": 250}
KINDS = ("plain", "mirrored", "drawn", "stretched", "stretched, mirrored")
STRETCH = 0.04  # of an axis, at most
PART = 250  # cars in a file
FULL = 1250  # cars with all kinds of codes; a multiple of PART
NNA_SETS = 10

BASE = {
    "flow_base": "mixture", "flow_components": 256, "flow_dims": 16, "flow_tail_couplings": 8, "flow_hidden": 256,
    "flow_dropout": 0.1, "flow_batch_size": 128, "flow_steps": 1000, "flow_val_every": 250, "flow_ema": 0.99,
    "num_pictures": 0,
}  # fmt: skip
# name -> kinds of codes, options that differ from BASE, training cars
TRIALS: dict[str, tuple[tuple[str, ...], dict[str, Any], int]] = {
    "base": (KINDS[:2], {}, 4000),
    "64 Gaussians": (KINDS[:2], {"flow_components": 64}, 4000),
    "128 Gaussians": (KINDS[:2], {"flow_components": 128}, 4000),
    "1,024 Gaussians": (KINDS[:2], {"flow_components": 1024}, 4000),
    "dropout 0.05": (KINDS[:2], {"flow_dropout": 0.05}, 4000),
    "dropout 0.2": (KINDS[:2], {"flow_dropout": 0.2}, 4000),
    "nets of 128": (KINDS[:2], {"flow_hidden": 128}, 4000),
    "twice the steps": (KINDS[:2], {"flow_steps": 2000}, 4000),
    "noise 0.2": (KINDS[:2], {"flow_noise": 0.2}, 4000),
    "one code a car": (KINDS[:1], {}, 4000),
    "2,473 cars": (KINDS[:2], {}, 2473),  # about as many as ShapeNetCore.v2 has to train
    "1,250 cars": (KINDS[:2], {}, FULL),
    "1,250 cars, one code": (KINDS[:1], {}, FULL),
    "1,250 cars, other points": (("plain", "drawn"), {}, FULL),
    "1,250 cars, stretched": (("plain", "stretched"), {}, FULL),
    "1,250 cars, mirrored, stretched": (("plain", "mirrored", "stretched", "stretched, mirrored"), {}, FULL),
    "1,250 cars, all": (KINDS, {}, FULL),
}


def clouds_of(seed: int, number: int, kinds: tuple[str, ...], cfg: Config) -> list[np.ndarray]:
    """The input clouds (n, 3) of these kinds of a car."""
    vertices, faces, _ = make_car(seed, number)
    name, factors = demo_car_name(seed, number), np.random.default_rng([seed, number]).uniform(-STRETCH, STRETCH, 3)
    mesh = scale_mesh(Mesh(vertices, faces))
    found: dict[str, np.ndarray] = {"plain": input_points(mesh, name, cfg)}
    if "mirrored" in kinds:
        found["mirrored"] = turned(found["plain"], True)
    if "drawn" in kinds:
        found["drawn"] = input_points(mesh, f"{name}/1", cfg)
    if "stretched" in kinds:
        found["stretched"] = input_points(stretched(mesh, factors), name, cfg)
        found["stretched, mirrored"] = turned(found["stretched"], True)
    return [found[kind] for kind in kinds]


def kinds_of(split: str, start: int) -> tuple[str, ...]:
    """Of the cars of a part."""
    return KINDS[:1] if split != "train" else KINDS if start < FULL else KINDS[:2]


def encode_all(out: Path, model: NDF, cfg: Config, device: torch.device) -> None:
    """Writes OUT/SPLIT_NNNN.npy (cars, kinds, D) float32 of PART cars each, those that are not there."""
    out.mkdir(parents=True, exist_ok=True)
    for split, seed in SEEDS.items():
        for start in tqdm(range(0, COUNTS[split], PART), desc=f"codes of {split}", unit="part"):
            path = out / f"{split}_{start // PART:04d}.npy"
            if path.is_file():
                continue
            codes = []
            for number in range(start, min(start + PART, COUNTS[split])):
                codes.append(
                    encode_batch(model, np.stack(clouds_of(seed, number, kinds_of(split, start), cfg)), cfg, device)
                )
            with atomic_path(path) as spare, open(spare, "wb") as file:
                np.save(file, np.stack(codes))


def codes_of(out: Path, split: str, kind: str, count: int) -> np.ndarray:
    """Of the first `count` cars, or all if there are fewer, (cars, D) float32."""
    parts = [np.load(out / f"{split}_{start // PART:04d}.npy") for start in range(0, count, PART)]
    return np.concatenate([part[:, KINDS.index(kind)] for part in parts])[:count]


def write_experiment(cfg: Config, out: Path, kinds: tuple[str, ...], cars: int, index: dict[str, Any]) -> None:
    """The codes of a trial as step 4 writes them, the plain ones first; test codes are those of the validation."""
    for split in SPLITS:
        source = "train" if split == "train" else "val"
        count, used = (cars, kinds) if split == "train" else (COUNTS["val"], KINDS[:1])
        rows = [
            {"name": demo_car_name(SEEDS[source], n), "mirrored": "mirrored" in kind, "draw": int(kind in KINDS[2:])}
            for kind in used
            for n in range(count)
        ]
        chosen = np.concatenate([codes_of(out, source, kind, count) for kind in used])
        write_codes(cfg.experiment.codes, split, [chosen], index | {"rows": rows})


@torch.no_grad()
def shares_told(flow: CodeFlow, held_out: torch.Tensor, seed: int) -> dict[str, float]:
    """1-NNA, %, of as many samples against codes (S, D), mean over NNA_SETS sets."""
    real, found = code_coordinates(flow, held_out), []
    for k in range(NNA_SETS):
        noise = torch.randn(len(real), flow.base.noise_dim, generator=torch.Generator().manual_seed(seed + k))
        samples = code_coordinates(flow, flow.inverse(flow.base.place(noise)))
        dims = (flow.dim, num_leading(flow))
        found.append([100 * one_nna_of_points(real[:, :d], samples[:, :d]) for d in dims])
    everywhere, leading = np.mean(found, axis=0)
    return {"nna": everywhere, "nna_leading": leading, "nna_sd": float(np.std(found, axis=0, ddof=1)[0])}


def trial(name: str, out: Path, model: NDF, checkpoint: Path, cfg: Config, device: torch.device) -> dict[str, Any]:
    """Trains the flow, or goes on, and measures it at its best step."""
    kinds, options, cars = TRIALS[name]
    folder = name.replace(" ", "_").replace(",", "")
    cfg = cfg.changed(exp_root=str(out / "trials"), exp_name=folder, **(BASE | options))
    sha256 = fingerprint(checkpoint)
    made_of = {"ndf_sha256": sha256, "options": {}, "shapes": {}}
    if not (cfg.experiment.codes / "test.json").is_file():
        write_experiment(cfg, out, kinds, cars, index_of(model, checkpoint, made_of))
    task = FlowTask(cfg)
    if status := train(task):
        raise SystemExit(status)
    path = cfg.experiment.rnvp_checkpoints / "best.tar"
    state, held_out = load_checkpoint(path), torch.from_numpy(codes_of(out, "val", "plain", COUNTS["val"]))
    flow = load_flow(path, cfg, model.code_shape, sha256, device)
    nll = state["nll_nats_per_dim"]
    found = {"trial": name, "codes": len(task.train_codes), "best_step": state["best_step"], "steps": task.run.step}
    found |= {"seconds": round(task.run.seconds), "train": nll["train"], "val": nll["val"]}
    return found | shares_told(flow, held_out, cfg.run.seed)


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| trial | codes | best step, of | s | training | validation | gap | 1-NNA of codes % | leading |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for r in rows:
        lines.append(
            f"| {r['trial']} | {r['codes']:,} | {r['best_step']:,}, {r['steps']:,} | {r['seconds']} | {r['train']:.3f}"
            f" | {r['val']:.3f} | {r['val'] - r['train']:.3f} | {r['nna']:.1f} ± {r['nna_sd']:.1f}"
            f" | {r['nna_leading']:.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of codes, trials and results.jsonl")
    parser.add_argument("--codes", action="store_true", help="make the codes that are not there")
    parser.add_argument("--trials", nargs="*", help="names of TRIALS; none: all")
    args, options = parser.parse_known_args()
    cfg = get_config(["--config", "configs/demo_cars_pretrained.txt", "--device", "cpu", *options])
    device, checkpoint = pick_device(cfg.run), ndf_checkpoint_path(cfg)
    model = load_frozen_ndf(checkpoint, cfg, device)
    if args.codes:
        encode_all(args.out, model, cfg, device)
    results = args.out / "results.jsonl"
    for name in (args.trials or TRIALS) if args.trials is not None else ():
        row = trial(name, args.out, model, checkpoint, cfg, device)
        with open(results, "a") as file:
            file.write(json.dumps(row) + "\n")
    if results.is_file():
        print(table([json.loads(line) for line in results.read_text().splitlines()]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
