"""The densities of a flow's z: a standard normal, or a mixture of many Gaussians.

An invertible map of one Gaussian has a connected image. Kinds of shape are not connected, so such a flow must bridge
them, and draws from the bridges are between kinds: cars with half a roof. A mixture has a Gaussian for each kind.

Whatever rests on z being normal asks the base instead: how dense it is (`energy`), how far off the data a z is
(`distance`, `into_ball`), how wide it is there (`nearest`).
"""

import math

import torch
from torch import Tensor, nn

from models.kernels import linear
from models.real_nvp.bijections import Bijection

ROUNDS = 25  # of k-means
CODES_A_COMPONENT = 256  # that k-means looks at, at most
LEAST_SD = 0.1  # of a component at the start
AT_A_TIME = 4096  # z in k-means
NEGLIGIBLE = -60.0  # exponent of a summand beside 1


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I), nats, summed over all but the first dimension: (B, ...) -> (B,)."""
    z = z.flatten(1)
    return -0.5 * (z.square().sum(dim=1) + z.shape[1] * math.log(2 * math.pi))


def log_sum_exp(x: Tensor) -> Tensor:
    """`logsumexp` of x (B, K) over K, to the rounding of float64.

    Summands below exp(-60) of the largest one become that. As they are, most are too small for a normal number, with
    which a processor computes 20 times as slowly, in `exp` and in each product of the gradient.
    """
    largest = x.detach().amax(dim=1)
    total = (x - largest[:, None]).clamp_min(NEGLIGIBLE).exp().sum(dim=1)
    return torch.where(largest.isneginf(), largest, largest + total.log())


class NormalBase(nn.Module):
    """z (B, D) from N(0, I). A draw is made of `noise_dim` normal numbers, of which the first `num_choosing` choose a
    component: further draws of one component keep these.

    >>> base = NormalBase(4)
    >>> z = base.place(torch.randn(3, base.noise_dim))
    >>> torch.allclose(base.log_prob(z), torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1))
    True
    """

    num_choosing = 0
    origin: Tensor  # (D,)

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.noise_dim = dim + self.num_choosing
        self.register_buffer("origin", torch.zeros(dim), persistent=False)  # whose device is that of the flow

    def fit(self, z: Tensor, generator: torch.Generator) -> None:
        """Start from z (N, D) of the training codes, before the training."""

    def place(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """The draws (B, D) that standard normal numbers (B, noise_dim) stand for, `temperature` times as far from the
        middle of their component as they would be."""
        return temperature * noise

    def energy(self, z: Tensor) -> Tensor:
        """-log p(z) - D / 2 log(2 pi), nats: (B, D) -> (B,). Of N(0, I): |z|^2 / 2."""
        return z.square().sum(dim=1) / 2

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z), nats: (B, D) -> (B,)."""
        return standard_normal_log_prob(z)

    def nearest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and sd, (B, D) each, of the component in whose sds z (B, D) is nearest to its mean."""
        return torch.zeros_like(z), torch.ones_like(z)

    def distance(self, z: Tensor) -> Tensor:
        """How far z (B, D) is from the nearest component, in its sds: (B,). Of N(0, I): |z|."""
        mean, sd = self.nearest(z)
        return ((z - mean) / sd).norm(dim=1)

    def into_ball(self, z: Tensor, radius: float | Tensor) -> Tensor:
        """z (B, D), those of a larger `distance` than the radius, one or (B,), shortened to it: towards the mean of
        their nearest component. All others stay as they are, bit for bit."""
        mean, sd = self.nearest(z)
        distance = ((z - mean) / sd).norm(dim=1, keepdim=True)
        radius = radius[:, None] if isinstance(radius, Tensor) else radius
        return torch.where(distance > radius, mean + (z - mean) * (radius / distance), z)


class MixtureBase(NormalBase):
    """p(z) = sum_k w_k N(z; mean_k, diag exp(2 log_sd_k)), all trained with the couplings.

    Parameters: log_weights (K,), up to a constant; means, log_sds (K, D).

    >>> base, z = MixtureBase(dim=2, components=3), torch.randn(100, 2)
    >>> base.fit(z, torch.Generator().manual_seed(0))
    >>> draws = base.place(torch.randn(5, base.noise_dim))
    >>> tuple(draws.shape), tuple(base.log_prob(draws).shape)
    ((5, 2), (5,))
    """

    num_choosing = 1

    def __init__(self, dim: int, components: int):
        super().__init__(dim)
        self.log_weights = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.zeros(components, dim))
        self.log_sds = nn.Parameter(torch.zeros(components, dim))

    @torch.no_grad()
    def fit(self, z: Tensor, generator: torch.Generator) -> None:
        """Components at the clusters of k-means on z (N, D), each as wide and as heavy as its cluster.

        generator: a CPU generator. There may be fewer z than components: some then are the same.
        """
        num = len(self.means)
        order = torch.randperm(len(z), generator=generator)
        z = z[order[: num * CODES_A_COMPONENT].to(z.device)]
        means, members = k_means(z, z[torch.arange(num, device=z.device) % len(z)])
        count = torch.bincount(members, minlength=num)
        squares = torch.zeros_like(means).index_add_(0, members, (z - means[members]).square())
        usual = squares.sum(dim=0) / len(z)  # of a cluster of one, of which no variance can be told
        variance = (squares + usual) / (count + 1)[:, None]
        self.means.copy_(means)
        self.log_sds.copy_(variance.sqrt().clamp_min(LEAST_SD).log())
        self.log_weights.copy_((count + 1).log())

    @property
    def weights(self) -> Tensor:
        """The shares (K,) of the components."""
        return self.log_weights.softmax(dim=0)

    def component(self, noise: Tensor) -> Tensor:
        """The numbers (B,) of the components that the first of the numbers (B, noise_dim) choose: by its quantile."""
        ends = self.weights.double().cumsum(dim=0)
        share = torch.special.ndtr(noise[:, 0].double()) * ends[-1]
        return torch.searchsorted(ends, share).clamp(max=len(ends) - 1)

    def place(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        k = self.component(noise)
        return self.means[k] + temperature * self.log_sds[k].exp() * noise[:, 1:]

    def _exponents(self, z: Tensor, constants: Tensor) -> Tensor:
        """constant_k - |(z - mean_k) / sd_k|^2 / 2, (B, K), for constants (K,), as one product of matrices."""
        precision = (-2 * self.log_sds).exp()
        weight = torch.cat((precision / -2, self.means * precision), dim=1)  # (K, 2 D)
        constants = constants - (self.means.square() * precision).sum(dim=1) / 2
        return linear(torch.cat((z.square(), z), dim=1), weight, constants)

    def energy(self, z: Tensor) -> Tensor:
        log_volume = self.log_weights.log_softmax(dim=0) - self.log_sds.sum(dim=1)
        return -log_sum_exp(self._exponents(z, log_volume))

    def log_prob(self, z: Tensor) -> Tensor:
        return -self.energy(z) - self.dim / 2 * math.log(2 * math.pi)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> tuple[Tensor, Tensor]:
        k = self._exponents(z, torch.zeros_like(self.log_weights)).argmax(dim=1)
        return self.means[k], self.log_sds[k].exp()


def build_base(kind: str, dim: int, components: int) -> NormalBase:
    """kind: normal or mixture; components: of a mixture."""
    return MixtureBase(dim, components) if kind == "mixture" else NormalBase(dim)


def k_means(z: Tensor, means: Tensor, rounds: int = ROUNDS) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from given means (K, D). Returns the means of the clusters of z (N, D), and the number of each
    z's cluster (N,), which minimise the squared distances, in so many rounds. An empty cluster stays where it is."""
    members = z.new_zeros(len(z), dtype=torch.long)
    for _ in range(rounds):
        norms = means.square().sum(dim=1)
        members = torch.cat([(norms - 2 * part @ means.T).argmin(dim=1) for part in z.split(AT_A_TIME)])
        count = torch.bincount(members, minlength=len(means))
        sums = torch.zeros_like(means).index_add_(0, members, z)
        means = torch.where(count[:, None] > 0, sums / count.clamp(min=1)[:, None], means)
    return means, members


class NormalFlow(Bijection):
    """x (B, ...) <-> z (B, D), z from N(0, I). A subclass sets `dim` (D), `forward`, and `inverse`."""

    dim: int

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log N(z; 0, I) + log_det, nats: (B, ...) -> (B,). Dinh et al. 2017, eq. 3."""
        z, log_det = self(x)
        return standard_normal_log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, num: int, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """x (num, ...) from z of sd `temperature`. Needs eval mode: dropout cannot be inverted.

        generator: of the CPU, so that a seed gives the same z on every device.
        """
        z = torch.randn(num, self.dim, generator=generator)  # (num, D)
        return self.inverse(temperature * z.to(next(self.parameters())))  # (num, ...)
