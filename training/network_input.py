"""Clouds to the grid that the encoder takes, by the options of a configuration."""

from argparse import Namespace

from torch import Tensor

from models.occupancy import input_grid


def network_input(clouds: Tensor, cfg: Namespace) -> Tensor:
    """clouds: (B, n, 3) mesh units. Returns (B, R, R, R), or (B, 4, R, R, R) with offsets, on the clouds' device."""
    return input_grid(clouds, cfg.input_res, cfg.bb_min, cfg.bb_max, cfg.input_features)
