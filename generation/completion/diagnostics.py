"""How far chains can be trusted: effective numbers of draws, and whether chains agree with each other."""

import torch
from torch import Tensor


def effective_count(series: Tensor) -> Tensor:
    """Effective numbers of independent draws (B, ...) of series (T, B, ...), by Geyer's initial positive sequence.

    1 for a series that does not move. Geyer 1992, sec. 3.3.
    """
    count = len(series)
    centred = series - series.mean(dim=0)
    variance = centred.square().mean(dim=0)
    still = variance <= 1e-12 * series.square().mean(dim=0) + 1e-30
    correlations = [
        (centred[: count - lag] * centred[lag:]).sum(dim=0) / count / variance.clamp(min=1e-30) for lag in range(count)
    ]
    total, alive = torch.zeros_like(variance), torch.ones_like(variance, dtype=torch.bool)
    for even in range(0, count - 1, 2):
        pair = correlations[even] + correlations[even + 1]
        alive &= pair > 0
        total += torch.where(alive, pair, torch.zeros_like(pair))
    effective = (count / (2 * total - 1).clamp(min=1 / count)).clamp(1, count)
    return torch.where(still, torch.ones_like(effective), effective)


def split_r_hat(series: Tensor) -> Tensor:
    """(...) of series (T, B, ...), T at least 4: 1 for chains that agree; above 1.1 they have not mixed.

    Each chain counts as two, its halves. Vehtari et al. 2021, sec. 3.1, without the ranks.
    """
    half = len(series) // 2
    halves = torch.cat([series[:half], series[half : 2 * half]], dim=1)  # (T / 2, 2 B, ...)
    within = halves.var(dim=0).mean(dim=0)
    between = halves.mean(dim=0).var(dim=0)
    return ((half - 1) / half + between / within.clamp(min=1e-30)).sqrt()
