"""How well parameters of unseen cars are read: R^2 of numbers, balanced accuracy and AUC of choices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.latent_space.parameters import Car, Parameter
from evaluation.latent_space.ridge import Array
from evaluation.likelihood import auroc

R2, ACCURACY, AUC = "R2", "balanced accuracy", "AUC"
SOFTNESS = 1e-3  # added to the covariance within values, relative to the total variance: few cars may span too little

Labels = NDArray[np.int64]


def measures_of(parameter: Parameter) -> tuple[str, ...]:
    if parameter.is_number:
        return (R2,)
    return (ACCURACY, AUC) if len(parameter.values) == 2 else (ACCURACY,)


def scores(
    parameter: Parameter, train: Sequence[Car], left_out: Array, cars: Sequence[Car], read: Array
) -> dict[str, float | None]:
    """`measures_of` the parameter for cars (m) with readings `read` (m, columns of the parameter); None: all alike.

    left_out: readings (n, columns) of the training cars, which the regression had not seen.
    """
    if parameter.is_number:
        return {R2: r_squared(parameter.targets(cars)[:, 0], read[:, 0])}
    true = parameter.labels(cars)
    if len(set(true.tolist())) < 2:
        return dict.fromkeys(measures_of(parameter))
    found: dict[str, float | None] = {
        ACCURACY: balanced_accuracy(true, nearest_values(left_out, parameter.labels(train), read))
    }
    if len(parameter.values) == 2:
        found[AUC] = auroc(read[true == 1, 0], read[true == 0, 0]) if {0, 1} <= set(true.tolist()) else None
    return found


def r_squared(true: Array, read: Array) -> float | None:
    """1 - squared error / variance, of numbers (S,): 1 is exact, 0 the mean of these very numbers; None: all equal."""
    spread = np.sum((true - true.mean()) ** 2)
    return float(1 - np.sum((true - read) ** 2) / spread) if spread > 0 else None


def balanced_accuracy(true: Labels, labels: Labels) -> float:
    """Mean, over the values present among `true` (S,), of the share that is right: 1 / (their number) by chance."""
    right = true == labels
    return float(np.mean([np.mean(right[true == value]) for value in np.unique(true)]))


def nearest_values(left_out: Array, labels: Labels, read: Array) -> Labels:
    """The value whose training cars read most alike: (m, k - 1) -> (m,).

    left_out (n, k - 1): readings of training cars of these labels (n,), which the regression had not seen. Each car
    gets the value with the nearest mean reading, by the covariance within values: linear discriminant analysis of the
    readings with equal priors, so that rare values count as much as frequent ones (Hastie, Tibshirani and Buja 1994).
    For two values: the side of the midpoint of both means.
    """
    present = np.unique(labels)
    means = np.stack([left_out[labels == value].mean(axis=0) for value in present])  # (k, k - 1)
    within = left_out - means[np.searchsorted(present, labels)]
    softness = SOFTNESS * np.mean(left_out.var(axis=0)) + np.finfo(np.float64).tiny
    covariance = within.T @ within / len(within) + softness * np.eye(within.shape[1])
    offsets = read[:, None] - means  # (m, k, k - 1)
    solved = np.linalg.solve(covariance, offsets.reshape(-1, within.shape[1]).T).T.reshape(offsets.shape)
    return present[np.sum(offsets * solved, axis=2).argmin(axis=1)]
