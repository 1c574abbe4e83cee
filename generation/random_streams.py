"""One stream of random numbers for each shape, so that no shape depends on how many there are, nor on the device.

A stream has a number. The flow's shape n draws its z from stream n; set k of a generator starts at k * SET_STRIDE.
Other uses have ranges of their own, far from each other.
"""

import torch

from training.training_run import step_seed

SET_STRIDE = 1_000_000  # streams of one sample set
MAX_SETS = 100
GAUSSIAN_STREAMS = 100_000_000  # of the codes of the two baselines
NEIGHBOUR_STREAMS = 200_000_000
FLOOR_STREAMS = 300_000_000  # of the points of clouds in the temperature study
REFERENCE_STREAMS = 400_000_000
POINT_STREAMS = 1_000_000_000  # added to a shape's number: the points of its cloud


def random_stream(seed: int, number: int) -> torch.Generator:
    """The random numbers of stream `number`, on the CPU: the same on every device."""
    return torch.Generator().manual_seed(step_seed(seed, number))
