"""How likely codes are under a flow: the mean and the quantiles of their negative log-likelihood (NLL)."""

import torch
from torch import Tensor

from configs.options import Config
from models.real_nvp import CodeFlow

QUANTILES = (0.5, 0.99, 0.999)  # of codes, kept in the checkpoint
NOISE_DRAWS = 8  # per code: their mean is stable enough to compare steps


@torch.no_grad()
def noised_nll(flow: CodeFlow, codes: Tensor, noise: float, cfg: Config) -> float:
    """Mean NLL, nats per dimension, of codes (S, *code_shape), noised and whitened, over fixed noise draws.

    flow: in eval mode; noise: as in training.
    """
    torch.manual_seed(cfg.run.seed)
    values = []
    for _ in range(NOISE_DRAWS):
        for batch in codes.split(cfg.flow.flow_batch_size):
            values.append(-flow.log_prob_whitened(flow.whiten_noised(batch, noise)) / flow.dim)
    return torch.cat(values).mean().item()


@torch.no_grad()
def code_quantiles(flow: CodeFlow, codes: Tensor, noise: float, cfg: Config) -> dict[str, dict[str, float]]:
    """Quantiles of the base's `distance` of z ("z_norm") and of the NLL over codes (S, *code_shape), noised as in
    training and whitened.

    With the noise: a flow's samples resemble noised codes, and so do codes that its decoder can be trusted with. Clean
    ones are far shorter in z (99.9 % of the demo cars of the weights that come along below 5.0, with noise 13.2).
    Returns measure -> quantile, as text -> value. flow: in eval mode.
    """
    torch.manual_seed(cfg.run.seed)
    measured = []
    for batch in codes.split(cfg.flow.flow_batch_size):
        w = flow.whiten_noised(batch, noise)
        z, log_det = flow.whitened_to_z(w)
        measured.append((flow.base.distance(z), -(flow.base.log_prob(z) + log_det) / flow.dim))
    z_norm, nll = (torch.cat(column).cpu().double() for column in zip(*measured, strict=True))
    measures = {"z_norm": z_norm, "nll_nats_per_dim": nll}
    return {name: {str(q): values.quantile(q).item() for q in QUANTILES} for name, values in measures.items()}
