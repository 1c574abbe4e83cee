"""Frozen networks: their checkpoints, loading them alone, and the codes of shapes that they gave."""
