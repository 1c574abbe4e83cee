"""Shapes with more or less of an attribute: longer, lower, with closed windows.

Offers `edited` (the shapes that `generate.py --mode edit` makes) and `report` (what became of them). Beside these:
`attributes` (what a file says of how codes tell of attributes) and `moves` (the edit of a latent z).
"""

from generation.editing.edited import edited
from generation.editing.report import report

__all__ = ["edited", "report"]
