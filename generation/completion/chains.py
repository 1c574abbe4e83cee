"""From evidence to completions: starts from the flow, the search for modes, and chains that sample around them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from configs.options import Config
from generation.code_fitting import RATE
from generation.completion.curvature import standardising_factor
from generation.completion.evidence import Evidence
from generation.completion.hmc import Chains, sample
from generation.completion.posterior import Posterior
from generation.latents import draw_latents
from generation.networks import Networks
from generation.plausible_codes import largest_norm
from runtime.errors import UserError
from runtime.seeds import COMPLETION_STREAMS, random_stream

MOVES = COMPLETION_STREAMS + 1_000_000  # stream of the chains' moves; those before are of the starts
AT_A_TIME = 16  # codes
BETAS = 0.9, 0.999  # of Adam


class Completion(NamedTuple):
    """modes (B, D): where each chain started, and their energies (B,), nats; the chains; how they were judged."""

    modes: Tensor
    mode_energy: Tensor
    chains: Chains
    posterior: Posterior

    def best_mode(self) -> Tensor:
        """(1, D): the mode of least energy."""
        return self.modes[self.mode_energy.argmin()][None]

    def draws(self) -> Tensor:
        """(B, D): the last state of each chain."""
        return self.chains.z[-1]


def complete(networks: Networks, evidence: Evidence, progress: bool = True) -> Completion:
    """Sample the posterior of z given the evidence. Reads the options of `COMPLETION` in networks.cfg."""
    cfg = networks.cfg
    posterior = Posterior(networks, evidence, cfg.completion.scan_sd)
    with tqdm(
        total=cfg.completion.map_steps + cfg.completion.warmup + cfg.completion.draws,
        disable=not progress or None,
        unit="step",
    ) as bar:
        bar.set_description("fitting")
        modes = search(posterior, starts(posterior, cfg), largest_norm(networks), cfg.completion.map_steps, bar.update)
        moves = random_stream(cfg.run.seed, MOVES)
        factor = standardising_factor(posterior, modes, moves)
        bar.set_description("sampling")
        chains = sample(
            posterior.energy_and_gradient,
            modes,
            factor,
            cfg.completion.warmup,
            cfg.completion.draws,
            cfg.completion.leapfrog,
            moves,
            bar.update,
        )
    return Completion(modes, posterior.energy_without_gradient(modes), chains, posterior)


@torch.no_grad()
def starts(posterior: Posterior, cfg: Config) -> Tensor:
    """The samples of the flow that fit best, z (B, D), out of cfg.completion.num_starts."""
    drawn = draw_latents(
        posterior.networks.flow,
        max(cfg.completion.num_starts, cfg.completion.num_chains),
        cfg.run.seed,
        COMPLETION_STREAMS,
    )
    misfit = torch.cat([posterior.misfit(part) for part in drawn.split(AT_A_TIME)])
    return drawn[misfit.argsort()[: cfg.completion.num_chains]]


def search(
    posterior: Posterior, z: Tensor, radius: float, num_steps: int, tick: Callable[[], object] = lambda: None
) -> Tensor:
    """The z (B, D) of least energy that Adam finds from each z, within the ball of the training codes."""
    base = posterior.networks.flow.base
    z = base.into_ball(z, radius).detach().clone()
    adam = Adam(z)
    least, best = torch.full_like(z[:, 0], torch.inf), z.clone()
    for step in range(num_steps + 1):
        energy, gradient = posterior.energy_and_gradient(z)
        better = energy < least
        least, best = torch.where(better, energy, least), torch.where(better[:, None], z, best)
        if step == num_steps:
            break
        z = base.into_ball(z - RATE * (1 - step / num_steps) * adam.direction(gradient), radius)
        tick()
    return best


class Adam:
    """Kingma, Ba 2015, algorithm 1, for one tensor: torch's own first imports a compiler, which takes two seconds."""

    def __init__(self, like: Tensor):
        self.mean, self.square, self.count = torch.zeros_like(like), torch.zeros_like(like), 0

    def direction(self, gradient: Tensor) -> Tensor:
        """What, times the rate, is to be subtracted."""
        self.count += 1
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.lerp_(gradient.square(), 1 - BETAS[1])
        unbiased = (self.square / (1 - BETAS[1] ** self.count)).sqrt() + 1e-8
        return self.mean / (1 - BETAS[0] ** self.count) / unbiased


def check_networks(networks: Networks) -> None:
    """Raise UserError if the networks have no vector codes, or no flow."""
    kind = networks.ndf.code_kind
    if kind != "vector":
        raise UserError(f"code_kind {kind} found, vector codes and their flow expected; use another --config")
    _ = networks.flow
