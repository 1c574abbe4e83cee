"""What not every car has: a closed underside, a truck's box or flat bed, light bars, racks, antennas, aero kits."""

import numpy as np

from demo_cars.lines import Lines
from demo_cars.mesh import Parts, Sheet, cut, extrude, patch, sheet_grid, tube
from demo_cars.wheels import inner_x

CHAMFER = 0.03  # of boxes, metres


def add_extras(parts: Parts, lines: Lines) -> None:
    p = lines.p
    if p.underside == "closed":
        add_underside(parts, lines)
    if p.bed == 2:
        add_box(parts, "cargo_box", lines.deck_y + 0.02, p.cargo_height, lines.deck_z + 0.06, p.length + 0.05,
                p.cargo_width * lines.half_width_max)  # fmt: skip
    elif p.bed == 3:
        add_box(parts, "flat_bed", lines.deck_y, lines.deck_y + 0.09, lines.deck_z + 0.05, p.length + 0.04,
                p.cargo_width * lines.half_width_max)  # fmt: skip
    if p.roof != "open":
        add_on_roof(parts, lines)
    if p.antenna:
        z = lines.cowl_z - 0.12 if p.roof == "open" else lines.rear_header_z - 0.05
        foot = np.array([0.0, float(lines.top(z)) - 0.01, z])
        lean = np.array([0.0, 1.0, 0.35]) * p.antenna_length
        parts.add("antenna", tube(np.stack([foot, foot + lean]), 0.008, 4))
    if p.bull_bar:
        add_bull_bar(parts, lines)
    if p.aero == "kit":
        add_aero_kit(parts, lines)
    if p.scoop:
        z = 0.62 * lines.cowl_z
        y = float(lines.top(z))
        add_box(parts, "scoop", y - 0.05, y + 0.07, z - 0.18, z + 0.22, 0.2 * lines.half_width_max)


def add_box(parts: Parts, name: str, low: float, high: float, start: float, end: float, half: float) -> None:
    """A closed box across the car, `half` wide to either side, its edges chamfered."""
    c = min(CHAMFER, 0.3 * (high - low))
    outline = [(low, start), (high - c, start), (high, start + c), (high, end - c), (high - c, end), (low, end)]
    box = extrude(np.array(outline), np.array([0.0, half - c, half]), np.array([1.0, 1.0, 0.98]))
    seam = (box.data[box.faces][:, :, 0] < 1e-9).all(axis=1)
    parts.add_pair(name, Sheet(box.data, box.faces[~seam]))


def add_underside(parts: Parts, lines: Lines) -> None:
    """A floor from sill to sill, open above the wheels."""
    z = np.linspace(0.12, lines.p.length - 0.12, 25)[:, None]
    y = np.broadcast_to(lines.bottom(z) + 0.015, (25, 7))
    x = (lines.half_width(lines.bottom(z) + 0.015, z, flared=False) - 0.015) * np.linspace(0, 1, 7)
    pan = sheet_grid(lines.bend(np.stack([x, y, np.broadcast_to(z, x.shape)], 2).reshape(-1, 3)).reshape(25, 7, 3))
    x, y, z = pan.points.T
    inner = np.where(z < 0.5 * lines.p.length, inner_x(lines, lines.front_axle), inner_x(lines, lines.rear_axle))
    _, pan = cut(pan, np.maximum(lines.arch_distance(y, z) - lines.arch_radius, inner - x))
    parts.add_pair("underside", pan)


def add_on_roof(parts: Parts, lines: Lines) -> None:
    """A light bar behind the windscreen, or a rack of bars along the roof."""
    p = lines.p
    span = lines.rear_header_z - lines.header_z
    half = float(lines.half_width(np.array(p.height - 0.1), np.array(lines.header_z + 0.3 * span), flared=False))
    if p.light_bar:
        z = lines.header_z + 0.22 * span
        y = float(lines.top(z)) - p.roof_crown
        add_box(parts, "light_bar", y, y + 0.12 + p.roof_crown, z - 0.11, z + 0.11, 0.72 * half)
    if p.roof_rack:
        y = p.height + 0.07
        for k, share in enumerate((0.12, 0.5, 0.88)):
            z = lines.header_z + share * span
            ends = np.array([(0.0, y, z), (0.85 * half, y, z), (0.85 * half, y - 0.16 - p.roof_crown, z)])
            parts.add_pair(f"rack_bar_{k}", tube(ends, 0.02, 4))
        for k, x in enumerate((0.25, 0.8)):
            ends = np.array([(x * half, y + 0.03, lines.header_z), (x * half, y + 0.03, lines.rear_header_z)])
            parts.add_pair(f"rack_rail_{k}", tube(ends, 0.03, 4))


def add_bull_bar(parts: Parts, lines: Lines) -> None:
    """A bent tube before the nose, with a cross bar and two struts back to the body."""
    low, high = float(lines.bottom(0.0)) + 0.08, 0.92 * lines.p.nose_ratio * lines.p.height
    half = 0.5 * lines.half_width_max
    z = -0.16
    loop = np.array([(0.0, high, z), (0.8 * half, high, z), (half, high - 0.08, z), (half, low, z)])
    parts.add_pair("bull_bar", tube(loop, 0.03, 6))
    middle = 0.5 * (low + high)
    parts.add_pair("bull_bar_cross", tube(np.array([(0.0, middle, z), (half, middle, z)]), 0.025, 5))
    parts.add_pair("bull_bar_strut", tube(np.array([(half, low + 0.1, z), (half, low + 0.1, 0.25)]), 0.025, 5))


def add_aero_kit(parts: Parts, lines: Lines) -> None:
    """A splitter below the nose and a skirt along each sill."""
    p = lines.p
    y = float(lines.bottom(0.0)) + 0.02
    x = np.linspace(0, 0.96 * lines.half_width_max, 7)
    front = lines.bend(np.stack([x, np.full(7, y), np.full(7, 0.02)], 1))
    rows = np.stack([front - [0, 0, 0.09], front + [0, 0, 0.25]])
    parts.add_pair("splitter", sheet_grid(rows))
    start, end = lines.front_axle + lines.arch_radius + 0.03, lines.rear_axle - lines.arch_radius - 0.03
    y = p.clearance + 0.03
    inner, outer = (float(lines.plan(np.array(0.5 * p.length))) + step for step in (-0.12, 0.04))
    parts.add_pair("skirt", patch([(inner, y, start), (outer, y, start), (outer, y, end), (inner, y, end)]))
