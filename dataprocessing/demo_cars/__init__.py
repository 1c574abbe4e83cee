"""Parametric cars: open, multi-part meshes with an interior, in ShapeNet's axes (x right, y up, -z front)."""
