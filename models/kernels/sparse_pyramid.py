"""The pyramid of a frozen network on a CPU: several times as fast, for the same result but for rounding.

A shape's surface fills few nodes of the finest level. Away from them a convolution gives what it gives for an empty
input, which is computed once. Near them it is linear: a node whose value differs from the empty input's adds the
difference, times the kernel, to its 27 neighbours. So a convolution is one product of the active nodes' differences
with all 27 matrices of the kernel, whose rows are added up where they belong. The coarser levels, of which more nodes
are active, are computed whole, with fewer multiplications (`winograd.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.kernels.winograd import WinogradConvolution, pays
from models.occupancy import folded

MOST_ACTIVE = 0.3  # share of the nodes before a convolution up to which it is computed sparsely
ROWS_AT_A_TIME = 256  # their products stay in the cache


@dataclass(frozen=True)
class Layer:
    """A convolution and ReLU, behind the last one of a resolution a batch norm, and before the next resolution pooling.

    (B, C, R, R, R) -> (B, C', R, R, R), or with pooling R / 2.
    """

    convolution: nn.Conv3d
    norm: nn.BatchNorm3d | None
    pooled: bool

    def __call__(self, x: Tensor) -> Tensor:
        return self.by(self.convolution, x)

    def by(self, convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The same by another function than the convolution itself."""
        x = F.relu(convolution(x))
        x = self.norm(x) if self.norm is not None else x
        return F.max_pool3d(x, 2) if self.pooled else x


@dataclass(frozen=True)
class Active:
    """Nodes whose values may differ from those of an empty input.

    places: (n,) flat numbers in the batch's grids (B, R + 2, R + 2, R + 2) with a border; values: (n, C).
    """

    places: Tensor
    values: Tensor


class SparsePyramid:
    """The coarsest level of a pyramid, for inputs on a CPU, without gradients.

    The network must be in eval mode, and its weights must not change. What an empty input gives, and what is made of
    the weights, is kept from the first use on, for each shape of inputs.
    """

    def __init__(self, layers: Sequence[Layer], input_fold: int):
        self.layers, self.input_fold = layers, input_fold
        self.empty: dict[torch.Size, list[Tensor]] = {}  # the input of each layer, (1, C, R, R, R)
        self.sparse: dict[tuple[torch.Size, int], SparseLayer] = {}
        self.fast: dict[tuple[torch.Size, int], Callable[[Tensor], Tensor]] = {}

    @torch.no_grad()
    def coarsest(self, x: Tensor) -> Tensor:
        """x: (B, 1 or 4, R, R, R), at empty nodes 0 in all channels. Returns (B, C, r, r, r)."""
        empty, batch, depth = self._empty_inputs(x), len(x), 0
        active = active_blocks(x, self.input_fold)
        while depth + 1 < len(self.layers) and len(active.places) <= MOST_ACTIVE * batch * empty[depth][0, 0].numel():
            active = self._sparse_layer(empty[depth], depth)(active, batch)
            depth += 1
        x = filled(active, empty[depth], batch) if depth else folded(x, self.input_fold)
        for number in range(depth, len(self.layers)):
            x = self.layers[number].by(self._fast(x, number), x)
        return x

    def _empty_inputs(self, x: Tensor) -> list[Tensor]:
        if x.shape[1:] not in self.empty:
            inputs = [folded(torch.zeros_like(x[:1]), self.input_fold)]
            for layer in self.layers[:-1]:
                inputs.append(layer(inputs[-1]))
            self.empty[x.shape[1:]] = inputs
        return self.empty[x.shape[1:]]

    def _sparse_layer(self, empty: Tensor, depth: int) -> "SparseLayer":
        key = empty.shape, depth
        if key not in self.sparse:
            self.sparse[key] = SparseLayer(self.layers[depth], empty)
        return self.sparse[key]

    def _fast(self, x: Tensor, depth: int) -> Callable[[Tensor], Tensor]:
        key, convolution = (x.shape[1:], depth), self.layers[depth].convolution
        if key not in self.fast:
            self.fast[key] = WinogradConvolution(convolution) if pays(convolution, x.shape[-1]) else convolution
        return self.fast[key]


class SparseLayer:
    """A layer where its inputs differ from an empty one. It has a batch norm and pooling, or neither."""

    def __init__(self, layer: Layer, empty: Tensor):
        """empty: what an empty input gives before the layer, (1, C, R, R, R)."""
        self.norm, self.pooled, self.size = layer.norm, layer.pooled, empty.shape[-1]
        self.kernel = kernel_rows(layer.convolution)
        self.before, self.sums = bordered_rows(empty), bordered_rows(layer.convolution(empty))

    def __call__(self, active: Active, batch: int) -> Active:
        """From the nodes that are active before the layer to those behind it."""
        size, nodes = self.size, (self.size + 2) ** 3
        targets = active.places[:, None] + neighbours(size)
        places = (touched_blocks if self.pooled else touched)(targets, batch, size)
        number = torch.full((batch * nodes,), len(places))  # what falls outside: the last row
        number[places] = torch.arange(len(places))
        sums = F.pad(self.sums[places % nodes], (0, 0, 0, 1))
        differences = active.values - self.before[active.places % nodes]
        for rows, to in zip(differences.split(ROWS_AT_A_TIME), number[targets].split(ROWS_AT_A_TIME), strict=True):
            sums.index_add_(0, to.flatten(), (rows @ self.kernel).view(-1, sums.shape[1]))
        behind = Active(places, F.relu_(sums[:-1]))
        return self._pool(behind, batch) if self.pooled else behind

    def _pool(self, active: Active, batch: int) -> Active:
        norm, size = self.norm, self.size
        assert norm is not None
        normed = F.batch_norm(
            active.values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )  # as in eval mode
        sample, *node = torch.unravel_index(active.places[::8], (batch, *(size + 2,) * 3))
        half = size // 2 + 2
        x, y, z = ((axis - 1) // 2 + 1 for axis in node)
        return Active(((sample * half + x) * half + y) * half + z, normed.unflatten(0, (-1, 8)).amax(dim=1))


def kernel_rows(convolution: nn.Conv3d) -> Tensor:
    """(C, 27 C'): what a node adds to each of its `neighbours`, to which it lies on the opposite side."""
    return convolution.weight.flip(2, 3, 4).permute(1, 2, 3, 4, 0).flatten(1).contiguous()


def neighbours(size: int) -> Tensor:
    """From a node to its 27 neighbours in a grid of `size` nodes per axis with a border, as steps of flat numbers."""
    step = torch.arange(-1, 2)
    return (((step[:, None] * (size + 2) + step)[:, :, None]) * (size + 2) + step).flatten()


def bordered_rows(x: Tensor) -> Tensor:
    """(1, C, R, R, R) -> ((R + 2)^3, C), 0 on the border."""
    return F.pad(x, (1,) * 6)[0].flatten(1).T.contiguous()


def active_blocks(x: Tensor, fold: int) -> Active:
    """The occupied nodes of `folded` inputs (B, C, R, R, R)."""
    batch, channels, resolution = x.shape[:3]
    size = resolution // fold
    sample, *node = x[:, 0].nonzero().T
    i, j, k = (axis // fold + 1 for axis in node)
    place = ((sample * (size + 2) + i) * (size + 2) + j) * (size + 2) + k
    mask = torch.zeros(batch * (size + 2) ** 3, dtype=torch.bool)
    mask[place] = True
    places = mask.nonzero()[:, 0]
    i, j, k = (axis % fold for axis in node)
    values = x.new_zeros(len(places), channels, fold**3)
    row = (mask.cumsum(0) - 1)[place]
    values[row, :, (i * fold + j) * fold + k] = x[sample, :, node[0], node[1], node[2]]
    return Active(places, values.flatten(1))


def touched(targets: Tensor, batch: int, size: int) -> Tensor:
    """The nodes among targets that are in the grids and not on their border, each once: places (n,)."""
    mask = torch.zeros(batch, *(size + 2,) * 3, dtype=torch.bool)
    mask.view(-1)[targets] = True
    inner = torch.zeros_like(mask)
    inner[:, 1:-1, 1:-1, 1:-1] = mask[:, 1:-1, 1:-1, 1:-1]
    return inner.flatten().nonzero()[:, 0]


def touched_blocks(targets: Tensor, batch: int, size: int) -> Tensor:
    """All nodes of the blocks of 2^3 that targets touch, block by block. Nodes that pooling leaves out are left out."""
    mask = torch.zeros(batch, *(size + 2,) * 3, dtype=torch.bool)
    mask.view(-1)[targets] = True
    end = 1 + size // 2 * 2
    blocks = F.max_pool3d(mask[:, 1:end, 1:end, 1:end].float(), 2).nonzero()  # (n, 4)
    sample, *block = blocks.T[..., None]
    corner = torch.cartesian_prod(*[torch.arange(2)] * 3).T
    x, y, z = (2 * axis + 1 + offset for axis, offset in zip(block, corner, strict=True))
    return (((sample * (size + 2) + x) * (size + 2) + y) * (size + 2) + z).flatten()


def filled(active: Active, empty: Tensor, batch: int) -> Tensor:
    """The whole level (B, C, R, R, R), channels last in memory."""
    size, channels = empty.shape[-1], empty.shape[1]
    rows = bordered_rows(empty).repeat(batch, 1)
    rows[active.places] = active.values
    grids = rows.view(batch, *(size + 2,) * 3, channels)[:, 1:-1, 1:-1, 1:-1]
    return grids.permute(0, 4, 1, 2, 3).contiguous(memory_format=torch.channels_last_3d)
