"""Concave polygons cut into triangles, by their ears, on the planes that fit them."""

import numpy as np

FLAT = 0.01  # of a face's size: its corners are no farther from its plane
AT_ONCE = 2**21  # pairs of a triangle and a side looked at in one go
MOST_LOOPS = 32  # that a face is made of
MOST_LOOPED = 1_000  # faces of a size that are taken apart into loops


def fans(faces: np.ndarray) -> np.ndarray:
    """Triangles (F * (n - 2), 3) of faces (F, n): the first of each face, then the second, and so on."""
    first = np.broadcast_to(faces[:, :1], faces[:, 2:].shape)
    return np.stack([first, faces[:, 1:-1], faces[:, 2:]], axis=2).swapaxes(0, 1).reshape(-1, 3)


def unit_sized(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of faces (F, n): corners from the first one, of size 1, (3, F, n); twice the areas of the fan's triangles, as
    normals, (3, F, n - 2); their sum (3, F), which is Newell's normal; and the true sizes (F,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.stack([axis[faces] for axis in vertices.T])
        x = x - x[:, :, :1]
        scale = np.maximum(np.abs(x).max(axis=(0, 2)), 1e-300)
        x = x / scale[:, None]
        (ax, ay, az), (bx, by, bz) = x[:, :, 1:-1], x[:, :, 2:]
        turns = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
        return x, turns, turns.sum(axis=2), scale


def cut(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3) of faces (F, n) on their planes, and the area that may be covered wrongly of each, (F,).

    An outline that meets itself in corners, such as one with a slit to a window, is taken apart into loops: what an odd
    number of them holds is inside. One that crosses itself becomes a fan, which may cover too much. So does a face
    that is not flat and could not be cut; it has no true surface, and its fan is as good as others.
    """
    points, turns, normal, scale = unit_sized(vertices, faces)
    fan = np.linalg.norm(turns, axis=0).sum(axis=1)  # twice the areas
    length = np.linalg.norm(normal, axis=0)
    flat = _in_planes(points, normal, length > 1e-6 * fan)
    outlines = np.ascontiguousarray(flat[:2].transpose(1, 2, 0))
    cuts = [_earcut(outline, [len(outline)]) for outline in outlines]
    of, triangles = np.repeat(np.arange(len(faces)), [len(found) for found in cuts]), np.concatenate(cuts)
    corners = outlines[of[:, None], triangles]  # (T, 3, 2)
    doubled = np.abs(_doubled(corners))
    right = (np.abs(np.bincount(of, doubled, len(faces)) - length) <= 1e-6 * length) & (length > 1e-6 * fan)
    checked = np.flatnonzero(right[of] & (doubled > 1e-6 * length[of]))
    once = _winding(corners[checked].mean(axis=1), outlines, of[checked]) == 1
    right[of[checked[~once]]] = False
    found: list[np.ndarray] = [faces[of[:, None], triangles][right[of]]]
    wrong: list[int] = []
    for looped, number in enumerate(np.flatnonzero(~right).tolist()):
        apart = _by_loops(points[:, number].T, outlines[number]) if looped < MOST_LOOPED else None
        found.append(fans(faces[number][None]) if apart is None else faces[number][apart])
        wrong += [number] if apart is None else []
    false = np.zeros(len(faces))
    false[wrong] = (np.abs(fan - length) / 2 * scale**2)[wrong]
    return np.concatenate(found), np.where(np.abs(flat[2]).max(axis=1) <= FLAT, false, 0)


def _in_planes(points: np.ndarray, normal: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Points (3, F, n) in frames of their own, (3, F, n): the third axis is the normal (3, F) where that is `known`,
    else, as of a bow tie, the direction in which they lie closest together."""
    centred = (points - points.mean(axis=2, keepdims=True)).transpose(1, 0, 2)
    axes = np.linalg.eigh(centred @ centred.swapaxes(1, 2))[1][:, :, 0]  # (F, 3), of the smallest spread
    n = np.where(known, normal / np.maximum(np.linalg.norm(normal, axis=0), 1e-300), axes.T).T
    u = np.cross(n, np.eye(3)[np.argmin(np.abs(n), axis=1)])
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return np.einsum("kfa,afn->kfn", np.stack([u, np.cross(n, u), n]), points)


def _earcut(corners: np.ndarray, ends: list[int]) -> np.ndarray:
    """Triangles (T, 3) of an outline and its windows: corners (n, 2) of them all, and where each of them ends."""
    import mapbox_earcut

    cut = mapbox_earcut.triangulate_float64(np.ascontiguousarray(corners), np.array(ends, dtype=np.uint32))
    return cut.reshape(-1, 3).astype(np.int64)


def _doubled(corners: np.ndarray) -> np.ndarray:
    """Twice the areas of triangles (T, 3, 2), positive if they turn left, (T,)."""
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return ax * by - ay * bx


def _winding(points: np.ndarray, outlines: np.ndarray, of: np.ndarray) -> np.ndarray:
    """How often outline `of[i]` of (F, n, 2) winds around point i of (N, 2), (N,)."""
    result = np.zeros(len(points), dtype=np.int64)
    step = max(1, AT_ONCE // outlines.shape[1])
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        a = outlines[of[part]] - points[part, None]
        b = np.roll(a, -1, axis=1)
        left = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
        up, down = (a[..., 1] <= 0) & (b[..., 1] > 0), (a[..., 1] > 0) & (b[..., 1] <= 0)
        result[part] = (up & (left > 0)).sum(axis=1) - (down & (left < 0)).sum(axis=1)
    return result


def _loops(places: np.ndarray) -> list[list[int]]:
    """The corners (n, 3) of an outline as loops that meet no corner twice; those without area are left out."""
    loops: list[list[int]] = []
    open_ones: list[tuple[int, int]] = []
    at: dict[int, int] = {}
    for corner, place in enumerate(np.unique(places, axis=0, return_inverse=True)[1].ravel().tolist()):
        if place in at:
            loops.append([number for number, _ in open_ones[at[place] :]])
            for _, other in open_ones[at[place] :]:
                del at[other]
            del open_ones[len(open_ones) - len(loops[-1]) :]
        at[place] = len(open_ones)
        open_ones.append((corner, place))
    return [loop for loop in [*loops, [number for number, _ in open_ones]] if len(loop) > 2]


def _by_loops(places: np.ndarray, outline: np.ndarray) -> np.ndarray | None:
    """Triangles (T, 3) of an outline (n, 2), its corners in space (n, 3), that meets itself in corners only."""
    loops = _loops(places)
    if len(loops) > MOST_LOOPS:
        return None
    inner, areas, kept = [], [], []
    for loop in loops:
        corners = outline[loop]
        pieces = corners[_earcut(corners, [len(loop)])]
        doubled = np.abs(_doubled(pieces))
        x, y = corners.T
        area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
        if abs(doubled.sum() - area) > 1e-6 * area:
            return None  # it crosses itself
        if area > 1e-12:
            kept.append(loop)
            areas.append(area)
            inner.append(pieces[np.argmax(doubled)].mean(axis=0))  # a point inside
    if not kept:
        return None
    holds = np.array([
        (_winding(np.array(inner), outline[None, loop], np.zeros(len(kept), dtype=np.int64)) != 0)
        & (np.array(areas) < area) for loop, area in zip(kept, areas, strict=True)
    ])  # fmt: skip
    depth = holds.sum(axis=0)
    triangles = []
    for number in np.flatnonzero(depth % 2 == 0):
        windows = np.flatnonzero(holds[number] & (depth == depth[number] + 1))
        rings = [kept[number], *(kept[window] for window in windows)]
        corners = np.concatenate(rings)
        found = corners[_earcut(outline[corners], np.cumsum([len(ring) for ring in rings]).tolist())]
        area = areas[number] - sum(areas[window] for window in windows)
        if abs(np.abs(_doubled(outline[found])).sum() - area) > 1e-6 * areas[number]:
            return None  # loops cross each other
        triangles.append(found)
    return np.concatenate(triangles)
