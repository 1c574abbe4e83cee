"""Multi-scale RealNVP for grids of codes: checkerboard and channel-wise couplings with 3-D convolutions."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.real_nvp.base import NormalFlow
from models.real_nvp.bijections import Bijection, Chain, Permutation, Squeeze
from models.real_nvp.couplings import AffineCoupling, CheckerboardCoupling
from models.real_nvp.nets import ResidualConv3d
from runtime.errors import UserError


class GridFlow(NormalFlow):
    """Grids x (B, C, r, r, r) <-> z (B, D), D = C r^3, z standard normal. Dinh et al. 2017, sections 3.4 to 3.6.

    Each scale but the last: checkerboard couplings, squeeze, channel-wise couplings; half of the channels go to z.
    The last scale: checkerboard couplings only. With `couplings` = 8: four of each kind, and four on the last scale.

    shape: (C, r, r, r), r divisible by 2^(scales - 1) and at least 2 on the last scale; any r >= 2 for one scale.
    hidden, blocks, dropout: width, residual blocks and dropout of the nets. s_max: bound on |s|, nats per dimension
    and coupling. Raises UserError for a resolution that cannot be halved that often.

    >>> flow = GridFlow((2, 4, 4, 4), couplings=2, scales=2, hidden=8, blocks=1).eval()
    >>> x = torch.randn(3, 2, 4, 4, 4)
    >>> z, log_det = flow(x)
    >>> tuple(z.shape), torch.allclose(flow.inverse(z), x, atol=1e-4)
    ((3, 128), True)
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        couplings: int,
        scales: int,
        hidden: int,
        blocks: int,
        s_max: float = 2.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        channels, r = shape[0], shape[1]
        check_resolution(r, scales)
        self.shape = tuple(shape)
        self.dim = math.prod(shape)
        per_kind = max(2, couplings // 2)  # at least two: the second changes what the first keeps
        nets: dict[str, Any] = {"hidden": hidden, "blocks": blocks, "dropout": dropout}
        steps = []
        for scale in range(scales - 1):
            layers: list[Bijection] = checkerboards(per_kind, channels, r, s_max, nets)
            channels, r = 8 * channels, r // 2
            layers += [Squeeze(), Permutation(channels, seed=scale)]
            layers += channel_couplings(per_kind, channels, r, s_max, nets)
            steps.append(Chain(layers))
            channels //= 2
        steps.append(Chain(checkerboards(per_kind, channels, r, s_max, nets)))
        self.steps = nn.ModuleList(steps)
        self.last_shape = (channels, r, r, r)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, r, r, r) -> z (B, D), log_det (B,) nats."""
        parts = []
        total = x.new_zeros(len(x))
        for i, step in enumerate(self.steps):
            x, log_det = step(x)  # (B, 8 C, r/2, r/2, r/2), at the last step (B, C, r, r, r)
            total = total + log_det
            if i + 1 < len(self.steps):
                x, done = x.chunk(2, dim=1)  # (B, 4 C, r/2, r/2, r/2) each
                parts.append(done.flatten(1))
        parts.append(x.flatten(1))
        return torch.cat(parts, dim=1), total

    def inverse(self, z: Tensor) -> Tensor:
        """z (B, D) -> x (B, C, r, r, r)."""
        last = math.prod(self.last_shape)
        z, x = z.tensor_split([self.dim - last], dim=1)
        steps = [cast(Chain, step) for step in self.steps]
        x = steps[-1].inverse(x.reshape(-1, *self.last_shape))
        for step in reversed(steps[:-1]):
            size = x[0].numel()  # a step passes as many numbers to z as to the next step
            z, done = z.tensor_split([z.shape[1] - size], dim=1)
            x = step.inverse(torch.cat((x, done.reshape(x.shape)), dim=1))
        return x


def checkerboards(count: int, channels: int, r: int, s_max: float, nets: dict[str, Any]) -> list[Bijection]:
    """`count` checkerboard couplings with alternating masks on (channels, r, r, r)."""
    return [
        CheckerboardCoupling(ResidualConv3d(channels, 2 * channels, r, **nets), r, s_max, odd=i % 2 == 1)
        for i in range(count)
    ]


def channel_couplings(count: int, channels: int, r: int, s_max: float, nets: dict[str, Any]) -> list[Bijection]:
    """`count` channel-wise couplings with alternating halves on (channels, r, r, r), channels even."""
    half = channels // 2
    return [
        AffineCoupling(ResidualConv3d(half, 2 * half, r, **nets), half, s_max, keep_last=i % 2 == 1)
        for i in range(count)
    ]


def check_resolution(r: int, scales: int) -> None:
    """Raise UserError unless r nodes per axis can be halved scales - 1 times with at least 2 left."""
    factor = 2 ** (scales - 1)
    if r % factor or r // factor < 2:
        raise UserError(
            f"codes with {r} nodes per axis found, a multiple of {factor} and at least {2 * factor} expected for"
            f" flow_scales {scales}; set a smaller flow_scales (1 takes any out_resolution from 2 on)"
        )
