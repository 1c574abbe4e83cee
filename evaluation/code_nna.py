"""1-NNA of latent codes: can the flow's samples be told from held-out codes, before decoding?"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from evaluation.baselines import gaussian_codes, neighbour_codes
from frozen.codes import StoredCodes, load_codes
from generation.latents import Codes, in_parts
from generation.networks import Networks
from generation.sampling import drawn_codes
from training.code_nna import MOST_CODES, code_coordinates, num_leading, one_nna_of_points

NUM_SETS = 3
FLOW, GAUSSIAN, NEIGHBOURS, TRAINING = "flow", "Gaussian", "neighbours", "training"
Shares = dict[str, list[float]]  # name of a set of directions -> 1-NNA of each set of codes


def code_one_nna(networks: Networks, noise: float) -> dict[str, float]:
    """1-NNA (share, 0.5 is best) of test codes against as many "flow" samples, codes of "Gaussian" and "neighbours",
    and "training" codes.

    Distances between codes are Euclidean, on the principal directions that vary by more than the noise of the flow's
    training, since the decoder ignores the others. Mean over `NUM_SETS` sets.
    """
    seen = (noise * networks.flow.noise_sd(1.0) < 1).cpu()
    if not seen.any():
        seen[:] = True
    return {kind: float(np.mean(found["seen"])) for kind, found in code_shares(networks, {"seen": seen}).items()}


def one_nna_by_directions(networks: Networks) -> dict[str, Shares]:
    """Kind of codes -> 1-NNA against test codes of each set, by "all" directions and the "leading" `flow_dims` ones."""
    number = torch.arange(networks.flow.dim)
    return code_shares(networks, {"all": number >= 0, "leading": number < num_leading(networks.flow)})


def code_shares(networks: Networks, directions: Mapping[str, Tensor]) -> dict[str, Shares]:
    """1-NNA of test codes against as many codes of each kind, at most `MOST_CODES`, in `NUM_SETS` sets.

    directions: masks (D,) of the principal directions that count, by name. For vectors only: in the thousands of
    dimensions of a grid, samples with too large a spread are far from each other as well, so that every nearest
    neighbour is a test code and a bad sampler scores 0.5.
    """
    test, training = (
        load_codes(networks.cfg, "test").one_per_shape().codes[:MOST_CODES],
        load_codes(networks.cfg, "train"),
    )
    num = min(len(test), len(training.plain_indices()))
    references = coordinates(networks, test[:num])
    found: dict[str, Shares] = {}
    for kind, codes in sets_of_codes(networks, training, num):
        others = coordinates(networks, codes)
        for name, mask in directions.items():
            share = one_nna_of_points(references[:, mask], others[:, mask])
            found.setdefault(kind, {}).setdefault(name, []).append(share)
    return found


def sets_of_codes(networks: Networks, training: StoredCodes, num: int) -> Iterator[tuple[str, Codes]]:
    """Kind and `num` codes of each of the `NUM_SETS` sets that are compared with test codes."""
    plain = np.array(training.plain_indices())
    for k in range(NUM_SETS):
        first = k * num
        yield FLOW, drawn_codes(networks, num, networks.cfg.seed, first=first)  # unselected
        yield GAUSSIAN, gaussian_codes(networks, num, first=first)
        yield NEIGHBOURS, neighbour_codes(networks, num, first=first)
        chosen = np.random.default_rng((networks.cfg.seed, k)).permutation(plain)[:num]
        yield TRAINING, training.codes[chosen]


@torch.no_grad()
def coordinates(networks: Networks, codes: Codes) -> Tensor:
    """`code_coordinates` of codes on the disk, too: (S, D) float64 on the CPU."""
    return torch.cat([code_coordinates(networks.flow, part).cpu() for part in in_parts(networks, codes)])
