"""What a demo car is made from: body styles as regions of one parameter space, and the seeded draw from them.

All styles share the same parameters; a style narrows the ranges of some and sets the switches (doors, rows of seats,
open roof, bed). Regions overlap, so the set of all cars is one connected family.
"""

import numpy as np

Parameters = dict[str, float | int | str]

# name: (lowest, highest) for a style that says nothing else. Lengths in metres, angles in degrees, ratios of height.
RANGES: dict[str, tuple[float, float]] = {
    "length": (4.40, 4.80),
    "width": (1.78, 1.88),
    "height": (1.42, 1.50),
    "front_overhang": (0.82, 0.95),
    "rear_overhang": (0.95, 1.10),
    "clearance": (0.17, 0.21),  # ground to sill
    "wheel_radius": (0.315, 0.345),
    "tyre_width": (0.19, 0.23),
    "rim_ratio": (0.66, 0.74),  # rim radius / wheel radius
    "arch_gap": (0.035, 0.055),  # tyre to wheel arch
    "flare": (0.005, 0.025),  # how far wheel arches stand out
    "nose_ratio": (0.505, 0.55),  # height of the bonnet's front edge / height
    "cowl_ratio": (0.66, 0.69),  # height of the windscreen's base / height
    "cowl_offset": (0.45, 0.60),  # windscreen's base behind the front axle
    "bonnet_bulge": (0.03, 0.065),
    "screen_rake": (57.0, 63.0),  # windscreen from the vertical
    "screen_bow": (0.06, 0.14),  # curvature of the windscreen seen from above
    "roof_arch": (0.03, 0.06),
    "roof_drop": (0.03, 0.08),  # the roof's rear end below its front end
    "roof_crown": (0.03, 0.06),  # across the car
    "rear_rake": (60.0, 66.0),  # rear window from the vertical
    "rear_bow": (0.04, 0.10),
    "deck_length": (0.45, 0.62),  # boot lid or bed: base of the rear window to the tail
    "deck_ratio": (0.69, 0.73),  # height of the rear window's base / height
    "tail_drop": (0.02, 0.07),
    "belt_ratio": (0.63, 0.66),  # lower edge of the side windows / height
    "belt_slope": (0.015, 0.045),  # rise per metre
    "tumblehome": (17.0, 23.0),  # side windows from the vertical
    "shoulder": (0.025, 0.055),  # inset of the belt line
    "barrel": (0.04, 0.09),  # tuck of the sills
    "crease": (0.004, 0.016),  # line along the doors
    "front_taper": (0.03, 0.08),
    "rear_taper": (0.03, 0.08),
    "nose_bow": (0.16, 0.28),  # curvature of the front seen from above
    "tail_bow": (0.10, 0.20),
    "nose_lean": (0.10, 0.25),
    "tail_lean": (0.05, 0.18),
    "softness": (0.05, 0.085),  # radius of edges
    "pillar_width": (0.06, 0.09),
    "rear_pillar_width": (0.10, 0.20),
    "floor_height": (0.24, 0.28),
    "hip_offset": (1.18, 1.28),  # front seats' backrests behind the windscreen's base
    "row_pitch": (0.82, 0.90),
    "seat_width": (0.48, 0.53),
    "seat_height": (0.26, 0.31),
    "seat_recline": (16.0, 24.0),
    "headrest_height": (0.15, 0.20),
    "steering_radius": (0.175, 0.195),
    "mirror_size": (0.065, 0.095),
    "bumper_depth": (0.02, 0.05),
    "grille_width": (0.25, 0.42),  # half of it, over half the car's width
    "light_size": (0.18, 0.26),
    "spoiler_size": (0.10, 0.20),
}

# Switches and the values a style may take; repeated values are more likely.
CHOICES: dict[str, tuple[float | int | str, ...]] = {
    "doors": (2,),  # on each side
    "rows": (2,),
    "rear_seats": ("bench", "bench", "single"),
    "roof": ("closed", "closed", "closed", "closed", "sunroof"),
    "bed": (0,),
    "spare_wheel": (0,),
    "side_windows": ("all",),
    "front_glass": (0, 0, 0, 0, 1),  # panes of the front doors: 0 leaves an opening, 1 gives a sheet
    "rear_glass": (0, 0, 0, 0, 1),  # mostly open, so that a small network learns that cars have windows
    "screen_glass": (0, 1, 1, 1),
    "back_glass": (0, 1, 1),
    "spokes": (5, 6, 7, 8, 10),
    "rim": ("straight", "split", "disc", "turbine"),
    "drive": ("left", "left", "right"),
    "spoiler": ("none", "none", "lip"),
    "roof_rails": (0,),
    "lights": ("round", "oval", "slim"),
    "exhausts": (1, 2),
}

_ROOF_SPOILER = ("none", "roof")
_UPRIGHT = {"tail_bow": (0.03, 0.07), "rear_bow": (0.0, 0.02), "tail_lean": (0.01, 0.05), "nose_bow": (0.10, 0.18)}
_OPEN_TOP = {"roof": ("open",), "doors": (1,), "back_glass": (0,), "rear_glass": (0,), "front_glass": (0,)}

STYLES: dict[str, dict[str, tuple]] = {
    "sedan": {"length": (4.50, 4.95), "rear_overhang": (1.02, 1.18)},
    "hatchback": {
        "length": (3.90, 4.35), "width": (1.72, 1.82), "height": (1.44, 1.53), "front_overhang": (0.78, 0.88),
        "rear_overhang": (0.62, 0.78), "cowl_offset": (0.36, 0.50), "rear_rake": (24, 40), "deck_length": (0.07, 0.14),
        "deck_ratio": (0.64, 0.70), "tail_drop": (0.06, 0.12), "rear_bow": (0.0, 0.02), "tail_bow": (0.12, 0.20),
        "doors": (1, 2, 2), "spoiler": _ROOF_SPOILER,
    },
    "estate": {
        "length": (4.55, 4.95), "height": (1.44, 1.53), "rear_overhang": (1.02, 1.18), "rear_rake": (26, 42),
        "deck_length": (0.07, 0.14), "deck_ratio": (0.64, 0.69), "tail_drop": (0.06, 0.12), "rear_bow": (0.0, 0.02),
        "roof_rails": (0, 1, 1), "spoiler": _ROOF_SPOILER,
    },
    "coupe": {
        "length": (4.30, 4.70), "width": (1.80, 1.92), "height": (1.26, 1.35), "front_overhang": (0.86, 0.98),
        "rear_overhang": (0.92, 1.05), "clearance": (0.13, 0.16), "wheel_radius": (0.325, 0.35),
        "nose_ratio": (0.52, 0.56), "cowl_ratio": (0.68, 0.71), "cowl_offset": (0.58, 0.76), "screen_rake": (61, 65),
        "rear_rake": (67, 73), "deck_length": (0.22, 0.42), "deck_ratio": (0.70, 0.74), "belt_ratio": (0.65, 0.68),
        "floor_height": (0.18, 0.22), "hip_offset": (1.22, 1.30), "row_pitch": (0.70, 0.76), "doors": (1,),
        "seat_height": (0.22, 0.26), "seat_recline": (22, 28), "spoiler": ("none", "lip", "wing"),
    },
    "suv": {
        "length": (4.50, 4.95), "width": (1.85, 1.97), "height": (1.66, 1.80), "front_overhang": (0.85, 0.95),
        "rear_overhang": (0.90, 1.05), "clearance": (0.26, 0.31), "wheel_radius": (0.365, 0.395),
        "nose_ratio": (0.55, 0.60), "cowl_ratio": (0.64, 0.67), "cowl_offset": (0.40, 0.55), "screen_rake": (53, 59),
        "rear_rake": (20, 36), "deck_length": (0.07, 0.13), "deck_ratio": (0.63, 0.67), "tail_drop": (0.06, 0.12),
        "belt_ratio": (0.61, 0.645), "tumblehome": (14, 19), "floor_height": (0.36, 0.42), "seat_height": (0.29, 0.34),
        "flare": (0.02, 0.045), "rear_bow": (0.0, 0.02), "tail_bow": (0.08, 0.15), "rows": (2, 2, 3),
        "roof_rails": (0, 1, 1), "spoiler": _ROOF_SPOILER,
    },
    "offroader": _UPRIGHT | {
        "length": (3.95, 4.50), "width": (1.76, 1.88), "height": (1.78, 1.93), "front_overhang": (0.66, 0.78),
        "rear_overhang": (0.66, 0.85), "clearance": (0.33, 0.39), "wheel_radius": (0.38, 0.42),
        "arch_gap": (0.055, 0.085), "nose_ratio": (0.575, 0.61), "cowl_ratio": (0.62, 0.645),
        "cowl_offset": (0.45, 0.62), "bonnet_bulge": (0.005, 0.02), "screen_rake": (14, 32), "screen_bow": (0.0, 0.04),
        "rear_rake": (2, 6), "deck_length": (0.03, 0.05), "deck_ratio": (0.60, 0.63), "tail_drop": (0.02, 0.05),
        "belt_ratio": (0.60, 0.625), "belt_slope": (0.0, 0.01), "tumblehome": (4, 9), "roof_arch": (0.01, 0.03),
        "roof_drop": (0.0, 0.02), "shoulder": (0.01, 0.03), "barrel": (0.02, 0.05), "softness": (0.04, 0.06),
        "floor_height": (0.46, 0.52), "hip_offset": (1.00, 1.10), "flare": (0.03, 0.06), "spare_wheel": (1,),
        "doors": (1, 2), "roof_rails": (0, 0, 1), "nose_lean": (0.0, 0.06), "spoiler": _ROOF_SPOILER,
    },
    "pickup": _UPRIGHT | {
        "length": (5.10, 5.50), "width": (1.84, 1.98), "height": (1.72, 1.85), "front_overhang": (0.86, 0.98),
        "rear_overhang": (1.15, 1.32), "clearance": (0.30, 0.36), "wheel_radius": (0.37, 0.405),
        "arch_gap": (0.05, 0.075), "nose_ratio": (0.56, 0.60), "cowl_ratio": (0.62, 0.65), "cowl_offset": (0.42, 0.56),
        "screen_rake": (48, 56), "rear_rake": (6, 13), "deck_length": (1.40, 1.95), "deck_ratio": (0.59, 0.63),
        "tail_drop": (0.0, 0.02), "belt_ratio": (0.60, 0.63), "belt_slope": (0.0, 0.02), "tumblehome": (11, 16),
        "floor_height": (0.42, 0.48), "hip_offset": (1.12, 1.20), "rear_pillar_width": (0.08, 0.13),
        "flare": (0.02, 0.05), "softness": (0.05, 0.08), "bed": (1,), "roof_drop": (0.01, 0.04),
        "row_pitch": (0.74, 0.80), "spoiler": ("none",),
    },
    "van": _UPRIGHT | {
        "length": (4.75, 5.30), "width": (1.88, 2.00), "height": (1.92, 2.12), "front_overhang": (0.88, 1.00),
        "rear_overhang": (0.90, 1.08), "clearance": (0.24, 0.30), "wheel_radius": (0.33, 0.36),
        "nose_ratio": (0.475, 0.52), "cowl_ratio": (0.57, 0.61), "cowl_offset": (0.00, 0.18), "screen_rake": (38, 48),
        "rear_rake": (2, 5), "deck_length": (0.03, 0.05), "deck_ratio": (0.54, 0.58), "tail_drop": (0.02, 0.05),
        "belt_ratio": (0.53, 0.57), "belt_slope": (0.0, 0.015), "tumblehome": (4, 8), "roof_arch": (0.02, 0.05),
        "roof_drop": (0.0, 0.03), "shoulder": (0.015, 0.035), "barrel": (0.02, 0.05), "floor_height": (0.42, 0.50),
        "hip_offset": (1.10, 1.20), "seat_height": (0.32, 0.38), "softness": (0.06, 0.09), "rows": (1,), "doors": (1,),
        "side_windows": ("front",), "roof": ("closed",), "spoiler": _ROOF_SPOILER,
    },
    "minibus": _UPRIGHT | {
        "length": (4.85, 5.40), "width": (1.88, 2.00), "height": (1.90, 2.12), "front_overhang": (0.88, 1.00),
        "rear_overhang": (0.95, 1.10), "clearance": (0.24, 0.29), "wheel_radius": (0.33, 0.36),
        "nose_ratio": (0.475, 0.52), "cowl_ratio": (0.56, 0.60), "cowl_offset": (-0.02, 0.18), "screen_rake": (40, 50),
        "rear_rake": (3, 9), "deck_length": (0.04, 0.07), "deck_ratio": (0.53, 0.57), "tail_drop": (0.03, 0.06),
        "belt_ratio": (0.52, 0.56), "belt_slope": (0.0, 0.015), "tumblehome": (6, 11), "floor_height": (0.38, 0.45),
        "hip_offset": (1.08, 1.18), "seat_height": (0.32, 0.38), "rows": (3, 4), "row_pitch": (0.80, 0.86),
        "rear_pillar_width": (0.06, 0.12), "roof_drop": (0.0, 0.03), "spoiler": _ROOF_SPOILER,
    },
    "convertible": _OPEN_TOP | {
        "length": (4.30, 4.75), "height": (1.36, 1.43), "rear_overhang": (1.00, 1.15), "cowl_offset": (0.52, 0.66),
        "deck_length": (0.62, 0.80), "rear_rake": (56, 63), "row_pitch": (0.74, 0.80), "clearance": (0.15, 0.18),
        "rear_seats": ("single",), "hip_offset": (1.14, 1.20),
    },
    "roadster": _OPEN_TOP | {
        "length": (3.90, 4.25), "width": (1.70, 1.82), "height": (1.22, 1.30), "front_overhang": (0.78, 0.90),
        "rear_overhang": (0.85, 0.98), "clearance": (0.13, 0.16), "nose_ratio": (0.53, 0.57),
        "cowl_ratio": (0.70, 0.73), "cowl_offset": (0.58, 0.74), "rear_rake": (50, 58), "deck_length": (0.80, 0.98),
        "deck_ratio": (0.73, 0.77), "belt_ratio": (0.67, 0.70), "floor_height": (0.18, 0.22), "rows": (1,),
        "hip_offset": (1.14, 1.22), "seat_height": (0.22, 0.26), "seat_recline": (22, 27),
    },
    "limousine": {
        "length": (5.60, 6.30), "width": (1.84, 1.93), "height": (1.45, 1.53), "front_overhang": (0.86, 0.97),
        "rear_overhang": (1.08, 1.25), "rows": (3,), "row_pitch": (1.00, 1.12), "wheel_radius": (0.33, 0.355),
    },
    "crossover": {
        "length": (4.20, 4.55), "width": (1.78, 1.87), "height": (1.54, 1.65), "rear_overhang": (0.74, 0.90),
        "front_overhang": (0.82, 0.92), "clearance": (0.22, 0.26), "wheel_radius": (0.34, 0.37),
        "nose_ratio": (0.53, 0.57), "cowl_ratio": (0.65, 0.68), "cowl_offset": (0.38, 0.52), "rear_rake": (34, 50),
        "deck_length": (0.09, 0.18), "deck_ratio": (0.65, 0.69), "tail_drop": (0.06, 0.12), "rear_bow": (0.0, 0.02),
        "belt_slope": (0.03, 0.06), "floor_height": (0.31, 0.36), "flare": (0.015, 0.035), "roof_rails": (0, 1),
        "spoiler": _ROOF_SPOILER,
    },
    "mpv": {
        "length": (4.30, 4.80), "width": (1.79, 1.88), "height": (1.60, 1.74), "rear_overhang": (0.78, 0.92),
        "front_overhang": (0.84, 0.95), "cowl_offset": (0.10, 0.28), "nose_ratio": (0.48, 0.52),
        "cowl_ratio": (0.61, 0.65), "screen_rake": (58, 64), "rear_rake": (18, 30), "deck_length": (0.07, 0.13),
        "deck_ratio": (0.60, 0.64), "tail_drop": (0.06, 0.12), "belt_ratio": (0.58, 0.61), "rear_bow": (0.0, 0.02),
        "hip_offset": (1.30, 1.38), "rows": (3,), "row_pitch": (0.70, 0.76), "seat_height": (0.31, 0.36),
        "floor_height": (0.28, 0.33), "tumblehome": (14, 19), "spoiler": _ROOF_SPOILER, "roof_rails": (0, 1),
    },
    "city": {
        "length": (3.40, 3.70), "width": (1.58, 1.68), "height": (1.46, 1.56), "front_overhang": (0.66, 0.74),
        "rear_overhang": (0.46, 0.58), "wheel_radius": (0.28, 0.305), "nose_ratio": (0.505, 0.545),
        "cowl_ratio": (0.64, 0.67), "cowl_offset": (0.22, 0.34), "rear_rake": (16, 28), "deck_length": (0.05, 0.10),
        "deck_ratio": (0.63, 0.67), "tail_drop": (0.06, 0.12), "belt_ratio": (0.61, 0.64), "screen_rake": (50, 57),
        "rear_bow": (0.0, 0.02), "tail_bow": (0.10, 0.16), "hip_offset": (1.08, 1.16), "row_pitch": (0.70, 0.75),
        "doors": (1, 2), "seat_width": (0.44, 0.48), "tumblehome": (13, 18), "tyre_width": (0.16, 0.19),
    },
}  # fmt: skip


def range_of(style: str, name: str) -> tuple[float, float]:
    """Lowest and highest value of a continuous parameter in a style."""
    return STYLES[style].get(name, RANGES[name])


def draw_parameters(seed: int, index: int) -> Parameters:
    """Draw car number `index` of a seed; it does not depend on how many cars are made.

    Returns the style, every name of RANGES (float, rounded to 4 decimals) and every name of CHOICES.
    """
    rng = np.random.default_rng([seed, index])
    names = list(STYLES)
    style = names[int(rng.random() * len(names))]
    car: Parameters = {"style": style}
    for name in RANGES:
        low, high = range_of(style, name)
        car[name] = round(float(low + (high - low) * rng.random()), 4)
    for name, values in CHOICES.items():
        values = STYLES[style].get(name, values)
        car[name] = values[int(rng.random() * len(values))]
    return car
