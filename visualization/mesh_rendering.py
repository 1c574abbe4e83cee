"""Pictures of triangle meshes without OpenGL: a z-buffer in numpy, shaded as clouds are.

Nothing is filled or smoothed over: a hole in the mesh is a hole in the picture, through which the inside is seen. Both
sides of a triangle are lit, since meshes of unsigned distances have no outside.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualization.rendering import (
    SUPERSAMPLING,
    TINTS,
    Angles,
    Array,
    Camera,
    Color,
    angles_of,
    checked_points,
    finished,
)

LARGEST = 16  # pixels of the supersampled picture across a triangle; larger ones are split
SMOOTH = 0.8  # cosine between a triangle's normal and that of a vertex; a smaller one is a crease, which stays sharp
EVEN = 60_000  # points of the surface that cast its shadow
EDGE = 1e-4  # barycentric; a pixel on the edge between two triangles belongs to one of them at least


def render_mesh(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    view: str | Angles = "three_quarter",
    size: tuple[int, int] = (480, 300),
    color: Color = TINTS["blue"],
    shadow: bool = True,
) -> NDArray[np.uint8]:
    """Draw triangles on white. vertices (V, 3), any units; faces (F, 3), their corners.

    view, size, color, shadow: as in `render_cloud`. Returns (height, width, 3) uint8.
    Raises ValueError for other shapes, no vertex or no face, coordinates that are not finite, an unknown view.
    """
    vertices, angles, faces = checked_points(vertices), angles_of(view), np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise ValueError(f"faces must have shape (F, 3) with F > 0, got {faces.shape}")
    corners = vertices[faces]  # (F, 3, 3)
    points = evenly_on(corners)
    camera = Camera(points, angles, (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    normals = _corner_normals(vertices, faces) @ camera.axes.T
    depth, surface_normals = _rasterised(*_small(corners, normals, camera), camera)
    return finished(depth, surface_normals, points, camera, color, shadow)


def evenly_on(corners: Array) -> Array:
    """(EVEN, 3) points spread evenly over triangles with corners (F, 3, 3), the same ones in every call."""
    rng = np.random.default_rng(0)
    sides = corners[:, 1:] - corners[:, :1]
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1).astype(np.float64)
    total = areas.sum()
    share = np.full(len(areas), 1 / len(areas)) if total == 0 else areas / total
    chosen = rng.choice(len(corners), EVEN, p=share)
    weights = rng.dirichlet(np.ones(3), EVEN).astype(np.float32)
    return np.einsum("nc,ncd->nd", weights, corners[chosen])


def _corner_normals(vertices: Array, faces: NDArray[np.integer]) -> Array:
    """Unit normals (F, 3, 3) of the corners of each face, on the side of its own normal.

    That of a vertex is the main direction of its faces' normals, whatever their signs; where it is far from the normal
    of the face, at a crease, the face keeps its own.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    scaled = np.cross(b - a, c - a)
    area = np.linalg.norm(scaled, axis=1, keepdims=True)
    own = scaled / area.clip(1e-20)
    products = (area * own)[:, :, None] * own[:, None]  # (F, 3, 3)
    sums = np.zeros((len(vertices), 3, 3), np.float32)
    for k in range(3):
        np.add.at(sums, faces[:, k], products)
    around = np.linalg.eigh(sums)[1][:, :, -1][faces]  # (F, 3, 3)
    cosine = np.einsum("fkd,fd->fk", around, own)
    smooth = np.abs(cosine)[..., None] >= SMOOTH
    normals: Array = np.where(smooth, around * np.where(cosine < 0, -1, 1)[..., None], own[:, None])
    return normals.astype(np.float32)


def _small(corners: Array, normals: Array, camera: Camera) -> tuple[Array, Array]:
    """Corners (T, 3, 3) as column, row and depth, and their normals: triangles in the picture, split where large."""
    found: list[tuple[Array, Array]] = []
    while len(corners):
        p = camera(corners.reshape(-1, 3))
        seen = np.stack([p.column, p.row, p.depth], axis=1).reshape(-1, 3, 3)
        low, high = seen[..., :2].min(1), seen[..., :2].max(1)
        inside = ((high >= 0) & (low < camera.size)).all(1)
        large = inside & ((high - low).max(1) > LARGEST)
        found.append((seen[inside & ~large], normals[inside & ~large]))
        corners, normals = _quartered(corners[large]), _quartered(normals[large])
    both = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return both[0], both[1]


def _quartered(corners: Array) -> Array:
    """Each triangle (T, 3, D) as four, (4 T, 3, D), by the middles of its sides."""
    a, b, c = corners.transpose(1, 0, 2)
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(part, axis=1) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])


def _rasterised(seen: Array, normals: Array, camera: Camera) -> tuple[Array, Array]:
    """Depth (H, W), inf where empty, and normals (H, W, 3) towards the camera of the nearest triangle in each pixel."""
    width, height = camera.size
    picture, directions = np.full(width * height, np.inf, np.float32), np.zeros((width * height, 3), np.float32)
    pixel, index, weights = _covered(seen, width, height)
    depth = (weights * seen[index, :, 2]).sum(1)
    order = np.argsort(-depth, kind="stable")  # the nearest is written last
    nearest = np.full(width * height, -1)
    nearest[pixel[order]] = order
    filled = np.flatnonzero(nearest >= 0)
    one = nearest[filled]
    direction = np.einsum("nc,ncd->nd", weights[one], normals[index[one]])
    direction *= np.where(direction[:, 2:] < 0, -1, 1) / np.linalg.norm(direction, axis=1, keepdims=True).clip(1e-9)
    picture[filled], directions[filled] = depth[one], direction
    return picture.reshape(height, width), directions.reshape(height, width, 3)


def _covered(seen: Array, width: int, height: int) -> tuple[NDArray[np.integer], NDArray[np.integer], Array]:
    """Each pixel whose middle a triangle covers: its number (n,), the triangle (n,), barycentric weights (n, 3).

    The loop runs over the pixels of the box around a triangle, for all triangles of one size at a time; from a pixel
    to the next the weights change by a constant.
    """
    first = np.floor(seen[..., :2].min(1)).astype(np.int32)
    spans = (np.floor(seen[..., :2].max(1)).astype(np.int32) - first).max(1, initial=0)
    u, v = seen[:, 1, :2] - seen[:, 0, :2], seen[:, 2, :2] - seen[:, 0, :2]
    w = first + np.float32(0.5) - seen[:, 0, :2]
    with np.errstate(divide="ignore"):
        scale = 1 / (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    scale[~np.isfinite(scale)] = np.nan  # seen edge-on: covers nothing
    slope_b, slope_c = np.stack([v[:, 1], -v[:, 0]]) * scale, np.stack([-u[:, 1], u[:, 0]]) * scale  # (2, T)
    at_b, at_c = (slope_b * w.T).sum(0), (slope_c * w.T).sum(0)
    found: list[tuple[NDArray[Any], ...]] = [(np.zeros(0, np.int32),) * 2 + (np.zeros(0, np.float32),) * 2]
    for span in np.unique(spans):
        members = np.flatnonzero(spans == span)
        b0, c0, (bx, by), (cx, cy) = at_b[members], at_c[members], slope_b[:, members], slope_c[:, members]
        for dy in range(span + 1):
            for dx in range(span + 1):
                to_b, to_c = b0 + dx * bx + dy * by, c0 + dx * cx + dy * cy
                k = np.flatnonzero((to_b >= -EDGE) & (to_c >= -EDGE) & (to_b + to_c <= 1 + EDGE))
                x, y = first[members[k]].T + np.array([[dx], [dy]], np.int32)
                inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
                k = k[inside]
                found.append(((y * width + x)[inside], members[k], to_b[k], to_c[k]))
    pixel, index, b, c = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pixel, index, np.stack([1 - b - c, b, c], axis=1)
