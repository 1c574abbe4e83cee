"""The Gauss-Newton curvature of a posterior: how sharply a scan fixes each direction of z.

With H = P + J^T J, J the Jacobian of the residuals and P the precision of the base's Gaussian at z (I, if it has one
alone), the posterior near z is about N(z, H^-1). In the coordinates u of z = F u, F F^T = H^-1, it is about isotropic:
there one step size suits all directions, where in z the best known direction may be thirty times narrower than others.
"""

from collections.abc import Sequence
from itertools import cycle

import torch
from torch import Tensor

from generation.completion.posterior import Posterior

STEP = 0.03  # of z in the differences: far above float32's rounding, below the scale on which fields change
AT_A_TIME = 32  # codes
PARTS = 4  # of the evidence; step sizes with one at each place are 0.9 of those with all evidence at each


@torch.no_grad()
def jacobian(posterior: Posterior, z: Tensor) -> Tensor:
    """J (R, D) of the residuals at z (D,), by differences: D decodings at the evidence's places, no gradients."""
    moved = z + STEP * torch.eye(len(z), device=z.device)
    rows = torch.cat([posterior.residuals(part) for part in moved.split(AT_A_TIME)])
    return ((rows - posterior.residuals(z[None])) / STEP).T


def mean_square(posteriors: Sequence[Posterior], z: Tensor) -> Tensor:
    """The mean of J^T J over z (B, D), (D, D) float64: of the first at the first z, and so on, over and over."""
    found = [jacobian(posterior, one).double() for posterior, one in zip(cycle(posteriors), z, strict=False)]
    return torch.stack([j.T @ j for j in found]).mean(dim=0)


def factor_of(square: Tensor, precision: Tensor) -> Tensor:
    """F (D, D) float32, F F^T = (P + J^T J)^-1, from J^T J (D, D) and the diagonal of P (D,)."""
    eye = torch.eye(len(square), device=square.device, dtype=square.dtype)
    lower = torch.linalg.cholesky(precision.to(square).diag() + square)
    factor: Tensor = torch.linalg.solve_triangular(lower, eye, upper=False).T.float()
    return factor


def standardising_factor(posterior: Posterior, modes: Tensor, generator: torch.Generator) -> Tensor:
    """One F (D, D) for all chains, from the curvature at the modes (B, D) and at a draw around each of them.

    The draws are where chains spend their time, farther out than any mode, and more strongly curved: with the modes
    alone step sizes were half as large. At each place the curvature is of a part of the evidence, each time of another.
    generator: a CPU generator.
    """
    parts = posterior.parts(PARTS)
    at_modes = mean_square(parts, modes)
    _, sd = posterior.networks.flow.base.nearest(modes)
    precision = sd.double().pow(-2).mean(dim=0)
    noise = torch.randn(modes.shape, generator=generator).to(modes.device)
    around = modes + noise @ factor_of(at_modes, precision).T
    return factor_of((at_modes + mean_square(parts[PARTS // 2 :] + parts[: PARTS // 2], around)) / 2, precision)
