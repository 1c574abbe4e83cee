"""Wheels: tyre, rim with spokes of several patterns, wheel-arch liners, spare wheel."""

import numpy as np

from demo_cars.lines import Lines
from demo_cars.mesh import Array, Parts, Sheet, grid_faces, revolve, sheet_grid

CYLINDER_SEGMENTS = 12
TYRE_SEGMENTS = 20  # a multiple of 4, so that a vertex touches the ground


def add_wheels(parts: Parts, lines: Lines) -> None:
    """Four wheels on the ground plane y = 0 inside their arches, and the liners above them."""
    p, wheel = lines.p, _wheel(lines)
    for name, z in zip(("front", "rear", "third"), lines.axles, strict=False):
        offset = (wheel_x(lines, z), p.wheel_radius, z)
        for part, sheet in wheel.items():
            parts.add_pair(f"{name}_{part}", sheet.moved(offset))
        parts.add_pair(f"{name}_wheel_house", _wheel_house(lines, z))
    if p.spare_wheel:
        for part, sheet in wheel.items():
            turned = sheet.points[:, [2, 1, 0]] * [-1.0, 1.0, 1.0]
            offset = (0.0, lines.belt(p.length) - 0.95 * p.wheel_radius, p.length + 0.5 * p.tyre_width)
            parts.add(f"spare_{part}", Sheet(turned, sheet.faces).moved(offset))


def wheel_x(lines: Lines, z: float) -> float:
    """Where the middle of a wheel is across the car: the tyre ends just inside the body's side."""
    side = lines.half_width(np.array(lines.p.wheel_radius), np.array(z), flared=False)
    return float(side) - 0.5 * lines.p.tyre_width - 0.005


def inner_x(lines: Lines, z: float) -> float:
    """Inner wall of the wheel house."""
    return wheel_x(lines, z) - 0.5 * lines.p.tyre_width - 0.04


def _wheel(lines: Lines) -> dict[str, Sheet]:
    """Parts of a right wheel around the origin, its outside towards +x."""
    p = lines.p
    radius, half = p.wheel_radius, 0.5 * p.tyre_width
    if p.wheel == "cylinder":
        corners = np.array([(-half, 0.004), (-half, 0.94 * radius), (-0.86 * half, radius)])
        profile = np.concatenate([corners, corners[::-1] * [-1.0, 1.0]])
        return {"tyre": revolve(profile, CYLINDER_SEGMENTS)}
    rim = p.rim_ratio * radius
    side = 0.45 * (radius - rim)
    tyre = [(-0.92, rim), (-1.0, rim + side), (-0.72, radius)]
    profile = np.array([*tyre, *[(-x, r) for x, r in reversed(tyre)]]) * [half, 1.0]
    lip = np.array([(-0.9 * half, rim), (0.55 * half, 0.93 * rim), (0.92 * half, rim)])
    hub = np.array([(0.52 * half, 0.24 * rim), (0.72 * half, 0.17 * rim), (0.74 * half, 0.004)])
    return {
        "tyre": revolve(profile, TYRE_SEGMENTS),
        "rim": revolve(lip, TYRE_SEGMENTS),
        "hub": revolve(hub, 10),
        "spokes": _spokes(p.rim, p.spokes, rim, half),
    }


def _spokes(kind: str, count: int, rim: float, half: float) -> Sheet:
    """Spokes as ridged plates from the hub to the rim; `disc` is a steel wheel with round holes left between."""
    if kind == "disc":
        count, bars = 9, [(0.0, 0.0, 0.62)]
    elif kind == "split":
        bars = [(0.0, -0.22, 0.16), (0.0, 0.22, 0.16)]
    elif kind == "turbine":
        bars = [(0.0, 0.55, 0.26)]
    else:
        bars = [(0.0, 0.0, 0.36)]
    step = 2 * np.pi / count
    rows = np.array([0.20, 0.58, 0.94])  # of the rim's radius
    depth = np.array([0.70, 0.66, 0.52]) * half
    sheets = []
    for start, end, share in bars:
        middle = start + (end - start) * np.array([0.0, 0.5, 1.0]) * step
        width = 0.5 * share * step * np.array([1.0, 0.75, 0.9])
        for k in range(count):
            angle = np.stack([middle - width, middle, middle + width], 1) + k * step
            ridge = np.array([-0.06, 0.0, -0.06]) * half + depth[:, None]
            r = rows[:, None] * rim
            sheets.append(np.stack([ridge, r * np.sin(angle), r * np.cos(angle)], 2))
    return _joined(sheets)


def _joined(grids: list[Array]) -> Sheet:
    """Equal grids (rows, columns, 3) as one sheet."""
    rows, columns = grids[0].shape[:2]
    faces = grid_faces(rows, columns)
    stride = rows * columns
    shifts = (np.arange(len(grids)) * stride)[:, None, None]
    return Sheet(np.concatenate([g.reshape(-1, 3) for g in grids]), (faces + shifts).reshape(-1, 3))


def _wheel_house(lines: Lines, z: float) -> Sheet:
    """A half pipe from the arch's edge inwards, closed on the inside."""
    p = lines.p
    angle = np.linspace(np.radians(-8), np.radians(188), 15)
    radius = lines.arch_radius + 0.004
    y, z_arc = p.wheel_radius + radius * np.sin(angle), z + radius * np.cos(angle)
    y = np.maximum(y, lines.bottom(z_arc) + 0.01)
    outer = lines.half_width(y, z_arc) - 0.012
    inner = np.full_like(outer, inner_x(lines, z))
    ring = [np.stack([x, y, z_arc], 1) for x in (outer, inner)]
    low = np.stack([inner, np.full_like(y, y.min()), z_arc], 1)
    return sheet_grid(np.stack([*ring, low]))
