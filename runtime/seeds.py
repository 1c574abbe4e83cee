"""One random stream per shape, so that a shape depends neither on the number of shapes nor on the device.

Streams are numbered. The flow's shape n draws its z from stream n; set k of a generator starts at k * SET_STRIDE.
Other uses have their own, disjoint ranges.
"""

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SET_STRIDE = 1_000_000  # streams per sample set
MAX_SETS = 100
GAUSSIAN_STREAMS = 100_000_000  # for the codes of the two baselines
NEIGHBOUR_STREAMS = 200_000_000
FLOOR_STREAMS = 300_000_000  # for the points of clouds in the temperature study
REFERENCE_STREAMS = 400_000_000
NOISE_STREAMS = 500_000_000  # for the noise on the codes from which attributes are read
EDIT_NOISE_STREAM = NOISE_STREAMS + 10  # the same for the attributes that can be edited
CANDIDATE_STREAMS = 600_000_000  # for samples from which a code's fit may start
FIT_STREAMS = 700_000_000  # plus a shape's number: for the points that its code is fitted to
COMPLETION_STREAMS = 800_000_000  # for the starts and the moves of the chains that complete a scan
SELECTION_STREAMS = 900_000_000  # plus a shape's number: for the seeds by which its draws are judged
WHOLENESS_STREAMS = 920_000_000  # plus a shape's number: for the seeds of its unsettled surface
UNSETTLED_STREAMS = 940_000_000  # plus a shape's number: for the seeds that tell how much of its surface is torn
POINT_STREAMS = 1_000_000_000  # plus a shape's number: for the points of its cloud


def random_stream(seed: int, number: int) -> "torch.Generator":
    """A CPU generator for stream `number`: the same numbers for every device."""
    import torch

    return torch.Generator().manual_seed(step_seed(seed, number))


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that belong to the seed and these names, on any machine and in any order of work."""
    digest = hashlib.sha256(os.fsencode("/".join([str(seed), *names]))).digest()  # names may be no text
    return np.random.default_rng(int.from_bytes(digest, "big"))


def step_seed(seed: int, step: int) -> int:
    """A seed for one step, far from those of adjacent steps (the golden-ratio multiple of splitmix64)."""
    return (seed * 1_000_003 + step * 0x9E3779B97F4A7C15) % 2**63
