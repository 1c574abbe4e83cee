"""Speed of our vector flow beside zuko's RealNVP and normflows' (where it is installed), in one run.

    python tests/benchmark_real_nvp.py --threads 2

D = 256, 8 affine couplings, hidden 512 x 2, batch 256: the same number of parameters each. The rounds of all flows
are interleaved, so that another job on the machine slows all alike; medians and the ratio to the fastest other.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import zuko
from torch import Tensor, nn
from tqdm import tqdm

from models.real_nvp.vector_flow import VectorFlow

DIM, COUPLINGS, HIDDEN, BATCH = 256, 8, 512, 256


@dataclass
class Contestant:
    name: str
    module: nn.Module
    log_prob: Callable[[Tensor], Tensor]
    sample: Callable[[int], Tensor]


def our_flow() -> Contestant:
    flow = VectorFlow(DIM, COUPLINGS, HIDDEN, blocks=2)
    return Contestant("VectorFlow (ours)", flow, flow.log_prob, flow.sample)


def zuko_flow() -> Contestant:
    flow = zuko.flows.RealNVP(DIM, transforms=COUPLINGS, hidden_features=(HIDDEN, HIDDEN))
    return Contestant("zuko RealNVP", flow, lambda x: flow().log_prob(x), lambda num: flow().sample((num,)))


def normflows_flow() -> Contestant:
    import normflows

    half = DIM // 2
    layers = []
    for _ in range(COUPLINGS):
        net = normflows.nets.MLP([half, HIDDEN, HIDDEN, DIM], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(DIM, mode="swap")]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(DIM, trainable=False), layers)
    return Contestant("normflows AffineCouplingBlock", flow, flow.log_prob, lambda num: flow.sample(num)[0])


def per_second(work: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return repeats / (time.perf_counter() - start)


def measure(contestant: Contestant, optimiser: torch.optim.Optimizer, x: Tensor) -> tuple[float, float, float]:
    """Training steps, densities and samples a second, of one round."""

    def train_step() -> None:
        optimiser.zero_grad()
        (-contestant.log_prob(x).mean()).backward()
        optimiser.step()

    train_step()
    steps = per_second(train_step, 10)
    with torch.no_grad():
        densities = BATCH * per_second(lambda: contestant.log_prob(x), 10)
        samples = BATCH * per_second(lambda: contestant.sample(BATCH), 10)
    return steps, densities, samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds; medians are printed")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    builders = [our_flow, zuko_flow] + ([normflows_flow] if importlib.util.find_spec("normflows") else [])
    contestants = [build() for build in builders]
    optimisers = [torch.optim.AdamW(contestant.module.parameters(), lr=1e-4) for contestant in contestants]
    x = torch.randn(BATCH, DIM)
    rounds: list[list[tuple[float, float, float]]] = [[] for _ in contestants]
    for _ in tqdm(range(args.rounds), desc="rounds"):
        for i, contestant in enumerate(contestants):
            rounds[i].append(measure(contestant, optimisers[i], x))
    medians = [[statistics.median(column) for column in zip(*rows, strict=True)] for rows in rounds]
    print(f"{'flow':30} {'parameters':>10} {'steps/s':>9} {'log_prob/s':>11} {'samples/s':>10}")
    for contestant, row in zip(contestants, medians, strict=True):
        size = sum(parameter.numel() for parameter in contestant.module.parameters())
        print(f"{contestant.name:30} {size:10,} {row[0]:9.1f} {row[1]:11,.0f} {row[2]:10,.0f}")
    ratios = [ours / max(others) for ours, *others in zip(*medians, strict=True)]
    print(f"{'ours / fastest other':41} {ratios[0]:9.2f} {ratios[1]:11.2f} {ratios[2]:10.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
