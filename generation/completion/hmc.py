"""Hamiltonian Monte Carlo for several chains at once (Neal 2011), with step sizes set in the warm-up.

Step sizes follow Nesterov's dual averaging (Hoffman, Gelman 2014, algorithm 5), for each chain its own; after the
warm-up they are fixed, so the chains leave the density as it is. The number of leapfrog steps is drawn for each move.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EnergyAndGradient = Callable[[Tensor], tuple[Tensor, Tensor]]  # z (B, D) -> (B,) nats, (B, D)

WANTED = 0.65  # acceptance that the step sizes aim at; the best in many dimensions (Beskos et al. 2013)
FIRST_STEP = 0.15  # in the standardised coordinates
SHRINKAGE, STABILITY, DECAY = 0.05, 10.0, 0.75  # gamma, t0 and kappa of dual averaging


class Chains(NamedTuple):
    """z (T, B, D) after each move, energy (T, B) nats, acceptance (T, B) in [0, 1], step sizes (B,)."""

    z: Tensor
    energy: Tensor
    acceptance: Tensor
    steps: Tensor


class StepSizes:
    """Dual averaging of the logarithms of step sizes (B,)."""

    def __init__(self, num: int):
        self.log_step = torch.full((num,), FIRST_STEP).log()
        self.centre, self.log_mean = self.log_step + torch.tensor(2.0).log(), torch.zeros(num)
        self.excess, self.count = torch.zeros(num), 0

    def update(self, acceptance: Tensor) -> None:
        """acceptance: (B,) of the last move."""
        self.count += 1
        share = 1 / (self.count + STABILITY)
        self.excess = (1 - share) * self.excess + share * (WANTED - acceptance)
        self.log_step = self.centre - self.count**0.5 / SHRINKAGE * self.excess
        weight = self.count**-DECAY
        self.log_mean = weight * self.log_step + (1 - weight) * self.log_mean

    def settle(self) -> None:
        self.log_step = self.log_mean


def sample(
    density: EnergyAndGradient,
    z: Tensor,
    factor: Tensor,
    warmup: int,
    draws: int,
    leapfrog: int,
    generator: torch.Generator,
    tick: Callable[[], object] = lambda: None,
) -> Chains:
    """Chains from z (B, D), in the coordinates u of z = F u, F the factor (D, D).

    draws: moves T that are kept, after `warmup` others. leapfrog: mean number of leapfrog steps of a move.
    generator: a CPU generator. tick: called after each move.
    """
    sizes = StepSizes(len(z))
    energy, gradient = density(z)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for move in range(warmup + draws):
        num_steps = 1 + int(torch.randint(2 * leapfrog - 1, (1,), generator=generator))
        momentum = torch.randn(z.shape, generator=generator).to(z.device)
        step = sizes.log_step.exp().to(z.device)[:, None]
        new, new_momentum, new_energy, new_gradient = trajectory(
            density, (z, momentum, energy, gradient), factor, step, num_steps
        )
        kinetic = (momentum.square() - new_momentum.square()).sum(dim=1) / 2
        log_ratio = torch.nan_to_num(energy - new_energy + kinetic, nan=-torch.inf)
        acceptance = log_ratio.clamp(max=0).exp()
        accepted = torch.rand(len(z), generator=generator).to(z.device) < acceptance
        z = torch.where(accepted[:, None], new, z)
        gradient = torch.where(accepted[:, None], new_gradient, gradient)
        energy = torch.where(accepted, new_energy, energy)
        if move < warmup:
            sizes.update(acceptance.cpu())
            if move == warmup - 1:
                sizes.settle()
        else:
            kept.append((z, energy, acceptance))
        tick()
    states, energies, acceptances = (torch.stack(part) for part in zip(*kept, strict=True))
    return Chains(states, energies, acceptances, sizes.log_step.exp())


State = tuple[Tensor, Tensor, Tensor, Tensor]  # z (B, D), momentum (B, D), energy (B,), its gradient in z (B, D)


def trajectory(density: EnergyAndGradient, state: State, factor: Tensor, step: Tensor, num_steps: int) -> State:
    """Leapfrog steps of sizes (B, 1); it goes back where it came from if the momentum is turned round."""
    z, momentum, energy, gradient = state
    for _ in range(num_steps):
        momentum = momentum - step / 2 * gradient @ factor
        z = z + step * momentum @ factor.T
        energy, gradient = density(z)
        momentum = momentum - step / 2 * gradient @ factor
    return z, momentum, energy, gradient
