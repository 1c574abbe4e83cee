"""1-NNA of latent codes: can the flow's samples be told from held-out codes, before decoding?"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from evaluation.baselines import gaussian_codes, neighbour_codes
from frozen.checkpoint_files import load_checkpoint
from frozen.codes import StoredCodes, load_codes
from generation.latents import Codes, in_parts
from generation.networks import Networks
from generation.sampling import drawn_codes
from training.code_nna import MOST_CODES, code_coordinates, num_leading, one_nna_of_points

NUM_SETS = 3
FLOW, GAUSSIAN, NEIGHBOURS, TRAINING = "flow", "Gaussian", "neighbours", "training"
Shares = dict[str, dict[str, list[float]]]  # kind of codes -> name of some directions -> 1-NNA of each set of codes


def shares_of(networks: Networks) -> Shares:
    """1-NNA of test codes against codes of each kind, on three sets of principal directions; nothing but for vectors.

    "seen": those that vary by more than the noise of the flow's training, since the decoder ignores the others; "all";
    and the "leading" `flow_dims` ones. Distances between codes are Euclidean.
    """
    if networks.cfg.network.code_kind != "vector":
        return {}
    flow, noise = networks.flow, load_checkpoint(networks.rnvp_path)["flow_noise"]
    seen, number = (noise * flow.noise_sd(1.0) < 1).cpu(), torch.arange(flow.dim)
    if not seen.any():
        seen[:] = True
    return code_shares(networks, {"seen": seen, "all": number >= 0, "leading": number < num_leading(flow)})


def code_shares(networks: Networks, directions: Mapping[str, Tensor]) -> Shares:
    """1-NNA (share, 0.5 is best) of test codes against as many codes of each kind, at most `MOST_CODES`, in `NUM_SETS`
    sets.

    directions: masks (D,) of the principal directions that count, by name. For vectors only: in the thousands of
    dimensions of a grid, samples with too large a spread are far from each other as well, so that every nearest
    neighbour is a test code and a bad sampler scores 0.5.
    """
    test = load_codes(networks.cfg, "test").one_per_shape().codes[:MOST_CODES]
    training = load_codes(networks.cfg, "train")
    num = min(len(test), len(training.plain_indices()))
    references = coordinates(networks, test[:num])
    found: Shares = {}
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
        yield FLOW, drawn_codes(networks, num, networks.cfg.run.seed, first=first)  # unselected
        yield GAUSSIAN, gaussian_codes(networks, num, first=first)
        yield NEIGHBOURS, neighbour_codes(networks, num, first=first)
        chosen = np.random.default_rng((networks.cfg.run.seed, k)).permutation(plain)[:num]
        yield TRAINING, training.codes[chosen]


@torch.no_grad()
def coordinates(networks: Networks, codes: Codes) -> Tensor:
    """`code_coordinates` of codes on the disk, too: (S, D) float64 on the CPU."""
    return torch.cat([code_coordinates(networks.flow, part).cpu() for part in in_parts(networks, codes)])
