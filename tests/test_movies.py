"""Movies: files that show what they were given, and cameras that stay in their place."""

from pathlib import Path

import numpy as np
import pytest
from facts import naming
from PIL import Image
from test_rendering import drawn

from lab.small.known_shapes import sphere_points
from visualization.movies import swept, turning, walking, write_movie

BLUE = (150, 178, 206)


def frames(path: Path) -> list[np.ndarray]:
    found = []
    with Image.open(path) as movie:
        for n in range(movie.n_frames):
            movie.seek(n)
            found.append(np.asarray(movie.convert("RGB")))
    return found


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_movie_shows_its_pictures_for_ever(tmp_path: Path, kind: str) -> None:
    pictures = [np.full((31, 47, 3), 255, np.uint8) for _ in range(5)]
    for n, picture in enumerate(pictures):
        picture[5:15, 8 * n : 8 * n + 7] = (150, 40 * n, 206)
    path = tmp_path / "new" / f"walk.{kind}"
    write_movie(pictures, path, 120)
    found = frames(path)
    assert len(found) == 5
    for picture, shown in zip(pictures, found, strict=True):
        assert np.abs(picture.astype(int) - shown).mean() < 3
    with Image.open(path) as movie:
        movie.load()
        assert movie.info["loop"] == 0 and movie.info["duration"] == 120
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_movie_without_pictures_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures"):
        write_movie([], tmp_path / "a.gif", 100)
    with pytest.raises(ValueError, match=naming("gif webp a.mp4")):
        write_movie([np.zeros((2, 2, 3), np.uint8)], tmp_path / "a.mp4", 100)


def test_a_turning_shape_keeps_its_place_and_size() -> None:
    ball = sphere_points(2_500) + np.array([0.1, 0.2, -0.3])
    tops = [np.flatnonzero(drawn(shown).any(axis=1))[0] for shown in turning(ball.astype(np.float32), 2, BLUE)]
    assert abs(tops[0] - tops[1]) <= 2
    bar = np.random.default_rng(0).uniform(-1, 1, (2_000, 3)) * [0.03, 0.03, 0.5]
    widths = [np.ptp(np.flatnonzero(drawn(one).any(axis=0))) for one in turning(bar.astype(np.float32), 3, BLUE)]
    assert max(widths) < 480  # it stays in the picture,
    assert max(widths) > 1.15 * min(widths)  # and the camera does not go after it


def test_the_swept_points_of_a_bar_fill_a_disc() -> None:
    bar = np.column_stack([np.zeros(5_000), np.zeros(5_000), np.linspace(0, 1, 5_000)]).astype(np.float32)
    ring = swept(bar)
    assert np.allclose(ring.min(axis=0), [-0.5, 0, 0], atol=0.01)
    assert np.allclose(ring.max(axis=0), [0.5, 0, 1], atol=0.01)


def test_a_walk_is_seen_by_one_camera() -> None:
    small, large = (drawn(one).sum() for one in walking([sphere_points(2_500, 0.2), sphere_points(2_500, 0.4)], BLUE))
    assert 2.5 < large / small < 5  # areas; a camera fitted to each would make them equal
