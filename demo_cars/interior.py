"""The interior: floor, firewall, dashboard, steering wheel, seats in rows, console, parcel shelf, pickup bed."""

import numpy as np

from demo_cars.body import open_rim
from demo_cars.lines import Lines
from demo_cars.mesh import Array, Parts, Sheet, cut, extrude, patch, sheet_grid, smooth_step, tube
from demo_cars.wheels import inner_x

BACK_LENGTH, CUSHION_LENGTH = 0.60, 0.50
WALL = 0.07  # from the skin to what stands beside it
ROUND_ENDS = np.array([0.86, 1.0, 1.0, 1.0, 0.86])  # inset of a seat's cross-sections


def add_interior(parts: Parts, lines: Lines) -> None:
    p = lines.p
    rows = lines.rows
    if p.bed == 1:
        add_bed(parts, lines)
    if not p.furnished and p.roof != "open":
        return
    add_floor(parts, lines, rows[-1])
    add_dashboard(parts, lines)
    add_steering(parts, lines)
    for k, z in enumerate(rows):
        add_row(parts, lines, k, z)
    if p.roof == "open":
        add_tonneau(parts, lines, rows[-1])
    elif p.bed:
        z = lines.deck_z - 0.02
        add_wall(parts, "bulkhead", lines, z, floor_y(lines, z, rows[-1]), lines.deck_y)
    elif p.side_windows == "front":
        z = rows[-1] + 0.42
        add_wall(parts, "bulkhead", lines, z, floor_y(lines, z, rows[-1]), lines.belt(z) + 0.1)
    elif p.deck_length > 0.2:
        add_shelf(parts, lines, rows[-1])


def inside_x(lines: Lines, y: float, z: float) -> float:
    """Half of the room across the car at a place of the cabin."""
    room = float(lines.half_width(np.array(y), np.array(z), flared=False)) - WALL
    for axle in lines.axles:
        if abs(z - axle) < lines.arch_radius + 0.06 and y < lines.p.wheel_radius + lines.arch_radius + 0.05:
            room = min(room, inner_x(lines, axle) - 0.02)
    return room


def floor_y(lines: Lines, z: Array | float, last_row: float) -> Array:
    """Height of the floor pan: flat in the cabin, raised behind the last row, never below the body."""
    rise = 0.16 * smooth_step(z, last_row - 0.25, last_row + 0.1)
    return np.maximum(lines.p.floor_height + rise, lines.bottom(z) + 0.05)


def add_floor(parts: Parts, lines: Lines, last_row: float) -> None:
    p = lines.p
    end = lines.deck_z + 0.05 if p.bed else p.length - 0.16
    z = np.linspace(lines.cowl_z + 0.02, end, 17)[:, None]
    y = floor_y(lines, z, last_row)
    x = (lines.half_width(y, z, flared=False) - 0.03) * np.linspace(0, 1, 7)
    tunnel = 0.10 * np.exp(-((x / 0.14) ** 2)) * (p.height < 1.6) * (1 - smooth_step(z, last_row - 0.5, last_row))
    pan = sheet_grid(np.stack([x, y + tunnel, np.broadcast_to(z, x.shape)], 2))
    x, y, z = pan.points.T
    axle = np.where(z < 0.5 * p.length, inner_x(lines, lines.front_axle), inner_x(lines, lines.rear_axle))
    _, pan = cut(pan, np.maximum(lines.arch_distance(y, z) - lines.arch_radius, axle - x))
    parts.add_pair("floor", pan)
    add_wall(parts, "firewall", lines, lines.cowl_z + 0.02, p.floor_height, lines.cowl_y - 0.12)


def add_wall(parts: Parts, name: str, lines: Lines, z: float, low: float, high: float) -> None:
    """A sheet across the car, following the sides."""
    y = np.linspace(low, high, 5)
    x = lines.half_width(y, np.full(5, z), flared=False) - 0.03
    near = abs(z - lines.front_axle) < lines.arch_radius or abs(z - lines.rear_axle) < lines.arch_radius
    if near:
        x = np.array([min(a, inside_x(lines, b, z)) for a, b in zip(x, y, strict=True)])
    rows = [np.stack([x * t, y, np.full(5, z)], 1) for t in (0.0, 0.5, 1.0)]
    parts.add_pair(name, sheet_grid(np.stack(rows)))


def add_dashboard(parts: Parts, lines: Lines) -> None:
    start, top = lines.cowl_z + 0.10, lines.cowl_y - 0.09
    outline = [(-0.03, 0.0), (0.0, 0.15), (0.0, 0.30), (-0.06, 0.38), (-0.20, 0.36), (-0.28, 0.24), (-0.28, 0.02)]
    outline = np.array(outline) + [top, start]
    room = inside_x(lines, top - 0.1, start + 0.2)
    x = np.array([0.0, 0.35, 0.75, 1.0]) * room
    dash = extrude(outline, x, np.array([1.0, 1.0, 1.0, 0.85]))
    seam = (dash.data[dash.faces][:, :, 0] < 1e-9).all(axis=1)  # no wall between the two halves
    parts.add_pair("dashboard", Sheet(dash.data, dash.faces[~seam]))
    y = lines.p.floor_height
    z = np.linspace(start + 0.2, lines.hip_z - 0.12, 4)
    height = np.array([top - 0.22, y + 0.24, y + 0.22, y + 0.30])
    side = [np.stack([np.full(4, x), h, z], 1) for x, h in ((0.0, height), (0.075, height), (0.09, np.full(4, y)))]
    parts.add_pair("console", sheet_grid(np.stack(side)))


def add_steering(parts: Parts, lines: Lines) -> None:
    """Steering wheel: a ring with three spokes and a hub on a column into the dashboard; left or right of the car."""
    p = lines.p
    x = seat_x(lines, lines.hip_z) * (-1.0 if p.drive == "left" else 1.0)
    centre = np.array([x, min(lines.cowl_y - 0.04, p.floor_height + p.seat_height + 0.36), lines.hip_z - 0.50])
    tilt = np.radians(24.0 if p.height < 1.85 else 38.0)
    up, axis = np.array([0.0, np.cos(tilt), -np.sin(tilt)]), np.array([0.0, -np.sin(tilt), -np.cos(tilt)])
    right = np.array([1.0, 0.0, 0.0])
    angle = np.linspace(0, 2 * np.pi, 17)
    ring = np.cos(angle)[:, None] * right + np.sin(angle)[:, None] * up
    minor = np.arange(6) * np.pi / 3
    section = np.cos(minor)[None, :, None] * ring[:, None] + np.sin(minor)[None, :, None] * axis
    wheel = centre + p.steering_radius * ring[:, None] + 0.016 * section
    parts.add("steering_wheel", sheet_grid(wheel, closed=True))
    hub = centre + 0.02 * axis
    for k, turn in enumerate(np.radians([0.0, 180.0, 270.0])):
        along = np.cos(turn) * right + np.sin(turn) * up
        across = 0.022 * np.cross(along, axis)
        ends = [hub - across, centre + p.steering_radius * along - across]
        ends += [centre + p.steering_radius * along + across, hub + across]
        parts.add(f"steering_spoke_{k}", patch([tuple(end) for end in ends]))
    parts.add("steering_column", tube(np.stack([centre + 0.01 * axis, centre + 0.26 * axis]), 0.035, 8))


def seat_x(lines: Lines, z: float) -> float:
    """Middle of a front seat."""
    return 0.52 * inside_x(lines, lines.p.floor_height + lines.p.seat_height + 0.2, z - 0.2)


def add_row(parts: Parts, lines: Lines, row: int, z: float) -> None:
    """Seats of one row: single ones in front, a bench or single ones behind, headrests on all."""
    p = lines.p
    base = p.floor_height + p.seat_height
    recline = np.radians(p.seat_recline if row == 0 or not p.bed else 0.5 * p.seat_recline)
    head_z = z + np.sin(recline) * (BACK_LENGTH + 0.15) + 0.1
    room = float(lines.top(head_z)) - 1.2 * p.roof_crown - 0.10 - base
    if p.roof == "open":
        room = p.height - (0.04 if row == 0 else 0.14) - base
    size = min(1.0, room / (np.cos(recline) * BACK_LENGTH + p.headrest_height + 0.05))
    if row == 0 or p.rear_seats == "single":
        half = 0.5 * p.seat_width
        middles = [min(seat_x(lines, z), inside_x(lines, base, z) - half)]
        heads = middles
    else:
        half = 0.97 * min(inside_x(lines, base, z), inside_x(lines, base, z + 0.1), inside_x(lines, base, z - 0.4))
        middles, heads = [0.0], [0.0, 0.6 * half]
    for x in middles:
        for part, sheet in seat(z, base, recline, size, half).items():
            _add_seat(parts, f"row{row}_{part}", sheet, x)
    for k, x in enumerate(heads):
        _add_seat(parts, f"row{row}_headrest_{k}", headrest(z, base, recline, size, p.headrest_height), x)


def _add_seat(parts: Parts, name: str, sheet: Sheet, x: float) -> None:
    """A seat beside the centre line has a mirror image, one on it has none."""
    if x == 0.0:
        parts.add(name, sheet)
    else:
        parts.add_pair(name, sheet.moved((x, 0.0, 0.0)))


def seat(z: float, base: float, recline: float, size: float, half: float) -> dict[str, Sheet]:
    """Cushion (its top at height `base`) and backrest (its foot at `z`), `half` wide to either side of x = 0."""
    x = np.array([-1.0, -0.86, 0.0, 0.86, 1.0]) * half
    slab = np.array([(-0.5, 0.0), (-0.42, 0.45), (0.0, 0.5), (0.42, 0.42), (0.5, 0.0), (0.4, -0.5), (-0.4, -0.5)])
    cushion = slab[:, ::-1] * [0.15, CUSHION_LENGTH] + [base - 0.07, z - 0.5 * CUSHION_LENGTH + 0.04]
    length = size * BACK_LENGTH
    along = np.array([np.cos(recline), np.sin(recline)])  # (y, z), up the backrest
    across = np.array([-along[1], along[0]])
    middle = np.array([base - 0.02, z + 0.05]) + 0.5 * length * along
    back = middle + slab[:, :1] * length * along + slab[:, 1:] * -0.13 * across
    return {"cushion": extrude(cushion, x, ROUND_ENDS), "backrest": extrude(back, x * 0.97, ROUND_ENDS)}


def headrest(z: float, base: float, recline: float, size: float, height: float) -> Sheet:
    along = np.array([np.cos(recline), np.sin(recline)])
    foot = np.array([base - 0.02, z + 0.05]) + (size * BACK_LENGTH + 0.02) * along
    block = np.array([(0.0, -0.7), (0.5, -1.0), (1.0, -0.6), (1.0, 0.6), (0.5, 1.0), (0.0, 0.7)])
    across = np.array([-along[1], along[0]])
    outline = foot + block[:, :1] * size * height * along + block[:, 1:] * 0.045 * across
    return extrude(outline, np.array([-0.12, -0.10, 0.0, 0.10, 0.12]), ROUND_ENDS)


def add_shelf(parts: Parts, lines: Lines, last_row: float) -> None:
    """The parcel shelf behind the rear seats of cars with a boot."""
    z = np.linspace(last_row + 0.28, lines.deck_z + 0.02, 4)
    y = np.minimum(lines.deck_y - 0.07, lines.top(z) - lines.p.roof_crown - 0.05)
    x = lines.half_width(y, z, flared=False) - 0.05
    parts.add_pair("parcel_shelf", sheet_grid(np.stack([np.stack([x * t, y, z], 1) for t in (0.0, 0.5, 1.0)])))


def add_tonneau(parts: Parts, lines: Lines, last_row: float) -> None:
    """The deck of an open car between its last seats and the boot lid."""
    z = np.linspace(min(last_row + 0.36, lines.deck_z - 0.1), lines.deck_z, 6)
    y = open_rim(lines, z)
    x = lines.half_width(y, z, flared=False)
    lift = lines.p.roof_crown * smooth_step(z, z[0], z[-1])
    rows = [np.stack([x * t, y + lift * (1 - t * t), z], 1) for t in (0.0, 0.5, 1.0)]
    parts.add_pair("tonneau", sheet_grid(np.stack(rows)))


def add_bed(parts: Parts, lines: Lines) -> None:
    """The load bed of a pickup: floor and four walls, open above."""
    p = lines.p
    start, end = lines.deck_z + 0.06, p.length - 0.07
    z = np.linspace(start, end, 5)
    top = lines.top(z) - p.roof_crown - 0.01
    low = np.full(5, max(p.wheel_radius + 0.22, float(lines.bottom(z).max()) + 0.02))
    x = lines.half_width(top, z, flared=False) - 0.075
    rim = [np.stack([x, top, z], 1), np.stack([x, low, z], 1), np.stack([x * 0, low, z], 1)]
    parts.add_pair("bed", sheet_grid(np.stack(rim)))
    for name, k in (("bed_front", 0), ("tailgate_inside", -1)):
        corners = [(0, low[k], z[k]), (x[k], low[k], z[k]), (x[k], top[k], z[k]), (0, top[k] + p.roof_crown, z[k])]
        parts.add_pair(name, patch(corners))
