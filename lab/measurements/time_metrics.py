"""Time and peak memory of the matrix of N x N clouds of 2,048 points, each metric in a process of its own.

    python -m lab.measurements.time_metrics 100 --metrics cd emd emd_sq emd_cells --workers 2

The clouds are surface points of N demo cars and, for the other set, of N others. Exact EMD takes long: --pairs limits
it to so many pairs, from which the time of all is computed. --accuracy prints instead how far the fast EMD is from the
exact one on random pairs, and how much faster prices make the exact one than scipy alone.
"""

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from tqdm import tqdm

from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from demo_cars.car import make_car
from evaluation.metrics import METRICS, CloudSet, approximation_error, matched_costs, pairwise

POINTS = 2048


def car_clouds(count: int, seed: int, points: int) -> list[np.ndarray]:
    """Surface points of `count` demo cars, longest side 1, (points, 3) each."""
    clouds = []
    for index in tqdm(range(count), desc="cars", unit="car", disable=None, leave=False):
        vertices, faces, _ = make_car(seed, index)
        cloud = sample_surface(Mesh(vertices, faces), points, np.random.default_rng(index))
        clouds.append(cloud / np.ptp(cloud, axis=0).max())
    return clouds


def measure(metric: str, count: int, workers: int, most_pairs: int, points: int) -> str:
    """One line: seconds, milliseconds of a pair, and peak memory of this process."""
    a = CloudSet(car_clouds(count, 0, points))
    columns = count if most_pairs >= count**2 else max(1, most_pairs // count)
    b = CloudSet(car_clouds(columns, 1, points))
    start = time.perf_counter()
    matrix = pairwise(metric, a, b, workers, description=metric)
    seconds = time.perf_counter() - start
    unit = 1 << (30 if sys.platform == "darwin" else 20)  # macOS counts bytes, Linux kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    each = seconds / matrix.size
    whole = f"{seconds:8.1f} s" if matrix.size == count**2 else f"{each * count**2:8.1f} s, from {matrix.size} pairs,"
    return f"{metric:14s} {count} x {count}: {whole}  {each * 1e3:8.2f} ms a pair  peak {peak:.2f} GB"


def accuracy(pairs: int, workers: int, points: int) -> None:
    """Print the errors of the fast EMD on `pairs` pairs of different cars, and the gain of prices on a few."""
    clouds = CloudSet(car_clouds(max(3, int(np.sqrt(2 * pairs)) + 1), 0, points))
    for squared in (False, True):
        error = approximation_error(squared, clouds, clouds, pairs, workers=workers)
        name = "emd_sq_cells" if squared else "emd_cells"
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in error._asdict().items())
        print(f"{name:14s} {numbers}", flush=True)
    for squared in (False, True):
        print(f"{'emd_sq' if squared else 'emd':14s} {gain(clouds, squared)}", flush=True)


def gain(clouds: CloudSet, squared: bool, pairs: int = 5) -> str:
    """Time of the plain and of the priced assignment of pairs of neighbours in `clouds`, and how far they differ."""
    from scipy.optimize import linear_sum_assignment

    from evaluation.metrics.exact_emd import pair_costs

    seconds, worst = np.zeros(2), 0.0
    for i in range(min(pairs, len(clouds) - 1)):
        start = time.process_time()
        costs = pair_costs(clouds[i], clouds[i + 1], squared)
        plain = costs[linear_sum_assignment(costs)].mean()
        middle = time.process_time()
        priced = matched_costs(clouds[i], clouds[i + 1], squared).mean()
        seconds += middle - start, time.process_time() - middle
        worst = max(worst, abs(priced / plain - 1))
    plain_time, priced_time = seconds / min(pairs, len(clouds) - 1)
    return (
        f"scipy alone {plain_time:.3f} s, with prices {priced_time:.3f} s a pair; values differ by {worst:.1e} at most"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="N, clouds in each set")
    parser.add_argument("--metrics", nargs="+", choices=list(METRICS), default=list(METRICS))
    parser.add_argument("--workers", type=int, default=1, help="threads")
    parser.add_argument("--pairs", type=int, default=1 << 60, help="compute at most about so many pairs")
    parser.add_argument("--points", type=int, default=POINTS, help="points of a cloud")
    parser.add_argument("--accuracy", action="store_true", help="errors on --pairs pairs, instead of times")
    options = parser.parse_args()
    if options.accuracy:
        accuracy(min(options.pairs, options.count), options.workers, options.points)
        return 0
    for metric in options.metrics:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # its peak memory is its own
            work = (metric, options.count, options.workers, options.pairs, options.points)
            print(pool.submit(measure, *work).result(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
