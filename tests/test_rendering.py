"""Properties of the pictures: areas, occlusion, cuts, sheets. What they look like, a person has to judge."""

import numpy as np
import pytest
from facts import naming
from PIL import Image

from lab.small.known_shapes import sphere_points
from visualization.contact_sheet import GAP, MARK_COLOR, NAME_COLOR, contact_sheet
from visualization.rendering import TINTS, VIEWS, Camera, _without_pinholes, render_cloud

SIZE = (151, 97)  # odd: width, height


def plate(x: float, count: int, half: float, seed: int = 0) -> np.ndarray:
    """A square at right angles to the x axis."""
    flat = np.random.default_rng(seed).uniform(-half, half, size=(count, 2))
    return np.column_stack([np.full(count, x), flat])


def drawn(picture: np.ndarray) -> np.ndarray:
    return (picture < 250).any(axis=2)


@pytest.mark.parametrize("view", sorted(VIEWS))
@pytest.mark.parametrize("count", [3_000, 20_001])
def test_sphere_fills_its_disc_in_every_view(view: str, count: int) -> None:
    filled = drawn(render_cloud(sphere_points(count), view, SIZE, shadow=False))
    rows, columns = np.flatnonzero(filled.any(axis=1)), np.flatnonzero(filled.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height / width - 1) < 0.06
    assert abs(height / (SIZE[1] * 0.8) - 1) < 0.12  # fitted to the margins, plus the splats' own size
    assert abs(filled.sum() / (np.pi / 4 * height * width) - 1) < 0.04  # no gaps, no corners


def test_nearer_points_hide_farther_ones() -> None:
    far = plate(0.3, 4_000, 0.5)
    near = plate(-0.3, 4_000, 0.25)  # nearer to a camera at -x
    alone = render_cloud(far, "side", SIZE, shadow=False)
    camera = Camera(far.astype(np.float32), VIEWS["side"], SIZE)
    assert camera(near).depth.max() < camera(far).depth.min()
    middle = np.s_[SIZE[1] // 2 - 8 : SIZE[1] // 2 + 8, SIZE[0] // 2 - 8 : SIZE[0] // 2 + 8]
    rough = far + np.random.default_rng(1).normal(0, 0.05, far.shape) * (np.abs(far[:, 1:]).max(1) < 0.2)[:, None]
    both_smooth = render_cloud(np.concatenate([far, near]), "side", SIZE, shadow=False)
    both_rough = render_cloud(np.concatenate([rough, near]), "side", SIZE, shadow=False)
    rough_alone = render_cloud(rough, "side", SIZE, shadow=False)
    hidden = np.abs(both_rough[middle].astype(int) - both_smooth[middle]).mean()
    seen = np.abs(rough_alone[middle].astype(int) - alone[middle]).mean()
    assert hidden < 3 < seen


def test_cut_removes_the_half_on_the_cameras_side() -> None:
    ball, left, right = sphere_points(6_000), plate(-0.1, 3_000, 0.2), plate(0.1, 3_000, 0.2)
    cut = render_cloud(np.concatenate([ball, left]), "side", SIZE, "lengthwise")
    assert np.array_equal(cut, render_cloud(np.concatenate([ball, left]), "side", SIZE, "lengthwise"))
    np.testing.assert_array_equal(
        cut, render_cloud(np.concatenate([ball, left + [-0.1, 0, 0]]), "side", SIZE, "lengthwise")
    )
    opened = render_cloud(np.concatenate([ball, right]), "side", SIZE, "lengthwise")
    assert np.abs(opened.astype(int) - cut).mean() > 2  # what stays inside is seen
    closed = [render_cloud(np.concatenate([ball, inside]), "side", SIZE) for inside in (left, right)]
    assert np.abs(closed[0].astype(int) - closed[1]).mean() < 0.5  # uncut, the shell hides it


def test_cutaway_keeps_the_left_half() -> None:
    points = np.concatenate([plate(-0.2, 3_000, 0.4), plate(0.2, 3_000, 0.4, seed=1)])
    right_moved = points + np.where(points[:, :1] > 0, [0.1, 0.05, -0.1], 0)
    left_moved = points - np.where(points[:, :1] < 0, [0, 0.3, 0.2], 0) * points[:, 2:]
    cut, same, other = (
        render_cloud(cloud, "cutaway", SIZE, "lengthwise").astype(int) for cloud in (points, right_moved, left_moved)
    )
    assert np.abs(cut - same).mean() < 0.5
    assert np.abs(cut - other).mean() > 2
    with pytest.raises(ValueError, match="none"):
        render_cloud(points[3_000:], "cutaway", SIZE, "lengthwise")


def test_gaps_are_closed_and_noise_keeps_the_silhouette() -> None:
    clean = drawn(render_cloud(sphere_points(20_000), size=SIZE, shadow=False))
    noisy_points = sphere_points(20_000) + np.random.default_rng(2).normal(0, 0.004, (20_000, 3))
    noisy = drawn(render_cloud(noisy_points, size=SIZE, shadow=False))
    assert (clean ^ noisy).sum() < 0.03 * clean.sum()


def test_pinholes_are_filled_and_windows_stay() -> None:
    depth = np.full((40, 50), 2.0, np.float32)
    normals = np.zeros((40, 50, 3), np.float32)
    normals[..., 2] = 1
    pinhole, gap, window = np.s_[10:12, 10:12], np.s_[10:12, 30:32], np.s_[20:32, 20:32]
    depth[pinhole], depth[gap], depth[window] = 3, np.inf, 3
    normals[pinhole], normals[gap], normals[window] = [1, 0, 0], 0, [1, 0, 0]
    filled, filled_normals = _without_pinholes(depth, normals, radius=0.01, pixels=6)
    for spot in (pinhole, gap):
        np.testing.assert_allclose(filled[spot], 2, rtol=1e-5)
        np.testing.assert_allclose(filled_normals[spot], np.broadcast_to([0, 0, 1], (2, 2, 3)), atol=1e-5)
    untouched = np.ones(depth.shape, bool)
    untouched[pinhole] = untouched[gap] = False
    np.testing.assert_array_equal(filled[untouched], depth[untouched])


def test_lit_from_above_and_tinted() -> None:
    picture = render_cloud(sphere_points(10_000), "side", SIZE, color=(200, 40, 40), shadow=False)[
        :, SIZE[0] // 2
    ].astype(int)
    upper, lower = picture[SIZE[1] // 3], picture[2 * SIZE[1] // 3]
    assert upper[0] > lower[0] > lower[1] + 30


def test_far_away_stray_points_do_not_shrink_the_picture() -> None:
    points = sphere_points(20_000)
    strayed = np.concatenate([points, [[0.6, 0.5, 0.6]]])
    sizes = [drawn(render_cloud(p, size=SIZE, shadow=False)).sum() for p in (points, strayed)]
    assert sizes[1] > 0.9 * sizes[0]


def test_same_input_same_picture_and_input_untouched() -> None:
    points = sphere_points(2_000)
    before = points.copy()
    assert np.array_equal(render_cloud(points, size=SIZE), render_cloud(points, size=SIZE))
    assert np.array_equal(points, before)


@pytest.mark.parametrize("points", [np.zeros((1, 3)), np.ones((7, 3)), np.eye(3), np.array([[0, 0, 0], [1e6, 0, 0]])])
def test_degenerate_clouds_give_a_picture(points: np.ndarray) -> None:
    picture = render_cloud(points, size=SIZE)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert picture.dtype == np.uint8
    assert drawn(picture).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": np.zeros((0, 3))}, "(N, 3) (0, 3)"),
        ({"points": np.zeros((4, 2))}, "(4, 2)"),
        ({"points": np.full((4, 3), np.nan)}, "NaN"),
        ({"points": np.eye(3), "view": "below"}, "'below' three_quarter"),
        ({"points": np.eye(3), "cut": "across"}, "'across' none, lengthwise"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=naming(message)):
        render_cloud(**arguments)


def test_contact_sheet_holds_every_picture(tmp_path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        ("training cars", [rng.integers(0, 256, (21, 33, 3), dtype=np.uint8) for _ in range(3)]),
        ("novel cars", [rng.integers(0, 256, (17, 25, 3), dtype=np.uint8)]),
    ]
    path = tmp_path / "new" / "sheet.png"
    contact_sheet(rows, path, "Cars")
    sheet = np.asarray(Image.open(path))
    for _, pictures in rows:
        for picture in pictures:
            h, w, _ = picture.shape
            corner = (sheet == picture[0, 0]).all(axis=2)
            places = [(y, x) for y, x in np.argwhere(corner) if np.array_equal(sheet[y : y + h, x : x + w], picture)]
            assert len(places) == 1
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]  # no spare file is left


def test_contact_sheet_writes_its_labels(tmp_path) -> None:
    picture = np.full((20, 300, 3), 255, np.uint8)
    inks = []
    for label in ("", "novel cars", "novel cars, cut open lengthwise"):
        contact_sheet([(label, [picture])], tmp_path / "sheet.png", "")
        inks.append(int((np.asarray(Image.open(tmp_path / "sheet.png")) < 200).sum()))
    assert inks[0] < inks[1] < inks[2]


def test_contact_sheet_writes_a_caption_above_each_picture_within_its_width(tmp_path) -> None:
    pictures = [np.full((40, 300, 3), 200, np.uint8)] * 2
    captions = [[("7", NAME_COLOR), ("torn 3.1 %", MARK_COLOR)], [("a" * 90, NAME_COLOR), ("torn 3.1 %", MARK_COLOR)]]
    contact_sheet([("", pictures, captions)], tmp_path / "sheet.png", "")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    top, left = np.argwhere((sheet == 200).all(axis=2))[0]
    red = sheet[..., 0] - sheet[..., 1] > 100
    dark = (sheet < 100).all(axis=2)
    for start in (left, left + 300 + GAP):
        assert red[:top, start : start + 300].any() and dark[:top, start : start + 300].any()
    assert not red[top:].any()
    assert not red[:top, left + 300 : left + 300 + GAP].any() and not dark[:, left + 2 * 300 + GAP :].any()


def test_contact_sheet_breaks_long_notes(tmp_path) -> None:
    picture = np.full((20, 300, 3), 255, np.uint8)
    sizes = []
    for note in ("short", "a few words " * 60):
        contact_sheet([("", [picture])], tmp_path / "sheet.png", "", [note])
        sizes.append(Image.open(tmp_path / "sheet.png").size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > sizes[0][1]


def test_contact_sheet_refuses_what_is_no_picture(tmp_path) -> None:
    with pytest.raises(ValueError, match="picture"):
        contact_sheet([("novel cars", [])], tmp_path / "sheet.png", "Cars")
    with pytest.raises(ValueError, match="float64"):
        contact_sheet([("novel cars", [np.zeros((4, 5, 3))])], tmp_path / "sheet.png", "Cars")
    assert list(tmp_path.iterdir()) == []


def test_tints_differ() -> None:
    assert len(set(TINTS.values())) == len(TINTS)
