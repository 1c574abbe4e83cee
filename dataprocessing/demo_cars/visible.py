"""What can be seen of a demo car but is no parameter of its own, since several parameters decide it together."""

from dataprocessing.demo_cars.parameters import Parameters


def visible_attributes(car: Parameters) -> Parameters:
    """Parameters, and beside them whether the front side windows, the windscreen and the top are open or closed.

    A window is closed whether by a sheet of glass or because it is part of the body.
    """
    open_top = car["roof"] == "open"
    windows_open = open_top or (car["glazing"] == "own" and not car["front_glass"])
    screen_open = not car["screen_glass"] and car["glazing"] != "closed" and (open_top or car["glazing"] != "flush")
    seen = {"windows": windows_open, "windscreen": screen_open, "top": open_top}
    return car | {name: "open" if is_open else "closed" for name, is_open in seen.items()}
