"""The files of a completed scan: clouds of the best mode and of each chain's draw, what was found, and a picture."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.files import write_json
from configs.layout import DENSE_POINT_CLOUD
from generation.cloud_files import Cloud, write_cloud
from generation.completion.chains import Completion
from generation.completion.diagnostics import effective_count, split_r_hat
from generation.decode import arrays_of, check_room, decode
from generation.latents import codes_of
from generation.networks import Networks
from visualization.contact_sheet import Row, draw_rows

MODE = "mode"  # name of the cloud of the best mode; draws are numbered
RESULTS = "completion.json"
SHEET = "contact_sheet.png"


def write_completion(networks: Networks, completion: Completion, folder: Path) -> dict[str, Cloud]:
    """Decode the best mode and the chains' draws into `folder/NAME/dense_point_cloud.{npz,ply}`, the likeliest first.

    Each file also holds z, log_posterior (nats, up to one constant for all) and `arrays_of` its code. Clouds of an
    earlier run with more chains are removed. Returns the clouds by name.
    """
    count = networks.cfg.num_completion_points
    check_room(count, 1 + len(completion.draws()), folder)
    (folder / RESULTS).unlink(missing_ok=True)
    for old in folder.glob(f"*/{DENSE_POINT_CLOUD}"):
        old.unlink()
        old.with_suffix(".ply").unlink(missing_ok=True)
        if not any(old.parent.iterdir()):
            old.parent.rmdir()
    order = draws_in_order(completion)
    latents = torch.cat([completion.best_mode(), completion.draws()[order]])
    energies = torch.cat([completion.mode_energy.min()[None], completion.chains.energy[-1, order]])
    clouds: dict[str, Cloud] = {}
    for name, z, energy in zip([MODE, *map(str, range(len(order)))], latents, energies, strict=True):
        code = codes_of(networks, z[None])
        clouds[name] = decode(networks, code, count, len(clouds))
        facts = {"z": z.cpu().numpy(), "log_posterior": log_posterior(energy.item(), len(z))}
        write_cloud(folder / name, clouds[name], seed=networks.cfg.seed, **facts, **arrays_of(networks, code))
    return clouds


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


def write_results(networks: Networks, facts: dict[str, Any], folder: Path) -> None:
    """Write `RESULTS`: the facts, the options and the networks that they are of. It marks the folder as complete."""
    names = ("scan_sd", "scan_cell", "scan_points", "num_starts", "map_steps", "warmup", "draws", "leapfrog", "seed")
    options = {name: getattr(networks.cfg, name) for name in names}
    write_json(folder / RESULTS, {**networks.sources, "options": options, **facts})


def draw_sheet(scan: Cloud, truth: Cloud | None, clouds: dict[str, Cloud], path: Path, title: str) -> None:
    """Scan, truth if there is one, mode and draws; below, mode and draws cut open lengthwise."""
    given = [scan] if truth is None else [scan, truth]
    words = "The scan" if truth is None else "The scan, and the truth"
    made = [np.asarray(cloud) for cloud in clouds.values()]
    rows: list[Row] = [(words, given, "grey", "none")]
    rows.append(("The best mode, then a draw of each chain", made, "blue", "none"))
    rows.append(("The same, cut open lengthwise", made, "amber", "lengthwise"))
    draw_rows(rows, path, title)
