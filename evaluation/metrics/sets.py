"""Measures between sets of clouds from distance matrices."""

from typing import NamedTuple

import numpy as np

from evaluation.metrics.clouds import Matrix


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


def mmd_cov(rs: Matrix) -> MmdCov:
    """Minimum matching distance and coverage of samples against references.

    rs: (R, S) distances of references (rows) and samples. mmd: mean over references of the distance to the nearest
    sample, in rs's units; cov: share of references that are nearest to some sample, in [0, 1], higher is better;
    mmd_smp: mean over samples of the distance to the nearest reference. Source: PointFlow, `lgan_mmd_cov`, after
    Achlioptas et al. 2018.
    """
    _check_matrix("rs", rs, rs.shape)
    covered = np.unique(rs.argmin(axis=0))
    return MmdCov(float(rs.min(axis=1).mean()), len(covered) / len(rs), float(rs.min(axis=0).mean()))


def one_nna(rr: Matrix, rs: Matrix, ss: Matrix) -> OneNna:
    """Leave-one-out accuracy of the 1-nearest-neighbour classifier of references against samples.

    rr: (R, R), rs: (R, S), ss: (S, S) distances. Each cloud gets the label of its nearest other cloud; 0.5 means that
    the two sets are indistinguishable, 1 that they are separate, below 0.5 that samples copy references (memorised).
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


def _check_matrix(name: str, matrix: Matrix, shape: tuple[int, ...]) -> None:
    if matrix.ndim != 2 or matrix.shape != shape or not matrix.size:
        raise ValueError(f"{name} must be a distance matrix of shape {shape}, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} holds distances that are not finite")
