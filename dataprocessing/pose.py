"""Which axes of a car point up and to the front, found from points of its surface by what cars have in common.

Side to side a car is its own mirror image. Of its other two axes the longer one lies along the road. Its upper part is
shorter and narrower than the lower one, and often stands on four wheels. Its front rises in slopes, its rear drops.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from dataprocessing.frames import turn_of
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface

LOOKED_AT = 20_000  # points; more tell nothing new
MIRRORED = 2000  # of them, for the mirror images
LEAST_POINTS = 300
TAIL = 0.001  # of the points at each end of an axis that may be antennas and specks
COLUMNS = 40  # of the outline seen from the side
# Three measures of the front, by the size that they have on demo cars, and their weights in log odds, fitted on 200
# demo cars alone: lab/notes/axes.md.
FRONT_SCALES = np.array([0.22, 0.26, 0.036])
FRONT_WEIGHTS = np.array([4.0, 1.0, 2.5])
SPACING = 0.25  # of the points: an image nearer than this share of it is as good as the car itself
CLEAR_MIRROR = 1.5  # times as far as its image side to side a car is from its other images
CLEAR_LENGTH = 1.1  # times as long as high
CLEAR_TOP = 0.15  # of `top_score`
CLEAR_FRONT = 0.8  # of the probability


class Pose(NamedTuple):
    """up and front: axes as the options of these names take them; sure: the probability of the front, against the rear.

    doubts: what else could be otherwise, each in a few words.
    """

    up: str
    front: str
    sure: float
    doubts: list[str]


def find_pose(points: np.ndarray, up: str | None = None, front: str | None = None) -> Pose:
    """The pose of a whole car from points (N, 3) spread over its surface, in any axes that are parallel to its own.

    up, front: those that are known; they are kept. A function of the points alone. Raises ValueError for too few.
    """
    if len(points) < LEAST_POINTS:
        raise ValueError(f"{len(points)} points do not show where up and front are, {LEAST_POINTS} or more expected")
    spread = points[:: -(-len(points) // LOOKED_AT)].astype(np.float64)
    doubts: list[str] = []
    height, length = _lines(spread, up, front, doubts)
    if up is None:
        # The outlines that are compared are blind to front against rear.
        shares = _shares(spread @ turn_of("xyz"[height], "xyz"[length]).T)
        score = top_score(shares)
        up = _signed(height, score)
        if abs(score) < CLEAR_TOP:
            doubts.append(f"up may be {opposite(up)}")
    if front is None:
        odds = front_log_odds(spread @ turn_of(up, "xyz"[length]).T)
        front, sure = _signed(length, odds), float(1 / (1 + np.exp(-abs(odds))))
        if sure < CLEAR_FRONT:
            doubts.append(f"front may be {opposite(front)} ({100 * (1 - sure):.0f} %)")
        return Pose(up, front, sure, doubts)
    return Pose(up, front, 1.0, doubts)


def opposite(axis: str) -> str:
    return axis[1:] if axis.startswith("-") else f"-{axis}"


def _signed(line: int, score: float) -> str:
    return ("" if score >= 0 else "-") + "xyz"[line]


def _lines(points: np.ndarray, up: str | None, front: str | None, doubts: list[str]) -> tuple[int, int]:
    """Which axes lie along height and length, 0 to 2, but for their signs."""
    known = {name: "xyz".index(axis[-1]) for name, axis in (("up", up), ("front", front)) if axis}
    left = [line for line in range(3) if line not in known.values()]
    low, high = np.quantile(points, [TAIL, 1 - TAIL], axis=0)
    extent = high - low
    if len(left) > 1:
        left.remove(_width(points, left, extent, doubts))
    if len(left) > 1:
        left.sort(key=lambda line: float(extent[line]))
        if extent[left[1]] < CLEAR_LENGTH * extent[left[0]]:
            doubts.append("it is about as high as long")
        return left[0], left[1]
    return known.get("up", left[0]), known.get("front", left[0])


def _width(points: np.ndarray, left: list[int], extent: np.ndarray, doubts: list[str]) -> int:
    """Which of the axes that are left goes from side to side. Of several that may, not the longest, but the next."""
    away, spacing = mirror_distances(points)
    bound = CLEAR_MIRROR * max(away[left].min(), SPACING * spacing)
    alike = sorted((line for line in left if away[line] <= bound), key=lambda line: float(extent[line]))
    if len(alike) > 1:
        doubts.append("no axis is clearly the one from side to side")
        if alike[-1] == extent.argmax():
            alike.pop()
    return alike[-1]


def pose_of_mesh(mesh: Mesh, up: str | None = None, front: str | None = None) -> Pose:
    """`find_pose` of a mesh, from points drawn from it, which are always the same."""
    return find_pose(sample_surface(mesh, LOOKED_AT, np.random.default_rng(0)), up, front)


def mirror_distances(points: np.ndarray) -> tuple[np.ndarray, float]:
    """How far points (N, 3) are from the mirror image across the middle of each axis, (3,), and from each other.

    Images are farther by these numbers than other points of the same surface, so that the spacing does not count. Tails
    are left out: specks far away would move the middle.
    """
    low, high = np.quantile(points, [TAIL, 1 - TAIL], axis=0)
    points = points[((low <= points) & (points <= high)).all(axis=1)]
    tree, others = cKDTree(points[::2]), points[1::2]
    others = others[:: -(-len(others) // MIRRORED)]
    same = tree.query(others)[0].mean()
    middle, away = points.mean(axis=0), np.zeros(3)
    for line in range(3):
        image = others.copy()
        image[:, line] = 2 * middle[line] - image[:, line]
        away[line] = tree.query(image)[0].mean() - same
    return away, float(same)


def _shares(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) by their places in the box without its tails, each axis -0.5 to 0.5."""
    low, high = np.quantile(points, [TAIL, 1 - TAIL], axis=0)
    return np.clip((points - (low + high) / 2) / np.maximum(high - low, np.finfo(np.float64).tiny), -0.5, 0.5)


def top_score(shares: np.ndarray) -> float:
    """How much shorter, narrower and less apart the upper parts (y) of a car are than the lower ones; below 0 if less.

    shares (N, 3): x to a side, z along the car, each axis -0.5 to 0.5.
    """
    score = 0.0
    for part in (0.15, 0.3):
        low, high = shares[shares[:, 1] < part - 0.5], shares[shares[:, 1] > 0.5 - part]
        score += _extent(low[:, 2]) - _extent(high[:, 2]) + _extent(low[:, 0]) - _extent(high[:, 0])
        score += 0.5 * (_gaps(low[:, 2]) - _gaps(high[:, 2]))
    return float(score)


def _extent(places: np.ndarray) -> float:
    return float(np.ptp(np.quantile(places, [0.02, 0.98]))) if len(places) else 0.0


def _gaps(places: np.ndarray) -> float:
    """The share without points between the first and the last one: between the wheels, for example."""
    filled = np.flatnonzero(np.histogram(places, 32, (-0.5, 0.5))[0])
    return 1 - len(filled) / (filled[-1] - filled[0] + 1) if len(filled) else 0.0


def front_log_odds(points: np.ndarray) -> float:
    """The log odds that the front of a car, (N, 3) with y up, is at -z, and not at z."""
    low, high = np.quantile(points, [TAIL, 1 - TAIL], axis=0)
    shares = _shares(points)
    outline = _outline(shares)
    column = (high - low)[2] / COLUMNS / max((high - low)[1], 1e-300)  # in heights, as the steps
    steps = np.diff(outline, prepend=0, append=0)
    with np.errstate(invalid="ignore"):  # of a line
        # A slope of a column counts by its height and, the steeper it is, the less: a drop counts as one column.
        slopes = np.nan_to_num(steps * column / np.hypot(steps, column)).sum()
    ends = outline[-COLUMNS // 10 :].mean() - outline[: COLUMNS // 10].mean()
    measures = np.array([slopes, ends, shares[:, 2].mean()])
    return float(FRONT_WEIGHTS @ np.tanh(measures / FRONT_SCALES))


def _outline(shares: np.ndarray) -> np.ndarray:
    """The height of the roof line in each column along z, (COLUMNS,), 0 at the bottom to 1."""
    column = np.minimum(((shares[:, 2] + 0.5) * COLUMNS).astype(int), COLUMNS - 1)
    order = np.lexsort((shares[:, 1], column))
    ends = np.cumsum(np.bincount(column, minlength=COLUMNS))
    counts = np.diff(ends, prepend=0)
    seen = np.flatnonzero(counts > 3)
    top = shares[order[ends[seen] - 1 - counts[seen] // 50], 1] + 0.5  # all but the highest 2 %
    return np.interp(np.arange(COLUMNS), seen, top) if len(seen) else np.zeros(COLUMNS)
