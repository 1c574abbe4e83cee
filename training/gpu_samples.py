"""Training samples in a GPU's memory, and batches drawn there: a step then needs nothing of the CPU but its launch."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

# cloud (n, 3); sets: list of (points (S, 3), distances (S,)), float32, mesh units
Samples = dict[str, Any]


class GpuSamples:
    """All samples of S shapes with K sets of points each, on one device.

    samples: of each shape, its cloud (n, 3), n the same for all, and sets: [(points (M, 3), distances (M,))], K of
    them; M may differ between shapes.
    """

    def __init__(self, samples: Iterable[Samples], device: torch.device):
        clouds, rows, sizes = [], [], []
        for shape in samples:
            clouds.append(torch.from_numpy(shape["cloud"]).to(device))
            numbers = [np.column_stack(pair) for pair in shape["sets"]]
            rows.append(torch.from_numpy(np.concatenate(numbers)).to(device))
            sizes.append([len(part) for part in numbers])
        self.clouds = torch.stack(clouds)  # (S, n, 3)
        del clouds
        self.rows = torch.cat(rows)  # (all points, 4): x, y, z, distance
        self.sizes = torch.tensor(sizes, device=device)  # (S, K)
        self.starts = (self.sizes.flatten().cumsum(0) - self.sizes.flatten()).view_as(self.sizes)

    def batch(
        self,
        chosen: np.ndarray,
        mirrored: np.ndarray,
        shares: Sequence[float],
        num_points: int,
        candidate_shares: Sequence[float],
        num_candidates: int,
        seed: int,
    ) -> dict[str, Tensor]:
        """What `shape_samples.draw` gives for each of the shapes `chosen` (B,), stacked, from other random numbers."""
        device = self.rows.device
        generator = torch.Generator(device).manual_seed(seed)
        shapes = torch.from_numpy(chosen).to(device)
        sign = torch.ones(len(chosen), 1, 3)
        sign[torch.from_numpy(mirrored), :, 0] = -1
        sign = sign.to(device)
        points, distances = self._drawn(shapes, shares, num_points, generator)
        batch = {"cloud": self.clouds[shapes] * sign, "points": points * sign, "distances": distances}
        if num_candidates:
            points, distances = self._drawn(shapes, candidate_shares, num_candidates, generator)
            batch |= {"candidates": points * sign, "candidate_distances": distances}
        return batch

    def _drawn(
        self, shapes: Tensor, shares: Sequence[float], num_points: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Points (B, N, 3) and distances (B, N) drawn with replacement from each set, according to its share."""
        row_numbers = []
        for k, count in enumerate(numbers_of_sets(shares, num_points)):
            size, start = self.sizes[shapes, k, None], self.starts[shapes, k, None]
            place = torch.rand(len(shapes), count, generator=generator, device=self.rows.device)
            row_numbers.append(start + (place * size).long())
        rows = self.rows[torch.cat(row_numbers, dim=1)]  # (B, N, 4)
        return rows[..., :3], rows[..., 3]


def numbers_of_sets(shares: Sequence[float], num_points: int) -> list[int]:
    """How many of the points come from each set, whose shares add up to 1."""
    counts: list[int] = np.diff(np.round(np.cumsum([0.0, *shares]) * num_points).astype(int)).tolist()
    return counts
