"""Random numbers of a training batch that is split over processes (runtime/ranks.py): those of the whole batch.

Each process draws for the whole batch, from the same state of the same generator, and keeps what belongs to its part:
a training then does not depend on the number of processes. Parts are of equal size, in the order of the ranks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.ranks import alone, ranks


def normal_like(part: Tensor) -> Tensor:
    """Standard normal numbers for this process's part (b, ...) of a batch; same shape, dtype, device and layout."""
    return torch.randn_like(part) if alone() else _own(torch.randn_like(_whole(part)))


def dropout(part: Tensor, p: float, training: bool) -> Tensor:
    """`F.dropout` of this process's part (b, ...) of a batch."""
    if alone() or not training or p == 0:
        return F.dropout(part, p, training)
    return part * _own(F.dropout(torch.ones_like(_whole(part)), p))


def _whole(part: Tensor) -> Tensor:
    """A tensor of the size and the layout of the whole batch."""
    return torch.cat([part.detach()] * ranks().count)


def _own(whole: Tensor) -> Tensor:
    return whole.chunk(ranks().count)[ranks().rank]
