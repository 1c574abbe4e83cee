"""What to decode: samples of the flow, test shapes from their input points, and paths between two test shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from dataprocessing.shapes import shape_name
from generation.latents import codes_of, draw_latents
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes, applies
from models.ndf import Code
from training.shape_samples import read_input_cloud, split_folders
from training.stored_codes import encode_clouds


@dataclass
class Shapes:
    """Codes to decode, each a batch of one, with a folder name for each and facts for the index of their files."""

    names: list[str]
    codes: Sequence[Code]
    facts: Sequence[dict[str, Any]] = ()


class InputCodes(Sequence[Code]):
    """The codes of shapes, each encoded from its stored input cloud on access.

    Encoded in the batches of `stored_codes.encode_splits`, since rounding depends on the batch size; the pyramids of a
    plain NDF are never stored, and are too large for more than one at a time.
    """

    def __init__(self, networks: Networks, folders: list[Path], num: int | None = None):
        """folders: of all shapes of the split; num: how many of them to use, default all."""
        self.networks, self.folders, self.num = networks, folders, len(folders[:num])
        self.batch_size = 1 if networks.ndf.code_kind == "none" else networks.cfg.batch_size
        self._start = -1
        self._batch: list[Code] = []

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, n: Any) -> Any:
        if not 0 <= n < self.num:
            raise IndexError(n)
        start = n - n % self.batch_size
        if start != self._start:
            self._start, self._batch = start, self._encode(self.folders[start : start + self.batch_size])
        return self._batch[n - start]

    def _encode(self, folders: list[Path]) -> list[Code]:
        cfg = self.networks.cfg
        clouds = np.stack([read_input_cloud(folder, cfg) for folder in folders])
        codes = encode_clouds(self.networks.ndf, clouds, cfg, self.networks.device)
        return list(codes.float().split(1)) if isinstance(codes, Tensor) else [codes]


def sampled(networks: Networks, num: int, seed: int) -> Shapes:
    """New shapes, numbers 0, 1, ... of a seed. Each is independent of the others, of `num` and of the device."""
    facts = [{"seed": seed, "number": n, "temperature": networks.cfg.temperature} for n in range(num)]
    return Shapes([str(n) for n in range(num)], sampled_codes(networks, num, seed).split(1), facts)


def sampled_codes(networks: Networks, num: int, seed: int, first: int = 0) -> Tensor:
    """The codes (num, *code_shape) of shapes number first, first + 1, ... of a seed."""
    return codes_of(networks, networks.cfg.temperature * draw_latents(networks, num, seed, first))


def reconstructed(networks: Networks, split: str, num: int | None = None) -> Shapes:
    """The first shapes of a split, encoded from their input points: needs neither a flow nor stored codes.

    Where it `applies`, codes off the training data are brought back.
    """
    cfg, folders = networks.cfg, split_folders(networks.cfg, needed=[split])[split]
    names, codes = [shape_name(folder) for folder in folders[:num]], InputCodes(networks, folders, num)
    if not applies(networks):
        return Shapes(names, codes)
    return Shapes(names, PlausibleCodes(networks, names, codes, lambda n: read_input_cloud(folders[n], cfg)))


def interpolated(networks: Networks, num: int) -> Shapes:
    """A straight path between the latents z of two test shapes: every point on it is a likely shape.

    Raises UserError if no test shape has the name that `interpolate_from` or `interpolate_to` gives.
    """
    cfg, folders = networks.cfg, split_folders(networks.cfg, needed=["test"])["test"]
    names = [shape_name(folder) for folder in folders]
    ends = [find_shape(names, cfg.interpolate_from, default=0), find_shape(names, cfg.interpolate_to, default=1)]
    codes = InputCodes(networks, folders)
    z, _ = networks.flow(torch.cat([codes[end] for end in ends]))
    share = torch.linspace(0, 1, num, device=networks.device)[:, None]
    path = networks.flow.inverse((1 - share) * z[0] + share * z[1])
    facts = [{"between": [names[end] for end in ends], "share": n / max(1, num - 1)} for n in range(num)]
    return Shapes([f"{n:03d}" for n in range(num)], path.split(1), facts)


def find_shape(names: list[str], name: str | None, default: int) -> int:
    """The index of a test shape by name, or the default one. Raises UserError if no shape has that name."""
    if name is None:
        return min(default, len(names) - 1)
    if name not in names:
        raise UserError(f"no test shape is named {name!r}; the test split has {', '.join(names[:3])}, ...")
    return names.index(name)
