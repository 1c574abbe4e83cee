"""From a code to the points of its cloud, and what is known of the code."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from generation.distance_fields import NetworkField
from generation.latents import likelihoods
from generation.networks import Networks
from generation.projection import cloud_parts
from models.distance_network import Code
from runtime.devices import autocast
from runtime.seeds import POINT_STREAMS, random_stream

if TYPE_CHECKING:
    from generation.cloud_files import Cloud


def decode(networks: Networks, code: Code, num_points: int, number: int) -> "Cloud":
    """The cloud (num_points, 3) float32, mesh units, of one code (batch of 1), drawn from random stream `number`."""
    return np.concatenate(list(decode_parts(networks, field_of(networks, code), num_points, number)))


def decode_parts(networks: Networks, field: NetworkField, num_points: int, number: int) -> Iterator["Cloud"]:
    """The points of a field in parts (N, 3), as they are made: a cloud of any size is never in memory as a whole."""
    cfg, stream = networks.cfg, random_stream(networks.cfg.run.seed, POINT_STREAMS + number)
    chunk = cfg.decoding.num_sample_points_generation
    for part in cloud_parts(field, num_points, stream, cfg.decoding.num_steps, cfg.decoding.filter_val, chunk):
        yield part.cpu().numpy()


def field_of(networks: Networks, code: Code) -> NetworkField:
    """The distance field that one code (batch of 1) decodes to; of the code asked for last the same one again."""
    if isinstance(code, Tensor) and networks.last_field is not None and torch.equal(networks.last_field[0], code):
        return networks.last_field[1]
    with autocast(networks.device, networks.cfg.run.precision), torch.no_grad():
        field = NetworkField(networks.ndf, networks.ndf.features(code))
    networks.last_field = (code.clone(), field) if isinstance(code, Tensor) else None
    return field


def decode_each(
    networks: Networks, codes: Sequence[Code], num_points: int, description: str | None = None, first: int = 0
) -> Iterator["Cloud"]:
    """Decode codes one by one (batches of one), with a progress bar if there is a description.

    first: number of the random stream from which the points of the first cloud are drawn.
    """
    from tqdm import tqdm

    hidden = True if description is None else None
    for n, code in enumerate(tqdm(codes, desc=description, unit="shape", disable=hidden)):
        yield decode(networks, code, num_points, first + n)


def arrays_of(networks: Networks, code: Code) -> dict[str, Any]:
    """What the file of a cloud stores about its code (a batch of one).

    The code itself and, if there is a flow, its log_likelihood (nats) and nll_nats_per_dim (whitened). Nothing for a
    plain NDF, whose code is a whole pyramid.
    """
    if not isinstance(code, Tensor):
        return {}
    arrays: dict[str, Any] = {"code": code[0].cpu().numpy()}
    if networks.has_flow:
        log_likelihood, nats_per_dim = likelihoods(networks, code)
        arrays |= {"log_likelihood": log_likelihood.item(), "nll_nats_per_dim": nats_per_dim.item()}
    return arrays
