"""The encoder's input: offsets against a plain loop over points."""

import numpy as np
import torch
from torch.testing import assert_close

from models.occupancy import input_grid, occupancy_and_offsets, occupancy_from_points

R = 7


def test_offsets_are_the_mean_displacement_of_the_points_of_a_node():
    rng = np.random.default_rng(5)
    clouds = rng.uniform(-0.6, 0.6, (2, 83, 3)).astype(np.float32)  # some lie outside the box
    expected = np.zeros((2, 4, R, R, R))
    for b, cloud in enumerate(clouds):
        groups: dict[tuple[int, ...], list[np.ndarray]] = {}
        for point in cloud:
            place = (point + 0.5) * (R - 1)
            node = tuple(int(i) for i in np.clip(np.rint(place), 0, R - 1))
            groups.setdefault(node, []).append(place - node)
        for node, offsets in groups.items():
            expected[(b, slice(None), *node)] = [1, *np.mean(offsets, axis=0)]
    found = occupancy_and_offsets(torch.from_numpy(clouds), R, -0.5, 0.5)
    assert found.shape == (2, 4, R, R, R)
    assert_close(found, torch.from_numpy(expected).float(), atol=1e-5, rtol=0)
    assert_close(found[:, 0], occupancy_from_points(torch.from_numpy(clouds), R, -0.5, 0.5))


def test_points_can_be_recovered_from_a_coarse_grid_with_offsets():
    points = (torch.rand(1, 40, 3, generator=torch.Generator().manual_seed(0)) - 0.5).double()
    grid = input_grid(points.float(), 33, -0.5, 0.5, "offsets")
    nodes = grid[0, 0].nonzero()
    recovered = (nodes + grid[0, 1:].permute(1, 2, 3, 0)[nodes[:, 0], nodes[:, 1], nodes[:, 2]]) / 32 - 0.5
    alone = torch.cdist(points[0], points[0]).fill_diagonal_(1).min(dim=1).values > 0.1  # no other in its cell
    assert alone.sum() > 10
    assert torch.cdist(points[0][alone], recovered.double()).min(dim=1).values.max() < 1e-6
