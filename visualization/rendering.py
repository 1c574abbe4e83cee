"""Pictures of point clouds without OpenGL: oriented splats, a z-buffer and eye-dome-like shading, all in numpy.

Axes as in ShapeNet: x right, y up, the front towards -z, so the car's left side is -x.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, uniform_filter

from visualization.local_planes import (
    FEWEST_POINTS,
    averaged,
    fit_planes,
    neighbours,
    onto_planes,
    splat_radius,
    splat_radius_of,
)

Array = NDArray[np.float32]
Color = tuple[int, int, int]
Angles = tuple[float, float]  # azimuth and elevation of the camera, degrees

# Azimuth 0 looks at the front (camera at -z), 90 at the car's left
# side (camera at -x), 180 at the tail, 270 at the right side (camera at +x).
VIEWS: dict[str, Angles] = {
    "three_quarter": (52.0, 20.0),  # from the front left
    "rear_three_quarter": (232.0, 20.0),  # from the rear right, the opposite of it
    "side": (90.0, 4.0),
    "front": (0.0, 6.0),
    "rear": (180.0, 6.0),
    "top": (90.0, 90.0),
    "cutaway": (288.0, 20.0),
}
TINTS: dict[str, Color] = {
    "blue": (150, 178, 206),
    "green": (160, 196, 170),
    "amber": (226, 186, 134),
    "rose": (220, 168, 160),
    "grey": (190, 194, 200),
}
SUPERSAMPLING = 2
CAMERA_DISTANCE = 4.0  # in radii of the cloud
MARGIN = 0.04, 0.10  # of the picture's width and height
MIDDLE = 0.5, 0.47  # of the cloud in the picture: leaves room for the shadow
MIN_RADIUS, MAX_RADIUS = 1.0, 14.0  # of a splat, pixels of the supersampled picture
LIGHTS = (((-0.45, 0.80, 0.40), 0.62), ((0.8, 0.25, 0.5), 0.16))  # (direction in camera axes, strength)
AMBIENT = 0.42
# Eye-dome: (reach in pixels of the final picture, cap on a depth step in radii of the cloud, strength)
EYE_DOME = ((1.0, 0.03, 0.55), (3.0, 0.05, 0.35), (9.0, 0.12, 0.35))
SHINE = np.array([-0.25, 0.45, 0.86], np.float32)  # mirror direction of the highlight, camera axes
SHADOW_STRENGTH = 0.22
PINHOLE = 0.45  # radius of the pinholes that are filled, in radii of a splat


@dataclass
class Projection:
    """Points in a picture: column, row (pixels, from the top left), depth (cloud units), pixels per unit."""

    column: Array
    row: Array
    depth: Array
    scale: float


class Camera:
    """A perspective camera, fitted to a cloud except for 1 in 1,000 points at each border."""

    def __init__(self, points: Array, angles: Angles, size: tuple[int, int]):
        self.axes = view_axes(angles)
        self.centre = (points.min(0) + points.max(0)) / 2
        self.distance = CAMERA_DISTANCE * max(float(np.ptp(points, axis=0).max()) / 2, 1e-6)
        self.middle, self.zoom, self.size = np.zeros(2), 1.0, (0, 0)
        at = self(points)
        low, high = np.quantile(np.stack([at.column, at.row]), [0.001, 0.999], axis=1)
        self.middle, self.size = (low + high) / 2, size
        room = (1 - 2 * np.array(MARGIN)) * size
        self.zoom = float((room / np.maximum(high - low, 1e-9)).min())

    def __call__(self, points: Array) -> Projection:
        x, y, z = ((points - self.centre) @ self.axes.T).T
        depth = self.distance - z
        column = (x / depth - self.middle[0]) * self.zoom + self.size[0] * MIDDLE[0]
        row = (-y / depth - self.middle[1]) * self.zoom + self.size[1] * MIDDLE[1]
        return Projection(column, row, depth, self.zoom / self.distance)


def view_axes(angles: tuple[float, float]) -> Array:
    """Unit vectors to the right, up and towards a camera at (azimuth, elevation), degrees: the rows of (3, 3)."""
    azimuth, elevation = np.radians(angles)
    right = np.array([-np.cos(azimuth), 0, np.sin(azimuth)])
    back = np.array([-np.sin(azimuth) * np.cos(elevation), np.sin(elevation), -np.cos(azimuth) * np.cos(elevation)])
    return np.stack([right, np.cross(back, right), back]).astype(np.float32)


def render_cloud(
    points: NDArray[np.floating],
    view: str | Angles = "three_quarter",
    size: tuple[int, int] = (480, 300),
    cut: str = "none",
    color: Color = TINTS["blue"],
    shadow: bool = True,
    frame: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """Draw a point cloud as a shaded surface on white.

    points: (N, 3), any units. view: a name in VIEWS, or angles; "three_quarter" looks from the front left, slightly
    above. size: (width, height) in pixels. cut: "lengthwise" removes the half on the camera's
    side of the plane x = 0 to show the seats: x < 0 in views from the left ("three_quarter", "side"), x > 0 from the
    right ("cutaway": the remaining half is the driver's, with the steering wheel). color: RGB, 0 to 255. shadow: draw a
    soft shadow on the ground. frame: points (M, 3) that the camera is fitted to, so that it stays in its place from
    one picture of a movie to the next; default: what is drawn.
    Returns (height, width, 3) uint8. The same input gives the same picture.
    Raises ValueError for another shape, an empty or non-finite cloud, or an unknown view or cut.
    Splat size: 0.85 x the 80 % quantile of the distance to the 6th neighbour. Eye-dome lighting: Boucheny 2009.
    """
    points, angles = _checked(points, view, cut)
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    radius = splat_radius(points)
    kept = points if cut == "none" else points[points[:, 0] * _camera_side(angles) <= 0]
    if not len(kept):
        raise ValueError(f"cut {cut!r} leaves none of the {len(points)} points")
    camera = Camera(kept if frame is None else np.asarray(frame, np.float32), angles, (width, height))
    projection = camera(kept)
    seen = kept[_roughly_visible(projection, radius, (width, height))]
    seen, normals, radius, noise = _local_planes(seen, camera.axes, radius)  # normals (V, 3) in camera axes
    depth, surface_normals = _splat(camera(seen), normals, radius, noise, (width, height))  # (H, W), (H, W, 3)
    depth, surface_normals = _without_pinholes(depth, surface_normals, radius, radius * projection.scale)
    return finished(depth, surface_normals, kept, camera, color, shadow)


def finished(
    depth: Array, normals: Array, points: Array, camera: Camera, color: Color, shadow: bool
) -> NDArray[np.uint8]:
    """The picture (height, width, 3) of a surface with depth (H, W), inf where empty, and normals (H, W, 3).

    H and W are `SUPERSAMPLING` times the picture's height and width. Normals are unit vectors in camera axes. points:
    (N, 3) of the surface, evenly spread, which cast the shadow.
    """
    width, height = camera.size
    picture = _shade(depth, normals, color, camera.distance / CAMERA_DISTANCE)
    ground = _shadow(points, camera, (width, height)) if shadow else np.ones_like(depth)
    picture = np.where(np.isfinite(depth)[..., None], picture, 255 * ground[..., None])
    small = picture.reshape(height // SUPERSAMPLING, SUPERSAMPLING, width // SUPERSAMPLING, SUPERSAMPLING, 3)
    return (small.mean((1, 3)) + 0.5).clip(0, 255).astype(np.uint8)


def _checked(points: NDArray[np.floating], view: str | Angles, cut: str) -> tuple[Array, Angles]:
    if cut not in ("none", "lengthwise"):
        raise ValueError(f"cut {cut!r} is not one of none, lengthwise")
    return checked_points(points), angles_of(view)


def checked_points(points: NDArray[np.floating]) -> Array:
    """The points (N, 3) as float32. Raises ValueError for another shape, none, or NaN or infinite ones."""
    points = np.asarray(points, dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"points must have shape (N, 3) with N > 0, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("points hold NaN or infinite coordinates")
    return points


def angles_of(view: str | Angles) -> Angles:
    """Azimuth and elevation, degrees, of a view by its name in VIEWS. Raises ValueError for another name."""
    if isinstance(view, str) and view not in VIEWS:
        raise ValueError(f"view {view!r} is not one of {', '.join(VIEWS)}")
    return VIEWS[view] if isinstance(view, str) else view


def _camera_side(angles: Angles) -> float:
    """-1 for a camera on the car's left (-x), 1 on its right."""
    return -1.0 if angles[0] % 360 <= 180 else 1.0


def _roughly_visible(p: Projection, radius: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (N,) of the points in the picture that are not far behind others: the rest need no normal or splat."""
    column, row = np.floor(p.column).astype(int), np.floor(p.row).astype(int)
    inside = (column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1])
    pixel = np.where(inside, row * size[0] + column, 0)
    front = np.full(size[0] * size[1], np.inf, np.float32)
    np.minimum.at(front, pixel[inside], p.depth[inside])
    window = 2 * max(1, int(0.7 * radius * p.scale)) + 1
    front = minimum_filter(front.reshape(size[1], size[0]), window)  # as if the points were squares
    front = maximum_filter(front, window).ravel()  # keeps points that are visible at a border
    return inside & (p.depth <= front[pixel] + 2 * radius)


def _local_planes(points: Array, axes: Array, radius: float) -> tuple[Array, Array, float, float]:
    """Fit a plane to the neighbours of each point (PCA).

    Returns the points moved onto their planes by at most three times the noise; unit normals (N, 3) in camera axes,
    facing the camera and averaged over the neighbours; the splat radius for the moved points (at most `radius`); and
    the noise, the median distance of points from their planes.
    """
    if len(points) < FEWEST_POINTS:
        return points, np.tile(np.array([0, 0, 1], np.float32), (len(points), 1)), radius, 0.0
    near = neighbours(points)  # (N, K)
    turned = points @ axes.T
    mean, normals = fit_planes(turned, near)
    normals = normals * np.where(normals[:, 2:] < 0, np.float32(-1), np.float32(1))
    moved, noise = onto_planes(turned, mean, normals)
    points, radius = moved @ axes, min(radius, splat_radius_of(moved, near))
    around = averaged(normals, near)
    return points, around * np.where(around[:, 2:] < 0, np.float32(-1), np.float32(1)), radius, noise


def _splat(p: Projection, normals: Array, radius: float, noise: float, size: tuple[int, int]) -> tuple[Array, Array]:
    """Draw each point as a disc perpendicular to its normal; blend discs closely behind the nearest one.

    Returns depth (H, W), inf where empty, and normals (H, W, 3). The loop runs over the pixels of one disc.
    """
    width, height = size
    pixels = float(np.clip(radius * p.scale, MIN_RADIUS, MAX_RADIUS))
    front = np.full(width * height, np.inf, np.float32)
    for pixel, depth, _, _ in _discs(p, normals, pixels, size):
        np.minimum.at(front, pixel, depth)
    sums = np.zeros((5, width * height), np.float32)  # of weight, weight x depth, weight x normal
    for pixel, depth, index, weight in _discs(p, normals, pixels, size):
        near = depth <= front[pixel] + (radius + 4 * noise)
        pixel, index, share = pixel[near], index[near], np.float32(weight)
        for total, value in zip(sums, (np.ones(len(pixel), np.float32), depth[near], *normals[index].T), strict=True):
            np.add.at(total, pixel, share * value)
    filled = sums[0] > 0
    blended = sums[1:] / np.where(filled, sums[0], 1)
    depth = np.where(filled, blended[0], np.inf).astype(np.float32).reshape(height, width)
    blended = blended[1:] / np.linalg.norm(blended[1:], axis=0).clip(1e-9)
    return depth, blended.T.reshape(height, width, 3)


def _without_pinholes(depth: Array, normals: Array, radius: float, pixels: float) -> tuple[Array, Array]:
    """Fill pinholes: spots much smaller than a splat and far behind everything around them."""
    window = 2 * max(2, round(PINHOLE * min(pixels, MAX_RADIUS))) + 1
    closed = maximum_filter(minimum_filter(depth, window), window)
    with np.errstate(invalid="ignore"):
        hole = np.isfinite(closed) & ~(depth - closed <= 2 * radius)
    good = np.where(np.isfinite(depth) & ~hole, 1, 0).astype(np.float32)
    weight = uniform_filter(good, window + 2)
    hole &= weight > 0
    layers = np.concatenate([np.where(good > 0, depth, 0)[..., None], normals * good[..., None]], 2)
    mean = uniform_filter(layers, (window + 2, window + 2, 0))[hole] / weight[hole][:, None]
    depth, normals = depth.copy(), normals.copy()
    depth[hole] = mean[:, 0]
    normals[hole] = mean[:, 1:] / np.linalg.norm(mean[:, 1:], axis=1, keepdims=True).clip(1e-9)
    return depth, normals


def _discs(
    p: Projection, normals: Array, pixels: float, size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.intp], Array, NDArray[np.intp], float]]:
    """For each pixel of a disc of that radius: (pixel, depth, point, weight) of all points whose splat covers it."""
    column, row = np.floor(p.column).astype(np.intp), np.floor(p.row).astype(np.intp)
    flattest = np.maximum(normals[:, 2], 0.25)  # discs seen edge-on keep a quarter of their width
    slope_x, slope_y = normals[:, 0] / flattest, -normals[:, 1] / flattest
    reach = int(np.ceil(pixels))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            far = (dx * dx + dy * dy) / (pixels * pixels)
            if far > 1:
                continue
            rise = slope_x * dx + slope_y * dy  # pixels away from the camera
            x, y = column + dx, row + dy
            hit = (rise * rise <= (1 - far) * pixels * pixels) & (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
            index = np.flatnonzero(hit)
            yield y[index] * size[0] + x[index], p.depth[index] + rise[index] / p.scale, index, 1.05 - far


def _shade(depth: Array, normals: Array, color: Color, radius: float) -> Array:
    """Light from normals, darkened where the surroundings are closer to the camera. Returns (H, W, 3), 0 to 255."""
    light = np.full(depth.shape, AMBIENT, np.float32)
    for direction, strength in LIGHTS:
        direction = np.array(direction) / np.linalg.norm(direction)
        light += strength * (0.5 + 0.5 * (normals @ direction).astype(np.float32)) ** 1.5
    picture = np.array(color, np.float32) * light[..., None] * _eye_dome(depth, radius)[..., None]
    shine = np.maximum(normals @ SHINE, 0).astype(np.float32) ** 24
    return picture + 24 * shine[..., None]


def _eye_dome(depth: Array, radius: float) -> Array:
    """Factor (H, W) in (0, 1]: small in hollows and behind edges; 1 on a tilted plane, where opposite steps cancel."""
    total = np.zeros(depth.shape, np.float32)
    filled = np.isfinite(depth)
    for reach, greatest, strength in EYE_DOME:
        reach, cap = max(1, round(reach * SUPERSAMPLING)), greatest * radius
        padded = np.pad(depth, reach, constant_values=np.inf)
        h, w = depth.shape
        for dy, dx in ((0, 1), (1, 0), (0.7, 0.7), (0.7, -0.7)):
            step = np.zeros(depth.shape, np.float32)
            for sign in (1, -1):
                y, x = reach + sign * round(dy * reach), reach + sign * round(dx * reach)
                other = padded[y : y + h, x : x + w]
                both = filled & np.isfinite(other)
                step[both] += np.clip(depth[both] - other[both], -cap, cap)
            total += strength * np.clip(step, 0, cap) / cap
    return np.exp(-total / 2)


def _shadow(points: Array, camera: Camera, size: tuple[int, int]) -> Array:
    """Brightness (H, W) of the ground below the cloud: 1 far from it."""
    floor = points.copy()
    floor[:, 1] = np.quantile(points[:, 1], 0.001)
    p = camera(floor)
    column, row = np.floor(p.column).astype(int), np.floor(p.row).astype(int)
    inside = (column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1])
    below = np.zeros((size[1], size[0]), np.float32)
    below[row[inside], column[inside]] = 1
    covered = gaussian_filter(below, size[0] / 60)
    full = float(np.quantile(covered[covered > 0], 0.9)) if inside.any() else 1.0
    return 1 - SHADOW_STRENGTH * np.clip(covered / full, 0, 1)
