"""Muon: steepest descent where a step is measured by its largest singular value, for the matrices of a network.

Sources: Jordan et al. 2024 ("Muon: An optimizer for hidden layers in neural networks"); the scale is that of Liu et al.
2025 ("Muon is scalable for LLM training", sec. 2.2), with which Adam's learning rates can be kept.
`torch.optim.Muon` takes plain matrices alone; here are also kernels, flattened, and batches of matrices.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
RMS = 0.2  # of a step's entries per unit of learning rate, about that of Adam's steps
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al.: singular values in (0, 1] to about 0.7 to 1.2 in five iterations
ITERATIONS = 5
LAST_LAYER = "fc_out."  # Jordan et al.: the last layer learns better with Adam


def orthogonalised(matrices: Tensor) -> Tensor:
    """(..., m, n) -> about U V^T of each matrix's singular value decomposition U S V^T (Newton-Schulz iterations).

    An iteration multiplies the matrix X by a polynomial of X X^T. All of them are worked out on X X^T, which is small,
    and X is multiplied once: a quarter of the work for a matrix that is far from square.
    """
    x = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-30)
    a, b, c = QUINTIC
    gram = x @ x.mT
    one = torch.eye(gram.shape[-1], device=x.device, dtype=x.dtype)
    product = one
    for k in range(ITERATIONS):
        factor = a * one + b * gram + c * (gram @ gram)  # all of these are polynomials of the first gram: they commute
        product = factor @ product
        if k < ITERATIONS - 1:
            gram = factor @ gram @ factor
    result: Tensor = product @ x
    return result.mT if matrices.shape[-2] > matrices.shape[-1] else result


def as_matrices(values: Tensor) -> Tensor:
    """The matrix of a linear layer or of a kernel, whose last axes are flattened, or a batch of matrices (K, m, n)."""
    if values.dim() > 3 or values.shape[-1] == 1:  # of a convolution
        return values.flatten(1)
    return values


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of a network, but for its last layer's; Adam for this and all biases and scales."""

    def __init__(self, model: nn.Module, lr: float):
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            is_matrix = parameter.dim() > 1 and not name.endswith("bias") and not name.startswith(LAST_LAYER)
            (matrices if is_matrix else others).append(parameter)
        self.adam = torch.optim.Adam(others, lr=lr, fused=True)
        super().__init__([{"params": matrices}, {"params": others}], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            gradient, state = parameter.grad, self.state[parameter]
            if gradient is None:
                continue
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            mean = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
            change = orthogonalised(as_matrices(gradient.lerp(mean, MOMENTUM)))  # Nesterov's
            parameter.add_(change.reshape(parameter.shape), alpha=-self.param_groups[0]["lr"] * RMS * _side(change))
        self.adam.param_groups[0]["lr"] = self.param_groups[1]["lr"]
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "adam"})
        self.adam.load_state_dict(state_dict["adam"])


def _side(matrices: Tensor) -> float:
    """The root of the longer side: an orthogonal matrix has entries of root mean square 1 / that."""
    return math.sqrt(max(matrices.shape[-2:]))
