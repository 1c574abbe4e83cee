"""The nearest of some points: by trees on a CPU, by all distances elsewhere; and rows of tables by their numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

FAR = 1e3  # mesh units: where points are that only fill a batch up
AT_A_TIME = 4096  # places whose distances to all points are in a GPU's memory


def nearest(places: Tensor, points: Tensor, count: int) -> Tensor:
    """Numbers (B, N, count) of the points (B, M, 3) that are nearest to places (B, N, 3), nearest first; M >= count.

    Points at `FAR` come last.
    """
    if places.device.type == "cpu":
        return torch.stack([nearest_in(one, count)(some) for some, one in zip(places, points, strict=True)])
    return by_all_distances(places, points, count)


def by_all_distances(places: Tensor, points: Tensor, count: int) -> Tensor:
    """`nearest`, as other devices find it. Of points as near as each other any may be taken."""
    exact = "donot_use_mm_for_euclid_dist"  # by products of matrices near points are off by 0.0003
    distances = (torch.cdist(part, points, compute_mode=exact) for part in places.split(AT_A_TIME, dim=1))
    return torch.cat([one.topk(count, largest=False).indices for one in distances], dim=1)


def nearest_in(points: Tensor, count: int) -> Callable[[Tensor], Tensor]:
    """`nearest` of one set of points (M, 3) on the CPU, prepared: places (N, 3) to numbers (N, count)."""
    from scipy.spatial import cKDTree

    real = int((points[:, 0] < FAR / 2).sum())  # those that fill up come after them
    tree = cKDTree(points[:real].numpy())

    def numbers(places: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        found = torch.from_numpy(tree.query(places.detach().numpy(), min(count, real), workers=threads)[1])
        found = found.reshape(len(places), -1)
        more = torch.arange(real, real + count - found.shape[1]).expand(len(places), -1)
        return torch.cat([found, more], dim=1)

    return numbers


def rows(table: Tensor, numbers: Tensor) -> Tensor:
    """The rows (B, N, K, C) of tables (B, M, C) that numbers (B, N, K) name."""
    start = len(table[0]) * torch.arange(len(table), device=table.device)[:, None, None]
    return table.flatten(0, 1).index_select(0, (numbers + start).flatten()).view(*numbers.shape, -1)
