"""NDF's module name, so that `from models.local_model import NDF` works as in the original code."""

from models.ndf import NDF

__all__ = ["NDF"]
