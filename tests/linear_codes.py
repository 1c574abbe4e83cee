"""Codes that are exactly Gaussian, and attributes that are linear in them: edits of those have closed forms."""

from functools import cache

import numpy as np
import torch

from generation.editing.attributes import Attribute, Attributes
from models.real_nvp import build_flow

DIM = 6
FLOW = {"flow_couplings": 4, "flow_hidden": 8, "flow_blocks": 1, "flow_s_max": 1.0, "flow_dropout": 0.0,
        "flow_dims": 6, "flow_tail_couplings": 1, "flow_scales": 1}  # fmt: skip


def gaussian_codes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(DIM, DIM))
    return (rng.normal(size=(count, DIM)) @ mixing + 3).astype(np.float32)


def linear_attributes() -> Attributes:
    """A number that is edited, a choice of three values that is held, and a number that codes do not know."""
    rng = np.random.default_rng(2)
    found = [
        Attribute("size", 0, 1, r2=0.9, mean=1.0, sd=2.0),
        Attribute("kind", 1, 2, r2=0.5, readings={"a": [0.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}),
        Attribute("luck", 3, 1, r2=0.1),
    ]
    return Attributes(found, rng.normal(size=(DIM, 4)), rng.normal(size=4), np.array([2.0, 0.4, 0.3, 1.0]), {})


@cache
def gaussian_flow() -> torch.nn.Module:
    """An untrained flow: whitening and permutations, so that its codes are exactly Gaussian."""
    flow = build_flow("vector", (DIM,), **FLOW)
    flow.fit_whitening(torch.from_numpy(gaussian_codes(4000)))
    return flow.double().eval().requires_grad_(False)
