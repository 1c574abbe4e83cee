"""From the last layer's numbers to an unsigned distance: the distance itself, or two numbers that place a sheet.

An unsigned distance has a kink at every surface, which a network of smooth features can only round off: decoded sheets
become thick and lumpy. A signed number s has none, but |s| is 0 wherever s changes sign: outside and cabin would have
to be parted by a surface across every open window. So a sheet is placed by two numbers, its side s and how far one is
beyond its border r, and

    distance = sqrt(s^2 + softplus(r)^2),

which near a flat sheet with a straight border is exact for s and r that are linear in the point: s the coordinate
across the sheet, r the one beyond the border, negative on the sheet. In an open window s passes through 0 and r > 0.
Nothing but unsigned distances is needed to train them, as long as r can grow again: see `RESTING`. Where three sheets
meet, no two signs can part all sides; there the network falls back to s that touches 0 without passing it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

OUTPUTS = {"value": 1, "sheet": 2}  # distance_head: how many numbers the last layer gives for each point
SOFTPLUS_SHARPNESS = 200.0  # per mesh unit: the softplus is 0.0035 at 0 and linear from 0.01 on
# Mesh units: r goes no lower, though its gradient passes. Early in training r is too large nearly everywhere; where it
# sinks below this for good, no opening can be told from a sheet any more, and s never changes its sign.
RESTING = -0.02
ROUNDING = 1e-5  # mesh units: of the root at 0, so that its gradient is finite
FIRST_DISTANCE = 0.05  # mesh units: networks start near a mean distance, outside every sheet


def first_bias(head: str) -> Tensor:
    """Start near a mean distance: where a final ReLU is 0 everywhere, a network never learns."""
    return torch.tensor([FIRST_DISTANCE, 0.0][: OUTPUTS[head]])


def soft_positive(raw: Tensor) -> Tensor:
    """A softplus: close to NDF's ReLU, but with a gradient where the network wrongly predicts 0."""
    return F.softplus(raw, beta=SOFTPLUS_SHARPNESS)


def beyond_border(raw: Tensor) -> Tensor:
    """r (...), the last layer's second number, to the distance beyond the border, (...) mesh units, hardly 0 on it."""
    return soft_positive(raw + (raw.clamp(min=RESTING) - raw).detach())


def distance_to_sheet(side: Tensor, beyond: Tensor) -> Tensor:
    """side, beyond: (...) mesh units, s and `beyond_border` of r. Returns (...) mesh units."""
    return (side.square() + beyond.square() + ROUNDING**2).sqrt()


def sides(raw: Tensor) -> tuple[Tensor, Tensor]:
    """The last layer's numbers (..., 2) of a sheet -> the side s and the distance beyond the border, (...) each."""
    raw = raw.float()
    return raw[..., 0], beyond_border(raw[..., 1])
