"""The parametric cars: deterministic, of many styles, open, in many parts, furnished, symmetric, standing on wheels."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from demo_cars.car import Car, build_car, make_car, to_obj
from demo_cars.interior import add_interior
from demo_cars.lines import Lines
from demo_cars.mesh import Parts, Sheet, cut, grid_faces, triangle_areas
from demo_cars.parameters import CHOICES, RANGES, STYLES, draw_parameters, range_of
from demo_cars.shell import EDGE, NORMAL, make_skin
from demo_cars.windows import closed_windows
from lab.small.triangles import ray_distances

SEATS = ("cushion", "backrest", "headrest")
FULL = {"glazing": "own", "furnished": 1, "detail": "fine", "wheel": "rim", "doubling": "none", "antenna": 0}


def first_of_each_style(seed: int = 3) -> dict[str, dict]:
    cars: dict[str, dict] = {}
    index = 0
    while len(cars) < len(STYLES):
        parameters = draw_parameters(seed, index)
        cars.setdefault(parameters["style"], parameters)
        index += 1
    return cars


@pytest.fixture(scope="module")
def drawn_cars() -> dict[str, Car]:
    """A car of each style, as it is drawn."""
    return {style: build_car(parameters) for style, parameters in first_of_each_style().items()}


@pytest.fixture(scope="module")
def cars() -> dict[str, Car]:
    """A car of each style with all that cars may have: an interior, windows, rims, a fine body."""
    return {style: build_car(parameters | FULL) for style, parameters in first_of_each_style().items()}


def faces_of(car: Car, *words: str) -> np.ndarray:
    """Faces of the parts whose names contain one of the words."""
    chosen = [any(word in name for word in words) for name in car.names]
    return car.faces[np.repeat(chosen, car.counts)]


def welded(car: Car) -> np.ndarray:
    """Faces over distinct positions, so that parts that touch vertex on vertex count as joined."""
    _, same = np.unique(car.vertices, axis=0, return_inverse=True)
    return same.reshape(-1)[car.faces]


def hits(origins: np.ndarray, directions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Whether each ray (N, 3) meets any triangle (F, 3, 3)."""
    found = ray_distances(origins, directions, triangles)
    return ((found > 1e-4) & np.isfinite(found)).any(axis=1)


def test_cut_splits_a_plane_along_a_circle_and_keeps_its_area():
    grid = np.stack(
        [*np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 37), indexing="ij"), np.zeros((41, 37))], 2
    )
    sheet = Sheet(grid.reshape(-1, 3), grid_faces(41, 37))
    inside, outside = cut(sheet, np.hypot(*sheet.points[:, :2].T) - 0.6)
    assert inside.area() == pytest.approx(np.pi * 0.36, rel=0.01)
    assert inside.area() + outside.area() == pytest.approx(4.0, rel=1e-9)
    radius = np.hypot(*inside.points[np.unique(inside.faces), :2].T)
    assert radius.max() < 0.603
    assert np.hypot(*outside.points[np.unique(outside.faces), :2].T).min() > 0.595


def test_cut_leaves_a_sheet_whole_on_either_side():
    sheet = Sheet(np.eye(3), np.array([[0, 1, 2]]))
    below, above = cut(sheet, np.full(3, -1.0))
    assert (len(below.faces), len(above.faces)) == (1, 0)
    below, above = cut(sheet, np.full(3, 1.0))
    assert (len(below.faces), len(above.faces)) == (0, 1)


def test_same_seed_gives_the_same_bytes_and_others_differ():
    texts = [to_obj(build_car(draw_parameters(s, i)), "car") for s, i in ((5, 7), (5, 7), (5, 8), (6, 7))]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_draw_stays_in_its_style_and_covers_all_styles():
    counts = Counter()
    for index in range(200):
        car = draw_parameters(0, index)
        counts[car["style"]] += 1
        for name in RANGES:
            low, high = range_of(car["style"], name)
            assert low - 1e-4 <= car[name] <= high + 1e-4
        for name, values in CHOICES.items():
            assert car[name] in STYLES[car["style"]].get(name, values)
    assert len(counts) >= 10
    assert len(RANGES) + len(CHOICES) >= 30


def test_styles_name_only_known_parameters_and_share_them():
    for style, own in STYLES.items():
        assert set(own) <= set(RANGES) | set(CHOICES), style
    for name in ("height", "length", "screen_rake", "belt_ratio"):  # regions that overlap make one family
        ranges = sorted(range_of(style, name) for style in STYLES)
        overlaps = [any(a < d and c < b for c, d in ranges if (c, d) != (a, b)) for a, b in ranges]
        assert np.mean(overlaps) > 0.8, name


def test_parameters_are_independent():
    unit = []
    for index in range(400):
        car = draw_parameters(1, index)
        ranges = [range_of(car["style"], name) for name in RANGES]
        unit.append([(car[name] - low) / (high - low) for name, (low, high) in zip(RANGES, ranges, strict=True)])
    correlation = np.corrcoef(np.array(unit).T) - np.eye(len(RANGES))
    assert np.abs(correlation).max() < 0.25  # five standard errors: 903 pairs of 400 draws


@pytest.mark.parametrize("style", STYLES)
def test_mesh_is_sound(drawn_cars, style):
    car = drawn_cars[style]
    assert car.vertices.dtype == np.float64
    assert np.isfinite(car.vertices).all()
    assert sum(car.counts) == len(car.faces)
    assert car.faces.min() == 0
    assert car.faces.max() == len(car.vertices) - 1
    assert triangle_areas(car.vertices, car.faces).min() > 1e-10
    assert 1_000 <= len(car.faces) <= 16_000
    low, high = car.vertices.min(axis=0), car.vertices.max(axis=0)
    width, height, length = high - low
    np.testing.assert_allclose(low + high, 0, atol=2e-5)
    assert length == pytest.approx(1, abs=2e-5)
    assert 0.25 < width < 0.65
    assert 0.20 < height < 0.75


@pytest.mark.parametrize("style", STYLES)
def test_mesh_is_open_and_has_many_components(cars, style):
    faces = welded(cars[style])
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert (uses == 1).sum() > 800  # boundary edges
    size = faces.max() + 1
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    assert len(np.unique(label[faces[:, 0]])) > 30, count


@pytest.mark.parametrize("style", STYLES)
def test_mirror_symmetric_but_for_the_steering(cars, style):
    car = cars[style]
    points = car.vertices[np.unique(faces_of(car, *[n for n in car.names if "steering" not in n and "spare" not in n]))]
    distance, _ = cKDTree(points).query(points * [-1, 1, 1])
    assert distance.max() < 3e-5
    steering = car.vertices[np.unique(faces_of(car, "steering"))]
    assert abs(steering[:, 0].mean()) > 0.03


@pytest.mark.parametrize("style", STYLES)
def test_four_wheels_stand_on_one_ground(drawn_cars, style):
    car = drawn_cars[style]
    ground = car.vertices[:, 1].min()
    for name in ("front_tyre_left", "front_tyre_right", "rear_tyre_left", "rear_tyre_right"):
        tyre = car.vertices[np.unique(faces_of(car, name))]
        assert tyre[:, 1].min() == pytest.approx(ground, abs=1.1e-5)
        assert (tyre[:, 2].mean() < 0) == name.startswith("front")
    rest = car.vertices[np.unique(faces_of(car, *[n for n in car.names if "tyre" not in n]))]
    assert rest[:, 1].min() > ground + 0.01


@pytest.mark.parametrize("style", STYLES)
def test_seats_are_inside_the_body(cars, style):
    car = cars[style]
    body = car.vertices[np.unique(faces_of(car, "body", "door", "bonnet", "tailgate"))]
    seats = car.vertices[np.unique(faces_of(car, *SEATS))]
    roofless = style in ("convertible", "roadster")
    low, high = body.min(axis=0), body.max(axis=0)
    inside = (seats > low) & (seats < high)
    assert inside[:, [0, 2]].all()
    assert roofless or inside.all()


@pytest.mark.parametrize("style", ["sedan", "van", "pickup", "minibus"])
def test_interior_is_hidden_but_for_the_windows(cars, style):
    car = cars[style]
    rng = np.random.default_rng(0)
    seats = faces_of(car, *SEATS)
    origins = car.vertices[seats[rng.integers(len(seats), size=120)]].mean(axis=1)
    directions = rng.standard_normal((120, 3))
    blocked = hits(origins, directions, car.vertices[car.faces])
    assert blocked.mean() > 0.6
    glass = faces_of(car, *[n for n in car.names if "window" not in n and "windscreen" not in n])
    assert hits(origins, directions, car.vertices[glass]).mean() < 1.0  # some rays leave through windows


def test_interior_stays_inside_the_shell():
    for index in range(120):
        parameters = draw_parameters(2, index)
        if not parameters["furnished"]:
            continue
        lines, parts = Lines(SimpleNamespace(**parameters)), Parts()
        add_interior(parts, lines)
        x, y, z = np.concatenate([sheet.points for sheet in parts.sheets]).T
        assert (np.abs(x) <= lines.half_width(y, z, flared=False) + 1e-9).all(), (index, parameters["style"])
        assert (y >= lines.bottom(z)).all(), (index, parameters["style"])
        if parameters["roof"] != "open":
            assert (y <= lines.top_at(z, x) + (0.05 if parameters["bed"] else 0.0)).all(), (index, parameters["style"])


def test_skin_normals_point_outwards_so_that_bumpers_stand_out(cars):
    for style, car in cars.items():
        z = {
            name: car.vertices[np.unique(faces_of(car, name))][:, 2] for name in ("front_bumper", "rear_bumper", "body")
        }
        assert z["front_bumper"].min() < z["body"].min() - 0.0005, style
        assert z["rear_bumper"].max() > z["body"].max() - 0.02, style
    for index in range(5):
        skin = make_skin(Lines(SimpleNamespace(**(draw_parameters(9, index) | FULL))))
        a, b, c = (skin.points[skin.faces[:, k]] for k in range(3))
        area = np.cross(b - a, c - a)
        large = np.sqrt((area**2).sum(1)) > 1e-4
        agree = (area * skin.data[skin.faces[:, 0], NORMAL]).sum(1)[large] > 0
        assert agree.mean() > 0.97  # at sharp edges a vertex normal is between those of its faces
        side = large & (skin.data[skin.faces, EDGE] < -0.1).all(axis=1) & (a[:, 0] > 0.6)
        assert (area[side, 0] > 0).mean() > 0.95  # the right side looks to the right


def test_styles_have_what_makes_them(cars):
    def has(style: str, word: str) -> bool:
        return any(word in name for name in cars[style].names)

    assert has("pickup", "bed")
    assert has("offroader", "spare_tyre")
    assert has("van", "bulkhead")
    assert has("convertible", "tonneau")
    assert not has("sedan", "spare_tyre")
    rows = {style: sum(f"row{k}_cushion" in " ".join(car.names) for k in range(4)) for style, car in cars.items()}
    assert (rows["roadster"], rows["van"], rows["sedan"]) == (1, 1, 2)
    assert rows["minibus"] >= 3
    assert rows["limousine"] >= 2


def test_roof_is_missing_on_open_cars_only(cars):
    up = np.array([[0.0, 1.0, 0.0]])
    for style, car in cars.items():
        wheel = car.vertices[np.unique(faces_of(car, "steering_column"))].mean(axis=0)
        head = wheel + [0.0, 0.05, 0.13]
        if first_of_each_style()[style]["roof"] == "closed":
            assert hits(head[None], up, car.vertices[car.faces])[0], style
        elif style in ("convertible", "roadster"):
            assert not hits(head[None], up, car.vertices[car.faces])[0], style


def differ(a: Car, b: Car) -> bool:
    return len(a.vertices) != len(b.vertices) or bool(np.abs(a.vertices - b.vertices).max() > 2e-4)


@pytest.mark.parametrize("style", ["sedan", "pickup", "roadster"])
def test_every_continuous_parameter_moves_the_mesh(style):
    base = first_of_each_style()[style]
    base |= FULL | {"antenna": 1, "spoiler": "wing", "bed": 2 if style == "pickup" else base["bed"]}
    start = build_car(base)
    idle = set() if style == "pickup" else {"cargo_height", "cargo_width"}
    idle |= {"row_pitch"} if len(Lines(SimpleNamespace(**base)).rows) == 1 else set()  # have nothing to act on here
    idle |= {"rear_pillar_width"} if base["roof"] == "open" else set()
    for name in set(RANGES) - idle:
        low, high = range_of(style, name)
        far = low if base[name] > 0.5 * (low + high) else high
        assert differ(start, build_car(base | {name: far})), name


def test_every_switch_changes_the_mesh():
    first = {"doors": 2, "rows": 2, "rear_seats": "bench", "roof": "closed", "bed": 0, "spare_wheel": 0}
    first |= {"side_windows": "all", "front_glass": 0, "rear_glass": 0, "screen_glass": 0, "back_glass": 0}
    first |= {"spokes": 5, "rim": "straight", "drive": "left", "spoiler": "none", "roof_rails": 0, "lights": "round"}
    first |= {"exhausts": 1} | FULL | {"underside": "open", "axles": 2, "aero": "none", "light_bar": 0}
    first |= {"roof_rack": 0, "bull_bar": 0, "scoop": 0}
    second = {"doors": 1, "rows": 1, "rear_seats": "single", "roof": "open", "bed": 1, "spare_wheel": 1}
    second |= {"side_windows": "front", "front_glass": 1, "rear_glass": 1, "screen_glass": 1, "back_glass": 1}
    second |= {"spokes": 7, "rim": "split", "drive": "right", "spoiler": "roof", "roof_rails": 1, "lights": "slim"}
    second |= {"exhausts": 2, "glazing": "flush", "furnished": 0, "detail": "coarse", "wheel": "cylinder"}
    second |= {"doubling": "twice", "antenna": 1, "underside": "closed", "axles": 3, "aero": "kit", "light_bar": 1}
    second |= {"roof_rack": 1, "bull_bar": 1, "scoop": 1}
    assert set(first) == set(second) == set(CHOICES)
    base = first_of_each_style()["suv"] | first
    start = build_car(base)
    for name, value in second.items():
        assert differ(start, build_car(base | {name: value})), name


def test_small_steps_of_a_parameter_move_the_surface_a_little():
    base = first_of_each_style()["sedan"]
    start = build_car(base)
    near = build_car(base | {"height": base["height"] + 0.005})
    distance, _ = cKDTree(start.vertices).query(near.vertices)
    assert np.quantile(distance, 0.99) < 0.01


def test_make_car_returns_arrays_and_parameters():
    vertices, faces, parameters = make_car(0, 11)
    assert (vertices.shape[1], faces.shape[1]) == (3, 3)
    assert parameters == draw_parameters(0, 11)


def test_windows_are_closed_by_glass_or_by_the_body():
    for index in range(40):
        parameters = draw_parameters(5, index)
        closed, names = closed_windows(parameters), build_car(parameters).names
        for window, part in (
            ("windscreen", "windscreen"),
            ("front_windows", "side_window_0"),
            ("back_window", "rear_window"),
        ):
            has_pane = any(name.startswith(part) for name in names)
            is_body = parameters["glazing"] == "flush" and parameters["roof"] != "open"
            assert closed[f"{window}_closed"] == (has_pane or is_body), (index, window)
    assert closed_windows({"glazing": "own"}) == {}
