"""Nearest-neighbour distances: variants of Chamfer and the F-score. Exact, in float64.

"Chamfer distance" has at least four meanings, so each name says which variant it is. Distances are in the clouds' own
unit, squared if the name ends in _sq.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from evaluation.metrics.clouds import LEAF_SIZE, Cloud, CloudSet, Matrix, checked, nearest_points

THRESHOLDS = (0.005, 0.01)  # of the F-score, in mesh units: CAP-UDF (Zhou et al. 2022), Table 1


def nearest_distances(a: Cloud, b: Cloud, workers: int = 1) -> tuple[Matrix, Matrix]:
    """Distance from each point to the nearest of the other cloud, not squared: (Na,) from a to b, (Nb,) from b to a.

    a: (Na, 3), b: (Nb, 3). workers: threads; the values do not depend on it.
    """
    tree_a, tree_b = (cKDTree(checked(cloud), leafsize=LEAF_SIZE) for cloud in (a, b))
    return nearest_points(tree_a, tree_b, workers)[0], nearest_points(tree_b, tree_a, workers)[0]


def chamfer_l2_sq(a: Cloud, b: Cloud, workers: int = 1) -> float:
    """Mean over points of the squared distance to the nearest point of the other cloud, both directions SUMMED.

    Squared units; symmetric; 0 for equal clouds. Source: PointFlow (Yang et al. 2019), metrics/evaluation_metrics.py,
    after Fan et al. 2017, section 4.1, whose sums over points are means here.
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

    Precision: share of predicted points closer than `threshold` to a true point; recall: vice versa.
    Source: Tatarchenko et al. 2019, section 5; thresholds 0.005 and 0.01 as in CAP-UDF.
    """
    return _f_score(*nearest_distances(predicted, true, workers), threshold)


def scores_from_distances(
    accuracy_distances: Matrix, completeness_distances: Matrix, thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """The scores of a reconstruction, or of a part of it, from the distances of `nearest_distances` (not squared).

    accuracy_distances: from predicted points to the true surface, completeness_distances: from true points to the
    prediction, each (any number,). For a part such as the interior, pass the distances of that part's points only,
    each measured to ALL points of the other cloud.
    Returns `accuracy` and `completeness`: the respective mean squared distances, squared units; `chamfer_udf`: half
    their sum; `f_score_{threshold}` for each threshold, in [0, 1]. A mean over no points, and anything derived from it,
    is NaN.
    """
    accuracy, completeness = (
        float(np.mean(np.square(d))) if len(d) else float("nan") for d in (accuracy_distances, completeness_distances)
    )
    scores = {"chamfer_udf": (accuracy + completeness) / 2, "accuracy": accuracy, "completeness": completeness}
    distances = accuracy_distances, completeness_distances
    return scores | {f"f_score_{threshold:g}": _f_score(*distances, threshold) for threshold in thresholds}


def reconstruction_scores(
    predicted: Cloud, true: Cloud, thresholds: Sequence[float] = THRESHOLDS, workers: int = 1
) -> dict[str, float]:
    """`scores_from_distances` of a whole reconstruction, from one search in each direction."""
    return scores_from_distances(*nearest_distances(predicted, true, workers), thresholds)


def chamfer_block(a: CloudSet, b: CloudSet, i: int, columns: slice) -> Matrix:
    """`chamfer_l2_sq` of cloud i of `a` with the clouds `columns` of `b`, (J,)."""
    forth = [mean_forth(a, b, i, j) for j in range(columns.start, columns.stop)]
    return np.array(forth) + mean_back(a, b, i, columns)


def mean_forth(a: CloudSet, b: CloudSet, i: int, j: int) -> float:
    """The mean squared distance from the points of cloud i of `a` to cloud j of `b`."""
    source = a.points[a.starts[i] : a.starts[i + 1]]
    return float(np.mean(np.square(b.trees[j].query(source)[0])))


def mean_back(a: CloudSet, b: CloudSet, i: int, columns: slice) -> Matrix:
    """The mean squared distance from the points of each of the clouds `columns` of `b` to cloud i of `a`, (J,)."""
    begin, end = b.starts[columns.start], b.starts[columns.stop]
    back = np.square(a.trees[i].query(b.points[begin:end])[0])
    return np.add.reduceat(back, b.starts[columns] - begin) / b.counts[columns]


def _f_score(precision_distances: Matrix, recall_distances: Matrix, threshold: float) -> float:
    if not len(precision_distances) or not len(recall_distances):
        return float("nan")
    precision, recall = (float(np.mean(d < threshold)) for d in (precision_distances, recall_distances))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
