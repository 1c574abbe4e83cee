"""The pyramid of a frozen network on a CPU, computed only where a shape is: several times as fast, for the same result.

A shape's surface fills few nodes of the grid. Away from them every convolution gives what it gives for an empty input,
which is computed once. Near them it is linear: a node whose value differs from the empty input's adds the difference,
times the kernel, to its 27 neighbours. So a convolution is one product of the active nodes' differences with all 27
matrices of the kernel, whose rows are added up where they belong. Coarser levels are filled more densely: where many
nodes are active, the usual convolutions are faster, and take over.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.occupancy import folded

MOST_ACTIVE = 0.5  # share of a level's nodes up to which it is computed sparsely
ROWS_AT_A_TIME = 256  # their products stay in the cache


@dataclass(frozen=True)
class Level:
    """Convolutions of one resolution, each followed by ReLU, and the batch norm behind the last one."""

    convolutions: list[nn.Conv3d]
    norm: nn.BatchNorm3d

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, R, R, R) -> (B, C', R, R, R)."""
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        return self.norm(x)

    def normed(self, rows: Tensor) -> Tensor:
        """The batch norm, in eval mode, of rows (n, C)."""
        norm = self.norm
        return F.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


@dataclass(frozen=True)
class Active:
    """Nodes whose values may differ from the empty input's.

    places: (n,) flat numbers in the batch's grids (B, R + 2, R + 2, R + 2) with a border; values: (n, C).
    """

    places: Tensor
    values: Tensor


@dataclass(frozen=True)
class Empty:
    """What an empty input gives at one level, whose input is (1, C, R, R, R).

    before, sums: each convolution's input and output, with its bias, as rows of the grid with a border.
    """

    level: Tensor
    before: list[Tensor]
    sums: list[Tensor]


class SparsePyramid:
    """The coarsest level of a network's pyramid for inputs on a CPU, without gradients.

    The network must be in eval mode, and its weights must not change.
    """

    def __init__(self, levels: list[Level], input_fold: int):
        self.levels, self.input_fold = levels, input_fold
        self.kernels = [[kernel_rows(convolution) for convolution in level.convolutions] for level in levels]
        self.empty: dict[tuple[int, ...], list[Empty]] = {}  # by the shape of one input

    @torch.no_grad()
    def coarsest(self, x: Tensor) -> Tensor:
        """x: (B, 1 or 4, R, R, R), at empty nodes 0 in all channels. Returns (B, C, r, r, r)."""
        size = x.shape[-1] // self.input_fold
        empty = self.empty_levels(x)
        active = active_blocks(x, self.input_fold)
        depth = 0
        while depth + 1 < len(self.levels) and len(active.places) <= MOST_ACTIVE * len(x) * size**3:
            active = self.next_level(active, depth, empty, len(x), size)
            size, depth = size // 2, depth + 1
        dense = folded(x, self.input_fold) if depth == 0 else filled(active, empty[depth].level, len(x))
        for level in self.levels[depth:-1]:
            dense = F.max_pool3d(level(dense), 2)
        return self.levels[-1](dense)

    def next_level(self, active: Active, depth: int, empty: list[Empty], batch: int, size: int) -> Active:
        """From the nodes that are active before a level to those after it and the pooling behind it."""
        level, here = self.levels[depth], empty[depth]
        for k, kernel in enumerate(self.kernels[depth]):
            last = k + 1 == len(level.convolutions)
            targets = active.places[:, None] + neighbours(size)
            places = touched_blocks(targets, batch, size) if last else touched(targets, batch, size)
            number = torch.full((batch * (size + 2) ** 3,), len(places))
            number[places] = torch.arange(len(places))
            at = places % (size + 2) ** 3
            sums = torch.cat([here.sums[k][at], here.sums[k][:1]])  # the last row takes what falls outside
            differences = active.values - here.before[k][active.places % (size + 2) ** 3]
            for rows, to in zip(differences.split(ROWS_AT_A_TIME), number[targets].split(ROWS_AT_A_TIME), strict=True):
                sums.index_add_(0, to.flatten(), (rows @ kernel).view(-1, sums.shape[1]))
            active = Active(places, F.relu_(sums[:-1]))
        pooled = level.normed(active.values).unflatten(0, (-1, 8)).amax(dim=1)
        sample, *node = torch.unravel_index(active.places[::8], (batch, *(size + 2,) * 3))
        half = size // 2 + 2
        x, y, z = ((axis - 1) // 2 + 1 for axis in node)
        return Active(((sample * half + x) * half + y) * half + z, pooled)

    def empty_levels(self, x: Tensor) -> list[Empty]:
        """Those of inputs of this size, up to the last level that may be sparse, and the input of the one behind it."""
        shape = tuple(x.shape[1:])
        if shape not in self.empty:
            level_input, found = folded(x.new_zeros(1, *shape), self.input_fold), []
            for level in self.levels:
                before, sums, y = [], [], level_input
                for convolution in level.convolutions:
                    before.append(bordered_rows(y))
                    y = convolution(y)
                    sums.append(bordered_rows(y))
                    y = F.relu(y)
                found.append(Empty(level_input, before, sums))
                if level is not self.levels[-1]:
                    level_input = F.max_pool3d(level.norm(y), 2)
            self.empty[shape] = found
        return self.empty[shape]


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
