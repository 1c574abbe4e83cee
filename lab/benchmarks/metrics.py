"""Chamfer distances of two sets of clouds, and the exact earth mover's distance, of 2,048 points each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from torch import Tensor

from evaluation.metrics import CloudSet, emd, pairwise
from lab.benchmarks.cars import demo_cloud
from lab.benchmarks.harness import Machine, Row, alternate

POINTS = {"full": 2048, "quick": 1024, "tiny": 64}
COUNTS = {  # clouds of a set; rows of the KD-trees' and of torch's part; rounds; pairs of the EMD
    "full": (100, 20, 3, 3, 8),
    "quick": (12, 4, 2, 3, 2),
    "tiny": (3, 2, 1, 1, 1),
}
TORCH_AT_A_TIME = 4  # pairs of clouds: larger parts fall out of the cache
POINTFLOW_AT_A_TIME = 16  # pairs, as many as memory is sure to hold


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    count, tree_rows, torch_rows, rounds, pairs = COUNTS[size]
    points = POINTS[size]
    a, b = ([demo_cloud(n, points) for n in range(first, first + count)] for first in (0, count))
    return chamfer_rows(a, b, tree_rows, torch_rows, rounds, machine) + emd_row(a[:pairs], b[:pairs], rounds, machine)


def chamfer_rows(
    a: list[np.ndarray], b: list[np.ndarray], tree_rows: int, torch_rows: int, rounds: int, machine: Machine
) -> list[Row]:
    """The whole matrix by ours, some rows of it by the others, scaled to the whole."""
    count, points, threads = len(a), len(a[0]), machine.threads
    values: dict[str, np.ndarray] = {}

    def keep(name: str, found: np.ndarray) -> None:
        values[name] = found

    works = {
        "ours": lambda: keep("ours", pairwise("cd", CloudSet(a), CloudSet(b), threads)),
        "trees": lambda: keep("trees", by_trees(a[:tree_rows], b, threads)),
        "pointflow": lambda: keep("pointflow", by_torch(a[:torch_rows], b, by_products, POINTFLOW_AT_A_TIME)),
        "torch": lambda: keep("torch", by_torch(a[:torch_rows], b, by_lengths, TORCH_AT_A_TIME)),
    }
    seconds = alternate(works, rounds, clock=machine.clock)
    worst = {key: np.abs(found / values["ours"][: len(found)] - 1).max() for key, found in values.items()}
    least = machine.least(count * count * 2 * points * 8)
    work = f"CD of {count} x {count} clouds of {points:,} points"
    told = "values differ by {:.0e} of themselves at most; {} of {} rows measured, scaled"
    return [
        Row(work, "PointFlow's way in torch", seconds["ours"], seconds["pointflow"] * count / torch_rows, 20.0, "s",
            least, "one distance a point and pair", told.format(worst["pointflow"], torch_rows, count)),
        Row(work, "the same written with care", seconds["ours"], seconds["torch"] * count / torch_rows, 1.0, "s",
            least, "one distance a point and pair", f"lengths without products, {TORCH_AT_A_TIME} pairs at a time"),
        Row(work, "a KD-tree a pair (scipy)", seconds["ours"], seconds["trees"] * count / tree_rows, 1.5, "s", least,
            "one distance a point and pair", told.format(worst["trees"], tree_rows, count)),
    ]  # fmt: skip


def by_trees(a: Sequence[np.ndarray], b: Sequence[np.ndarray], threads: int) -> np.ndarray:
    """Two trees made and searched for each pair, the pairs on all threads. Returns (A, B)."""

    def pair(x: np.ndarray, y: np.ndarray) -> float:
        forth, back = cKDTree(y).query(x)[0], cKDTree(x).query(y)[0]
        return float(np.mean(forth**2) + np.mean(back**2))

    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(pair, [x for x in a for _ in b], list(b) * len(a))
    return np.array(list(found)).reshape(len(a), len(b))


@torch.no_grad()
def by_torch(
    a: Sequence[np.ndarray], b: Sequence[np.ndarray], squared: Callable[[Tensor, Tensor], Tensor], at_a_time: int
) -> np.ndarray:
    """Squared distances of all pairs of points of several pairs of clouds, both minima, their means. Returns (A, B)."""
    others, found = torch.from_numpy(np.stack(b)), []
    for cloud in a:
        for part in others.split(at_a_time):
            distances = squared(torch.from_numpy(cloud).expand(len(part), -1, -1), part)
            found.append(distances.min(2)[0].mean(1) + distances.min(1)[0].mean(1))
    return torch.cat(found).view(len(a), len(b)).numpy()


def by_products(x: Tensor, y: Tensor) -> Tensor:
    """As PointFlow's CPU path: |x|^2 + |y|^2 - 2 x.y, the lengths taken from the diagonals of whole products.

    x, y: (B, N, 3). Returns (B, N, N), as all below.
    """
    of_x, of_y, of_both = (torch.bmm(u, v.transpose(1, 2)) for u, v in ((x, x), (y, y), (x, y)))
    lengths_x, lengths_y = of_x.diagonal(dim1=1, dim2=2), of_y.diagonal(dim1=1, dim2=2)
    return lengths_x[:, :, None] + lengths_y[:, None] - 2 * of_both


def by_lengths(x: Tensor, y: Tensor) -> Tensor:
    """The same by one product, in place."""
    lengths = x.square().sum(2)[:, :, None] + y.square().sum(2)[:, None]
    return torch.baddbmm(lengths, x, y.transpose(1, 2), alpha=-2)


def emd_row(a: list[np.ndarray], b: list[np.ndarray], rounds: int, machine: Machine) -> list[Row]:
    """Pairs of unlike cars, one at a time on one thread each way: scipy's solver has no more."""
    values: dict[str, list[float]] = {}

    def of_all(name: str, distance: object) -> None:
        values[name] = [distance(x, y) for x, y in zip(a, b, strict=True)]  # type: ignore[operator]

    works = {"ours": lambda: of_all("ours", emd), "scipy": lambda: of_all("scipy", by_scipy)}
    seconds = alternate(works, rounds, clock=machine.clock)
    worst = np.abs(np.array(values["ours"]) / values["scipy"] - 1).max()
    points = len(a[0])
    return [
        Row(f"exact EMD of {points:,} points, a pair", "scipy's assignment", seconds["ours"] / len(a),
            seconds["scipy"] / len(a), 3.0, "s", machine.least(8 * points**2, 16 * points**2), "the matrix of costs",
            f"{len(a)} pairs of unlike cars; values differ by {worst:.0e} of themselves at most")
    ]  # fmt: skip


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    costs = cdist(a.astype(np.float64), b.astype(np.float64))
    return float(costs[linear_sum_assignment(costs)].mean())
