"""The unbroken outer skin of half a car (x >= 0): sections lofted along the length, closed at both ends."""

import numpy as np

from demo_cars.lines import Lines
from demo_cars.mesh import Array, Sheet, grid_faces

RESOLUTION = {"fine": (52, 24), "coarse": (22, 11)}  # stations along the car, points of half a section
FINE_POINTS = 128  # of a section before it is thinned out
CAP = np.array([0.0, 0.4, 0.8])  # widths of the narrowed copies of an end section that close it
EDGE, STRAIGHT, NORMAL = 3, 4, slice(5, 8)  # columns of the skin's data after x y z


def make_skin(lines: Lines) -> Sheet:
    """Skin of the right half; columns x y z, EDGE, STRAIGHT, outward normal.

    EDGE: distance (m) from the edge between side and top: negative on the side, positive on roof, bonnet, screens.
    STRAIGHT: z before the ends were bent round, so that it is constant along a bonnet's front edge.
    """
    z = stations(lines)
    x, y, edge = sections(lines, z)
    shrink = np.concatenate([CAP, np.ones(len(z)), CAP[::-1]])[:, None]
    spread = np.concatenate([np.zeros(len(CAP), int), np.arange(len(z)), np.full(len(CAP), len(z) - 1)])
    x, y, edge = x[spread], y[spread], edge[spread]
    x = x * shrink  # each point of an end section sweeps to the centre line at its height
    z = np.broadcast_to(z[spread][:, None], x.shape)
    grid = lines.bend(np.stack([x, y, z], axis=2).reshape(-1, 3)).reshape(*x.shape, 3)
    normal = np.cross(np.gradient(grid, axis=1), np.gradient(grid, axis=0))
    normal /= np.maximum(np.sqrt((normal**2).sum(axis=2, keepdims=True)), 1e-9)
    data = np.concatenate([grid, edge[..., None], z[..., None], normal], axis=2)
    return Sheet(data.reshape(-1, data.shape[2]), grid_faces(*x.shape))


def stations(lines: Lines) -> Array:
    """Where the sections are: evenly along the silhouette, closer together at its bends and at the wheel arches."""
    step = np.diff(lines.curve, axis=0)
    turn = np.abs(np.gradient(np.arctan2(step[:, 1], step[:, 0])))
    z = 0.5 * (lines.curve[1:, 0] + lines.curve[:-1, 0])
    to_axle = np.minimum(np.abs(z - lines.front_axle), np.abs(z - lines.rear_axle))
    near_arch = to_axle < lines.arch_radius + 0.08
    weight = np.cumsum(np.hypot(step[:, 0], step[:, 1]) * (1 + 0.9 * near_arch) + 0.25 * turn)
    weight = np.concatenate([[0.0], weight]) / weight[-1]
    return np.interp(np.linspace(0, 1, RESOLUTION[lines.p.detail][0]), weight, lines.curve[:, 0])


def sections(lines: Lines, z: Array) -> tuple[Array, Array, Array]:
    """Half sections at the stations z (S,), from the sill to the centre line.

    Returns x, y and EDGE, each (S, K). Side and top are joined where they meet, then the edge is rounded.
    """
    z = z[:, None]
    x_edge = np.full_like(z, lines.half_width_max)
    top, side, least = lines.top_along(z), lines.side_along(z), lines.bottom(z) + 0.12
    for _ in range(12):  # the top meets the side: a contraction, both lean little
        y_edge = np.maximum(top(x_edge), least)
        x_edge = side(y_edge)
    t = np.linspace(0, 1, 48)
    y_side = lines.bottom(z) + (y_edge - lines.bottom(z)) * t
    x_top = x_edge * (1 - t[1:])
    x = np.concatenate([lines.half_width(y_side, z), x_top], axis=1)
    y = np.concatenate([y_side, np.maximum(top(x_top), least)], axis=1)
    arc = _arc_length(x, y)
    even = np.linspace(0, 1, FINE_POINTS)
    target = arc[:, -1:] * even
    x, y = _interpolate_rows(target, arc, x), _interpolate_rows(target, arc, y)
    x, y = _rounded(x, y, lines.p.softness)
    slope = np.gradient(lines.curve[:, 1]) / np.maximum(np.gradient(lines.curve[:, 0]), 1e-6)
    slope = np.interp(z, lines.curve[:, 0], slope)
    edge = (target - arc[:, t.size - 1 : t.size]) / np.sqrt(1 + slope**2)
    bend = np.abs(np.diff(np.arctan2(np.diff(y), np.diff(x)), prepend=0, append=0))
    bend[:, [0, -1]] = 0
    bend = np.concatenate([bend, np.zeros_like(bend[:, :1])], axis=1)[:, :FINE_POINTS]
    dense = np.cumsum(arc[:, -1:] / FINE_POINTS + 0.25 * bend, axis=1)
    dense -= dense[:, :1]
    wanted = dense[:, -1:] * np.linspace(0, 1, RESOLUTION[lines.p.detail][1])
    x, y, edge = (_interpolate_rows(wanted, dense, values) for values in (x, y, edge))
    x[:, -1] = 0.0
    return x, y, edge


def _arc_length(x: Array, y: Array) -> Array:
    step = np.hypot(np.diff(x), np.diff(y))
    return np.concatenate([np.zeros_like(step[:, :1]), np.cumsum(step, axis=1)], axis=1)


def _interpolate_rows(target: Array, position: Array, values: Array) -> Array:
    """Row by row np.interp(target, position, values): rows (S, K) are laid end to end, far apart."""
    apart = 100.0 * np.arange(len(position))[:, None]
    flat = np.interp((target + apart).ravel(), (position + apart).ravel(), values.ravel())
    return flat.reshape(target.shape)


def _rounded(x: Array, y: Array, softness: float) -> tuple[Array, Array]:
    """Smooth each section along its points; mirrored at the centre line, prolonged straight at the sill."""
    reach = 9
    tap = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (tap * 0.018 / (0.55 * softness)) ** 2)
    kernel /= kernel.sum()
    out = []
    for values, sign in ((x, -1.0), (y, 1.0)):
        low = 2 * values[:, :1] - values[:, reach:0:-1]
        high = sign * values[:, -2 : -reach - 2 : -1]
        padded = np.concatenate([low, values, high], axis=1)
        out.append(sum(kernel[k] * padded[:, k : k + values.shape[1]] for k in range(len(kernel))))
    return out[0], out[1]
