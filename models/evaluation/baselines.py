"""What the flow is compared with: codes of two baselines that need no training."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from models.codes import Codes, load_codes
from models.decoder import Shapes, shape_generator
from models.generation import Generator

# First numbers of the random streams (see `shape_generator`) of their shapes; those of the flow's shapes start at 0.
GAUSSIAN_SEEDS = 100_000_000
NEIGHBOUR_SEEDS = 200_000_000
NUM_NEIGHBOURS = 3
SHARES = (0.3, 0.7)  # of the second code in a mixture: a copy of neither
CODES_AT_A_TIME = 256  # training codes that are read and whitened together


def gaussian_shapes(generator: Generator, num: int, first: int = 0) -> Shapes:
    """The first baseline: standard normal numbers, un-whitened. A flow that learned nothing gives these.

    first: number of the first shape; shape n depends on nothing but its number and the seed.
    """
    seed = generator.cfg.seed
    w = generator.latents(num, seed, GAUSSIAN_SEEDS + first).view(num, *generator.flow.code_shape)
    codes = torch.cat([generator.flow.unwhiten(one) for one in w.split(1)])
    facts = [{"seed": seed, "number": GAUSSIAN_SEEDS + first + n} for n in range(num)]
    return Shapes(codes, [str(first + n) for n in range(num)], facts)


def neighbour_shapes(generator: Generator, num: int, first: int = 0) -> Shapes:
    """The second baseline: a random training code mixed with one of its nearest ones, in the whitened space.

    The training codes hold mirrored shapes and further draws of points too; codes of one shape are no neighbours.
    first: number of the first shape, as in `gaussian_shapes`. Raises UserError if all codes are of one shape.
    """
    training = load_codes(generator.cfg, "train")
    streams = [shape_generator(generator.cfg.seed, NEIGHBOUR_SEEDS + first + n) for n in range(num)]
    chosen = [int(torch.randint(len(training.rows), (), generator=stream)) for stream in streams]
    nearest = nearest_codes(generator, training, chosen)
    codes, facts = [], []
    for a, near, stream in zip(chosen, nearest, streams, strict=True):
        b = int(near[torch.randint(len(near), (), generator=stream)])
        share = SHARES[0] + (SHARES[1] - SHARES[0]) * torch.rand((), generator=stream).item()
        w = whitened(generator, training, [a, b])
        codes.append(generator.flow.unwhiten((1 - share) * w[:1] + share * w[1:]))
        facts.append({"between": [describe(training, a), describe(training, b)], "share": share})
    return Shapes(torch.cat(codes), [str(first + n) for n in range(num)], facts)


def nearest_codes(generator: Generator, training: Codes, chosen: Sequence[int]) -> Tensor:
    """Indices (len(chosen), at most 3) of the training codes nearest to the chosen ones, whitened, of other shapes."""
    queries = whitened(generator, training, chosen).flatten(1)
    parts = np.array_split(np.arange(len(training.rows)), -(-len(training.rows) // CODES_AT_A_TIME))
    distances = torch.cat(
        [torch.cdist(queries, whitened(generator, training, part).flatten(1)) for part in parts], dim=1
    ).cpu()  # (len(chosen), S)
    names = np.array([row["name"] for row in training.rows])
    same_shape = torch.from_numpy(names[list(chosen)][:, None] == names)
    count = min(NUM_NEIGHBOURS, int((~same_shape).sum(dim=1).min()))
    if count == 0:
        raise UserError(
            f"all training codes are of one shape, {names[0]}; 2 or more shapes expected: make a larger training split"
        )
    return distances.masked_fill(same_shape, torch.inf).topk(count, largest=False).indices


def whitened(generator: Generator, stored: Codes, indices: Sequence[int]) -> Tensor:
    """Whitened codes (len(indices), *code_shape) on the generator's device."""
    return generator.flow.whiten(torch.from_numpy(np.array(stored.codes[indices])).to(generator.device))


def describe(stored: Codes, index: int) -> dict[str, object]:
    return {key: stored.rows[index][key] for key in ("name", "mirrored", "draw")}
