"""Second implementations for triangles, slow and plain, and triangles that are hard to measure."""

import numpy as np


def brute_force_distance(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Distance of each point (N, 3) to the nearest of the triangles, in float64, one triangle after the other.

    The nearest point of a triangle a + u (b - a) + v (c - a) is the minimum of a quadratic in u and v: its stationary
    point where that is inside, else on a side.
    """
    p = np.asarray(points, dtype=np.float64)
    best = np.full(len(p), np.inf)
    for a, b, c in np.asarray(vertices, dtype=np.float64)[faces]:
        for start, end in ((a, b), (b, c), (c, a)):
            side = end - start
            t = np.clip((p - start) @ side / (side @ side), 0, 1) if side.any() else np.zeros(len(p))
            best = np.minimum(best, np.linalg.norm(p - start - t[:, None] * side, axis=1))
        edges = np.stack([b - a, c - a])
        gram = edges @ edges.T
        if np.linalg.det(gram) <= 1e-14 * gram[0, 0] * gram[1, 1]:  # thinner than 1e-7: its sides say it all
            continue
        u, v = np.linalg.solve(gram, edges @ (p - a).T)
        inside = (u >= 0) & (v >= 0) & (u + v <= 1)
        foot = a + u[:, None] * edges[0] + v[:, None] * edges[1]
        best = np.where(inside, np.minimum(best, np.linalg.norm(p - foot, axis=1)), best)
    return best


def ray_distances(origins: np.ndarray, directions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How far along each ray (N, 3) each triangle (F, 3, 3) is met, in lengths of its direction; inf where it is not.

    Returns (N, F). Moeller and Trumbore 1997, sec. 2, from both sides.
    """
    a = triangles[:, 0]
    ab, ac = triangles[:, 1] - a, triangles[:, 2] - a
    d, s = directions[:, None], origins[:, None] - a  # (N, 1, 3), (N, F, 3)
    h, q = np.cross(d, ac), np.cross(s, ab)
    determinant = (ab * h).sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v, t = ((x * y).sum(axis=2) / determinant for x, y in ((s, h), (d, q), (ac, q)))
        met = (np.abs(determinant) > 1e-14) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    return np.where(met, t, np.inf)


def random_soup(rng: np.random.Generator, num_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Open surface: loose triangles, half of them slivers down to nothing, some degenerate, some doubled."""
    scale = rng.choice([0.02, 0.2], (num_faces, 1, 1))
    corners = rng.uniform(-0.4, 0.4, (num_faces, 1, 3)) + scale * rng.standard_normal((num_faces, 3, 3))
    along, height = rng.random((num_faces, 1)), 10 ** rng.uniform(-12, -1, (num_faces, 1))
    thin = corners[:, 0] + along * (corners[:, 1] - corners[:, 0]) + height * (corners[:, 2] - corners[:, 0])
    is_thin = rng.random(num_faces) < 0.5
    corners[is_thin, 2] = thin[is_thin]
    degenerate = rng.random(num_faces) < 0.1
    corners[degenerate, 1] = corners[degenerate, 0]
    corners[-1] = corners[-1, 0]  # a point
    faces = np.arange(3 * num_faces).reshape(-1, 3)
    doubled = np.concatenate([faces, faces[: num_faces // 4], faces[: num_faces // 5, ::-1]])
    return corners.reshape(-1, 3).astype(np.float32).astype(np.float64), doubled


def points_near(rng: np.random.Generator, vertices: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    on_faces = np.einsum("nk,nkd->nd", rng.dirichlet([1, 1, 1], count), vertices[rng.choice(faces, count)])
    return (on_faces + rng.choice([0.2, 0.02, 3e-3, 1e-4], (count, 1)) * rng.standard_normal((count, 3))).astype("f4")
