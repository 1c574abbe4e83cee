"""The lines of a car: where its landmarks are, its silhouette, belt line, plan and sections, in metres.

Frame of all demo-car modules: x right, y up from the ground, z backwards from the front end of the unbent body.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from demo_cars.mesh import Array, smooth_step

FRONT_DROP = 0.16  # the silhouette starts and ends this far below the edges of bonnet and tail


class Lines:
    """Landmarks (attributes, metres) and profile functions of a car with parameters `p`."""

    def __init__(self, p: SimpleNamespace):
        self.p = p
        self.half_width_max = p.width / 2
        self.front_axle = p.front_overhang
        self.rear_axle = p.length - p.rear_overhang
        self.arch_radius = p.wheel_radius + p.arch_gap
        self.axles = [self.front_axle, self.rear_axle]
        if p.axles == 3:
            self.axles.append(self.rear_axle - 2 * self.arch_radius - 0.08)
        self.cowl_z = self.front_axle + p.cowl_offset
        self.cowl_y = p.cowl_ratio * p.height
        self.deck_z = p.length - p.deck_length
        self.deck_y = p.deck_ratio * p.height
        front_y = p.height - p.roof_arch * 0.8
        rear_y = front_y - p.roof_drop
        tan = np.tan(np.radians([p.screen_rake, p.rear_rake]))
        self.header_z = self.cowl_z + (front_y - self.cowl_y) * tan[0]
        self.rear_header_z = max(self.deck_z - (rear_y - self.deck_y) * tan[1], self.header_z + 0.35)
        self.knots = [
            (0.0, p.nose_ratio * p.height - FRONT_DROP),
            (0.03, p.nose_ratio * p.height),
            (self.cowl_z, self.cowl_y),
            (self.header_z, front_y),
            (self.rear_header_z, rear_y),
            (self.deck_z, self.deck_y),
            (p.length - 0.015, self.deck_y - p.tail_drop),
            (p.length, self.deck_y - p.tail_drop - FRONT_DROP),
        ]
        self.hip_z = self.cowl_z + p.hip_offset  # foot of the front backrests
        self.rows = self._seat_rows()
        self.doors = min(p.doors, len(self.rows)) if p.bed else p.doors
        self.curve = self._silhouette()

    def _seat_rows(self) -> list[float]:
        """z of the foot of the backrests of each row; rows that would not fit before the rear end are left out."""
        p = self.p
        last = self.deck_z - 0.30 if p.deck_length > 0.2 else p.length - 0.50
        rows = [self.hip_z + k * p.row_pitch for k in range(p.rows)]
        return [z for k, z in enumerate(rows) if k == 0 or z < last]

    def _silhouette(self) -> Array:
        """The centre line seen from the side, (K, 2) of (z, y): knots joined, arched, and rounded."""
        p, step = self.p, 0.01
        arches = (0.0, p.bonnet_bulge, 0.02, p.roof_arch, 0.0, 0.0, 0.0)
        pieces = []
        for (z0, y0), (z1, y1), arch in zip(self.knots[:-1], self.knots[1:], arches, strict=True):
            t = np.arange(0.0, 1.0, step / max(np.hypot(z1 - z0, y1 - y0), 0.02))
            pieces.append(np.stack([z0 + (z1 - z0) * t, y0 + (y1 - y0) * t + 4 * arch * t * (1 - t)], 1))
        curve = np.concatenate([*pieces, np.array([self.knots[-1]])])
        reach = int(round(3 * p.softness / step))
        tap = np.arange(-reach, reach + 1) * step
        kernel = np.exp(-0.5 * (tap / p.softness) ** 2)
        kernel /= kernel.sum()
        ends = 2 * curve[:1] - curve[reach:0:-1], 2 * curve[-1:] - curve[-2 : -reach - 2 : -1]
        padded = np.concatenate([ends[0], curve, ends[1]])
        smooth = np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(2)], 1)
        smooth[:, 0] = np.maximum.accumulate(smooth[:, 0])
        return smooth

    def top(self, z: Array | float) -> Array:
        """Height of the silhouette on the centre line."""
        return np.interp(z, self.curve[:, 0], self.curve[:, 1])

    def top_at(self, z: Array, x: Array) -> Array:
        """Height of the upper surface at (x, z): the silhouette, bent backwards (windscreen) or forwards, crowned."""
        return self.top_along(z)(x)

    def top_along(self, z: Array) -> Callable[[Array], Array]:
        """`top_at` for a fixed z, as a function of x."""
        p = self.p
        front = p.screen_bow * smooth_step(z, 0.3 * self.cowl_z, self.cowl_z) * (z < self.header_z + 0.3)
        back = p.rear_bow * (z > self.rear_header_z - 0.3) * (1 - smooth_step(z, self.deck_z, p.length))

        def at(x: Array) -> Array:
            side = (x / self.half_width_max) ** 2
            return self.top(z - front * side + back * side) - p.roof_crown * side

        return at

    def belt(self, z: Array | float) -> Array:
        """Height of the belt line: lower edge of the side windows."""
        p = self.p
        return p.belt_ratio * p.height + p.belt_slope * (np.asarray(z) - 0.5 * p.length)

    def bottom(self, z: Array | float) -> Array:
        """Height of the body's lower edge; it rises towards both ends."""
        p = self.p
        front = np.clip((self.front_axle - z) / self.front_axle, 0, 1)
        rear = np.clip((z - self.rear_axle) / p.rear_overhang, 0, 1)
        return p.clearance + 0.05 * front**2 + 0.09 * rear**2

    def plan(self, z: Array) -> Array:
        """Half width seen from above."""
        p, middle = self.p, 0.5 * self.p.length
        front = np.clip((middle - z) / middle, 0, 1)
        rear = np.clip((z - middle) / middle, 0, 1)
        return self.half_width_max * (1 - p.front_taper * front**3 - p.rear_taper * rear**3)

    def arch_distance(self, y: Array, z: Array) -> Array:
        """Distance from the nearer wheel's axis, in side view."""
        height = y - self.p.wheel_radius
        return np.min([np.hypot(z - axle, height) for axle in self.axles], axis=0)

    def half_width(self, y: Array, z: Array, flared: bool = True) -> Array:
        """Half width of the body's side at height y: tucked sill, widest at mid-height, leaning in above the belt."""
        width = self.side_along(z)(y)
        if flared:
            flare = np.exp(-(((self.arch_distance(y, z) - self.arch_radius) / 0.06) ** 2))
            width = width + self.p.flare * flare
        return width

    def side_along(self, z: Array) -> Callable[[Array], Array]:
        """`half_width` for a fixed z, as a function of y, without the flared arches."""
        p, belt, bottom, plan = self.p, self.belt(z), self.bottom(z), self.plan(z)
        lean = np.tan(np.radians(p.tumblehome - 4.0))

        def at(y: Array) -> Array:
            eta = np.clip((y - bottom) / (belt - bottom), 0, 1)
            above = np.maximum(y - belt, 0.0)
            width = plan * (1 - p.barrel * (1 - eta) ** 2.5 - p.shoulder * eta**4)
            width = width - above * lean - 0.12 * above**2
            return width + p.crease * np.exp(-(((eta - 0.72) / 0.07) ** 2))

        return at

    def bend(self, points: Array) -> Array:
        """Round the front and the rear end in plan and lean them; leaves everything between the axles alone."""
        p = self.p
        x, y, z = points.T
        side = np.abs(x / self.half_width_max) ** 3
        front = np.clip(1 - z / (self.front_axle + 0.25), 0, None) ** 2
        rear = np.clip(1 - (p.length - z) / (p.rear_overhang + 0.25), 0, None) ** 2
        mid = 0.5 * p.height * p.nose_ratio + 0.1
        high, low = np.maximum(y - mid, 0), np.maximum(mid - y, 0)
        shift = front * (p.nose_bow * side + p.nose_lean * high + 0.25 * low**1.5)
        shift = shift - rear * (p.tail_bow * side + p.tail_lean * high + 0.25 * low**1.5)
        return np.stack([x, y, z + shift], 1)
