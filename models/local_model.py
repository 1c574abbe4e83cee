"""NDF's own name of the module: `from models.local_model import NDF` works here as it does there."""

from models.ndf import NDF

__all__ = ["NDF"]
