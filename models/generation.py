"""From shape codes to dense point clouds on disk: new shapes, reconstructions, paths between two shapes."""

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from configs.errors import UserError
from configs.files import write_json
from configs.layout import DENSE_POINT_CLOUD, Experiment
from models.codes import Codes, fingerprint, load_codes, ndf_checkpoint_path, read_index
from models.devices import autocast, pick_device
from models.local_model import NDF
from models.ndf_training import load_frozen_ndf
from models.point_cloud_io import write_cloud
from models.projection import NetworkField, dense_point_cloud
from models.real_nvp import CodeFlow
from models.rnvp_training import load_flow, rnvp_checkpoint_path
from models.training import step_seed

DECODER_SEEDS = 1_000_000_000  # numbers from here on seed the points of a cloud, below it the codes


@dataclass
class Shapes:
    """Codes to decode, (S, *code_shape), with a folder name for each and what else goes into its file."""

    codes: Tensor
    names: list[str]
    facts: list[dict[str, Any]] = field(default_factory=list)


class Generator:
    """The two frozen networks of an experiment and what is made with them."""

    def __init__(self, cfg: Namespace):
        self.cfg, self.experiment = cfg, Experiment(cfg)
        self.device = pick_device(cfg)
        self.ndf_path, self.rnvp_path = ndf_checkpoint_path(cfg), rnvp_checkpoint_path(cfg)
        self.sources = {
            "ndf_checkpoint": str(self.ndf_path),
            "ndf_sha256": fingerprint(self.ndf_path),
            "rnvp_checkpoint": str(self.rnvp_path),
            "rnvp_sha256": fingerprint(self.rnvp_path),
        }
        self._check_codes()
        self.ndf: NDF = load_frozen_ndf(self.ndf_path, cfg, self.device)
        self.flow: CodeFlow = load_flow(
            self.rnvp_path, cfg, self.ndf.code_shape, self.sources["ndf_sha256"], self.device
        )

    def _check_codes(self) -> None:
        """Raise UserError if the stored codes, and so the flow, are of another NDF than the one that is to decode."""
        folder = self.experiment.codes
        if (folder / "train.json").is_file() and read_index(folder, "train")["sha256"] != self.sources["ndf_sha256"]:
            raise UserError(
                f"the codes in {folder} are of another NDF checkpoint than {self.ndf_path} (was it trained on since?);"
                f" remove {self.experiment.rnvp_checkpoints} and run: python train_rnvp.py --config {self.cfg.config}"
            )

    def sampled(self, num: int, seed: int, first: int = 0) -> Shapes:
        """New shapes, numbers first, first + 1, ... of a seed. None depends on the others, the device or the batch."""
        z = self.cfg.temperature * self.latents(num, seed, first)
        codes = torch.cat([self.flow.inverse(one) for one in z.split(1)])  # one by one: a batch rounds differently
        numbers = range(first, first + num)
        facts = [{"seed": seed, "number": n, "temperature": self.cfg.temperature} for n in numbers]
        return Shapes(codes, [str(n) for n in numbers], facts)

    def latents(self, num: int, seed: int, first: int = 0) -> Tensor:
        """Standard normal (num, D), row n from a generator of its own, number first + n."""
        rows = [torch.randn(self.flow.dim, generator=shape_generator(seed, first + n)) for n in range(num)]
        return torch.stack(rows).to(self.device)

    def reconstructed(self, split: str, num: int | None = None) -> Shapes:
        """Shapes of a split from their own codes."""
        stored = load_codes(self.cfg, split).one_per_shape()
        names = [row["name"] for row in stored.rows][:num]
        return Shapes(torch.from_numpy(np.array(stored.codes[:num])).to(self.device), names)

    def interpolated(self, num: int) -> Shapes:
        """A straight path between the latents z of two test shapes: every point of it is a likely shape."""
        stored = load_codes(self.cfg, "test").one_per_shape()
        ends = [
            find_shape(stored, self.cfg.interpolate_from, default=0),
            find_shape(stored, self.cfg.interpolate_to, default=1),
        ]
        codes = torch.from_numpy(np.array(stored.codes[ends])).to(self.device)
        z, _ = self.flow(codes)
        share = torch.linspace(0, 1, num, device=self.device)[:, None]
        path = self.flow.inverse((1 - share) * z[0] + share * z[1])
        end_names = [stored.rows[end]["name"] for end in ends]
        facts = [{"between": end_names, "share": n / max(1, num - 1)} for n in range(num)]
        return Shapes(path, [f"{n:03d}" for n in range(num)], facts)

    def clouds(
        self, shapes: Shapes, num_points: int, description: str | None = None, first: int = 0
    ) -> Iterator[np.ndarray]:
        """Decode shape after shape: (num_points, 3) float32 mesh units each, with a bar where there is a description.

        first: number of the first shape's random stream, from which the points of a cloud are drawn.
        """
        cfg = self.cfg
        hidden = True if description is None else None
        for n, code in enumerate(tqdm(shapes.codes, desc=description, unit="shape", disable=hidden), first):
            with autocast(self.device, cfg.precision), torch.no_grad():
                grids = self.ndf.features(code[None])
            generator = shape_generator(cfg.seed, DECODER_SEEDS + n)
            cloud = dense_point_cloud(
                NetworkField(self.ndf, grids),
                num_points,
                generator,
                cfg.num_steps,
                cfg.filter_val,
                chunk=cfg.num_sample_points_generation,
            )
            yield cloud.cpu().numpy()

    def write(self, shapes: Shapes, folder: Path, num_points: int, description: str, ply: bool = True) -> bool:
        """Decode shapes into `folder/<name>/dense_point_cloud.{npz,ply}`, unless that is done. True if it was done.

        Each file holds point_cloud (num_points, 3) float32 mesh units, code, log_likelihood (nats, of the code) and
        nll_nats_per_dim (whitened); `index.json` says what made them. Without `ply` only the .npz is written.
        """
        index = self.index(shapes, num_points)
        index_path = folder / "index.json"
        if index_path.is_file() and json.loads(index_path.read_text()) == index and all_there(folder, shapes.names):
            return True
        index_path.unlink(missing_ok=True)
        for n, cloud in enumerate(self.clouds(shapes, num_points, description)):
            code = shapes.codes[n : n + 1]
            with torch.no_grad():
                log_likelihood, nats_per_dim = self.flow.log_prob(code).item(), self.flow.nats_per_dim(code).item()
            write_cloud(
                folder / shapes.names[n],
                cloud,
                ply,
                code=code[0].cpu().numpy(),
                log_likelihood=log_likelihood,
                nll_nats_per_dim=nats_per_dim,
                seed=self.cfg.seed,
            )
        write_json(index_path, index)
        return False

    def index(self, shapes: Shapes, num_points: int) -> dict[str, Any]:
        """What the files of `write` are made of: the same index, the same files."""
        return {
            **self.sources,
            "num_points": num_points,
            **{name: getattr(self.cfg, name) for name in ("seed", "num_steps", "filter_val")},
            "shapes": shapes.names,
            "facts": shapes.facts,
        }


def shape_generator(seed: int, number: int) -> torch.Generator:
    """Random numbers of one shape, on the CPU: the same on every device."""
    return torch.Generator().manual_seed(step_seed(seed, number))


def all_there(folder: Path, names: list[str]) -> bool:
    return all((folder / name / DENSE_POINT_CLOUD).is_file() for name in names)


def find_shape(stored: Codes, name: str | None, default: int) -> int:
    """The row of a test shape by name, or the default one. Raises UserError if there is none of that name."""
    names = [row["name"] for row in stored.rows]
    if name is None:
        return min(default, len(names) - 1)
    if name not in names:
        raise UserError(f"no test shape is named {name!r}; the test split has {', '.join(names[:3])}, ...")
    return names.index(name)
