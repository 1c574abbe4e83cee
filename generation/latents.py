"""Many codes through the flow: z, whitened codes and likelihoods, in batches that fit into memory."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generation.networks import Networks
from models.real_nvp import CodeFlow
from runtime.seeds import random_stream

NUMBERS_AT_A_TIME = 2**23  # in one batch of codes through the flow; a fused code has a quarter of a million
MOST_CODES_AT_A_TIME = 256

Codes = Tensor | NDArray[np.float32]  # (S, *code_shape)


def draw_latents(
    flow: CodeFlow, num: int, seed: int, first: int = 0, draw: int = 0, temperature: float = 1.0
) -> Tensor:
    """Draws z (num, D) from the flow's base, on its device, row n from its own random stream, number first + n.

    draw: number of the draw from that stream; all draws of a stream are of one component of the base, so that taking
    the best of some loses no kind of shape. temperature: as in `NormalBase.place`.
    """
    base, device = flow.base, flow.base.origin.device
    numbers = [
        normal_numbers(base.noise_dim, base.num_choosing, random_stream(seed, first + n), draw) for n in range(num)
    ]
    return torch.cat([base.place(row[None].to(device), temperature) for row in numbers])


def normal_numbers(dim: int, num_kept: int, stream: torch.Generator, draw: int) -> Tensor:
    """Draw number `draw` of (dim,) standard normal numbers from a stream, the first `num_kept` those of draw 0."""
    draws = [torch.randn(dim, generator=stream) for _ in range(draw + 1)]
    return torch.cat([draws[0][:num_kept], draws[-1][num_kept:]])


def standard_latents(dim: int, num: int, seed: int, first: int = 0) -> Tensor:
    """Standard normal numbers (num, dim), row n from its own random stream, number first + n."""
    return torch.stack([torch.randn(dim, generator=random_stream(seed, first + n)) for n in range(num)])


@torch.no_grad()
def path_between(flow: CodeFlow, start: Tensor, stop: Tensor, share: Tensor) -> Tensor:
    """Latents on the way from start to stop (N or 1, D), at shares (N, 1) of it: on the straight line, but never
    farther from the base than its ends are, in proportion. With one Gaussian that is the line; with many, whose kinds
    of shape have nothing between them, the path leaves one for the next."""
    line = (1 - share) * start + share * stop
    ends = flow.base.distance(start)[:, None], flow.base.distance(stop)[:, None]
    return flow.base.into_ball(line, ((1 - share) * ends[0] + share * ends[1])[:, 0])


@torch.no_grad()
def codes_of(networks: Networks, z: Tensor) -> Tensor:
    """The codes (S, *code_shape) of z (S, D). One at a time, since rounding depends on the batch size."""
    return torch.cat([networks.flow.inverse(one) for one in z.split(1)])


@torch.no_grad()
def latents_of(networks: Networks, codes: Codes) -> Tensor:
    """The flow's z (S, D) of codes."""
    return torch.cat([networks.flow(part)[0] for part in in_parts(networks, codes)])


@torch.no_grad()
def distances_from_base(networks: Networks, codes: Codes) -> Tensor:
    """How far the z of codes are from the flow's base, in sds of its nearest Gaussian, (S,): |z|, if it has one."""
    return networks.flow.base.distance(latents_of(networks, codes))


@torch.no_grad()
def whitened(networks: Networks, codes: Codes) -> Tensor:
    """Whitened codes, flattened: (S, D) on the device."""
    return torch.cat([networks.flow.whiten(part).flatten(1) for part in in_parts(networks, codes)])


@torch.no_grad()
def likelihoods(networks: Networks, codes: Codes) -> tuple[Tensor, Tensor]:
    """log p of codes in their own units, nats (S,), and -log p of whitened codes, nats per dimension (S,)."""
    flow = networks.flow
    found = [(flow.log_prob(part), flow.nats_per_dim(part)) for part in in_parts(networks, codes)]
    log_likelihood, nats_per_dim = (torch.cat(column) for column in zip(*found, strict=True))
    return log_likelihood, nats_per_dim


def in_parts(networks: Networks, codes: Codes) -> Iterator[Tensor]:
    """Codes on the device, batch by batch; a memory map is read one batch at a time."""
    size = max(1, min(MOST_CODES_AT_A_TIME, NUMBERS_AT_A_TIME // networks.flow.dim))
    for start in range(0, len(codes), size):
        part = codes[start : start + size]
        yield (part if isinstance(part, Tensor) else torch.from_numpy(np.array(part))).to(networks.device)
