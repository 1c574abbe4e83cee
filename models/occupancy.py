"""The network's input: a point cloud as a grid."""

import numpy as np
import torch
from torch import Tensor

INPUT_CHANNELS = {"occupancy": 1, "offsets": 4}  # by input_features


def occupancy_from_points(clouds: Tensor, resolution: int, bb_min: float, bb_max: float) -> Tensor:
    """Mark the node nearest to each point, on the points' device.

    clouds: (B, n, 3) mesh units. Node i of an axis is at bb_min + i (bb_max - bb_min) / (R - 1); points outside the
    box mark the nearest node on its surface. Returns (B, R, R, R) float32 of 0 and 1, axes x y z.
    """
    occupancy = zeros((len(clouds), resolution**3), clouds.device)
    occupancy.scatter_(1, nearest_nodes(clouds, resolution, bb_min, bb_max)[0], 1.0)
    return occupancy.view(-1, resolution, resolution, resolution)


def occupancy_and_offsets(clouds: Tensor, resolution: int, bb_min: float, bb_max: float) -> Tensor:
    """The occupancy, and from each marked node the mean offset of its points: a coarse grid then loses no precision.

    clouds: (B, n, 3) mesh units. Returns (B, 4, R, R, R) float32, axes x y z: occupancy; offsets along x, y and z in
    units of the nodes' spacing, in [-0.5, 0.5] for points inside the box, 0 at empty nodes.
    """
    flat, offsets = nearest_nodes(clouds, resolution, bb_min, bb_max)
    sums = zeros((len(clouds), 4, resolution**3), clouds.device)
    numbers = torch.cat([torch.ones_like(offsets[..., :1]), offsets], dim=2).transpose(1, 2)  # (B, 4, n)
    sums.scatter_add_(2, flat[:, None].expand(-1, 4, -1), numbers)
    count = sums[:, :1]
    sums[:, 1:] /= count.clamp(min=1)
    count.clamp_(max=1)
    return sums.view(len(clouds), 4, resolution, resolution, resolution)


def zeros(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """`torch.zeros`, float32; on a CPU of memory that numpy asks for: in huge pages that are zeros as they come. Four
    grids of 256^3 take a quarter of the time, those of 32^3 no longer."""
    return torch.from_numpy(np.zeros(shape, np.float32)) if device.type == "cpu" else torch.zeros(shape, device=device)


def input_grid(clouds: Tensor, resolution: int, bb_min: float, bb_max: float, features: str) -> Tensor:
    """What `encode` of an NDF with these input_features takes: (B, R, R, R), or with offsets (B, 4, R, R, R)."""
    make = occupancy_and_offsets if features == "offsets" else occupancy_from_points
    return make(clouds, resolution, bb_min, bb_max)


def nearest_nodes(clouds: Tensor, resolution: int, bb_min: float, bb_max: float) -> tuple[Tensor, Tensor]:
    """Flat indices (B, n) of the nodes nearest to points (B, n, 3), and the points' offsets from them in spacings."""
    places = (clouds - bb_min) / ((bb_max - bb_min) / (resolution - 1))
    nodes = places.round().long().clamp_(0, resolution - 1)  # (B, n, 3)
    flat = (nodes[..., 0] * resolution + nodes[..., 1]) * resolution + nodes[..., 2]
    return flat, places - nodes


def folded(x: Tensor, size: int) -> Tensor:
    """Blocks of size^3 nodes as channels: (B, C, R, R, R) -> (B, C size^3, R / size, ...), channels last in memory.

    Nothing is lost, and a convolution of many channels on few nodes is what processors are fast at.
    """
    if size == 1:
        return x
    batch, channels, resolution = x.shape[:3]
    blocks = x.reshape(batch, channels, *((resolution // size, size) * 3))
    last = blocks.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)  # (B, r, r, r, C size^3)
    return last.permute(0, 4, 1, 2, 3)


def to_grid_coords(points: Tensor) -> Tensor:
    """(..., 3) mesh units x y z -> grid coordinates z y x, [-0.5, 0.5] -> [-1, 1] (NDF's `grid_coords`)."""
    return 2 * points.flip(-1)
