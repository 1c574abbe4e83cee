"""An NDF whose features are at the input points, not at the nodes of a grid: it sees as finely as the points lie.

Each point gets features from its neighbours, in rounds of messages; a distance is made of those of the points nearest
to a query, weighted by attention. POCO (Boulch and Marlet, CVPR 2022, sec. 3) does so for occupancies, GeoUDF (Ren et
al., ICCV 2023) for unsigned distances, from planes through neighbours. All lengths are in units of the spacing of the
points nearby: a sparse cloud is a dense one seen from near, and what was learned of one density holds for others.

Letters: B batch, N query points, M input points, K neighbours, C channels, H = hidden_dim.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.distance_heads import OUTPUTS
from models.distance_network import DistanceNetwork
from models.kernels import linear, nearest, nearest_in, rows
from models.kernels.neighbours import FAR
from runtime.devices import exact_products
from runtime.errors import UserError

AROUND_POINT = 12  # neighbours from which an input point gets its features
AROUND_QUERY = 12  # input points that a query asks
MESSAGE = 32  # numbers of a message: there are AROUND_POINT of them for each point, so they cost most
HEADS = 8  # of the attention: each weights H / HEADS numbers
LEAST = 1e-5  # mesh units: of a spacing, where points coincide
IN_CACHE = 1024  # query points whose neighbours stay in a processor's cache
NOTHING = 1e-6  # weight of the farthest neighbour, where the nearest has 1 at most
MOST_LOG = 3.0  # of the ratio of two spacings
FIRST_OUTPUT = 0.5  # spacings: networks start on one side, as far from a sheet as points are from each other


class PointNDF(DistanceNetwork):
    """channels: of the rounds of messages; each round sees one neighbourhood farther.

    hidden_dim: width of what a query makes of its neighbours, a multiple of HEADS.
    distance_head: value, or sheet (`distance_heads.py`). Raises UserError for another hidden_dim.

    Features of a shape are two tensors: of each point its place (3), spacing (1) and unit normal of either sign (3),
    (B, M, 7); and what it tells queries, (B, M, H).

    >>> ndf, x, p = PointNDF((4, 8), hidden_dim=16), torch.zeros(1, 8, 8, 8), torch.rand(1, 5, 3) - 0.5
    >>> x[:, 2:6, 2:6, 4] = 1  # a plate; x is the occupancy
    >>> tuple(ndf(p, x).shape)  # a distance for each point
    (1, 5)
    """

    code_kind = "points"

    def __init__(self, channels: Sequence[int], hidden_dim: int, distance_head: str = "sheet"):
        super().__init__()
        if hidden_dim % HEADS:
            raise UserError(f"hidden_dim {hidden_dim} found, a multiple of {HEADS} expected with code_kind = points")
        self.distance_head = distance_head
        before = [0, *channels[:-1]]
        self.rounds = nn.ModuleList(Messages(c_in, c_out) for c_in, c_out in zip(before, channels, strict=True))
        self.told = nn.Linear(channels[-1], hidden_dim, bias=False)
        self.place = nn.Linear(7, hidden_dim, bias=False)
        self.mix = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.attention = nn.Linear(hidden_dim, HEADS)
        self.fc_0 = nn.Linear(hidden_dim, 2 * hidden_dim)
        self.fc_1 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_2 = nn.Linear(hidden_dim, hidden_dim)
        self.fc_out = nn.Linear(hidden_dim, OUTPUTS[distance_head])
        with torch.no_grad():
            self.fc_out.bias.copy_(torch.tensor([FIRST_OUTPUT, 0.0][: OUTPUTS[distance_head]]))

    # Stages 1 and 2: the points of a grid to their features.

    def encode(self, x: Tensor) -> list[Tensor]:
        """x: (B, R, R, R) occupancy, or (B, 4, R, R, R) with offsets: the points are then where these say."""
        with exact_products(x.device):  # offsets between points are small differences
            return self.encode_points(points_of(x))

    def encode_points(self, points: Tensor) -> list[Tensor]:
        """points: (B, M, 3) mesh units, M > AROUND_POINT; those at FAR only fill up."""
        numbers = nearest(points, points, AROUND_POINT + 1)[..., 1:]  # (B, M, K); the nearest is the point itself
        offsets = -offsets_from(rows(points, numbers), points)[0]  # (B, M, K, 3)
        lengths = offsets.norm(dim=-1, keepdim=True)
        spacing = lengths.square().mean(dim=2).sqrt().clamp(min=LEAST)  # (B, M, 1)
        ratio = (rows(spacing, numbers) / spacing[:, :, None]).log().clamp(-MOST_LOG, MOST_LOG)
        unit = spacing[:, :, None]
        edges = torch.cat([offsets / unit, lengths / unit, ratio, torch.ones_like(ratio)], dim=-1)  # (B, M, K, 6)
        found = edges.new_zeros(*points.shape[:2], 0)
        for messages in self.rounds:
            found = messages(edges, numbers, found)
        return [torch.cat([points, spacing, normals(offsets)], dim=-1), linear_rows(self.told, found)]

    # Stage 3: points and features to distances.

    def raw(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        places = p.flip(-1) / 2  # mesh units x y z
        with exact_products(p.device):
            return self.raw_of(places, nearest(places, grids[0][..., :3], AROUND_QUERY), grids)

    def raw_of(self, places: Tensor, numbers: Tensor, grids: list[Tensor]) -> Tensor:
        """places: (B, N, 3) mesh units; numbers: (B, N, K) of their nearest points. Returns (B, N, 1 or 2)."""
        points, told = grids
        place, near, unit = seen_from(places, rows(points, numbers))
        h = positive(plus(rows(told, numbers), self.place, place))
        h = positive(linear_rows(self.mix, h))  # (B, N, K, H)
        weights = torch.softmax(linear_rows(self.attention, h) + near.log(), dim=2)  # (B, N, K, HEADS)
        h = (h.unflatten(-1, (HEADS, -1)) * weights[..., None]).sum(dim=2).flatten(2)  # (B, N, H)
        for layer in (self.fc_0, self.fc_1, self.fc_2):
            h = positive(linear_rows(layer, h))
        return linear_rows(self.fc_out, h) * unit

    def fixed(self, grids: list[Tensor]) -> Callable[[Tensor], Tensor]:
        numbers = nearest_in(grids[0][0, :, :3], AROUND_QUERY)

        def distances(p: Tensor) -> Tensor:
            places = p.flip(-1) / 2
            parts = zip(places.split(IN_CACHE), numbers(places).split(IN_CACHE), strict=True)
            raw = [self.raw_of(some[None], near[None], grids) for some, near in parts]
            return self.to_distances(torch.cat(raw, dim=1))[0]

        return distances


class Messages(nn.Module):
    """Of each point the mean of what its neighbours tell it: a network of their offsets and features."""

    def __init__(self, before: int, channels: int):
        """before: channels of the features that points have already; 0 at first."""
        super().__init__()
        self.edge = nn.Linear(6, MESSAGE, bias=False)  # one of the numbers is 1
        self.neighbour = nn.Linear(before, MESSAGE, bias=False) if before else None
        self.mix = nn.Linear(MESSAGE, MESSAGE, bias=False)
        self.wide = nn.Linear(MESSAGE + before, 2 * channels)
        self.out = nn.Linear(2 * channels, channels)

    def forward(self, edges: Tensor, numbers: Tensor, found: Tensor) -> Tensor:
        """edges: (B, M, K, 6); numbers: (B, M, K); found: (B, M, before). Returns (B, M, channels)."""
        if self.neighbour is None:
            h = linear_rows(self.edge, edges)
        else:
            h = plus(rows(linear_rows(self.neighbour, found), numbers), self.edge, edges)
        h = positive(linear_rows(self.mix, positive(h))).mean(dim=2)
        h = positive(linear_rows(self.wide, torch.cat([h, found], dim=-1)))
        return positive(linear_rows(self.out, h))


def linear_rows(layer: nn.Linear, x: Tensor) -> Tensor:
    """The layer on (..., I), as one matrix: gradients of more axes are copied on a CPU."""
    return linear(x.flatten(0, -2), layer.weight, layer.bias).view(*x.shape[:-1], -1)


def plus(x: Tensor, layer: nn.Linear, y: Tensor) -> Tensor:
    """x (..., O) plus what a layer without bias makes of y (..., I), in one product."""
    return torch.addmm(x.flatten(0, -2), y.flatten(0, -2), layer.weight.T).view(x.shape)


def positive(x: Tensor) -> Tensor:
    """ReLU, in place where no gradient needs what was there."""
    return F.relu(x, inplace=not torch.is_grad_enabled())


def points_of(x: Tensor) -> Tensor:
    """The points of an input grid, (B, R, R, R) or with offsets (B, 4, R, R, R): (B, M, 3) mesh units, filled up with
    points at FAR. The grid's box is that of `to_grid_coords`."""
    last = x.shape[-1] - 1
    found = []
    for grid in x.unsqueeze(1) if x.dim() == 4 else x:  # (1 or 4, R, R, R)
        at = grid[0].nonzero()  # (m, 3)
        offsets = grid[1:, at[:, 0], at[:, 1], at[:, 2]].T if len(grid) > 1 else 0.0
        found.append((at + offsets) / last - 0.5)
    most = max(AROUND_POINT + 1, *map(len, found))
    return torch.stack([F.pad(points, (0, 0, 0, most - len(points)), value=FAR) for points in found])


def normals(offsets: Tensor) -> Tensor:
    """Unit normals (B, M, 3), of either sign, of planes through neighbours at offsets (B, M, K, 3)."""
    centred = offsets - offsets.mean(dim=2, keepdim=True)
    spread = centred.mT @ centred  # (B, M, 3, 3)
    return torch.linalg.eigh(spread)[1][..., 0]


def seen_from(places: Tensor, around: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How places (B, N, 3) see their neighbours (B, N, K, 7), all in units of the spacing and distance there.

    Returns 7 numbers of each neighbour, (B, N, K, 7): its offset (3) and distance, the logarithm of its spacing, 1, the
    squared distance from its plane (alike for both normals); its nearness (B, N, K, 1); the unit (B, N, 1), mesh units.
    """
    offsets, real = offsets_from(around[..., :3], places)
    squared = offsets.square().sum(dim=-1, keepdim=True)  # (B, N, K, 1)
    near = nearness(squared, real)
    share = near / near.sum(dim=2, keepdim=True)
    spacing = (share * around[..., 3:4]).sum(dim=2, keepdim=True)  # (B, N, 1, 1)
    unit = (spacing.square() + (share * squared).sum(dim=2, keepdim=True)).sqrt()
    off_plane = ((offsets * around[..., 4:]).sum(dim=-1, keepdim=True) / unit).square()
    lengths = (squared + LEAST**2).sqrt() / unit
    place = [offsets / unit, lengths, (around[..., 3:4] / unit).log(), torch.ones_like(lengths), off_plane]
    return torch.cat(place, dim=-1), near.clamp(min=NOTHING**2), unit[:, :, 0]


def offsets_from(neighbours: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (B, N, K, 3) of places (B, N, 3) from neighbours (B, N, K, 3), 0 from those that only fill up; whether
    each is real, (B, N, K, 1)."""
    real = neighbours[..., :1] < FAR / 2
    return (places[:, :, None] - neighbours) * real, real


def nearness(squared: Tensor, real: Tensor) -> Tensor:
    """Squared distances (B, N, K, 1) of neighbours to weights from 1 at a neighbour to NOTHING at the farthest one, so
    that nothing jumps where another takes its place; 0 of those that are not `real`."""
    farthest = squared.amax(dim=2, keepdim=True).clamp(min=LEAST**2)
    return ((1 - squared / farthest).square() + NOTHING) * real
