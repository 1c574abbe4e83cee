"""The body: the skin cut into wings, doors, bonnet, boot, windows and lights, with openings where there is no sheet."""

from dataclasses import dataclass

import numpy as np

from demo_cars.lines import Lines
from demo_cars.mesh import Array, Parts, Sheet, box_field, cut, smooth_max, smooth_step
from demo_cars.shell import EDGE, NORMAL, STRAIGHT, make_skin

GAP = 0.006  # half of a shut line
SET_BACK = 0.012  # of a window behind the skin, metres
MIN_PANE = 0.025  # square metres on one side: smaller side windows stay sheet metal


@dataclass(frozen=True)
class Openings:
    """Side view z of the pillars behind each door (B, C, ...), front to back."""

    pillars: list[float]
    door_start: float


def add_body(parts: Parts, lines: Lines) -> None:
    """Cut the skin of the right half into parts and add each with its mirror image."""
    skin = make_skin(lines)
    _, skin = cut(skin, _arch_field(lines, skin))
    _add_bumpers(parts, lines, skin)
    openings = place_doors(lines)
    if lines.p.roof == "open":
        _, skin = cut(skin, _open_top_field(lines, skin))
    if lines.p.bed == 1:
        _, skin = cut(skin, _bed_field(lines, skin))
    if lines.p.glazing != "flush" or lines.p.roof == "open":
        skin = _cut_screens(parts, lines, skin)
        skin = _cut_side_windows(parts, lines, skin, openings)
    skin = _cut_doors(parts, lines, skin, openings)
    skin = _cut_lights(parts, lines, skin)
    skin = _cut_lids(parts, lines, skin)
    parts.add_pair("body", skin if lines.p.doubling != "inside_out" else Sheet(skin.data, skin.faces[:, ::-1]))
    if lines.p.doubling == "twice":
        parts.add_pair("body_again", skin)


def _arch_field(lines: Lines, skin: Sheet) -> Array:
    x, y, z = skin.points.T
    on_side = 0.45 * lines.half_width_max - x
    return np.maximum(lines.arch_distance(y, z) - lines.arch_radius, on_side)


def place_doors(lines: Lines) -> Openings:
    """Doors start behind the front wheel or the windscreen's base and end behind each row of seats."""
    p = lines.p
    start = max(lines.front_axle + lines.arch_radius + 0.07, lines.cowl_z + 0.02)
    first = lines.hip_z + (0.06 if lines.doors == 2 else 0.26)
    pillars = [max(first, start + 0.75)]
    for row in range(1, max(len(lines.rows), lines.doors)):
        pillars.append(min(pillars[0] + row * p.row_pitch + 0.08, lines.rear_header_z + 0.30))
    return Openings([z for k, z in enumerate(pillars) if k == 0 or z > pillars[k - 1] + 0.35], start)


def _edge(skin: Sheet) -> Array:
    return skin.data[:, EDGE]


def _crest(lines: Lines, skin: Sheet) -> Array:
    """Height that the crowned top would have on the centre line."""
    return skin.points[:, 1] + lines.p.roof_crown * (skin.points[:, 0] / lines.half_width_max) ** 2


def _open_top_field(lines: Lines, skin: Sheet) -> Array:
    """Below 0 where a convertible is open: above the belt, between the windscreen's frame and the boot."""
    _, y, z = skin.points.T
    field = smooth_max(lines.header_z + 0.03 - z, open_rim(lines, z) - y, 0.03)
    return np.maximum(field, z - lines.deck_z)


def open_rim(lines: Lines, z: Array) -> Array:
    """Height of an open car's rim: the belt line, which rises to the boot lid behind the seats."""
    t = smooth_step(z, lines.hip_z, lines.deck_z)
    return lines.belt(z) * (1 - t) + (lines.deck_y - 0.01) * t


def _bed_field(lines: Lines, skin: Sheet) -> Array:
    """Below 0 in the top of a pickup's bed."""
    _, _, z = skin.points.T
    return np.maximum(np.maximum(lines.deck_z + 0.06 - z, z - (lines.p.length - 0.07)), 0.07 - _edge(skin))


def _set_back(pane: Sheet) -> Sheet:
    """A window's sheet a little behind the skin, so that its outline shows."""
    return pane.moved(-SET_BACK * pane.data[:, NORMAL])


def _cut_screens(parts: Parts, lines: Lines, skin: Sheet) -> Sheet:
    p = lines.p
    crest, z, edge = _crest(lines, skin), skin.points[:, 2], _edge(skin)
    front_y = p.height - 0.8 * p.roof_arch
    margin = 0.07 * (front_y - lines.cowl_y)
    field = smooth_max(lines.cowl_y + margin - crest, crest - (front_y - margin), 0.02)
    field = smooth_max(field, p.pillar_width * 0.8 - edge, 0.05)
    field = np.maximum(field, np.maximum(lines.cowl_z - 0.01 - z, z - (lines.header_z + 0.3)))
    pane, skin = cut(skin, field)
    if p.screen_glass or p.glazing == "closed":
        parts.add_pair("windscreen", _set_back(pane))
    if p.roof == "open":
        return skin
    if p.roof == "sunroof":
        x, z = skin.points[:, 0], skin.points[:, 2]
        centre = 0.55 * lines.header_z + 0.45 * lines.rear_header_z
        field = box_field(x, z, (0, centre), (0.58 * p.width / 2, 0.25 * (lines.rear_header_z - lines.header_z)), 0.08)
        _, skin = cut(skin, np.maximum(field, 0.1 - _edge(skin)))
    crest, z, edge = _crest(lines, skin), skin.points[:, 2], _edge(skin)
    rear_y = front_y - p.roof_drop
    margin = 0.10 * (rear_y - lines.deck_y)
    field = smooth_max(lines.deck_y + margin - crest, crest - (rear_y - margin), 0.02)
    field = smooth_max(field, 0.5 * p.rear_pillar_width - _edge_across(lines, skin), 0.05)
    field = np.maximum(field, lines.rear_header_z - 0.3 - z)
    pane, skin = cut(skin, field)
    if p.back_glass or p.glazing == "closed":
        parts.add_pair("rear_window", _set_back(pane))
    return skin


def _edge_across(lines: Lines, skin: Sheet) -> Array:
    """How far (m, across the car) a point lies from the side at its own height."""
    x, y, z = skin.points.T
    return lines.half_width(y, z, flared=False) - x


def _window_field(lines: Lines, skin: Sheet) -> Array:
    """Below 0 in the band of side windows: above the belt line, inside roof rail, A pillar and rear pillar."""
    p = lines.p
    _, y, z = skin.points.T
    rail = 0.055 + p.pillar_width * 0.35
    rear = p.rear_pillar_width * smooth_step(z, lines.rear_header_z - 0.25, lines.rear_header_z + 0.15)
    return smooth_max(lines.belt(z) + 0.025 - y, _edge(skin) + rail + rear, 0.05)


def _cut_side_windows(parts: Parts, lines: Lines, skin: Sheet, openings: Openings) -> Sheet:
    p = lines.p
    if p.roof == "open":
        return cut(skin, _window_field(lines, skin))[1]  # the windscreen's frame stays
    limits = [lines.cowl_z - 0.1, *openings.pillars, p.length]
    if p.side_windows == "front":
        limits = limits[:2]
    for k, (start, end) in enumerate(zip(limits[:-1], limits[1:], strict=True)):
        z = skin.points[:, 2]
        half = 0.5 * p.pillar_width
        sides = smooth_max(start + (half if k else 0) - z, z - end + half, 0.05)
        pane, rest = cut(skin, smooth_max(_window_field(lines, skin), sides, 0.05))
        if pane.area() < MIN_PANE:
            continue
        skin = rest
        if p.glazing == "closed" or (p.front_glass if k == 0 else p.rear_glass):
            parts.add_pair(f"side_window_{k}", _set_back(pane))
    return skin


def _cut_doors(parts: Parts, lines: Lines, skin: Sheet, openings: Openings) -> Sheet:
    p = lines.p
    edges = [openings.door_start, *openings.pillars[: lines.doors]]
    for k, (start, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        x, y, z = skin.points.T
        lower = p.clearance + 0.11
        field = smooth_max(np.maximum(start - z, z - end), lower - y, 0.06)
        field = smooth_max(field, _edge(skin) + 0.035, 0.06)
        field = np.maximum(field, lines.arch_radius + 0.05 - lines.arch_distance(y, z))
        door, _ = cut(skin, field + GAP)
        _, skin = cut(skin, field - GAP)
        parts.add_pair(f"door_{k}", door)
    return skin


def _cut_lids(parts: Parts, lines: Lines, skin: Sheet) -> Sheet:
    """Bonnet and boot lid or tailgate as shells of their own."""
    p = lines.p
    for name in ("bonnet", "tailgate"):
        _, y, z = skin.points.T
        if name == "bonnet":
            field = smooth_max(0.13 - skin.data[:, STRAIGHT], z - lines.cowl_z + 0.03, 0.05)
            field = smooth_max(field, 0.06 - _edge(skin), 0.05)
        else:
            across = np.abs(skin.points[:, 0]) - 0.74 * lines.half_width_max
            field = smooth_max(across, 0.30 * p.height + 0.08 - y, 0.06)
            field = np.maximum(field, lines.deck_z + 0.04 - z if p.deck_length > 0.2 else p.length - 0.6 - z)
            field = np.maximum(field, y - (p.height - 0.12))
        lid, _ = cut(skin, field + GAP)
        _, skin = cut(skin, field - GAP)
        parts.add_pair(name, lid)
    return skin


def _add_bumpers(parts: Parts, lines: Lines, skin: Sheet) -> None:
    """A bulging copy of the skin's lower band around each end."""
    p = lines.p
    for name, length in (("front_bumper", p.front_overhang), ("rear_bumper", p.rear_overhang)):
        _, y, z = skin.points.T
        middle = lines.bottom(0.0 if name == "front_bumper" else p.length) + 0.14
        along = z if name == "front_bumper" else p.length - z
        band = np.maximum(np.abs(y - middle) - 0.11, along - max(length - lines.arch_radius - 0.05, 0.15))
        bumper, _ = cut(skin, band)
        bulge = 1 - ((bumper.points[:, 1:2] - middle) / 0.12) ** 2
        parts.add_pair(name, bumper.moved(p.bumper_depth * bulge * bumper.data[:, NORMAL]))


def _cut_lights(parts: Parts, lines: Lines, skin: Sheet) -> Sheet:
    """Head lights and tail lights stand out a little from the skin; the grille is an opening."""
    p = lines.p
    aspect = {"round": 0.5, "oval": 0.38, "slim": 0.26}[p.lights]
    nose_y = p.nose_ratio * p.height
    for name, end in (("headlight", 0.0), ("tail_light", p.length)):
        x, y, _ = skin.points.T
        if end == 0.0:
            high, half = nose_y - 0.06, (0.8 * p.light_size, aspect * p.light_size)
        elif p.deck_length > 0.2:
            high, half = lines.deck_y - p.tail_drop - 0.12, (p.light_size, 0.35 * p.light_size)
        else:  # upright tails carry upright lights
            high, half = lines.deck_y - p.tail_drop - 0.06, (0.4 * p.light_size, p.light_size)
        centre = (0.78 * lines.half_width_max, high)
        field = box_field(x, y, centre, half, 0.12)
        field = np.maximum(field, np.abs(skin.data[:, STRAIGHT] - end) - 0.16)
        light, skin = cut(skin, field)
        parts.add_pair(name, light.moved(0.012 * light.data[:, NORMAL]))
    x, y, z = skin.points.T
    centre, half = grille_box(lines)
    hole, skin = cut(skin, np.maximum(box_field(x, y, centre, half, 0.05), z - 0.4))
    return skin


def grille_box(lines: Lines) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centre and half size of the grille in the front view (x, y)."""
    p = lines.p
    nose_y = p.nose_ratio * p.height
    return (0.0, nose_y - 0.16), (p.grille_width * lines.half_width_max, 0.055)
