import numpy as np
import pytest
from facts import naming

from dataprocessing.distances import point_triangle_distance
from dataprocessing.formats import polygons
from dataprocessing.formats.polygons import Polygons, triangulated

E = [[0, 0], [6, 0], [6, 3], [5, 3], [5, 1], [1, 1], [1, 3], [0, 3]]  # a bar with two teeth: area 10
KEYHOLE = [[0, 0], [6, 0], [6, 3], [0, 3], [0, 0], [1, 1], [1, 2], [5, 2], [5, 1], [1, 1]]  # a slit to a window

SQUARE, WINDOW = [[0, 0], [9, 0], [9, 9], [0, 9]], [[1, 1], [1, 2], [2, 2], [2, 1]]


def slit(outline: list, *windows: list) -> list:
    """An outline with a slit to each window, from its first corner."""
    return outline + [corner for window in windows for corner in [outline[0], *window, window[0]]] + outline[:1]


def moved(outline: list, x: float, y: float, size: float = 1, step: int = 1) -> list:
    return [[x + size * u, y + size * v] for u, v in outline][::step]


def areas(vertices, faces) -> np.ndarray:
    a, b, c = np.moveaxis(np.asarray(vertices, float)[faces], 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def one(outline, seed: int | None = 0) -> Polygons:
    """A face of corners (n, 2 or 3), turned into a random plane by the seed."""
    outline = np.asarray(outline, float)
    vertices = np.pad(outline, [(0, 0), (0, 3 - outline.shape[1])])
    if seed is not None:
        rng = np.random.default_rng(seed)
        vertices = vertices @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + rng.normal(size=3) * 1e3
    return Polygons(vertices, np.arange(len(outline)), np.array([len(outline)]))


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(("outline", "area"), [(E, 10), (KEYHOLE, 14), ([[0, 0], [4, 0], [1, 1], [0, 4]], 4),
                                               ([[0, 0], [2, 0], [2, 0], [2, 2], [1, 2], [0, 2]], 4)])  # fmt: skip
@pytest.mark.parametrize("step", [1, -1])
def test_a_flat_polygon_is_covered_once_and_faces_as_its_outline_turns(outline, area, seed, turn, step):
    face = one(np.roll(outline, turn, axis=0)[::step], seed)
    cut = triangulated(face)
    assert areas(face.vertices, cut).sum() == pytest.approx(area)
    a, b, c = np.moveaxis(face.vertices[cut], 1, 0)
    normals = np.cross(b - a, c - a)
    x, y = face.vertices - face.vertices[0], np.roll(face.vertices, -1, axis=0) - face.vertices[0]
    assert (normals @ np.cross(x, y).sum(axis=0) > -1e-9).all()  # Newell's normal
    assert np.linalg.norm(normals.sum(axis=0)) / 2 == pytest.approx(area)  # none turned over


OUTLINES = {  # area, and how far from the surface a point in a window or a notch is
    "two windows": (slit(SQUARE, WINDOW, moved(WINDOW, 4, 0, 2)), 76, [1.5, 1.5], 0.5),
    "windows that turn as the outline": (slit(SQUARE, WINDOW[::-1], moved(WINDOW, 4, 0, 2, -1)), 76, [7, 3], 1),
    "a window that touches the outline": ([[0, 0], [4, 0], [4, 4], [0, 4], [0, 2], [1, 3], [1, 1], [0, 2]], 15,
                                          [0.75, 2], 0.25),
    "an island in a window": (slit(SQUARE, [[1, 1], [1, 8], [8, 8], [8, 1], [1, 1], [2, 2], [3, 2], [3, 3], [2, 3],
                                            [2, 2]]), 33, [1.5, 5], 0.5),
    "two squares, one turned": ([[0, 0], [1, 0], [1, 1], [1, 2], [2, 2], [2, 1], [1, 1], [0, 1]], 2, [1.5, 0.5], 0.5),
    "a cut into it": ([[0, 0], [2, 0], [2, 1], [1, 1], [2, 1], [2, 2], [0, 2]], 4, [1.5, 1], 0),
    "a whisker": ([[0, 0], [2, 0], [2, 1], [3, 1], [2, 1], [2, 2], [0, 2]], 4, [1, 1], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTLINES)
def test_outlines_that_meet_themselves_keep_their_windows(name: str):
    outline, area, point, distance = OUTLINES[name]
    for seed in (0, 1, None):
        face = one(outline, seed)
        cut = triangulated(face)
        assert areas(face.vertices, cut).sum() == pytest.approx(area)
    points = np.broadcast_to([*point, 0.0], (len(cut), 3))
    assert point_triangle_distance(points, face.vertices[cut]).min() == pytest.approx(distance, abs=1e-9)


def test_convex_faces_keep_their_fans_and_order():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 8, 50)
    angles = [np.arange(size) * 2 * np.pi / size for size in sizes]
    vertices = np.concatenate([np.stack([np.cos(a), np.sin(a), 0 * a + n], axis=1) for n, a in enumerate(angles)])
    starts, expected = np.cumsum(sizes) - sizes, []
    for size in range(3, 8):
        for i in range(1, size - 1):
            expected += [[start, start + i, start + i + 1] for start in starts[sizes == size]]
    assert triangulated(Polygons(vertices, np.arange(len(vertices)), sizes)).tolist() == expected


def test_a_concave_quad_is_cut_along_its_other_diagonal_in_its_place():
    square, arrow = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 0, 1], [1, 1, 1], [4, 0, 1], [0, 4, 1]]
    faces = Polygons(np.array(square + arrow, float), np.arange(8), np.array([4, 4]))
    assert sorted(map(sorted, triangulated(faces).tolist())) == [[0, 1, 2], [0, 2, 3], [4, 5, 7], [5, 6, 7]]
    assert len(triangulated(faces)) == 4


def test_faces_without_inside_are_refused_where_they_matter():
    bow_tie = one([[0, 0], [2, 2], [2, 0], [0, 1]])
    with pytest.raises(ValueError, match=naming("face 1", "crosses itself")):
        triangulated(bow_tie)
    large = Polygons(
        np.concatenate([bow_tie.vertices, [[0, 0, 0], [100, 0, 0], [0, 100, 0]]]), np.arange(7), np.array([4, 3])
    )
    assert len(triangulated(large)) == 3
    line = one([[0, 0], [1, 0], [3, 0], [2, 0]])
    assert areas(line.vertices, triangulated(line)).sum() == pytest.approx(0, abs=1e-6)


def test_a_face_that_is_not_flat_is_cut_somehow():
    saddle = one([[0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1]])
    assert areas(saddle.vertices, triangulated(saddle)).sum() == pytest.approx(3**0.5)
    folded = one([[0, 0, 0], [1, 0, 0.9], [0, 1, 0.2], [0.3, -0.2, 0.4], [0.9, 0.1, -0.7]])
    assert len(triangulated(folded)) == 3


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1e9, 1e150])
def test_size_and_place_do_not_matter(scale):
    vertices = one(E, 3).vertices * scale
    cut = triangulated(Polygons(vertices, np.arange(8), np.array([8])))
    assert areas(vertices / scale, cut).sum() == pytest.approx(10)


def test_what_would_take_minutes_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=naming("face 1", "99,999")):
        triangulated(Polygons(np.eye(3), np.arange(99_999) % 3, np.array([99_999])))
    spikes = np.arange(6_000) * 2 * np.pi / 6_000
    outline = np.stack([np.cos(spikes), np.sin(spikes)], axis=1) * np.where(np.arange(6_000) % 2, 1, 0.5)[:, None]
    with pytest.raises(ValueError, match=naming("6,000", "concave")):
        triangulated(one(outline))
    monkeypatch.setattr(polygons, "MOST_CONCAVE_WORK", 100)
    with pytest.raises(ValueError, match=naming("2 faces", "concave")):
        triangulated(Polygons(one(E).vertices, np.tile(np.arange(8), 2), np.array([8, 8])))


def test_a_corner_that_is_no_vertex_is_refused():
    with pytest.raises(ValueError, match=naming("vertex 4 3")):
        triangulated(Polygons(np.eye(3), np.array([0, 1, 3]), np.array([3])))
