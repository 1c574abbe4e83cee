"""Distances between clouds, and measures between sets of clouds.

Definitions follow the papers compared with; names say which variant. Distances are in the clouds' own unit, squared if
the name ends in _sq or starts with chamfer. No function scales a cloud.
"""

from evaluation.metrics.cell_emd import ApproximationError, approximation_error, emd_cells, emd_sq_cells
from evaluation.metrics.chamfer import (
    chamfer_l2_sq,
    chamfer_udf,
    f_score,
    nearest_distances,
    reconstruction_scores,
    scores_from_distances,
)
from evaluation.metrics.clouds import Cloud, CloudSet, Matrix, nearest_points
from evaluation.metrics.exact_emd import emd, emd_sq, matched_costs
from evaluation.metrics.nearest import nearest_in_set
from evaluation.metrics.nearest_pairs import pairwise_nearest
from evaluation.metrics.normals import LocalPlanes, agreement, local_planes, normal_consistency, thickness
from evaluation.metrics.occupancy_jsd import jsd
from evaluation.metrics.pairs import METRICS, pairwise, pairwise_chamfer
from evaluation.metrics.sets import MmdCov, OneNna, mmd_cov, one_nna

__all__ = [
    "METRICS",
    "ApproximationError",
    "Cloud",
    "CloudSet",
    "LocalPlanes",
    "Matrix",
    "MmdCov",
    "OneNna",
    "agreement",
    "approximation_error",
    "chamfer_l2_sq",
    "chamfer_udf",
    "emd",
    "emd_cells",
    "emd_sq",
    "emd_sq_cells",
    "f_score",
    "jsd",
    "local_planes",
    "matched_costs",
    "mmd_cov",
    "nearest_distances",
    "nearest_in_set",
    "nearest_points",
    "normal_consistency",
    "one_nna",
    "pairwise",
    "pairwise_chamfer",
    "pairwise_nearest",
    "reconstruction_scores",
    "scores_from_distances",
    "thickness",
]
