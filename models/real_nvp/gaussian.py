"""The Gaussian baseline that a flow has to beat."""

import math

import torch
from torch import Tensor


class ShrunkGaussian:
    """A Gaussian fitted to x (N, D) plus independent noise of sd `noise`: full covariance, shrunk to its diagonal.

    noise: one sd, or one for each dimension (D,). Covariance (1 - rho) S + rho diag(S) + diag(noise^2). rho is the
    oracle approximating shrinkage of Chen, Wiesel, Eldar, Hero 2010, "Shrinkage algorithms for MMSE covariance
    estimation", eq. 23, of the correlations: near 0 for many codes, and large enough to give a density when there are
    fewer codes than dimensions. If x is uncorrelated, as after PCA, this is the diagonal Gaussian for any rho.

    >>> gaussian = ShrunkGaussian(torch.randn(100, 3), noise=0.1)
    >>> tuple(gaussian.nats_per_dim(torch.randn(5, 3)).shape)
    (5,)
    """

    def __init__(self, x: Tensor, noise: float | Tensor = 0.0):
        num = len(x)
        self.noise_sq = noise**2
        variance, self.mean = torch.var_mean(x, dim=0)
        tiny = 1e-12 * variance.max() + torch.finfo(x.dtype).tiny
        factor = (x - self.mean) / math.sqrt(num - 1)  # S = factor^T factor
        if num > x.shape[1]:
            factor = torch.linalg.qr(factor, mode="r").R  # the same S from D rows
        rho = shrinkage(factor / (variance + tiny).sqrt(), num)
        self.diagonal = (rho * variance + self.noise_sq).clamp_min(tiny)  # (D,); B^T B is added to it
        scaled = math.sqrt(1 - rho) * factor / self.diagonal.sqrt()  # (K, D)
        self.cholesky = torch.linalg.cholesky(torch.eye(len(scaled)).to(x) + scaled @ scaled.T)
        self.scaled = torch.linalg.solve_triangular(self.cholesky, scaled, upper=False)

    def nats_per_dim(self, x: Tensor) -> Tensor:
        """Expectation of -log p(x + noise e) / D over e ~ N(0, I), in closed form: (B, D) -> (B,)."""
        y = (x - self.mean) / self.diagonal.sqrt()
        quadratic = y.square().sum(dim=1) - (y @ self.scaled.T).square().sum(dim=1)  # Woodbury
        log_volume = self.diagonal.log().sum() + 2 * self.cholesky.diagonal().log().sum()
        inverse_diagonal = (1 - self.scaled.square().sum(dim=0)) / self.diagonal
        constant = log_volume + (self.noise_sq * inverse_diagonal).sum()
        return 0.5 * ((quadratic + constant) / x.shape[1] + math.log(2 * math.pi))


def shrinkage(factor: Tensor, num: int) -> float:
    """OAS weight of the identity, in [0, 1], for the correlations factor^T factor of `num` codes; factor (K, D)."""
    dim = factor.shape[1]
    gram = factor @ factor.T
    trace, trace_sq = gram.trace().item(), gram.square().sum().item()
    top = (1 - 2 / dim) * trace_sq + trace**2
    bottom = (num + 1 - 2 / dim) * (trace_sq - trace**2 / dim)
    return 1.0 if bottom <= top else top / bottom
