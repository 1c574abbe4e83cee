"""A linear encoder that needs no training: the principal components of the training shapes' occupancy."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.errors import UserError

SD_FLOOR = 1e-3  # of a component that hardly varies, relative to the spread of all
EXTRA_COMPONENTS = 2  # times as many as wanted are carried along while shapes stream in, so that few are lost


class PrincipalComponents(nn.Module):
    """Occupancy (B, R, R, R) -> its leading principal components (B, D), of root mean square 1 over all D.

    They are not whitened: a component's variance is its share of what differs between shapes, so noise of one size on
    all of them costs the least squared error of occupancy (reverse water-filling; Cover, Thomas 2006, sec. 10.3.3).

    num_components: D. resolution: nodes per axis r on which occupancy is compared; a finer input is max-pooled to it.
    """

    mean: Tensor  # (r^3,)
    directions: Tensor  # (D, r^3), orthogonal rows; a component is a row's scalar product with an occupancy
    sd: Tensor  # (D,) of the components over the training shapes, largest first

    def __init__(self, num_components: int, resolution: int):
        super().__init__()
        self.resolution = resolution
        self.register_buffer("mean", torch.zeros(resolution**3))
        self.register_buffer("directions", torch.zeros(num_components, resolution**3))
        self.register_buffer("sd", torch.ones(num_components))

    def pooled(self, x: Tensor) -> Tensor:
        """The occupancy of an input (B, R, R, R) or (B, 4, R, R, R), as (B, r^3)."""
        x = x if x.dim() == 4 else x[:, 0]
        return (x if x.shape[-1] == self.resolution else F.adaptive_max_pool3d(x, self.resolution)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return (self.pooled(x).float() - self.mean) @ self.directions.T

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> float:
        """Fit to the occupancies of the training shapes, seen once: [(B, R, R, R)].

        Incremental: the components found so far, scaled by their singular values, stand for the shapes seen so far
        (Ross et al. 2008, sec. 2.1). Returns the share of the variance that the components keep.
        Raises UserError for fewer shapes than components, or shapes that are all the same.
        """
        wanted, kept = len(self.sd), (1 + EXTRA_COMPONENTS) * len(self.sd)
        count, total = 0, 0.0
        mean, basis = torch.zeros_like(self.mean), self.mean.new_zeros(0, len(self.mean))
        for batch in batches:
            rows = self.pooled(batch)
            n, batch_mean = len(rows), rows.mean(dim=0)
            shift = (count * n / (count + n)) ** 0.5 * (mean - batch_mean)
            total += float((rows - batch_mean).square().sum() + shift.square().sum())
            basis = principal_rows(torch.cat([basis, rows - batch_mean, shift[None]]), kept)
            mean = (count * mean + n * batch_mean) / (count + n)
            count += n
        if count <= wanted:
            raise UserError(
                f"{count} shapes for {wanted} principal components, more shapes than components expected;"
                " lower --latent_dim"
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
