"""1-NNA of codes: can a flow's samples be told from codes that it was not trained on, before anything is decoded?

It sees what clouds hide: codes between kinds of shape, whose decoded surfaces are torn. Distances of clouds hardly
change for a hole in a roof; the codes are far from all codes of real shapes.
"""

import torch
from torch import Tensor

from models.real_nvp import CodeFlow
from runtime.seeds import step_seed

MOST_CODES = 300  # of each set: a few tens of milliseconds
SAMPLE_STREAM = 900_000_000  # step number of the numbers from which samples are drawn, far from those of a training


def code_coordinates(flow: CodeFlow, codes: Tensor) -> Tensor:
    """Codes (S, *code_shape) along the principal directions, the largest variance first: (S, D) float64.

    In shares of the codes' spread, one scale for all directions: distances are those of the codes themselves.
    """
    return (flow.whiten(codes).flatten(1) / flow.noise_sd(1.0)).double()


def one_nna_of_points(references: Tensor, samples: Tensor) -> float:
    """Leave-one-out accuracy of the 1-nearest-neighbour classifier of references (R, D) against samples (S, D).

    By Euclidean distances; 0.5 is best, see `evaluation.metrics.one_nna`. 1 for samples that are not finite.
    """
    if not samples.isfinite().all():
        return 1.0
    together = torch.cat([references, samples])
    distances = torch.cdist(together, together, compute_mode="donot_use_mm_for_euclid_dist")
    is_reference = torch.arange(len(together), device=together.device) < len(references)
    nearest = distances.fill_diagonal_(torch.inf).argmin(dim=1)
    return (is_reference[nearest] == is_reference).double().mean().item()


@torch.no_grad()
def nna_while_training(flow: CodeFlow, codes: Tensor, seed: int) -> dict[str, float]:
    """1-NNA, %, of validation codes (S, *code_shape) against as many samples: by all directions, and the leading ones.

    flow: in eval mode. The same z at every validation. Nothing for codes that are no vectors (in thousands of
    dimensions a bad sampler scores 50 %), and for a single code.
    """
    if flow.code_kind != "vector" or len(codes) < 2:
        return {}
    codes = codes[:MOST_CODES]
    real, sampled = (code_coordinates(flow, some) for some in (codes, drawn_samples(flow, len(codes), seed)))
    parts = {"": flow.dim, "_leading": num_leading(flow)}
    return {
        f"nna_codes{part}_percent": 100 * one_nna_of_points(real[:, :dims], sampled[:, :dims])
        for part, dims in parts.items()
    }


def num_leading(flow: CodeFlow) -> int:
    """How many leading principal directions have couplings (`flow_dims`); all of a flow without such."""
    return int(getattr(flow.body, "leading", flow.dim))


def drawn_samples(flow: CodeFlow, num: int, seed: int) -> Tensor:
    """The same samples (num, *code_shape) of the flow at each call, whatever else is drawn."""
    generator = torch.Generator().manual_seed(step_seed(seed, SAMPLE_STREAM))
    noise = torch.randn(num, flow.base.noise_dim, generator=generator)
    return flow.inverse(flow.base.place(noise.to(flow.base.origin.device)))
