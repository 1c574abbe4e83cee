"""The density of the flow's z given a scan: that of its base times exp(-sum d^2 / (2 sd^2)).

d is the decoder's unsigned distance at a place on the surface, or by how much it falls short of an empty place's bound.
Nothing is decoded to points. A field with more surface than the scan shows is as likely, by the scan alone: what is not
seen is the prior's to say, and the flow's prior is exact.
"""

import torch
from torch import Tensor

from generation.code_fitting import CLAMP
from generation.completion.evidence import Evidence
from generation.networks import Networks
from models.occupancy import to_grid_coords


class Posterior:
    """-log p(z | scan) up to a constant, in nats: `energy` (B,) of z (B, D)."""

    def __init__(self, networks: Networks, evidence: Evidence, sd: float, prior: float = 1.0):
        """sd: of a distance, mesh units. prior: what the prior counts; 0 leaves the scan alone to decide."""
        self.networks, self.evidence, self.prior = networks, evidence.to(networks.device), prior
        self.sd = sd
        places = to_grid_coords(torch.cat([self.evidence.surface, self.evidence.empty]))
        self.distances_at_places = networks.ndf.distances_at(places)
        self.scale_surface = self.evidence.weight**0.5 / sd
        self.scale_empty = self.evidence.empty_weight**0.5 / sd

    @property
    def dim(self) -> int:
        return self.networks.flow.dim

    def parts(self, count: int) -> list["Posterior"]:
        """As many cheaper posteriors near to this one, each of every count-th place, together of all."""
        evidence = [self.evidence.part(first, count) for first in range(count)]
        return [Posterior(self.networks, one, self.sd, self.prior) for one in evidence]

    def distances(self, z: Tensor) -> Tensor:
        """The decoded distances (B, N + M) at the evidence's places, mesh units, of z (B, D); at most `CLAMP`."""
        return self.distances_at_places(self.networks.flow.inverse(z)).clamp(max=CLAMP)

    def residuals(self, z: Tensor) -> Tensor:
        """(B, N + M), whose squares sum to twice the misfit."""
        distances = self.distances(z)
        near, far = distances.split([len(self.evidence.surface), len(self.evidence.empty)], dim=1)
        short = (self.evidence.bounds - far).clamp(min=0)
        return torch.cat([self.scale_surface * near, self.scale_empty * short], dim=1)

    def misfit(self, z: Tensor) -> Tensor:
        """-log likelihood (B,), nats: 0 for a field that is 0 on the scan and large where that shows emptiness."""
        return self.residuals(z).square().sum(dim=1) / 2

    def energy(self, z: Tensor) -> Tensor:
        """(B,), nats."""
        return self.misfit(z) + self.prior * self.networks.flow.base.energy(z)

    def energy_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) and (B, D)."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            energy = self.energy(z)
            (gradient,) = torch.autograd.grad(energy.sum(), z)
        return energy.detach(), gradient

    @torch.no_grad()
    def energy_without_gradient(self, z: Tensor) -> Tensor:
        """(B,), nats."""
        return self.energy(z)

    @torch.no_grad()
    def root_mean_square(self, z: Tensor) -> Tensor:
        """Root mean square distance (B,) of the scan's places from the decoded surfaces, mesh units."""
        return self.distances(z)[:, : len(self.evidence.surface)].square().mean(dim=1).sqrt()
