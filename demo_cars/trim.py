"""Trim: mirrors, handles, grille, number plates, exhausts, roof rails, spoilers."""

import numpy as np

from demo_cars.body import grille_box, place_doors
from demo_cars.lines import Lines
from demo_cars.mesh import Parts, Sheet, ellipsoid, extrude, patch, sheet_grid, tube


def add_trim(parts: Parts, lines: Lines) -> None:
    add_mirrors(parts, lines)
    add_handles(parts, lines)
    add_front(parts, lines)
    add_rear(parts, lines)
    if lines.p.roof_rails:
        add_rails(parts, lines)
    add_spoiler(parts, lines)


def side_x(lines: Lines, y: float, z: float) -> float:
    return float(lines.half_width(np.array(y), np.array(z)))


def add_mirrors(parts: Parts, lines: Lines) -> None:
    size = lines.p.mirror_size
    z = lines.cowl_z + 0.42
    y = float(lines.belt(z)) + 0.03
    foot = np.array([side_x(lines, y, z) - 0.01, y, z])
    head = foot + [0.04 + size, 0.05, 0.02]
    parts.add_pair("mirror", ellipsoid(head, (size, 0.68 * size, 0.7 * size), front=0.5))
    parts.add_pair("mirror_arm", tube(np.stack([foot, head - [0.4 * size, 0, 0]]), 0.018, 5))


def add_handles(parts: Parts, lines: Lines) -> None:
    openings = place_doors(lines)
    for k, end in enumerate(openings.pillars[: lines.doors]):
        z = end - 0.13
        y = float(lines.belt(z)) - 0.14
        x = side_x(lines, y, z)
        path = np.array([(0.0, 0.0, -0.08), (0.03, 0.0, -0.06), (0.03, 0.0, 0.06), (0.0, 0.0, 0.08)])
        parts.add_pair(f"handle_{k}", tube(path + [x, y, z], 0.012, 4))


def bent(lines: Lines, sheet: Sheet, offset: float) -> Sheet:
    """A flat sheet at the end of the unbent car, bent with the body and moved by `offset` along z."""
    return Sheet(lines.bend(sheet.points), sheet.faces).moved((0.0, 0.0, offset))


def add_front(parts: Parts, lines: Lines) -> None:
    (_, middle), (half_x, half_y) = grille_box(lines)
    for k, y in enumerate(np.linspace(middle - 0.6 * half_y, middle + 0.6 * half_y, 3)):
        x = np.linspace(0, 0.98 * half_x, 4)
        rows = [np.stack([x, np.full(4, y + d), np.full(4, 0.02)], 1) for d in (-0.012, 0.012)]
        parts.add_pair(f"grille_bar_{k}", bent(lines, sheet_grid(np.stack(rows)), 0.0))
    low = float(lines.bottom(0.0)) + 0.14
    plate = patch([(0, low - 0.055, 0), (0.26, low - 0.055, 0), (0.26, low + 0.055, 0), (0, low + 0.055, 0)])
    parts.add_pair("front_plate", bent(lines, plate, -lines.p.bumper_depth - 0.004))


def add_rear(parts: Parts, lines: Lines) -> None:
    p = lines.p
    y = lines.deck_y - p.tail_drop - 0.24
    corners = [(0, y - 0.055, p.length), (0.26, y - 0.055, p.length), (0.26, y + 0.055, p.length)]
    plate = patch([*corners, (0, y + 0.055, p.length)])
    parts.add_pair("rear_plate", bent(lines, plate, 0.014))
    low = float(lines.bottom(p.length)) + 0.02
    for k in range(p.exhausts):
        x = (0.55 if p.exhausts == 1 else 0.48 + 0.12 * k) * lines.half_width_max
        end = lines.bend(np.array([[x, low, p.length]]))[0]
        pipe = tube(np.stack([end - [0, 0, 0.25], end - [0, 0, 0.02]]), 0.03, 8)
        parts.add_pair(f"exhaust_{k}", pipe)


def add_rails(parts: Parts, lines: Lines) -> None:
    """A rail along each side of the roof, its ends on the roof."""
    z = np.linspace(lines.header_z + 0.12, lines.rear_header_z - 0.02, 8)
    y = lines.top(z)
    x = 0.90 * (lines.half_width(y - 0.08, z, flared=False))
    lift = np.array([0.0, 0.05, 0.055, 0.055, 0.055, 0.055, 0.05, 0.0])
    y = lines.top_at(z, x) + lift
    parts.add_pair("roof_rail", tube(np.stack([x, y, z], 1), 0.017, 5))


def add_spoiler(parts: Parts, lines: Lines) -> None:
    p = lines.p
    if p.spoiler == "none":
        return
    chord = p.spoiler_size
    wing = np.array([(0.0, 0.0), (0.016, 0.3), (0.012, 0.75), (0.02, 1.0), (0.0, 0.95), (-0.012, 0.4)]) * [1.0, chord]
    if p.spoiler == "roof":
        z = lines.rear_header_z - 0.06
        y = float(lines.top(z)) - 0.012
        half = 0.82 * (side_x(lines, y - 0.1, z))
    else:
        z = p.length - 0.12 - 0.6 * chord
        y = float(lines.top(z)) + (0.02 if p.spoiler == "lip" else 0.03 + p.wing_height)
        half = 0.80 * lines.half_width_max
    x = np.linspace(0, 1, 5) * half
    sheet = extrude(wing + [y, z], x, np.array([1, 1, 1, 1, 0.8]))
    seam = (sheet.data[sheet.faces][:, :, 0] < 1e-9).all(axis=1)
    points = sheet.points.copy()
    points[:, 1] -= 0.8 * p.roof_crown * (points[:, 0] / lines.half_width_max) ** 2
    parts.add_pair("spoiler", Sheet(lines.bend(points), sheet.faces[~seam]))
    if p.spoiler == "wing":
        low = y - 0.12 - p.wing_height
        post = patch([(0.6 * half, low, z), (0.6 * half, low, z + 0.8 * chord),
                      (0.6 * half, y, z + 0.8 * chord), (0.6 * half, y, z)])  # fmt: skip
        parts.add_pair("spoiler_post", Sheet(lines.bend(post.points), post.faces))
