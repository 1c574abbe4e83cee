"""Unsigned distances from points to triangles by torch alone, on a CPU or a CUDA GPU.

Every triangle that can be the nearest is tested in float64; float32 only rules out those that cannot. The points are
a tree of compact blocks: by bounding spheres a block, then each of its parts, at last each point leaves out triangles.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

FAN = 3  # binary logarithm of the parts of a block
LEAF = 8  # points of the smallest blocks, at most
PIECES = 24  # longest side of a piece of a triangle: the box's longest side over this
PAIRS = {"cpu": 1 << 16, "cuda": 1 << 20}  # pairs of largest blocks and triangles at a time: bounds the memory
SLACK = 1e-5  # of the largest coordinate: more than float32 can be wrong by in a distance


@torch.no_grad()
def unsigned_distance_torch(
    vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Distance of each point to the nearest triangle, exact to the rounding of the result.

    Degenerate faces count as the lines or points that they are.
    vertices (V, 3), faces (F, 3), points (N, 3), all finite. Returns (N,) float32, same units.
    """
    device = torch.device(device)
    p = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64)).to(device)
    best = torch.full((len(p),), torch.inf, dtype=torch.float64, device=device)
    if len(p):
        corners = torch.from_numpy(np.asarray(vertices, dtype=np.float64)[faces]).to(device)
        for point, triangle in _candidates(p, pieces(corners), PAIRS[device.type]):
            best.scatter_reduce_(0, point, squared_distance(p[point], triangle), "amin")
    return best.sqrt().float().cpu().numpy()


def squared_distance(p: Tensor, triangles: Tensor) -> Tensor:
    """Squared distance of point i to triangle i. p (K, 3), triangles (K, 3, 3), float64. Returns (K,).

    To the plane where the point's projection is inside, else to the nearest side; without area there is no inside.
    """
    a, b, c = triangles.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    area = _dot(normal, normal)  # 4 times the squared area
    inside = area > 0
    nearest = torch.full_like(area, torch.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        side, to_p = end - start, p - start
        inside &= _dot(torch.linalg.cross(side, to_p), normal) >= 0
        along = _dot(side, to_p) / _dot(side, side).clamp(min=torch.finfo(p.dtype).tiny)
        away = to_p - along.clamp(0, 1)[:, None] * side
        nearest = torch.minimum(nearest, _dot(away, away))
    height = _dot(p - a, normal).square() / area
    return torch.where(inside, height, nearest)


def pieces(triangles: Tensor) -> Tensor:
    """Cut triangles (T, 3, 3) in two at the middle of the longest side, until no side is long. Returns (P, 3, 3).

    A large triangle, or a long thin one, fills little of its bounding sphere and would be a candidate far away.
    """
    limit = (triangles.amax((0, 1)) - triangles.amin((0, 1))).max() / PIECES
    small = []
    while len(triangles):
        lengths = (triangles.roll(-1, 1) - triangles).norm(dim=2)  # (T, 3), side k from corner k on
        longest, side = lengths.max(dim=1)
        small.append(triangles[longest <= limit])
        large, side = triangles[longest > limit], side[longest > limit]
        corner = (side[:, None] + torch.arange(3, device=side.device)) % 3
        a, b, c = large.gather(1, corner[:, :, None].expand(-1, -1, 3)).unbind(1)  # a to b is the longest side
        middle = (a + b) / 2
        triangles = torch.cat([torch.stack([a, middle, c], dim=1), torch.stack([middle, b, c], dim=1)])
    return torch.cat(small)


class PointTree(NamedTuple):
    """Points as a tree of blocks, all levels from coarse to fine; the last level is the points themselves.

    Block i of a level has the parts i F, ..., i F + F - 1 of the next one, F the ratio of the levels' lengths.
    """

    order: Tensor  # (M_last,) which point each of the last level is; some stand there twice, to fill the last block
    centres: list[Tensor]  # [(M, 3)]
    radii: list[Tensor]  # [(M,)]


def point_tree(points: Tensor) -> PointTree:
    """Halve points (N, 3) along the longer side of their box, level after level; every third level is kept."""
    levels = max(0, (-(-len(points) // LEAF) - 1).bit_length())
    order = torch.arange(-(-len(points) // 2**levels) << levels, device=points.device).clamp(max=len(points) - 1)
    for level in range(levels):
        order = order.view(2**level, -1)
        groups = points[order]  # (2^level, S, 3)
        axis = (groups.amax(1) - groups.amin(1)).argmax(1)
        key = groups.gather(2, axis[:, None, None].expand(-1, groups.shape[1], 1))[..., 0]
        order = order.gather(1, key.argsort(1))
    order = order.flatten()
    centres, radii = [], []
    for count in (2 ** max(0, levels - 2 * FAN), 2 ** max(0, levels - FAN), 2**levels, len(order)):
        blocks = points[order].view(count, -1, 3)
        centre = (blocks.amin(1) + blocks.amax(1)) / 2
        centres.append(centre)
        radii.append((blocks - centre[:, None]).norm(dim=2).amax(1))
    return PointTree(order, centres, radii)


def _candidates(p: Tensor, triangles: Tensor, pairs_at_a_time: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of points and triangles among which each point's nearest is: indices (K,) and corners (K, 3, 3).

    The distance to a triangle is at most that to its centre c, and at least that less the triangle's radius. All is
    in float32 around the middle of the points' box, with a slack for its rounding.
    """
    middle = (p.amin(0) + p.amax(0)) / 2
    centres = triangles.mean(1)
    radii = (triangles - centres[:, None]).norm(dim=2).amax(1).float()
    centres = (centres - middle).float()
    tree = point_tree((p - middle).float())
    slack = SLACK * max(float(centre.abs().max()) for centre in (centres, tree.centres[-1]))
    everything = torch.arange(len(triangles), device=p.device)
    for block in torch.arange(len(tree.centres[0]), device=p.device).split(max(1, pairs_at_a_time // len(triangles))):
        triangle = everything.repeat(len(block))
        block = block.repeat_interleave(len(triangles))
        for level, (block_centres, block_radii) in enumerate(zip(tree.centres, tree.radii, strict=True)):
            if level:
                fan = len(block_centres) // len(tree.centres[level - 1])
                block = (block[:, None] * fan + torch.arange(fan, device=p.device)).flatten()
                triangle = triangle.repeat_interleave(fan)
            apart = (block_centres.index_select(0, block) - centres.index_select(0, triangle)).norm(dim=1)
            bound = torch.full_like(block_radii, torch.inf).scatter_reduce_(0, block, apart, "amin")
            reach = (bound + 2 * block_radii + slack).index_select(0, block)
            near = (apart - radii.index_select(0, triangle) <= reach).nonzero().flatten()
            block, triangle = block.index_select(0, near), triangle.index_select(0, near)
        yield tree.order[block], triangles[triangle]


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return x[:, 0] * y[:, 0] + x[:, 1] * y[:, 1] + x[:, 2] * y[:, 2]  # a sum over so few is several times slower
