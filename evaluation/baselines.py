"""Baselines for the flow: codes from two generators that need no training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from frozen.codes import StoredCodes, load_flow_codes
from generation.latents import MOST_CODES_AT_A_TIME, standard_latents, whitened
from generation.networks import Networks
from runtime.errors import UserError
from runtime.seeds import GAUSSIAN_STREAMS, NEIGHBOUR_STREAMS, random_stream

NUM_NEIGHBOURS = 3
SHARES = (0.3, 0.7)  # of the second code in a mixture, which then copies neither


class Mixture(NamedTuple):
    """Two rows of the training codes, and the weight of the second."""

    a: int
    b: int
    share: float


def gaussian_codes(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The first baseline: standard normal draws, un-whitened, as from a flow that learned nothing.

    first: number of the first shape; shape n depends only on its number and the seed.
    Returns (num, *code_shape).
    """
    w = standard_latents(networks.flow.dim, num, networks.cfg.run.seed, GAUSSIAN_STREAMS + first).to(networks.device)
    w = w.view(num, *networks.flow.code_shape)
    return torch.cat([networks.flow.unwhiten(one) for one in w.split(1)])


def neighbour_codes(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The second baseline: a random training code interpolated with one of its nearest, in whitened space.

    It has the codes that the flow was trained on, those of extra shapes too, so that the two differ in nothing else.
    first: number of the first shape, as in `gaussian_codes`. Returns (num, *code_shape).
    """
    training = load_flow_codes(networks.cfg)
    codes = []
    for a, b, share in draw_mixtures(networks, training, num, first):
        w = whitened(networks, training.codes[[a, b]]).view(2, *networks.flow.code_shape)
        codes.append(networks.flow.unwhiten((1 - share) * w[:1] + share * w[1:]))
    return torch.cat(codes)


def draw_mixtures(networks: Networks, training: StoredCodes, num: int, first: int = 0) -> list[Mixture]:
    """The mixtures of `neighbour_codes`.

    Training codes include mirrored shapes and further point draws; codes of the same shape do not count as neighbours.
    Raises UserError if all codes are of one shape.
    """
    streams = [random_stream(networks.cfg.run.seed, NEIGHBOUR_STREAMS + first + n) for n in range(num)]
    chosen = [int(torch.randint(len(training.rows), (), generator=stream)) for stream in streams]
    mixtures = []
    for a, near, stream in zip(chosen, nearest_codes(networks, training, chosen), streams, strict=True):
        b = int(near[torch.randint(len(near), (), generator=stream)])
        share = SHARES[0] + (SHARES[1] - SHARES[0]) * torch.rand((), generator=stream).item()
        mixtures.append(Mixture(a, b, share))
    return mixtures


def nearest_codes(networks: Networks, training: StoredCodes, chosen: Sequence[int]) -> Tensor:
    """Indices (len(chosen), at most 3) of the nearest training codes of other shapes, in whitened space."""
    queries = whitened(networks, training.codes[list(chosen)])
    parts = np.array_split(np.arange(len(training.rows)), -(-len(training.rows) // MOST_CODES_AT_A_TIME))
    distances = torch.cat(
        [torch.cdist(queries, whitened(networks, training.codes[part])) for part in parts], dim=1
    ).cpu()  # (len(chosen), S)
    names = np.array([row["name"] for row in training.rows])
    same_shape = torch.from_numpy(names[list(chosen)][:, None] == names)
    count = min(NUM_NEIGHBOURS, int((~same_shape).sum(dim=1).min()))
    if count == 0:
        raise UserError(
            f"all training codes are of one shape, {names[0]}; 2 or more shapes expected: make a larger training split"
        )
    return distances.masked_fill(same_shape, torch.inf).topk(count, largest=False).indices
