"""How close clouds are to each other, and how close sets of clouds are: exact, in float64, on the CPU.

Definitions are those of the papers that are compared with (README, "Results"); a name says which variant it is:
"Chamfer distance" alone has at least four meanings. Distances are in the clouds' own unit, here mesh units (longest
side of a shape = 1), squared where the name ends in _sq.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

Cloud = NDArray[np.floating]
Matrix = NDArray[np.float64]

LEAF_SIZE = 32  # points per leaf of a tree; 16 to 32 were fastest for 2,048 points


class CloudSet:
    """Clouds with a search tree each, made once for all the sets that they are compared with.

    clouds: (N, 3) each, at least one; N may differ. Raises ValueError for another shape or a cloud without points.
    """

    def __init__(self, clouds: Sequence[Cloud]):
        if not len(clouds):
            raise ValueError("a set needs at least one cloud")
        self.trees = [_tree(cloud) for cloud in clouds]
        # in a tree's own order, neighbours in space follow each other: the searches are up to three times faster
        self.points = np.concatenate([tree.data[tree.indices] for tree in self.trees])
        self.starts = np.cumsum([0] + [tree.n for tree in self.trees[:-1]])
        self.counts = np.array([tree.n for tree in self.trees])

    def __len__(self) -> int:
        return len(self.trees)


class MmdCov(NamedTuple):
    """See `mmd_cov`."""

    mmd: float
    cov: float
    mmd_smp: float


class OneNna(NamedTuple):
    """See `one_nna`."""

    acc: float
    acc_t: float
    acc_f: float


def nearest_distances(a: Cloud, b: Cloud, workers: int = 1) -> tuple[Matrix, Matrix]:
    """Distance from each point to the nearest of the other cloud, not squared: (Na,) from a to b, (Nb,) from b to a.

    a: (Na, 3), b: (Nb, 3). workers: threads; the values do not depend on it.
    """
    tree_a, tree_b = _tree(a), _tree(b)
    results = []
    for source, target in ((tree_a, tree_b), (tree_b, tree_a)):
        distances = np.empty(source.n)
        distances[source.indices] = target.query(source.data[source.indices], workers=workers)[0]
        results.append(distances)
    return results[0], results[1]


def chamfer_l2_sq(a: Cloud, b: Cloud, workers: int = 1) -> float:
    """Mean over points of the squared distance to the nearest point of the other cloud, both directions SUMMED.

    Squared units; symmetric; 0 for equal clouds. Source: PointFlow (Yang et al. 2019), metrics/evaluation_metrics.py.
    """
    a_to_b, b_to_a = nearest_distances(a, b, workers)
    return float(np.mean(a_to_b**2) + np.mean(b_to_a**2))


def chamfer_udf(a: Cloud, b: Cloud, workers: int = 1) -> float:
    """Half of `chamfer_l2_sq`: the mean of the two directions. Squared units, NOT multiplied by 1e4.

    Tables of raw ShapeNet cars give it x 1e4, for 100,000 points each. Source: CAP-UDF (Zhou et al. 2022).
    """
    return chamfer_l2_sq(a, b, workers) / 2


def f_score(predicted: Cloud, true: Cloud, threshold: float, workers: int = 1) -> float:
    """Harmonic mean of precision and recall at a distance (not squared), in [0, 1].

    Precision: share of predicted points nearer than `threshold` to a true point; recall: the other way round.
    Source: Tatarchenko et al. 2019, section 5; thresholds 0.005 and 0.01 as CAP-UDF.
    """
    return _f_score(*nearest_distances(predicted, true, workers), threshold)


def reconstruction_scores(
    predicted: Cloud, true: Cloud, thresholds: Sequence[float] = (0.005, 0.01), workers: int = 1
) -> dict[str, float]:
    """`chamfer_udf` and `f_score_{threshold}` of a reconstruction, by one search in each direction."""
    precision, recall = nearest_distances(predicted, true, workers)
    scores = {"chamfer_udf": float(np.mean(precision**2) + np.mean(recall**2)) / 2}
    return scores | {f"f_score_{threshold:g}": _f_score(precision, recall, threshold) for threshold in thresholds}


def pairwise_chamfer(
    a: CloudSet, b: CloudSet | None = None, workers: int = 1, description: str | None = None
) -> Matrix:
    """`chamfer_l2_sq` of every cloud of `a` with every cloud of `b` (default: `a` itself). Returns (A, B).

    workers: threads; the values do not depend on it. description: shows a progress bar of that name.
    """
    total = len(a) if b is None else len(a) + len(b)
    with tqdm(total=total, desc=description, unit="cloud", disable=True if description is None else None) as bar:
        if b is None:
            directed = _directed(a, a, workers, bar)
            return directed + directed.T
        return _directed(a, b, workers, bar) + _directed(b, a, workers, bar).T


def nearest_in_set(
    a: CloudSet, b: CloudSet, preselected: int = 10, workers: int = 1, description: str | None = None
) -> tuple[Matrix, NDArray[np.int64]]:
    """The smallest `chamfer_l2_sq` of each cloud of `a` to the clouds of `b`: values (A,) and which (A,).

    For large `b`: the `preselected` likeliest, by the distances of some points of each cloud to all points of the
    other, are compared with all points. The value is thus an upper bound, exact where the nearest is among them; exact
    always where `preselected` >= len(b). Of 50 cars against 420, 3 values were above the least, by 3 %.
    """
    if preselected >= len(b):
        matrix = pairwise_chamfer(a, b, workers, description)
        return matrix.min(1), matrix.argmin(1)
    hidden = True if description is None else None
    with tqdm(total=len(a) + len(b), desc=description, unit="cloud", disable=hidden) as bar:
        coarse = _directed(_thinned(a), b, workers, bar) + _directed(_thinned(b), a, workers, bar).T
    values, which = np.empty(len(a)), np.empty(len(a), np.int64)
    for i, row in enumerate(np.argpartition(coarse, preselected - 1, axis=1)[:, :preselected]):
        exact = [_one_way(a.trees[i], b.trees[j], workers) + _one_way(b.trees[j], a.trees[i], workers) for j in row]
        values[i], which[i] = min(exact), row[int(np.argmin(exact))]
    return values, which


def mmd_cov(rs: Matrix) -> MmdCov:
    """Minimum matching distance and coverage of samples against references.

    rs: (R, S) distances of references (rows) and samples. mmd: mean over references of the distance to the nearest
    sample, in rs's units; cov: share of references that are the nearest one of some sample, in [0, 1], more is better;
    mmd_smp: mean over samples of the distance to the nearest reference. Source: PointFlow, `lgan_mmd_cov`, after
    Achlioptas et al. 2018.
    """
    _check_matrix("rs", rs, rs.shape)
    covered = np.unique(rs.argmin(axis=0))
    return MmdCov(float(rs.min(axis=1).mean()), len(covered) / len(rs), float(rs.min(axis=0).mean()))


def one_nna(rr: Matrix, rs: Matrix, ss: Matrix) -> OneNna:
    """Leave-one-out accuracy of the 1-nearest-neighbour classifier of references against samples.

    rr: (R, R), rs: (R, S), ss: (S, S) distances. Each cloud gets the label of its nearest other cloud; 0.5 means that
    the two sets cannot be told apart, 1 that they lie apart, below 0.5 that samples sit on references (memorised).
    acc_t: share of references found to be references; acc_f: of samples found to be samples; acc: of all of them (the
    mean of both where R = S). A collapsed generator shows as a low acc_t and a high acc_f, which acc may hide.
    Ties go to the reference, then to the lower index. Source: PointFlow, `knn` with k = 1 (Lopez-Paz & Oquab 2017).
    """
    r, s = rs.shape
    for name, matrix, shape in (("rr", rr, (r, r)), ("rs", rs, (r, s)), ("ss", ss, (s, s))):
        _check_matrix(name, matrix, shape)
    if r + s < 3:
        raise ValueError(f"{r} references and {s} samples: a nearest neighbour that can differ needs 3 clouds")
    together = np.block([[rr, rs], [rs.T, ss]])
    np.fill_diagonal(together, np.inf)
    found_reference = together.argmin(axis=1) < r
    right = np.concatenate([found_reference[:r], ~found_reference[r:]])
    return OneNna(float(right.mean()), float(right[:r].mean()), float(right[r:].mean()))


def _tree(cloud: Cloud) -> cKDTree:
    cloud = np.asarray(cloud, dtype=np.float64)
    if cloud.ndim != 2 or cloud.shape[1] != 3 or not len(cloud):
        raise ValueError(f"a cloud must have shape (N, 3) with N > 0, got {cloud.shape}")
    return cKDTree(cloud, leafsize=LEAF_SIZE)


def _f_score(precision_distances: Matrix, recall_distances: Matrix, threshold: float) -> float:
    precision, recall = (float(np.mean(d < threshold)) for d in (precision_distances, recall_distances))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _directed(source: CloudSet, target: CloudSet, workers: int, bar: tqdm) -> Matrix:
    """(A, B): mean squared distance from the points of source cloud i to the nearest point of target cloud j."""
    columns = []
    for tree in target.trees:
        distances, _ = tree.query(source.points, workers=workers)
        columns.append(np.add.reduceat(distances**2, source.starts) / source.counts)
        bar.update()
    return np.stack(columns, axis=1)


def _one_way(source: cKDTree, target: cKDTree, workers: int) -> float:
    """Mean squared distance from the points of one cloud to the nearest point of the other."""
    distances, _ = target.query(source.data[source.indices], workers=workers)
    return float(np.mean(distances**2))


def _thinned(clouds: CloudSet, count: int = 128) -> CloudSet:
    """About `count` points of each cloud, evenly spaced in tree order, so that all parts of a shape stay."""
    return CloudSet([tree.data[tree.indices[:: max(1, tree.n // count)]] for tree in clouds.trees])


def _check_matrix(name: str, matrix: Matrix, shape: tuple[int, ...]) -> None:
    if matrix.ndim != 2 or matrix.shape != shape or not matrix.size:
        raise ValueError(f"{name} must be a distance matrix of shape {shape}, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} holds distances that are not finite")
