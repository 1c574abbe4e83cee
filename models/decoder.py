"""Clouds of shapes by a frozen NDF, and their files: what generation and plain reconstruction share."""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from configs.files import write_json
from configs.layout import DENSE_POINT_CLOUD, Experiment
from dataprocessing.shapes import shape_name
from models.codes import encode_clouds, fingerprint, ndf_checkpoint_path
from models.data.shape_samples import read_cloud, split_folders
from models.devices import autocast, pick_device
from models.local_model import NDF
from models.ndf_training import load_frozen_ndf
from models.point_cloud_io import write_cloud
from models.projection import NetworkField, dense_point_cloud
from models.training import step_seed

DECODER_SEEDS = 1_000_000_000  # numbers from here on seed the points of a cloud, below it the codes
Code = Tensor | list[Tensor]  # (1, *code_shape); of a plain NDF its pyramid, [(1, C_i, R_i, R_i, R_i)]


@dataclass
class Shapes:
    """Codes to decode, (S, *code_shape), with a folder name for each and what else goes into its file."""

    codes: Tensor
    names: list[str]
    facts: Sequence[dict[str, Any]] = ()

    def code(self, n: int) -> Code:
        """The code of shape n as a batch of one."""
        return self.codes[n : n + 1]


@dataclass
class InputShapes:
    """Shapes that are encoded when their turn comes: `code(n)` is that of shape n as a batch of one."""

    names: list[str]
    code: Callable[[int], Code]
    facts: Sequence[dict[str, Any]] = ()


class Decoder:
    """The frozen NDF of an experiment. Reconstructs shapes from their input clouds, also where no codes are stored."""

    def __init__(self, cfg: Namespace):
        self.cfg, self.experiment = cfg, Experiment(cfg)
        self.device = pick_device(cfg)
        self.ndf_path = ndf_checkpoint_path(cfg)
        self.sources = {"ndf_checkpoint": str(self.ndf_path), "ndf_sha256": fingerprint(self.ndf_path)}
        self.ndf: NDF = load_frozen_ndf(self.ndf_path, cfg, self.device)

    def encoded_inputs(self, split: str, num: int | None = None) -> InputShapes:
        """Shapes of a split, to be encoded from their stored input clouds."""
        folders = split_folders(self.cfg)[split][:num]

        def code(n: int) -> Code:
            return encode_clouds(self.ndf, read_cloud(folders[n], self.cfg)[None], self.cfg, self.device)

        return InputShapes([shape_name(folder) for folder in folders], code)

    def clouds(
        self, shapes: Shapes | InputShapes, num_points: int, description: str | None = None, first: int = 0
    ) -> Iterator[np.ndarray]:
        """Decode shape after shape: (num_points, 3) float32 mesh units each, with a bar where there is a description.

        first: number of the first shape's random stream, from which the points of a cloud are drawn.
        """
        hidden = True if description is None else None
        for n in tqdm(range(len(shapes.names)), desc=description, unit="shape", disable=hidden):
            yield self.decode(shapes.code(n), num_points, first + n)

    def decode(self, code: Code, num_points: int, number: int) -> np.ndarray:
        """The cloud (num_points, 3) float32, mesh units, of one code (a batch of one), by random stream `number`."""
        cfg = self.cfg
        with autocast(self.device, cfg.precision), torch.no_grad():
            grids = self.ndf.features(code)
        field = NetworkField(self.ndf, grids)
        generator = shape_generator(cfg.seed, DECODER_SEEDS + number)
        chunk = cfg.num_sample_points_generation
        return dense_point_cloud(field, num_points, generator, cfg.num_steps, cfg.filter_val, chunk).cpu().numpy()

    def write(
        self, shapes: Shapes | InputShapes, folder: Path, num_points: int, description: str, ply: bool = True
    ) -> bool:
        """Decode shapes into `folder/<name>/dense_point_cloud.{npz,ply}`, unless that is done. True if it was done.

        Each file holds point_cloud (num_points, 3) float32 mesh units, seed, and `arrays_of` its code; `index.json`
        says what made them. Without `ply` only the .npz is written.
        """
        index = self.index(shapes, num_points)
        index_path = folder / "index.json"
        if index_path.is_file() and json.loads(index_path.read_text()) == index and all_there(folder, shapes.names):
            return True
        index_path.unlink(missing_ok=True)
        for n, name in enumerate(tqdm(shapes.names, desc=description, unit="shape", disable=None)):
            code = shapes.code(n)
            cloud = self.decode(code, num_points, n)
            write_cloud(folder / name, cloud, ply, seed=self.cfg.seed, **self.arrays_of(code))
        write_json(index_path, index)
        return False

    def arrays_of(self, code: Code) -> dict[str, Any]:
        """What the file of a cloud says of its code (a batch of one): the code, but not a plain NDF's whole pyramid."""
        return {"code": code[0].float().cpu().numpy()} if isinstance(code, Tensor) else {}

    def index(self, shapes: Shapes | InputShapes, num_points: int) -> dict[str, Any]:
        """What the files of `write` are made of: the same index, the same files."""
        kind = self.ndf.code_kind
        return {
            **self.sources,
            "code_kind": kind,
            "code_shape": None if kind == "none" else list(self.ndf.code_shape),
            "num_points": num_points,
            **{name: getattr(self.cfg, name) for name in ("seed", "num_steps", "filter_val")},
            "shapes": shapes.names,
            "facts": list(shapes.facts),
        }


def shape_generator(seed: int, number: int) -> torch.Generator:
    """Random numbers of one shape, on the CPU: the same on every device."""
    return torch.Generator().manual_seed(step_seed(seed, number))


def all_there(folder: Path, names: list[str]) -> bool:
    return all((folder / name / DENSE_POINT_CLOUD).is_file() for name in names)
