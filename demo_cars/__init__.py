"""Parametric cars, for those without ShapeNet: open, multi-part meshes with seats and a steering wheel inside.

Offers `car.make_car` (one car of a seed), `parameters.draw_parameters` (what it is drawn from) and `windows` (which of
its windows are open). Axes are ShapeNet's: x right, y up, -z front.
"""
