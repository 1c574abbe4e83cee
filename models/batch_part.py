"""Random numbers of a training batch that is split over processes (runtime/ranks.py): those of the whole batch.

Each process draws for the whole batch, from the same state of the same generator, and keeps what belongs to its part:
a training then does not depend on the number of processes. Parts are of equal size, in the order of the ranks.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.ranks import alone, ranks

SPARE_SD = 8  # standard deviations of the number of dropped entries beyond its mean, that are drawn at once


def normal_like(part: Tensor) -> Tensor:
    """Standard normal numbers for this process's part (b, ...) of a batch; same shape, dtype, device and layout."""
    return torch.randn_like(part) if alone() else _own(torch.randn_like(_whole(part)))


def dropout(part: Tensor, p: float, training: bool) -> Tensor:
    """`F.dropout` of this process's part (b, ...) of a batch."""
    if not training or p == 0:
        return part
    if part.device.type == "cpu" and p < 1:
        kept = torch.full(part.shape, 1 / (1 - p), dtype=part.dtype)
        return part * drop(kept, dropped([part.numel()], p)[0])
    if alone():
        return F.dropout(part, p)
    return part * _own(F.dropout(torch.ones_like(_whole(part)), p))


def drop(part: Tensor, numbers: Tensor) -> Tensor:
    """A part (b, ...), contiguous, with its entries of these flat numbers set to 0, in place."""
    part.view(-1).index_fill_(0, numbers, 0.0)
    return part


def dropped(sizes: Sequence[int], p: float) -> list[Tensor]:
    """Which entries of this process's parts, of so many entries each, are dropped, each with probability p < 1: flat
    numbers (n,) on the CPU, ascending, of each part.

    Gaps between dropped entries are geometric, so a number is drawn for each dropped entry alone.
    """
    count, rank = ranks().count, ranks().rank
    ends = list(accumulate(size * count for size in sizes))
    places = _places(torch.zeros(0, dtype=torch.float64), ends[-1], p)
    while places[-1] < ends[-1]:  # once in 10^14
        places = _places(places, ends[-1], p)
    starts = [end - size * (count - rank) for end, size in zip(ends, sizes, strict=True)]
    bounds = [[float(start), float(start + size)] for start, size in zip(starts, sizes, strict=True)]
    cuts = torch.searchsorted(places, torch.tensor(bounds, dtype=torch.float64)).tolist()
    return [places[a:b].sub(start).long() for (a, b), start in zip(cuts, starts, strict=True)]


def _places(places: Tensor, end: int, p: float) -> Tensor:
    """The places (n,), float64, of dropped entries, and of as many more as there usually are before `end`."""
    last = float(places[-1]) if len(places) else -1.0
    mean = (end - 1 - last) * p
    # log of numbers in (0, 1] that are multiples of 2^-24: to that p is exact
    gaps = torch.rand(int(mean + SPARE_SD * math.sqrt(mean)) + SPARE_SD).neg_().log1p_().mul_(1 / math.log1p(-p))
    return torch.cat([places, gaps.floor_().add_(1).cumsum(0, dtype=torch.float64).add_(last)])


def _whole(part: Tensor) -> Tensor:
    """A tensor of the size and the layout of the whole batch."""
    return torch.cat([part.detach()] * ranks().count)


def _own(whole: Tensor) -> Tensor:
    return whole.chunk(ranks().count)[ranks().rank]
