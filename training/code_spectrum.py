"""In how many directions codes vary: principal components via the Gram matrix, for codes of any size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from configs.options import Config
from frozen.codes import StoredCodes, load_codes
from training.distributed import first_only
from training.progress_log import replaced_run

SHARES = (0.95, 0.99, 0.999)  # of the variance
MAX_SHAPES = 2000  # in a spectrum: the cost grows with their cube
MAX_LOGGED_SHAPES = 500  # in TensorBoard's curves
NUMBERS_AT_A_TIME = 8192  # per code, so that fused codes (1 MB each) need not all be in memory


def code_spectrum(stored: StoredCodes, seed: int) -> NDArray[np.float64]:
    """Variances along the principal directions of the codes of at most `MAX_SHAPES` random shapes, one code each.

    See `variances`.
    """
    plain = np.array(stored.plain_indices())
    if len(plain) > MAX_SHAPES:
        plain = np.sort(np.random.default_rng(seed).choice(plain, MAX_SHAPES, replace=False))
    return variances(stored.codes, plain)


@first_only
def record_spectrum(cfg: Config) -> None:
    """Log the spectrum of the training codes to `summary/codes`: curves over the number of a principal direction.

    Of one shape there is none.
    """
    stored = load_codes(cfg, "train")
    plain = stored.plain_indices()
    if len(plain) < 2:
        return
    spectrum = variances(stored.codes, plain[:: -(-len(plain) // MAX_LOGGED_SHAPES)])
    with replaced_run(cfg.experiment.summary / "codes") as log:
        for number, (variance, held) in enumerate(zip(spectrum, cumulative_shares(spectrum), strict=True), start=1):
            log.add_scalar("codes/sd_of_direction", variance**0.5, number)
            log.add_scalar("codes/percent_of_variance_in_first_directions", 100 * held, number)


def variances(codes: NDArray[np.floating], rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Variances along the principal directions of the codes (S, *code_shape) at `rows`, in squared code units.

    Returns (min(n - 1, D),), largest first, normalised by n - 1, for n rows and D entries; they sum to the total
    variance of all entries. codes may be a memory map. Raises ValueError for fewer than 2 rows.
    """
    if len(rows) < 2:
        raise ValueError(f"a variance needs 2 or more codes, got {len(rows)}")
    flat = codes.reshape(len(codes), -1)
    gram = np.zeros((len(rows), len(rows)))
    for start in range(0, flat.shape[1], NUMBERS_AT_A_TIME):
        part = flat[:, start : start + NUMBERS_AT_A_TIME][rows].astype(np.float64)
        part -= part.mean(axis=0)
        gram += part @ part.T
    eigenvalues = np.linalg.eigvalsh(gram)[::-1][: min(len(rows) - 1, flat.shape[1])]
    return eigenvalues.clip(min=0) / (len(rows) - 1)


def dimensions_holding(spectrum: ArrayLike, share: float) -> int:
    """The smallest number of leading directions whose variances (K,), largest first, reach `share` of the total."""
    held = cumulative_shares(spectrum)
    return int(np.argmax(held >= share - 1e-12)) + 1


def cumulative_shares(spectrum: ArrayLike) -> NDArray[np.float64]:
    """Share of the variance in the first 1, 2, ... directions, (K,); the last is 1."""
    held: NDArray[np.float64] = np.cumsum(np.asarray(spectrum, np.float64))
    if not held[-1] > 0:
        raise ValueError("the codes do not vary: their variance is 0")
    held /= held[-1]
    return held


class PrincipalAxes:
    """The principal directions of x (n, D), n >= 2: `axes(y)` gives coordinates, largest variance first.

    shares: (K,), the share of the variance along each of the K directions in which x varies, K <= min(n - 1, D).
    Coordinates preserve the distances between rows of x.
    """

    def __init__(self, x: NDArray[np.floating]):
        self.mean = x.mean(axis=0, dtype=np.float64)
        centred = x - self.mean
        values, vectors = np.linalg.eigh(centred @ centred.T)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = values > 1e-10 * values[0]
        values, vectors = values[kept], vectors[:, kept]
        self.shares = values / values.sum()
        self.directions = centred.T @ (vectors / np.sqrt(values))  # (D, K), orthonormal columns

    def __call__(self, y: NDArray[np.floating], count: int | None = None) -> NDArray[np.float64]:
        """(m, D) -> (m, K), or (m, count): the first coordinates only, zero-padded if there are fewer directions."""
        coordinates = (y - self.mean) @ self.directions[:, :count]
        missing = 0 if count is None else count - coordinates.shape[1]
        return np.pad(coordinates, ((0, 0), (0, missing)))
