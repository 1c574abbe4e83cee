"""Shapes with more or less of an attribute: longer, lower, with closed windows.

Offers `edited`, the shapes that `generate.py --mode edit` makes. Beside it: `report` (what became of them),
`attributes` (what a file says of how codes tell of attributes) and `moves` (the edit of a latent z).
"""

from generation.editing.edited import edited

__all__ = ["edited"]
