"""Random numbers that belong to names, not to the order of work."""

import hashlib

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that belong to the seed and these names, on any machine and in any order of work."""
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
