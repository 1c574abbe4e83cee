"""What every network of this project is: a point cloud in, unsigned distances at query points out, in three stages.

`encode(x)` gives the code, `features(code)` what is looked up, `query(p, features)` the distances: a shape is encoded,
and its features are computed, only once. Letters: B batch, N points, R nodes per axis of the input's grid.
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.distance_heads import distance_to_sheet, sides
from runtime.errors import UserError

Code = Tensor | list[Tensor]  # what `encode` gives: (B, *code_shape), or the features of a network without a code

WITHOUT_CODE = ("none", "points")  # kinds of network whose features are local: there is no code for a flow


class DistanceNetwork(nn.Module):
    """A subclass gives `encode`, `raw`, and where they are not the same `features` and `training_code`."""

    code_kind: str
    code_shape: tuple[int, ...]  # of one shape; a network of WITHOUT_CODE has none
    distance_head: str  # value as in NDF, or sheet (`distance_heads.py`)

    # Stage 1: a shape to its code.

    def encode(self, x: Tensor) -> Code:
        """x: (B, R, R, R) or (B, 4, R, R, R), axes x y z. Returns the code, (B, *code_shape), or lists of features."""
        raise NotImplementedError

    def training_code(self, x: Tensor) -> Code:
        """The code that the decoder is trained on."""
        return self.encode(x)

    # Stage 2: a code to what points look up.

    def features(self, code: Any) -> list[Tensor]:
        """What `query` looks up of a code (B, *code_shape): the code itself, where it is a list of features."""
        return list(code)

    # Stage 3: points and features to distances.

    def query(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """p: (B, N, 3) grid coordinates (z, y, x in [-1, 1]). Returns (B, N) unsigned distances in mesh units."""
        return self.to_distances(self.raw(p, grids))

    def distances_at(self, p: Tensor) -> Callable[[Any], Tensor]:
        """p: (N, 3) as in `query`. Returns what gives `query`'s distances (B, N) there of a code (B, *code_shape): for
        places that stay the same from code to code."""

        def distances(code: Any) -> Tensor:
            grids = self.features(code)
            return self.query(p.expand(len(grids[0]), -1, -1), grids)

        return distances

    def fixed(self, grids: list[Tensor]) -> Callable[[Tensor], Tensor]:
        """The distances (N,) of one shape at points (N, 3), both as in `query`, where the weights stay: as fast as a
        CPU gives them. grids: those of one shape, [(1, ...)], without gradients."""
        raise NotImplementedError

    def raw(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        """The last layer's numbers, (B, N, 1), or (B, N, 2) of a sheet."""
        raise NotImplementedError

    def to_distances(self, raw: Tensor) -> Tensor:
        """(..., 1), or (..., 2) of a sheet, to unsigned distances (...) in mesh units."""
        if self.distance_head == "sheet":
            return distance_to_sheet(*sides(raw))
        return self.activate(raw.squeeze(-1))

    def sheets(self, p: Tensor, grids: list[Tensor]) -> tuple[Tensor, Tensor]:
        """p as in `query`. Returns (B, N) each, mesh units: the side of the sheet, s, and the distance beyond its
        border, 0 on it. Raises UserError for a network that gives distances alone."""
        if self.distance_head != "sheet":
            raise UserError(f"distance_head {self.distance_head} found, sheet expected: this network gives no sides")
        return sides(self.raw(p, grids))

    def activate(self, raw: Tensor) -> Tensor:
        """Map the last layer's number, of head value, to a distance."""
        return F.relu(raw)

    def forward(self, p: Tensor, x: Tensor) -> Tensor:
        """p: (B, N, 3) grid coordinates; x as in `encode`. Returns (B, N) distances in mesh units."""
        return self.query(p, self.features(self.encode(x)))

    def freeze(self) -> "DistanceNetwork":
        """Eval mode, with weights that stay."""
        return self.eval().requires_grad_(False)
