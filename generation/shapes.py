"""What to decode: shapes from their input points, and paths between two of them. Samples: generation/sampling.py."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from dataprocessing.frames import Frame
from dataprocessing.own_meshes import OWN_MESHES, OwnMeshes
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from frozen.loading import encode_clouds
from generation.latents import path_between
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes, applies
from models.ndf import Code

CloudOf = Callable[[int], np.ndarray]  # number of a shape -> its input points (n, 3) float32, mesh units


@dataclass
class Shapes:
    """Codes to decode, each a batch of one, with a folder name for each and facts for the index of their files.

    frames: where the shapes lie in their users' files; without, clouds stay in the unit box. about: facts of all.
    """

    names: list[str]
    codes: Sequence[Code]
    facts: Sequence[dict[str, Any]] = ()
    frames: Sequence[Frame] = ()
    about: dict[str, Any] = field(default_factory=dict)


class InputCodes(Sequence[Code]):
    """The codes of shapes, each encoded from its input cloud on access.

    Encoded in the batches of `stored_codes.encode_splits`, since rounding depends on the batch size; the pyramids of a
    plain NDF are never stored, and are too large for more than one at a time.
    """

    def __init__(self, networks: Networks, cloud: CloudOf, total: int, num: int | None = None):
        """cloud: of shape n of `total`; num: how many of them to use, default all."""
        self.networks, self.cloud, self.total = networks, cloud, total
        self.num = total if num is None else min(num, total)
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
            self._start, self._batch = start, self._encode(range(start, min(start + self.batch_size, self.total)))
        return self._batch[n - start]

    def _encode(self, numbers: Sequence[int]) -> list[Code]:
        clouds = np.stack([self.cloud(n) for n in numbers])
        codes = encode_clouds(self.networks.ndf, clouds, self.networks.cfg, self.networks.device)
        return list(codes.float().split(1)) if isinstance(codes, Tensor) else [codes]


def reconstructed(networks: Networks, split: str, num: int | None = None) -> Shapes:
    """The first shapes of a split, encoded from their input points: needs neither a flow nor stored codes.

    Raises UserError if two of them have one name, and so would overwrite each other.
    """
    folders = split_folders(networks.cfg, needed=[split])[split]
    names = [shape_name(folder) for folder in folders[:num]]
    if twice := next((name for name in names if names.count(name) > 1), None):
        places = [str(folder) for folder in folders[:num] if shape_name(folder) == twice]
        raise UserError(f"{places[0]} and {places[1]} have one name, {twice}; rename one, or --input_data_glob any")
    return Shapes(names, codes_of_clouds(networks, names, stored_clouds(folders, networks.cfg), len(folders)))


def reconstructed_meshes(networks: Networks, own: OwnMeshes) -> Shapes:
    """Somebody's own meshes, encoded from points drawn from them: needs no split, no stored codes and no flow."""
    cfg, meshes = networks.cfg, own.meshes
    names = [one.name for one in meshes]
    codes = codes_of_clouds(networks, names, lambda n: meshes[n].cloud, len(meshes))
    left_out = {own.relative(path): reason for path, reason in own.left_out.items()}
    about = {OWN_MESHES: str(own.folder), "keep_frame": cfg.keep_frame, "left_out": left_out}
    return Shapes(names, codes, own.facts(cfg), [one.frame for one in meshes], about)


def codes_of_clouds(networks: Networks, names: list[str], cloud: CloudOf, total: int) -> Sequence[Code]:
    """The codes of the first of `total` shapes, as many as there are names, from their input clouds.

    Where it `applies`, codes off the training data are brought back.
    """
    codes = InputCodes(networks, cloud, total, len(names))
    return PlausibleCodes(networks, names, codes, cloud) if applies(networks) else codes


def stored_clouds(folders: Sequence[Path], cfg: Namespace) -> CloudOf:
    """Reads the input cloud of each shape, preprocessed in its folder."""
    return lambda n: read_input_cloud(folders[n], cfg)


def interpolated(networks: Networks, num: int) -> Shapes:
    """The path between the latents z of two test shapes: every point on it is a likely shape.

    Raises UserError if no test shape has the name that `interpolate_from` or `interpolate_to` gives.
    """
    cfg, folders = networks.cfg, split_folders(networks.cfg, needed=["test"])["test"]
    names = [shape_name(folder) for folder in folders]
    ends = [find_shape(names, cfg.interpolate_from, default=0), find_shape(names, cfg.interpolate_to, default=1)]
    codes = InputCodes(networks, stored_clouds(folders, cfg), len(folders))
    z, _ = networks.flow(torch.cat([codes[end] for end in ends]))
    share = torch.linspace(0, 1, num, device=networks.device)[:, None]
    path = networks.flow.inverse(path_between(networks.flow, z[:1], z[1:], share))
    facts = [{"between": [names[end] for end in ends], "share": n / max(1, num - 1)} for n in range(num)]
    return Shapes([f"{n:03d}" for n in range(num)], path.split(1), facts)


def find_shape(names: list[str], name: str | None, default: int) -> int:
    """The index of a test shape by name, or the default one. Raises UserError if no shape has that name."""
    if name is None:
        return min(default, len(names) - 1)
    if name not in names:
        raise UserError(f"no test shape is named {name!r}; the test split has {', '.join(names[:3])}, ...")
    return names.index(name)
