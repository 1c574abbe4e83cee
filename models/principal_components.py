"""A linear encoder that needs no training: the principal components of what the training shapes look like.

What a linear map reads is the occupancy and, if wanted, views of the shape from six sides: how far a ray goes before
it meets the surface. A pane is a few nodes of the occupancy, but all of a ray's length to the other side of the cabin.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.devices import exact_products
from runtime.errors import UserError

SD_FLOOR = 1e-3  # of a component that hardly varies, relative to the spread of all
EXTRA_COMPONENTS = 2  # times as many as wanted are carried along while shapes stream in, so that few are lost


def first_hits(occupancy: Tensor) -> Tensor:
    """Views from six sides: (B, r, r, r) -> (B, 6 r^2), for every line of nodes along an axis, from both ends, how far
    the first occupied node is, in shares of the line; 1 where there is none."""
    resolution, views = occupancy.shape[-1], []
    for axis in (1, 2, 3):
        lines = occupancy.movedim(axis, 3)
        for seen in (lines, lines.flip(3)):
            occupied, first = seen.max(dim=3)
            views.append(torch.where(occupied > 0, first / resolution, 1.0).flatten(1))
    return torch.cat(views, dim=1)


class PrincipalComponents(nn.Module):
    """Occupancy (B, R, R, R) -> leading principal components of it and its views (B, D), of root mean square 1.

    They are not whitened: a component's variance is its share of what differs between shapes, so noise of one size on
    all of them costs the least squared error of occupancy (reverse water-filling; Cover, Thomas 2006, sec. 10.3.3).

    num_components: D. resolution: nodes per axis r on which occupancy is compared; a finer input is max-pooled to it.
    view_weight: of the views beside the occupancy; 0: none. K numbers are compared, r^3 or r^3 + 6 r^2.
    """

    mean: Tensor  # (K,)
    directions: Tensor  # (D, K), orthogonal rows; a component is a row's scalar product with a shape's numbers
    sd: Tensor  # (D,) of the components over the training shapes, largest first

    def __init__(self, num_components: int, resolution: int, view_weight: float = 0.0):
        super().__init__()
        self.resolution, self.view_weight = resolution, view_weight
        num_compared = resolution**3 + (6 * resolution**2 if view_weight else 0)
        self.register_buffer("mean", torch.zeros(num_compared))
        self.register_buffer("directions", torch.zeros(num_components, num_compared))
        self.register_buffer("sd", torch.ones(num_components))

    def compared(self, x: Tensor) -> Tensor:
        """What is compared of an input (B, R, R, R) or (B, 4, R, R, R), as (B, K) float32."""
        x = (x if x.dim() == 4 else x[:, 0]).float()
        x = x if x.shape[-1] == self.resolution else F.adaptive_max_pool3d(x, self.resolution)
        views = [self.view_weight * first_hits(x)] if self.view_weight else []
        return torch.cat([x.flatten(1), *views], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        with exact_products(x.device):
            return (self.compared(x) - self.mean) @ self.directions.T

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> float:
        """Fit to the occupancies of the training shapes, seen once: [(B, R, R, R)].

        Incremental: the components found so far, scaled by their singular values, stand for the shapes seen so far
        (Ross et al. 2008, sec. 2.1). Returns the share of the variance that the components keep.
        Raises UserError for fewer shapes than components, or shapes that are all the same.
        """
        with exact_products(self.mean.device):
            return self._fit(batches)

    def _fit(self, batches: Iterable[Tensor]) -> float:
        wanted, kept = len(self.sd), (1 + EXTRA_COMPONENTS) * len(self.sd)
        count, total = 0, 0.0
        mean, basis = torch.zeros_like(self.mean), self.mean.new_zeros(0, len(self.mean))
        for batch in batches:
            rows = self.compared(batch)
            n, batch_mean = len(rows), rows.mean(dim=0)
            shift = (count * n / (count + n)) ** 0.5 * (mean - batch_mean)
            total += float((rows - batch_mean).square().sum() + shift.square().sum())
            basis = principal_rows(torch.cat([basis, rows - batch_mean, shift[None]]), kept)
            mean = (count * mean + n * batch_mean) / (count + n)
            count += n
        if count <= wanted:
            raise UserError(
                f"{count} shapes for {wanted} principal components, more shapes than components expected;"
                " lower --latent_dim, or with code_encoder both --pca_dims"
            )
        sd = basis[:wanted].norm(dim=1) / (count - 1) ** 0.5
        spread = sd.square().mean().sqrt()
        if not spread > 0:
            raise UserError(f"all {count} shapes have the same input, different ones expected; look at the data")
        self.mean.copy_(mean)
        self.directions.copy_(F.normalize(basis[:wanted], dim=1) / spread)
        self.sd.copy_((sd / spread).clamp_min(SD_FLOOR))
        return float(basis[:wanted].square().sum() / max(total, 1e-30))


def principal_rows(rows: Tensor, most: int) -> Tensor:
    """The leading right singular vectors of rows (N, V), N < V, times their singular values: (min(N, most), V).

    From the eigenvectors of the small Gram matrix, in float64.
    """
    gram = (rows @ rows.T).double()
    _, vectors = torch.linalg.eigh(gram)
    return vectors.flip(1)[:, :most].T.to(rows.dtype) @ rows
