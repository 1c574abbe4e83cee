"""NDF's distances as its paper describes the network, by torch's plain functions and the weights of ours.

Chibane et al. 2020, sec. 3.2 and 3.3: the grids of all levels are sampled trilinearly at a point and at six places
beside it, the features of all go through convolutions of kernel 1, and the last one's number through a ReLU; the
gradient for the points is autograd's. No layout or order of our own: what `models.point_query` is measured against.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from generation.distance_fields import DistanceField
from models.ndf import NDF
from models.occupancy import to_grid_coords

AT_A_TIME = 8192  # points: with all of a round at a time caches are missed


class PlainField(DistanceField):
    """The field of one shape's grids [(1, C_i, R_i, R_i, R_i)], in torch's own layout, of an NDF with head value."""

    at_a_time = AT_A_TIME

    def __init__(self, model: NDF, grids: list[Tensor]):
        self.model, self.grids = model, [grid.contiguous() for grid in grids]

    def distance(self, points: Tensor) -> Tensor:
        p = to_grid_coords(points)[None]  # (1, N, 3)
        places = (p[:, None] + self.model.offsets[:, None])[:, None]  # (1, 1, K, N, 3)
        sampled = [
            F.grid_sample(grid, places, padding_mode="border", align_corners=True)[:, :, 0] for grid in self.grids
        ]  # [(1, C_i, K, N)]
        h = torch.cat([torch.cat(sampled, dim=1).flatten(1, 2), p.mT], dim=1)  # (1, K sum C_i + 3, N)
        for layer in (self.model.fc_0, self.model.fc_1, self.model.fc_2):
            h = F.relu(layer(h))
        return self.model.activate(self.model.fc_out(h)[:, 0])[0]
