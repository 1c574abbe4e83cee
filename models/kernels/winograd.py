"""Convolutions of 3^3 nodes with an eighth of the multiplications (Winograd 1980; Lavin, Gray 2016), on a CPU.

Blocks of 4^3 outputs come from 6^3 inputs by transforms along each axis, products of 216 pairs of numbers per pair of
channels instead of 64 x 27, and transforms back. A transform stands for polynomials at the points 0, +-A, +-B and
infinity. With these points rounding errors are 3 times those of a plain convolution, with the usual 1 and 2 ten times.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

A, B = 0.5**0.5, 2.0**0.5  # so that A B = 1
A2, B2 = 0.5, 2.0
SUM = A2 + B2
TILE = 4  # outputs along an axis
TAPS = 6  # inputs of a tile along an axis
TILES_AT_A_TIME = 64  # stay in the cache
LEAST_CHANNELS = 32  # with fewer the transforms cost more than they save


def pays(convolution: nn.Conv3d, size: int) -> bool:
    """Whether it is faster than the convolution itself in a grid of `size` nodes per axis."""
    channels = min(convolution.in_channels, convolution.out_channels)
    return channels >= LEAST_CHANNELS and size > TILE and convolution.weight.dtype == torch.float32


class WinogradConvolution:
    """A convolution whose weights do not change, of 3^3 nodes with zeros around the grid; without gradients."""

    def __init__(self, convolution: nn.Conv3d):
        axis = kernel_transform()
        products = torch.einsum("oiabc,xa,yb,zc->zyxio", convolution.weight.double(), axis, axis, axis)
        self.kernel = products.flatten(0, 2).to(convolution.weight.dtype).contiguous()  # (216, C, C')
        assert convolution.bias is not None
        self.bias = convolution.bias

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, R, R, R) -> (B, C', R, R, R), channels last in memory."""
        batch, size = len(x), x.shape[-1]
        tiles = -(-size // TILE)
        x = F.pad(x.permute(0, 2, 3, 4, 1), (0, 0) + (1, 1 + tiles * TILE - size) * 3)
        outputs = x.new_empty(batch, *(tiles * TILE,) * 3, self.kernel.shape[2])
        shapes = max(1, TILES_AT_A_TIME // tiles**3)
        layers = max(1, TILES_AT_A_TIME // tiles**2) * TILE
        for i in range(0, batch, shapes):
            for k in range(0, tiles * TILE, layers):
                outputs[i : i + shapes, k : k + layers] = self._tiles(x[i : i + shapes, k : k + layers + 2])
        return outputs[:, :size, :size, :size].add_(self.bias).permute(0, 4, 1, 2, 3)

    def _tiles(self, x: Tensor) -> Tensor:
        """(b, X + 2, Y + 2, Z + 2, C) -> (b, X, Y, Z, C')."""
        spread = forwards(forwards(forwards(x, 1), 3), 5)  # each puts 6 in front: (6, 6, 6, b, X / 4, Y / 4, Z / 4, C)
        products = torch.bmm(spread.view(TAPS**3, -1, x.shape[-1]), self.kernel).view(*spread.shape[:-1], -1)
        return backwards(backwards(backwards(products, 5), 3), 1)


def kernel_transform() -> Tensor:
    """(6, 3) float64: the values of a kernel's polynomial, scaled, at 0, A, -A, B, -B and infinity."""
    rows = [[1 / (A2 * B2), 0, 0]]
    for point, other in ((A, B2), (-A, B2), (B, A2), (-B, A2)):
        scale = 2 * point**2 * (point**2 - other)
        rows.append([1 / scale, point / scale, point**2 / scale])
    return torch.tensor([*rows, [0, 0, 1]], dtype=torch.float64)


def forwards(x: Tensor, axis: int) -> Tensor:
    """Along an axis of 4 n + 2 inputs: (..., 4 n + 2, ...) -> (6, ..., n, ...)."""
    count = (x.shape[axis] - 2) // TILE
    d0, d1, d2, d3, d4, d5 = (
        x.narrow(axis, tap, TILE * count - 3).unfold(axis, 1, TILE).squeeze(-1) for tap in range(TAPS)
    )
    spread = x.new_empty(TAPS, *d0.shape)
    even, odd = torch.sub(d4, d2, alpha=B2), torch.sub(d3, d1, alpha=B2)
    torch.add(even, odd, alpha=A, out=spread[1])
    torch.sub(even, odd, alpha=A, out=spread[2])
    torch.sub(d4, d2, alpha=A2, out=even)
    torch.sub(d3, d1, alpha=A2, out=odd)
    torch.add(even, odd, alpha=B, out=spread[3])
    torch.sub(even, odd, alpha=B, out=spread[4])
    torch.sub(d4, d2, alpha=SUM, out=spread[0]).add_(d0)  # A B = 1
    torch.sub(d5, d3, alpha=SUM, out=spread[5]).add_(d1)
    return spread


def backwards(products: Tensor, axis: int) -> Tensor:
    """The outputs along an axis: (6, ..., n, ...) -> (..., 4 n, ...)."""
    m0, m1, m2, m3, m4, m5 = products
    outputs = products.new_empty(*m0.shape[: axis + 1], TILE, *m0.shape[axis + 1 :])
    y0, y1, y2, y3 = outputs.unbind(axis + 1)
    even_a, even_b = m1 + m2, m3 + m4
    torch.add(m0, even_a, out=y0).add_(even_b)
    torch.mul(even_a, A2, out=y2).add_(even_b, alpha=B2)
    odd_a, odd_b = torch.sub(m1, m2, out=even_a).mul_(A), torch.sub(m3, m4, out=even_b).mul_(B)
    torch.add(odd_a, odd_b, out=y1)
    torch.add(m5, odd_a, alpha=A2, out=y3).add_(odd_b, alpha=B2)
    return outputs.flatten(axis, axis + 1)
