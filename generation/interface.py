"""Shapes in a notebook: load trained networks, then sample, reconstruct, score and mesh with a call each.

    from generation.interface import load

    cars = load("configs/demo_cars_pretrained.txt")
    codes = cars.sample(4, seed=0)             # (4, 128)
    mesh = cars.mesh(codes[0])                 # vertices, faces, normals

Everything is a numpy array, in mesh units: the longest side of a shape is 1, its box is centred at 0, x points right,
y up, -z to the front. The networks themselves, with gradients, are `cars.networks.ndf` and `cars.networks.flow`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from configs.config_loader import get_config
from frozen.loading import encode_clouds
from generation.decode import decode, field_of
from generation.latents import likelihoods
from generation.meshing import OpenMesh, mesh_of
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes, applies
from generation.sampling import sampled_codes
from models.distance_network import WITHOUT_CODE
from runtime.errors import UserError

Array = NDArray[np.float32]

SLACK = 0.01  # mesh units, by which decoded clouds may protrude from the box


class Generator:
    """Trained networks of one experiment: shapes have codes (*code_shape), of which all here depends."""

    def __init__(self, networks: Networks):
        if (kind := networks.ndf.code_kind) in WITHOUT_CODE:
            raise UserError(f"code_kind {kind} found: such a network has no codes; vector, grid or fused expected")
        self.networks = networks
        self.code_shape: tuple[int, ...] = networks.ndf.code_shape

    def sample(self, num: int, seed: int = 0, first: int = 0) -> Array:
        """Codes (num, *code_shape) of new shapes number first, first + 1, ... of a seed, as generate.py samples them.

        Each is independent of how many are asked for. Raises UserError without a flow.
        """
        return _array(sampled_codes(self.networks, num, seed, first))

    def reconstruct(self, points: NDArray[np.floating]) -> Array:
        """The code (*code_shape) of a shape, from points (N, 3) of its surface in mesh units.

        With a flow, a vector code unlike those of the training is brought near them, as generate.py does. Raises
        UserError for points that are not (N, 3), not finite, or outside the encoder's box by more than `SLACK`; such as
        are less far out mark its sides.
        """
        grid = self.networks.cfg.grid
        cloud = np.ascontiguousarray(points, np.float32)
        if cloud.ndim != 2 or cloud.shape[1] != 3 or not len(cloud):
            raise UserError(f"points of shape {np.shape(points)} found, (N, 3) expected")
        low, high = grid.bb_min - SLACK, grid.bb_max + SLACK
        if not (np.isfinite(cloud).all() and cloud.min() >= low and cloud.max() <= high):
            raise UserError(
                f"points from {cloud.min():g} to {cloud.max():g} found, finite ones from {grid.bb_min:g} to"
                f" {grid.bb_max:g} expected: centre the shape and divide it by its longest side"
            )
        code = encode_clouds(self.networks.ndf, cloud[None], self.networks.cfg, self.networks.device)
        assert isinstance(code, Tensor)  # the networks of __init__ have codes
        if applies(self.networks):
            code = PlausibleCodes(self.networks, ["shape"], [code], lambda n: cloud)[0]
        own: Array = _array(code)[0]
        return own

    def log_prob(self, codes: NDArray[np.floating]) -> NDArray[np.float64]:
        """log p of codes (S, *code_shape) in their own units, nats: (S,). Raises UserError without a flow."""
        log_likelihood, _ = likelihoods(self.networks, np.asarray(codes, np.float32))
        values: NDArray[np.float64] = log_likelihood.double().cpu().numpy()
        return values

    def cloud(self, code: NDArray[np.floating], num_points: int = 100_000, number: int = 0) -> Array:
        """Points (num_points, 3) of the surface of a code (*code_shape), drawn from random stream `number`."""
        return decode(self.networks, self._batch(code), num_points, number)

    def mesh(self, code: NDArray[np.floating], resolution: int = 160) -> OpenMesh:
        """The open triangle mesh of a code (*code_shape), on a lattice of `resolution` cells per axis."""
        chunk = self.networks.cfg.decoding.num_sample_points_generation
        return mesh_of(field_of(self.networks, self._batch(code)), resolution, chunk)

    def distances(self, code: NDArray[np.floating], points: NDArray[np.floating]) -> Array:
        """Unsigned distances (N,) that a code (*code_shape) decodes to at points (N, 3)."""
        field = field_of(self.networks, self._batch(code))
        return _array(field.plain_distance(torch.from_numpy(np.asarray(points, np.float32)).to(self.networks.device)))

    def _batch(self, code: NDArray[np.floating]) -> Tensor:
        if np.shape(code) != self.code_shape:
            raise UserError(f"a code of shape {np.shape(code)} found, {self.code_shape} expected")
        return torch.from_numpy(np.asarray(code, np.float32))[None].to(self.networks.device)


def load(config: str, **options: object) -> Generator:
    """The trained networks that a config file names; options as on the command line: `load(path, device="cpu")`.

    Raises UserError for unknown options, and if there is no trained NDF.
    """
    words = [f"--{name}={value}" for name, value in options.items()]
    return Generator(Networks(get_config(["--config", config, *words])))


def _array(values: Tensor) -> Array:
    array: Array = values.detach().float().cpu().numpy()
    return array
