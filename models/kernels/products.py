"""Products of float32 matrices on a CPU, by oneDNN where that is faster.

torch multiplies by MKL, which uses only half of the vector width of processors that are not Intel's. oneDNN, which
comes with torch too, uses all of it: 2.2 times as fast on an AMD EPYC with AVX-512. Small products stay with MKL, which
is quicker to begin, and all on Intel's own, where oneDNN takes 1.0 to 3 times as long. Both sum in float32; results
differ by rounding.
"""

import platform
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 2**20  # multiplications from which oneDNN is faster (128 x 128 x 64 is not yet)
# torch's own name for it, which a version to come may lack: then all stays with MKL.
HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def is_intels() -> bool:
    """Whether the processor says that it is Intel's."""
    facts = Path("/proc/cpuinfo")
    return "GenuineIntel" in (facts.read_text(errors="replace") if facts.is_file() else platform.processor())


# With AVX2 alone both are as fast.
WIDE = torch.backends.cpu.get_cpu_capability().startswith("AVX512") and not is_intels()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`: x (..., I), weight (O, I), bias (O,) -> (..., O). Differentiable, as often as wanted."""
    if not by_onednn(x, weight):
        return F.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        return _onednn(x, weight, bias)
    rows: Tensor = _Linear.apply(x.reshape(-1, x.shape[-1]), weight, bias)  # of rows, so that no view comes out of it
    return rows if x.dim() == 2 else rows.view(*x.shape[:-1], -1)


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies x (..., I) by weight (O, I)."""
    return (
        x.numel() * len(weight) >= LEAST
        and HAS_ONEDNN
        and WIDE
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and bool(torch.backends.mkldnn.enabled)
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, "none", [], "")
    return product


def _dense(matrix: Tensor) -> Tensor:
    """Without gaps between rows or columns: for transposed parts of larger ones oneDNN has only slow code (x 500)."""
    return matrix if matrix.is_contiguous() or matrix.mT.is_contiguous() else matrix.contiguous()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            linear(gradient, weight.t()) if to_x else None,
            linear(gradient.t(), x.t()) if to_weight else None,
            gradient.sum(dim=0) if to_bias else None,
        )
