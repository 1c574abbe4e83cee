"""What is kept and reported of the chains that complete a scan."""

import math
from typing import Any

import torch
from torch import Tensor

from generation.completion.chains import Completion
from generation.completion.diagnostics import effective_count, split_r_hat


def drawn(completion: Completion) -> tuple[Tensor, list[float]]:
    """The z (S, D) of the best mode and of the chains' draws, the likeliest first, and their `log_posterior`."""
    order = draws_in_order(completion)
    latents = torch.cat([completion.best_mode(), completion.draws()[order]])
    energies = [completion.mode_energy.min(), *completion.chains.energy[-1, order]]
    return latents, [log_posterior(energy.item(), latents.shape[1]) for energy in energies]


def draws_in_order(completion: Completion) -> torch.Tensor:
    """The chains' numbers, that of the likeliest last state first."""
    return completion.chains.energy[-1].argsort()


def log_posterior(energy: float, dim: int) -> float:
    """Log prior density plus log likelihood, nats: log p(z | scan) up to a constant that is the scan's alone."""
    return -energy - dim / 2 * math.log(2 * math.pi)


def facts_of(completion: Completion) -> dict[str, Any]:
    """What is reported of the chains, each in the order of the clouds, and of all together, as plain values."""
    chains, order = completion.chains, draws_in_order(completion)
    dim = chains.z.shape[-1]
    per_chain = {
        "log_posterior_nats": [log_posterior(energy, dim) for energy in chains.energy[-1].tolist()],
        "acceptance": chains.acceptance.mean(dim=0).tolist(),
        "step_size": chains.steps.tolist(),
        "effective_draws_of_energy": effective_count(chains.energy).tolist(),
        "effective_draws_of_z": effective_count(chains.z).median(dim=1).values.tolist(),
        "rms_distance_of_scan": completion.posterior.root_mean_square(completion.draws()).tolist(),
    }
    mode = completion.mode_energy.min().item()
    return {
        **{name: [values[i] for i in order.tolist()] for name, values in per_chain.items()},
        "log_posterior_nats_of_mode": log_posterior(mode, dim),
        "rms_distance_of_scan_of_mode": completion.posterior.root_mean_square(completion.best_mode()).item(),
        "r_hat_of_energy": split_r_hat(chains.energy).item() if len(chains.energy) >= 4 else None,
        "r_hat_of_z_median": split_r_hat(chains.z).median().item() if len(chains.z) >= 4 else None,
        "observations": completion.posterior.evidence.weight * len(completion.posterior.evidence.surface),
        "empty_places": len(completion.posterior.evidence.empty),
    }
