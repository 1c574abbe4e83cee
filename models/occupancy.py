"""The network's input: a point cloud as an occupancy grid."""

import torch
from torch import Tensor


def occupancy_from_points(clouds: Tensor, resolution: int, bb_min: float, bb_max: float) -> Tensor:
    """Mark the node nearest to each point, on the points' device.

    clouds: (B, n, 3) mesh units. Node i of an axis is at bb_min + i (bb_max - bb_min) / (R - 1); points outside the
    box mark the nearest node on its surface. Returns (B, R, R, R) float32 of 0 and 1, axes x y z.
    """
    spacing = (bb_max - bb_min) / (resolution - 1)
    nodes = ((clouds - bb_min) / spacing).round().long().clamp_(0, resolution - 1)  # (B, n, 3)
    flat = (nodes[..., 0] * resolution + nodes[..., 1]) * resolution + nodes[..., 2]  # (B, n)
    occupancy = torch.zeros(len(clouds), resolution**3, device=clouds.device)
    occupancy.scatter_(1, flat, 1.0)
    return occupancy.view(-1, resolution, resolution, resolution)


def to_grid_coords(points: Tensor) -> Tensor:
    """(..., 3) mesh units x y z -> grid coordinates z y x, [-0.5, 0.5] -> [-1, 1] (NDF's `grid_coords`)."""
    return 2 * points.flip(-1)
