"""Preprocessed shapes and trained networks, so small that tests make them: spheres of several radii."""

from pathlib import Path

import numpy as np
import torch
import trimesh

from configs.options import Config
from dataprocessing.extra_shapes import find_extras
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from frozen.checkpoint_files import best_checkpoint, ndf_checkpoint_path
from frozen.loading import load_frozen_ndf
from generation.networks import Networks
from generation.shape_folder import ShapeFolder
from generation.shapes import Shapes
from lab.small.helpers import read_config
from lab.small.network_weights import random_weights
from models.occupancy import occupancy_from_points, to_grid_coords
from models.shape_codes import build_ndf
from runtime.devices import pick_device
from runtime.files import write_npz
from runtime.layout import (
    GAP_SAMPLES,
    SCALED_MESH,
    SHARP_SAMPLES,
    UNIFORM_SAMPLES,
    boundary_samples,
    voxelized_point_cloud,
)
from training.checkpoints import save_checkpoint
from training.flow_codes import make_codes
from training.flow_task import FlowTask
from training.loop import train
from training.ndf_task import NDFTask

SMALL = {
    "code_kind": "vector", "latent_dim": 5, "encoder_channels": [3, 4], "hidden_dim": 8, "decoder_hidden": 7,
    "decoder_resolution": [3, 6], "decoder_channels": [4, 3], "plane_resolution": [4], "plane_channels": [3],
    "input_res": 9, "num_sample_points_training": 67, "num_hard_points": 3,
    "batch_size": 2, "num_epochs": 2, "val_every": 3, "lr": 0.01, "warmup_steps": 1,
}  # fmt: skip
# The networks of `make_experiment`.
TINY = SMALL | {
    "flow_steps": 20, "flow_val_every": 10, "flow_couplings": 2, "flow_hidden": 8, "warmup_steps": 1,
    "num_output_points": 90, "num_shapes": 3, "num_eval_shapes": 4, "num_eval_points": 60,
    "num_eval_points_dense": 80, "num_whole_shapes": 0,
}  # fmt: skip


def ndf_task(folder: Path, **options: object) -> NDFTask:
    """The training of a `SMALL` network, with other options, on the shapes that `write_shapes` wrote to a folder."""
    cfg = read_config(folder, **(SMALL | options))
    return NDFTask(cfg, split_folders(cfg))


def write_shapes(folder: Path, count: int = 6, points: int = 90, seed: int = 0, num_test: int = 1) -> None:
    """Spheres of several radii, preprocessed, with a split: the last ones are for the test, one for validation."""
    rng = np.random.default_rng(seed)
    folders = [folder / "data" / f"sphere{i}" for i in range(count)]
    for i, place in enumerate(folders):
        radius = 0.2 + 0.25 * i / count
        place.mkdir(parents=True)
        cloud = rng.normal(size=(53, 3))
        cloud *= radius / np.linalg.norm(cloud, axis=1, keepdims=True)
        write_npz(place / voxelized_point_cloud(9, 53), point_cloud=cloud.astype(np.float32))
        for name in (boundary_samples(0.08), boundary_samples(0.003), UNIFORM_SAMPLES, GAP_SAMPLES, SHARP_SAMPLES):
            draw = (
                np.random.default_rng(len(name)) if name == SHARP_SAMPLES else rng
            )  # the other draws stay as they were
            p = draw.uniform(-0.55, 0.55, (points, 3))
            df = np.abs(np.linalg.norm(p, axis=1) - radius)
            write_npz(place / name, points=p.astype(np.float32), df=df.astype(np.float32))  # float64 is NDF's
        trimesh.creation.icosphere(subdivisions=2, radius=radius).export(place / SCALED_MESH)
    names = [str(place) for place in folders]
    num_train = count - 1 - num_test
    write_npz(folder / "split.npz", train=names[:num_train], val=names[num_train:-num_test], test=names[-num_test:])


def tiny_config(folder: Path, **options: object) -> Config:
    """The configuration of `make_experiment`; `options` win."""
    return read_config(folder, **(TINY | options))


def tiny_networks(folder: Path, **options: object) -> Networks:
    """The networks of `make_experiment`, read anew; `options` win."""
    return Networks(tiny_config(folder, **options))


def best_ndf(folder: Path, **options: object) -> Path:
    """Its best checkpoint of an NDF, or that of another experiment below the folder."""
    return best_checkpoint(tiny_config(folder, **options).experiment.ndf_checkpoints)


def best_flow(folder: Path, **options: object) -> Path:
    return best_checkpoint(tiny_config(folder, **options).experiment.rnvp_checkpoints)


def make_experiment(folder: Path) -> Config:
    """Twelve spheres, an NDF with random weights that has surfaces, codes and a flow of them, below `folder`."""
    write_shapes(folder, count=12, num_test=4)
    cfg = tiny_config(folder)
    save_random_ndf(cfg)
    train_flow(cfg)
    return cfg


def save_random_ndf(cfg: Config, seed: int = 1) -> None:
    """A checkpoint with random weights, shifted and scaled: its field is 0 somewhere in the box, and about as steep as
    a distance there."""
    model = random_weights(build_ndf(cfg.values()), seed)
    clouds = np.stack([read_input_cloud(folder, cfg) for folder in split_folders(cfg)["train"]])
    grids = model.features(model.encode(occupancy_from_points(torch.from_numpy(clouds), cfg.grid.input_res, -0.5, 0.5)))
    box = torch.rand(len(clouds), 500, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    model.activate = lambda raw: raw
    points = box.requires_grad_()
    raw = model.query(to_grid_coords(points), grids)
    (gradient,) = torch.autograd.grad(raw.sum(), points)
    with torch.no_grad():
        scale = 1 / gradient.norm(dim=-1).median()
        model.fc_out.bias.copy_(scale * (model.fc_out.bias - raw.median()))
        model.fc_out.weight.mul_(scale)
    state = {"model_state_dict": model.state_dict(), "training_time": float(seed), "best": 0.25}
    save_checkpoint(cfg.experiment.ndf_checkpoints, state | {"config": cfg.values()}, is_best=True)


def make_shapes(networks: Networks, shapes: Shapes, folder: Path) -> int:
    """What generate.py does for the clouds of some shapes. Returns how many were made."""
    made = ShapeFolder(networks, shapes, folder)
    with made.locked():
        return made.make()[0]


def train_flow(cfg: Config) -> None:
    """What train_rnvp.py does."""
    encode(cfg)
    train(FlowTask(cfg))


def encode(cfg: Config) -> None:
    device, checkpoint = pick_device(cfg.run), ndf_checkpoint_path(cfg)
    ndf, folders = load_frozen_ndf(checkpoint, cfg, device), split_folders(cfg)
    make_codes(ndf, checkpoint, folders, find_extras(cfg, folders), cfg, device)
