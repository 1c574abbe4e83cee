"""1-NNA of latent codes: can the flow's samples be told from held-out codes, before decoding?"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from evaluation.baselines import gaussian_codes
from evaluation.metrics.sets import one_nna
from generation.latents import Codes, whitened
from generation.networks import Networks
from generation.sampling import sampled_codes
from training.stored_codes import load_codes

MAX_CODES = 300  # of each set
NUM_SETS = 3


def code_one_nna(networks: Networks, noise: float) -> dict[str, float]:
    """1-NNA (share, 0.5 is best) of test codes against as many "flow" samples, "Gaussian" ones and "training" codes.

    Distances between codes are Euclidean, on the principal directions that vary by more than the noise of the flow's
    training, since the decoder ignores the others. Mean over `NUM_SETS` sets. For vectors only: in the thousands of
    dimensions of a grid, samples with too large a spread are far from each other as well, so that every nearest
    neighbour is a test code and a bad sampler scores 0.5.
    """
    cfg = networks.cfg
    noise_sd = networks.flow.noise_sd(1.0)
    seen = noise * noise_sd < 1
    if not seen.any():
        seen[:] = True

    def coordinates(codes: Codes) -> NDArray[np.float64]:
        shares_of_spread = whitened(networks, codes) / noise_sd  # one common scale
        return shares_of_spread[:, seen].double().cpu().numpy()

    test = coordinates(load_codes(cfg, "test").one_per_shape().codes[:MAX_CODES])
    training = load_codes(cfg, "train")
    plain = np.array(training.plain_indices())
    num = min(len(test), len(plain))
    test = test[:num]
    within = cdist(test, test)
    found: dict[str, list[float]] = {"flow": [], "Gaussian": [], "training": []}
    for k in range(NUM_SETS):
        chosen = np.random.default_rng((cfg.seed, k)).permutation(plain)[:num]
        sets = {
            "flow": sampled_codes(networks, num, cfg.seed, first=k * num),
            "Gaussian": gaussian_codes(networks, num, first=k * num),
            "training": training.codes[chosen],
        }
        for name, codes in sets.items():
            other = coordinates(codes)
            found[name].append(one_nna(within, cdist(test, other), cdist(other, other)).acc)
    return {name: float(np.mean(values)) for name, values in found.items()}
