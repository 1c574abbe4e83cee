"""What a demo car is made from: body styles as regions of one parameter space, and the seeded draw from them.

All styles share the same parameters; a style narrows the ranges of some and sets the switches (doors, rows of seats,
open roof, bed). Regions overlap, so the set of all cars is one connected family.
"""

import numpy as np

from demo_cars.styles import STYLES

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
    "wing_height": (0.08, 0.22),  # of a wing's stilts
    "cargo_height": (2.30, 2.90),  # top of a truck's box above the ground
    "cargo_width": (0.96, 1.06),  # half the box's width / half the car's
    "antenna_length": (0.25, 0.70),
}

# Switches and the values a style may take; repeated values are more likely.
CHOICES: dict[str, tuple[float | int | str, ...]] = {
    "doors": (2,),  # on each side
    "rows": (2,),
    "rear_seats": ("bench", "bench", "single"),
    "roof": ("closed", "closed", "closed", "closed", "sunroof"),
    "bed": (0,),  # 1: a load bed behind the cab, 2: a box, 3: a flat bed
    "spare_wheel": (0,),
    "side_windows": ("all",),
    "front_glass": (0, 0, 0, 0, 1),  # windows of the front doors: 0 leaves an opening, 1 gives a sheet
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
    "glazing": ("own", "own", "closed", "flush"),  # own: as the four above say; flush: windows are part of the body
    "furnished": (1, 1, 0),  # game cars have no interior
    "underside": ("open", "closed"),
    "detail": ("fine", "fine", "coarse"),  # of the body's mesh
    "axles": (2,),
    "wheel": ("rim", "rim", "cylinder"),
    "doubling": ("none", "none", "none", "twice", "inside_out"),  # of the body's faces, as real meshes have it
    "aero": ("none", "none", "none", "kit"),  # splitter and side skirts
    "antenna": (0, 0, 0, 0, 0, 1),
    "light_bar": (0, 0, 0, 0, 0, 0, 0, 1),
    "roof_rack": (0,),
    "bull_bar": (0,),
    "scoop": (0, 0, 0, 0, 0, 0, 0, 1),
}


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
