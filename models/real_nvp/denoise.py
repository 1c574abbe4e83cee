"""One step of a flow's own score against the noise it was trained with."""

from collections.abc import Callable

import torch
from torch import Tensor


def denoise(log_prob: Callable[[Tensor], Tensor], x: Tensor, sigma: float) -> Tensor:
    """x + sigma^2 grad log p(x), the posterior mean of the clean x (Tweedie's formula), same shape as x.

    `log_prob` (B, ...) -> (B,) is the density of codes with Gaussian noise of sd `sigma` added: a flow trained on such
    codes samples noised ones. TarFlow (Zhai et al. 2025), section 3.3. Works under no_grad; sigma 0 returns x.
    """
    if sigma == 0:
        return x
    with torch.inference_mode(False), torch.enable_grad():
        place = x.detach().clone().requires_grad_()
        (score,) = torch.autograd.grad(log_prob(place).sum(), place)
    return x + sigma**2 * score
