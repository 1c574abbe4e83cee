"""Speed of our vector flow beside the coupling flows of four libraries: training steps, densities, samples.

All have as many affine couplings on halves, ReLU nets of two hidden layers, and Adam. `full` is D = 256, 8 couplings,
hidden 512 x 2, batch 256: 3.68 million parameters each. The demo's flow is ours as configs/demo_cars.txt says, with
couplings on the leading directions and a tail; the others, which have no such thing, get couplings on all 64, so many
that they have about as many parameters. It is measured as it is trained, with dropout and a mixture of Gaussians as its
base, which the others are without; with that mixture for the others too, as each library has it; and without both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from configs.config_loader import get_config
from lab.benchmarks.harness import Machine, Row, alternate, installed, repeated
from models.real_nvp import build_flow, flow_options
from models.real_nvp.vector_flow import VectorFlow

ROUNDS = {"full": (9, 10), "quick": (3, 3), "tiny": (1, 1)}  # rounds, repeats in each
WORKS = {"step": "a training step", "log_prob": "log_prob of a batch", "sample": "a batch of samples"}
LIBRARIES = ("zuko", "nflows", "normflows", "FrEIA")


# Of the demo's flow: whether without dropout and mixture, and the Gaussians of the other libraries' bases (0: one).
DEMO_ROWS = (
    ("the demo's own flow, with its dropout and mixture of 512, the others without both", False, 0),
    ("the same, the others with mixtures of 512", False, 512),
    ("the demo's couplings alone, without dropout and mixture", True, 0),
)


class Sizes(NamedTuple):
    dim: int
    couplings: int
    hidden: int
    batch: int


@dataclass
class Flow:
    """A flow of some library, in the two ways in which all are used."""

    module: nn.Module
    log_prob: Callable[[Tensor], Tensor]  # (B, D) -> (B,)
    sample: Callable[[int], Tensor]  # -> (num, D)


def rows(size: str, machine: Machine, meshes: str | None) -> list[Row]:
    rounds, repeats = ROUNDS[size]
    large = Sizes(256, 8, 512, 256) if size == "full" else Sizes(32, 4, 64, 64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = compared(large, our_flow(large), rounds, repeats, machine)
        if size != "tiny":
            for name, plain, components in DEMO_ROWS:
                small, flow = demo_flow(plain)
                found += compared(small, flow, rounds, repeats, machine, name, components)
    return found


def compared(
    sizes: Sizes, ours: Flow, rounds: int, repeats: int, machine: Machine, name: str = "RealNVP", components: int = 0
) -> list[Row]:
    """A row for each of WORKS, against the fastest library, with a mixture of so many Gaussians or one (0)."""
    flows = {"ours": ours} | {key: MAKERS[key](sizes, components) for key in LIBRARIES if installed(key)}
    x = torch.randn(sizes.batch, sizes.dim)
    found = []
    size = parameters(ours)
    for work, title in WORKS.items():
        works = {key: repeated(function_of(flow, x, work), repeats) for key, flow in flows.items()}
        seconds = alternate(works, rounds, clock=machine.clock)
        others = sorted((value, key) for key, value in seconds.items() if key != "ours")
        note = ", ".join(f"{key} {value / seconds['ours']:.2f} ({parameters(flows[key]):,})" for value, key in others)
        passes = 3 if work == "step" else 1  # forward, and backward to the inputs and to the weights
        found.append(
            Row(f"{name}, D = {sizes.dim}, {size:,} parameters, batch {sizes.batch}: {title}",
                f"fastest of {len(others)}: {others[0][1]}" if others else "four libraries",
                seconds["ours"] / repeats, others[0][0] / repeats if others else None, 1.2, "s",
                machine.least(passes * 2 * size * sizes.batch), "products of matrices",
                note and f"all (parameters): {note}")
        )  # fmt: skip
    return found


def function_of(flow: Flow, x: Tensor, work: str) -> Callable[[], object]:
    if work == "step":
        # fused, as our training has it: the same for all
        optimizer = torch.optim.AdamW(flow.module.parameters(), lr=1e-4, fused=True)

        def step() -> None:
            flow.module.train()
            optimizer.zero_grad()
            (-flow.log_prob(x).mean()).backward()
            optimizer.step()

        return step

    @torch.no_grad()
    def use() -> None:
        flow.module.eval()
        flow.log_prob(x) if work == "log_prob" else flow.sample(len(x))

    return use


def parameters(flow: Flow) -> int:
    return sum(parameter.numel() for parameter in flow.module.parameters())


def our_flow(sizes: Sizes) -> Flow:
    flow = VectorFlow(sizes.dim, sizes.couplings, sizes.hidden, blocks=2)
    return Flow(flow, flow.log_prob, flow.sample)


def demo_flow(plain: bool) -> tuple[Sizes, Flow]:
    """Ours, of configs/demo_cars.txt, without its whitening; and the sizes that others get. plain: without dropout, and
    with one Gaussian as its base."""
    cfg = get_config(["--config", "configs/demo_cars.txt"])
    sizes = Sizes(cfg.network.latent_dim, cfg.flow.flow_couplings, cfg.flow.flow_hidden, cfg.flow.flow_batch_size)
    options = flow_options(cfg.values()) | ({"flow_base": "normal", "flow_dropout": 0.0} if plain else {})
    flow = build_flow("vector", (sizes.dim,), **options)
    codes = torch.randn(64 * sizes.batch, sizes.dim)
    flow.fit_whitening(codes)
    flow.fit_base(codes, cfg.flow.flow_noise, seed=0)

    def sample(num: int) -> Tensor:
        return flow.rescale.inverse(flow.body.inverse(flow.base.place(torch.randn(num, flow.base.noise_dim))))

    ours, h = Flow(flow, flow.log_prob_whitened, sample), sizes.hidden
    of_a_coupling = (sizes.dim // 2 + 1) * h + (h + 1) * h + (h + 1) * sizes.dim
    return sizes._replace(couplings=round(parameters(ours) / of_a_coupling)), ours


def mixture(components: int, dim: int) -> tuple[nn.ParameterList, Callable[[], torch.distributions.Distribution]]:
    """Parameters of a mixture of diagonal Gaussians, and torch's distribution of them."""
    weights, means, log_sds = torch.zeros(components), torch.randn(components, dim), torch.zeros(components, dim)
    parameters = nn.ParameterList([weights, means, log_sds])

    def distribution() -> torch.distributions.Distribution:
        normals = torch.distributions.Normal(parameters[1], parameters[2].exp())
        return torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(logits=parameters[0]), torch.distributions.Independent(normals, 1)
        )

    return parameters, distribution


def zuko_flow(sizes: Sizes, components: int = 0) -> Flow:
    import zuko

    hidden = (sizes.hidden, sizes.hidden)
    flow = zuko.flows.RealNVP(sizes.dim, transforms=sizes.couplings, hidden_features=hidden)
    if components:
        base = zuko.mixtures.GMM(sizes.dim, components=components, covariance_type="diagonal")
        flow = zuko.flows.Flow(flow.transform, base)
    return Flow(flow, lambda x: flow().log_prob(x), lambda num: flow().sample((num,)))


def nflows_flow(sizes: Sizes, components: int = 0) -> Flow:
    from nflows.distributions import Distribution, StandardNormal
    from nflows.flows import Flow as Whole
    from nflows.nn.nets import MLP
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    half = torch.arange(sizes.dim) < sizes.dim // 2

    def net(num_in: int, num_out: int) -> nn.Module:
        return TakesContext(MLP([num_in], [num_out], [sizes.hidden] * 2))

    masks = [(half if n % 2 else ~half).float() for n in range(sizes.couplings)]
    layers = [AffineCouplingTransform(mask, net) for mask in masks]

    class Mixture(Distribution):  # nflows has one of its own for conditional densities alone
        def __init__(self) -> None:
            super().__init__()
            self.numbers, self.distribution = mixture(components, sizes.dim)

        def _log_prob(self, inputs: Tensor, context: Any) -> Tensor:
            return self.distribution().log_prob(inputs)

        def _sample(self, num_samples: int, context: Any) -> Tensor:
            return self.distribution().sample((num_samples,))

    flow = Whole(CompositeTransform(layers), Mixture() if components else StandardNormal([sizes.dim]))
    return Flow(flow, flow.log_prob, flow.sample)


class TakesContext(nn.Module):
    """nflows hands its nets a context beside the input; there is none here."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        return self.net(x)


def normflows_flow(sizes: Sizes, components: int = 0) -> Flow:
    import normflows

    layers: list[Any] = []
    for _ in range(sizes.couplings):
        net = normflows.nets.MLP([sizes.dim // 2, sizes.hidden, sizes.hidden, sizes.dim], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(sizes.dim, mode="swap")]
    if components:
        base = normflows.distributions.GaussianMixture(components, sizes.dim).float()
    else:
        base = normflows.distributions.DiagGaussian(sizes.dim, trainable=False)
    flow = normflows.NormalizingFlow(base, layers)
    return Flow(flow, flow.log_prob, lambda num: flow.sample(num)[0])


def freia_flow(sizes: Sizes, components: int = 0) -> Flow:
    """FrEIA has no densities: torch's. One-sided affine couplings, which scale and shift one half, in turns."""
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import AffineCouplingOneSided, PermuteRandom

    def net(num_in: int, num_out: int) -> nn.Module:
        hidden = sizes.hidden
        layers = [nn.Linear(num_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(hidden, num_out))

    flow = SequenceINN(sizes.dim)
    for _ in range(sizes.couplings):
        flow.append(AffineCouplingOneSided, subnet_constructor=net)
        flow.append(PermuteRandom)
    normal = torch.distributions.Independent(
        torch.distributions.Normal(torch.zeros(sizes.dim), torch.ones(sizes.dim)), 1
    )

    numbers, of_numbers = mixture(components, sizes.dim) if components else (None, lambda: normal)
    whole = nn.ModuleList([flow] if numbers is None else [flow, numbers])

    def log_prob(x: Tensor) -> Tensor:
        z, log_det = flow(x)
        return of_numbers().log_prob(z) + log_det

    return Flow(whole, log_prob, lambda num: flow(of_numbers().sample((num,)), rev=True)[0])


MAKERS: Mapping[str, Callable[[Sizes, int], Flow]] = {
    "zuko": zuko_flow, "nflows": nflows_flow, "normflows": normflows_flow, "FrEIA": freia_flow,
}  # fmt: skip
