"""Ways to spoil a mesh as those of ShapeNet are: more faces, loose pieces, doubled and degenerate faces, polygons.

A mesh is a `Soup`: each way returns a new one. All that is random comes from a generator that is handed in.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dataprocessing.mesh_io import Mesh, triangle_areas

Array = np.ndarray
PIECE = 0.004  # length of a loose piece
FLAT = 0.999  # cosine between the normals of two triangles that become one quadrangle


class Soup(NamedTuple):
    """vertices (V, 3) float64; faces (F, 3) int; part (F,) int, which part of the car a face belongs to."""

    vertices: Array
    faces: Array
    part: Array


def components_of(vertices: Array, faces: Array) -> tuple[int, Array]:
    """How many pieces a mesh has that share no place, and the piece of each face, (F,)."""
    _, place = np.unique(vertices, axis=0, return_inverse=True)
    corners = place.ravel()[faces]
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [0, 2]]]).T
    size = int(place.max()) + 1
    _, label = connected_components(coo_matrix((np.ones(ends.shape[1]), ends), shape=(size, size)), directed=False)
    of_face = np.unique(label[corners[:, 0]], return_inverse=True)[1].ravel()
    return int(of_face.max()) + 1, of_face


def with_components(soup: Soup, wanted: int, rng: np.random.Generator) -> Soup:
    """A mesh of `wanted` pieces: below 4 its largest ones alone, else with loose tetrahedra on it, if it has fewer."""
    count, piece = components_of(soup.vertices, soup.faces)
    if wanted < 4:
        areas = np.bincount(piece, triangle_areas(Mesh(soup.vertices, soup.faces)))
        kept = np.isin(piece, np.argsort(-areas, kind="stable")[:wanted])
        return Soup(soup.vertices, soup.faces[kept], soup.part[kept])
    more = max(0, wanted - count)
    centres = soup.vertices[rng.choice(soup.faces.ravel(), more)]
    corners = centres[:, None] + PIECE * rng.uniform(-1, 1, (more, 4, 3))
    faces = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [0, 2, 3]]) + 4 * np.arange(more)[:, None, None]
    return Soup(
        np.concatenate([soup.vertices, corners.reshape(-1, 3)]),
        np.concatenate([soup.faces, len(soup.vertices) + faces.reshape(-1, 3)]),
        np.concatenate([soup.part, np.full(4 * more, soup.part.max() + 1)]),
    )


def subdivided(soup: Soup, wanted: int) -> Soup:
    """The same surface of `wanted` faces or up to 2 more: each of the largest faces in four, again and again.

    Where a face is cut and its neighbour is not, the new vertex lies on the neighbour's side, as in many models.
    """
    while (lacking := wanted - len(soup.faces)) > 0:
        number = min(len(soup.faces), -(-lacking // 3))
        areas = triangle_areas(Mesh(soup.vertices, soup.faces))
        chosen = np.sort(np.argpartition(-areas, number - 1)[:number])
        soup = _cut_in_four(soup, chosen)
    return soup


def _cut_in_four(soup: Soup, chosen: Array) -> Soup:
    a, b, c = soup.faces[chosen].T
    sides = np.sort(np.stack([[a, b], [b, c], [c, a]]).transpose(0, 2, 1).reshape(-1, 2), axis=1)  # (3 N, 2)
    keys, new = np.unique(sides[:, 0] * len(soup.vertices) + sides[:, 1], return_inverse=True)
    ends = np.stack([keys // len(soup.vertices), keys % len(soup.vertices)])
    ab, bc, ca = len(soup.vertices) + new.reshape(3, -1)
    four = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]])  # (4, 3, N)
    kept = np.ones(len(soup.faces), dtype=bool)
    kept[chosen] = False
    faces = np.concatenate([soup.faces[kept], four.transpose(2, 0, 1).reshape(-1, 3)])
    part = np.concatenate([soup.part[kept], np.repeat(soup.part[chosen], 4)])
    return Soup(np.concatenate([soup.vertices, soup.vertices[ends].mean(axis=0)]), faces, part)


def with_doubled(soup: Soup, share: float, rng: np.random.Generator) -> Soup:
    """A share of the faces once more, every other one turned round."""
    chosen = rng.choice(len(soup.faces), round(share * len(soup.faces)), replace=False)
    again = soup.faces[chosen].copy()
    again[::2] = again[::2, ::-1]
    return Soup(soup.vertices, np.concatenate([soup.faces, again]), np.concatenate([soup.part, soup.part[chosen]]))


def with_degenerate(soup: Soup, number: int, rng: np.random.Generator) -> Soup:
    """So many faces without area besides: some name a vertex twice, others have all corners on a line."""
    chosen = rng.choice(len(soup.faces), number)
    a, b = soup.faces[chosen, 0], soup.faces[chosen, 1]
    middle = len(soup.vertices) + np.arange(number)
    third = np.where(np.arange(number) % 2, a, middle)
    vertices = np.concatenate([soup.vertices, soup.vertices[[a, b]].mean(axis=0)])
    faces = np.concatenate([soup.faces, np.stack([a, b, third], axis=1)])
    return Soup(vertices, faces, np.concatenate([soup.part, soup.part[chosen]]))


class Polygons(NamedTuple):
    """vertices (V, 3); corners (C,) of all faces, one after the other; sizes (F,), of each; part (F,)."""

    vertices: Array
    corners: Array
    sizes: Array
    part: Array


def as_polygons(soup: Soup, share: float, rng: np.random.Generator) -> Polygons:
    """Triangles as polygons of several sizes: of a share of them pairs as quadrangles, others with more corners.

    A triangle with the middles of two sides as corners is a pentagon of the same surface.
    """
    quads, used = _pairs(soup, share, rng)
    chosen = np.flatnonzero(~used & (rng.random(len(used)) < share / 4))
    used[chosen] = True
    a, b, c = soup.faces[chosen].T
    new = len(soup.vertices) + np.arange(2 * len(chosen)).reshape(2, -1)
    vertices = np.concatenate([soup.vertices, soup.vertices[[a, b]].mean(axis=0), soup.vertices[[b, c]].mean(axis=0)])
    pentagons = np.stack([a, new[0], b, new[1], c], axis=1)
    faces = [soup.faces[~used], quads[:, :4], pentagons]
    part = np.concatenate([soup.part[~used], soup.part[quads[:, 4]], soup.part[chosen]])
    sizes = np.repeat([3, 4, 5], [len(rows) for rows in faces])
    order = np.argsort(part, kind="stable")
    starts = np.cumsum(sizes) - sizes
    at = np.repeat(starts[order], sizes[order]) + _counted(sizes[order])
    return Polygons(vertices, np.concatenate([rows.ravel() for rows in faces])[at], sizes[order], part[order])


def _pairs(soup: Soup, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Quadrangles of two flat neighbours, (Q, 5): corners and one of the two faces; and which faces are in one, (F,).

    One round: of the sides that may go, the first of both its faces in a random order.
    """
    faces = soup.faces
    number = len(faces)
    start, end, tip = (np.concatenate([faces[:, (k + shift) % 3] for k in range(3)]) for shift in (0, 1, 2))
    face = np.tile(np.arange(number), 3)
    forth, back = start * len(soup.vertices) + end, end * len(soup.vertices) + start
    _, first, times = np.unique(forth, return_index=True, return_counts=True)
    alone = first[times == 1]
    _, one, other = np.intersect1d(forth[alone], back[alone], return_indices=True)
    one, other = alone[one], alone[other]  # one: a -> b of a face, other: b -> a of its neighbour
    u, v = (soup.vertices[faces[:, k]] - soup.vertices[faces[:, 0]] for k in (1, 2))
    normal = np.cross(u, v)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    flat = (normal[face[one]] * normal[face[other]]).sum(axis=1) > FLAT
    flat &= (face[one] < face[other]) & (soup.part[face[one]] == soup.part[face[other]])
    one, other = one[flat], other[flat]
    rank = rng.permutation(len(one))
    best = np.full(number, len(rank))
    np.minimum.at(best, face[one], rank)
    np.minimum.at(best, face[other], rank)
    taken = (best[face[one]] == rank) & (best[face[other]] == rank) & (rng.random(len(rank)) < 2 * share)
    one, other = one[taken], other[taken]
    used = np.zeros(number, dtype=bool)
    used[face[one]] = used[face[other]] = True
    return np.stack([tip[one], start[one], tip[other], end[one], face[one]], axis=1).astype(np.int64), used


def _counted(sizes: Array) -> Array:
    """0, 1, ... within each of the faces, (C,)."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
