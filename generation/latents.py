"""Many codes through the flow: z, whitened codes and likelihoods, in batches that fit into memory."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generation.networks import Networks
from generation.random_streams import random_stream

NUMBERS_AT_A_TIME = 2**23  # in one batch of codes through the flow; a fused code has a quarter of a million
MOST_CODES_AT_A_TIME = 256

Codes = Tensor | NDArray[np.float32]  # (S, *code_shape)


def draw_latents(networks: Networks, num: int, seed: int, first: int = 0, draw: int = 0) -> Tensor:
    """`standard_latents` of the networks' flow, on their device."""
    return standard_latents(networks.flow.dim, num, seed, first, draw).to(networks.device)


def standard_latents(dim: int, num: int, seed: int, first: int = 0, draw: int = 0) -> Tensor:
    """Standard normal z (num, D), row n from its own random stream, number first + n: its draw number `draw`."""
    return torch.stack([_draw(dim, random_stream(seed, first + n), draw) for n in range(num)])


def _draw(dim: int, stream: torch.Generator, draw: int) -> Tensor:
    for _ in range(draw):
        torch.randn(dim, generator=stream)
    return torch.randn(dim, generator=stream)


@torch.no_grad()
def codes_of(networks: Networks, z: Tensor) -> Tensor:
    """The codes (S, *code_shape) of z (S, D). One at a time, since rounding depends on the batch size."""
    return torch.cat([networks.flow.inverse(one) for one in z.split(1)])


@torch.no_grad()
def latents_of(networks: Networks, codes: Codes) -> Tensor:
    """The flow's z (S, D) of codes."""
    return torch.cat([networks.flow(part)[0] for part in in_parts(networks, codes)])


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
