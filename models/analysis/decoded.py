"""Clouds decoded from codes, kept on disk: a second run decodes nothing twice."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from configs.files import write_npz
from models.generation import Generator, Shapes

CODES_AT_A_TIME = 32  # that go through the flow together: a fused code has a quarter of a million numbers


def decoded_clouds(
    generator: Generator, codes: Tensor, num_points: int, name: str, description: str, first: int = 0
) -> NDArray[np.float32]:
    """Clouds (S, num_points, 3), mesh units, of codes (S, *code_shape), from the experiment's cache if it has them.

    name: of the file in the cache, which is written over where codes, NDF or options differ. description: of the bar.
    first: number of the first shape's random stream, see `Generator.clouds`.
    """
    path = generator.experiment.analysis_cache / f"{name}.npz"
    index = index_text(generator, codes, num_points, first)
    found = read_array(path, "point_cloud", index)
    if found is None:
        shapes = Shapes(codes, [str(n) for n in range(len(codes))])
        found = np.stack(list(generator.clouds(shapes, num_points, description, first)))
        write_npz(path, point_cloud=found, index=np.array(index))
    return found


def index_text(generator: Generator, codes: Tensor, num_points: int, first: int) -> str:
    """What clouds are made of, as JSON: the same text, the same clouds."""
    options = {name: getattr(generator.cfg, name) for name in ("seed", "num_steps", "filter_val")}
    content = hashlib.sha256(np.ascontiguousarray(codes.cpu().numpy()).data).hexdigest()
    made_of = {"codes": content, "ndf_sha256": generator.sources["ndf_sha256"], "num_points": num_points}
    return json.dumps({**options, **made_of, "first": first}, sort_keys=True)


def read_array(path: Path, name: str, index: str) -> NDArray | None:
    """An array of a cache file, or None where the file is missing, damaged or of another index."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return file[name] if str(file["index"]) == index else None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


@torch.no_grad()
def latents_of(generator: Generator, codes: Tensor) -> Tensor:
    """The flow's z (S, D) of codes (S, *code_shape)."""
    return torch.cat([generator.flow(part.to(generator.device))[0] for part in codes.split(CODES_AT_A_TIME)])


@torch.no_grad()
def codes_of(generator: Generator, z: Tensor) -> Tensor:
    """The codes (S, *code_shape) of z (S, D), one by one as in `Generator.sampled`: a batch rounds otherwise."""
    return torch.cat([generator.flow.inverse(one) for one in z.split(1)])


@torch.no_grad()
def log_likelihoods(generator: Generator, codes: Tensor) -> NDArray[np.float64]:
    """log p of codes (S, *code_shape) in their own units, nats, (S,)."""
    parts = [generator.flow.log_prob(part) for part in codes.split(CODES_AT_A_TIME)]
    return torch.cat(parts).double().cpu().numpy()
