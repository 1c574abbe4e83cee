"""The Gaussian that a flow has to beat."""

import math

import torch
from torch import Tensor


class ShrunkGaussian:
    """A full-covariance Gaussian fitted to w (N, D), N(mean, (1 - rho) S + rho tr(S)/D I + noise^2 I).

    rho is the oracle approximating shrinkage of Chen, Wiesel, Eldar, Hero 2010, "Shrinkage algorithms for MMSE
    covariance estimation", eq. 23: 0 for many codes, so that fewer codes than dimensions still give a density. `noise`
    is the sd of the noise that the flow's training adds to w. On PCA-whitened codes, where S = I, this is the
    Gaussian N(0, (1 + noise^2) I).
    """

    def __init__(self, w: Tensor, noise: float = 0.0):
        num, dim = w.shape
        self.mean = w.mean(dim=0)
        _, singular, self.directions = torch.linalg.svd(w - self.mean, full_matrices=False)  # (K,), (K, D)
        eigenvalues = singular.square() / max(num - 1, 1)
        self.noise = noise
        self.dim = dim
        trace, trace_sq = eigenvalues.sum().item(), eigenvalues.square().sum().item()
        rho = shrinkage(trace, trace_sq, num, dim)
        self.variances = (1 - rho) * eigenvalues + rho * trace / dim + noise**2  # (K,) along the directions
        self.variance_off = rho * trace / dim + noise**2  # along the D - K others
        self.num_off = dim - len(eigenvalues)

    def nats_per_dim(self, w: Tensor) -> Tensor:
        """Expected -log p(w + noise e) / D over e of N(0, I): (B, D) -> (B,), exact, no draw needed."""
        centred = w - self.mean
        along = centred @ self.directions.T  # (B, K)
        quadratic = (along.square() / self.variances).sum(dim=1)
        log_volume = self.variances.log().sum().item()
        inverse_trace = (1 / self.variances).sum().item()
        if self.num_off:
            off = (centred.square().sum(dim=1) - along.square().sum(dim=1)).clamp_min(0)
            quadratic = quadratic + off / self.variance_off
            log_volume += self.num_off * math.log(self.variance_off)
            inverse_trace += self.num_off / self.variance_off
        constant = log_volume + self.noise**2 * inverse_trace
        return 0.5 * ((quadratic + constant) / self.dim + math.log(2 * math.pi))


def shrinkage(trace: float, trace_sq: float, num: int, dim: int) -> float:
    """OAS weight of the isotropic target, in [0, 1], from tr(S), tr(S^2), the number of codes and of dimensions."""
    top = (1 - 2 / dim) * trace_sq + trace**2
    bottom = (num + 1 - 2 / dim) * (trace_sq - trace**2 / dim)
    return 1.0 if bottom <= top else top / bottom
