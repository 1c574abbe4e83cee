"""Which windows of a demo car one could reach through: several parameters decide that together."""

from collections.abc import Mapping
from typing import Any

GLASS = {"windscreen": "screen_glass", "front_windows": "front_glass", "rear_windows": "rear_glass"}
GLASS |= {"back_window": "back_glass"}


def closed_windows(car: Mapping[str, Any]) -> dict[str, int]:
    """For each kind of window NAME, NAME_closed: 1 where glass or the body closes it, 0 where it is open.

    car: the parameters of a demo car. An empty result for anything else, such as parameters of an earlier version.
    """
    if not {"glazing", "roof", "side_windows", *GLASS.values()} <= car.keys():
        return {}
    closed = {name: bool(car[glass] or car["glazing"] != "own") for name, glass in GLASS.items()}
    if car["side_windows"] == "front":  # a van: body behind the doors
        closed["rear_windows"] = True
    if car["roof"] == "open":  # nothing but the windscreen's frame stands above the belt line
        closed |= dict.fromkeys(("front_windows", "rear_windows", "back_window"), False)
        closed["windscreen"] = bool(car["screen_glass"] or car["glazing"] == "closed")
    return {f"{name}_closed": int(value) for name, value in closed.items()}


def visible_attributes(car: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a demo car, and whether its front side windows, windscreen and top are open or closed."""
    closed = closed_windows(car)
    open_ones = {"windows": not closed["front_windows_closed"], "windscreen": not closed["windscreen_closed"]}
    open_ones["top"] = car["roof"] == "open"
    return {**car, **{name: "open" if is_open else "closed" for name, is_open in open_ones.items()}}
