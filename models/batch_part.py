"""Random numbers of a training batch that is split over processes (runtime/ranks.py): those of the whole batch.

Each process draws for the whole batch, from the same state of the same generator, and keeps what belongs to its part:
a training then does not depend on the number of processes. Parts are of equal size, in the order of the ranks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.ranks import alone, ranks

LEVELS = 2**16  # of a number that decides what is dropped


def normal_like(part: Tensor) -> Tensor:
    """Standard normal numbers for this process's part (b, ...) of a batch; same shape, dtype, device and layout."""
    return torch.randn_like(part) if alone() else _own(torch.randn_like(_whole(part)))


def dropout(part: Tensor, p: float, training: bool) -> Tensor:
    """`F.dropout` of this process's part (b, ...) of a batch; on a CPU with p rounded to a multiple of 2^-16."""
    on_cpu = part.device.type == "cpu" and 0 < round(p * LEVELS) < LEVELS
    if not training or p == 0 or (alone() and not on_cpu):
        return F.dropout(part, p, training)
    whole = part if alone() else _whole(part)
    kept = _kept(whole, p) if on_cpu else F.dropout(torch.ones_like(whole), p)
    return part * (kept if alone() else _own(kept))


def _kept(like: Tensor, p: float) -> Tensor:
    """0 with probability p, else 1 / (1 - p). From 16 bits for each entry: a quarter of the time of one draw each."""
    bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    dropped = round(p * LEVELS)
    level = bits[: like.numel()].float().add_(LEVELS / 2 + 1 - dropped)  # whole numbers: of those dropped 0 or less
    return level.clamp_(0, 1).mul_(LEVELS / (LEVELS - dropped)).view(like.shape).to(like.dtype)


def _whole(part: Tensor) -> Tensor:
    """A tensor of the size and the layout of the whole batch."""
    return torch.cat([part.detach()] * ranks().count)


def _own(whole: Tensor) -> Tensor:
    return whole.chunk(ranks().count)[ranks().rank]
