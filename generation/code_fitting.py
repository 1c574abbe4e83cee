"""Fitting a code to the input points of its shape, under the flow's prior.

The z of greatest posterior density: it minimises mean |f(p) - d(p)| - PRIOR_WEIGHT log p(z) within a ball, where f is
the field decoded from the code of z, and d the distance to the input points, both clamped. DeepSDF (Park et al. 2019,
sec. 4.2) fits codes so, with a Gaussian for the flow. Half of the points p are input points, where d is 0. The others
lie away from them: without these a field that is 0 everywhere, whose cloud fills the box, would fit best.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from generation.latents import draw_latents
from generation.networks import Networks
from generation.surface_cells import HALF_EXTENT
from models.occupancy import to_grid_coords
from runtime.seeds import CANDIDATE_STREAMS

NUM_POINTS = 2048  # input points, and as many away from them
AROUND = 0.06  # mesh units: half of the points away are input points with noise of this sd, the others fill the box
SPACINGS = 3  # closer than this to input points, distances to the surface are not known
CLAMP = 0.1  # mesh units: farther distances count as this far
PRIOR_WEIGHT = 5e-6  # as if 2,000 independent points had errors of scale 0.01 mesh units
RATE = 0.1  # of Adam at the first step; decays linearly
NUM_CANDIDATES = 100  # samples of the flow that a fit may start from
MUCH_BETTER = 0.75  # it does if the error of one is at most this share of the code's own


class KnownDistances(NamedTuple):
    """Input points (N, 3), other points (M, 3), and the distances (M,) of these to the surface; mesh units."""

    surface: Tensor
    away: Tensor
    distances: Tensor


def known_distances(cloud: np.ndarray, generator: torch.Generator) -> KnownDistances:
    """Points near and far whose distances to the surface behind an input cloud (n, 3) are known.

    The nearest input point is farther away than the surface, but hardly so from a point that is `SPACINGS` times as
    far from it as input points are from each other; others are left out.
    """
    chosen = torch.randint(len(cloud), (NUM_POINTS + NUM_POINTS // 2,), generator=generator)
    points = torch.from_numpy(cloud)[chosen]
    surface, centres = points[:NUM_POINTS], points[NUM_POINTS:]
    around = centres + AROUND * torch.randn(centres.shape, generator=generator)
    anywhere = HALF_EXTENT * (2 * torch.rand(centres.shape, generator=generator) - 1)
    away, tree = torch.cat([around, anywhere]), cKDTree(cloud)
    spacing = tree.query(cloud, k=2)[0][:, 1].mean()
    distances = torch.from_numpy(tree.query(away.numpy())[0].astype(np.float32))
    far = distances > SPACINGS * spacing
    return KnownDistances(surface, away[far], distances[far])


class CodeFit:
    """How codes fit one input cloud (n, 3), and the search for one that does."""

    def __init__(self, networks: Networks, cloud: np.ndarray, generator: torch.Generator):
        """generator: a CPU generator, which decides the points."""
        self.networks = networks
        known = KnownDistances(*(part.to(networks.device) for part in known_distances(cloud, generator)))
        self.num_surface = len(known.surface)
        self.points = to_grid_coords(torch.cat([known.surface, known.away]))[None]
        self.target = torch.cat([torch.zeros_like(known.surface[:, 0]), known.distances.clamp(max=CLAMP)])

    def error(self, code: Tensor) -> Tensor:
        """Mean absolute error of the clamped distances that a code (a batch of one) decodes to, mesh units."""
        ndf = self.networks.ndf
        errors = (ndf.query(self.points, ndf.features(code))[0].clamp(max=CLAMP) - self.target).abs()
        near, away = errors[: self.num_surface], errors[self.num_surface :]
        return (near.mean() + away.sum() / max(1, len(away))) / 2

    def objective(self, z: Tensor) -> Tensor:
        """`error` of the code of z (1, D), and what the flow's prior adds."""
        return self.error(self.networks.flow.inverse(z)) + PRIOR_WEIGHT * self.networks.flow.base.energy(z).sum()

    @torch.no_grad()
    def start(self, z: Tensor, radius: float) -> Tensor:
        """`z` (1, D), shortened into the ball, or the sample of the flow that fits best, if it fits much better.

        A code that is far off still knows more of its shape than its error tells: started from it, the fit ends nearer
        to the true surface than from a sample that fits a little better. A z that is not finite never wins.
        """
        base = self.networks.flow.base
        own = base.into_ball(z, radius)
        drawn = draw_latents(self.networks.flow, NUM_CANDIDATES, self.networks.cfg.run.seed, CANDIDATE_STREAMS)
        samples = base.into_ball(drawn, radius).split(1)
        errors = [self.error(self.networks.flow.inverse(sample)).item() for sample in samples]
        own_error = self.error(self.networks.flow.inverse(own)).item()
        return own if min(errors) > MUCH_BETTER * own_error else samples[errors.index(min(errors))]

    def fitted(self, z: Tensor, radius: float, num_steps: int) -> Tensor:
        """The best z (1, D) that Adam finds from `z` within the ball; `z` itself, in the ball, without steps."""
        base = self.networks.flow.base
        z = base.into_ball(z, radius).detach().requires_grad_()
        optimizer = torch.optim.Adam([z], lr=RATE)
        least, best = torch.inf, z.detach().clone()
        for step in range(num_steps + 1):
            with torch.enable_grad():
                objective = self.objective(z)
                (z.grad,) = torch.autograd.grad(objective, z)
            if objective.item() < least:
                least, best = objective.item(), z.detach().clone()
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / (num_steps + 1))
            optimizer.step()
            with torch.no_grad():
                z.copy_(base.into_ball(z, radius))
        return best
