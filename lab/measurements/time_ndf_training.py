"""Steps of NDF training per second with the present plane decoder and look-up, and with the plain ones, in one run.

    python -m lab.measurements.time_ndf_training --threads 2
    python -m lab.measurements.time_ndf_training --threads 1 --hard_point_candidates 4
    python -m lab.measurements.time_ndf_training --config configs/shapenet_cars.txt --device cuda

Synthetic batches of the sizes that a config, and options of train_ndf.py, say. Plain: grouped transposed convolutions,
and grid_sample for points.
Rounds of both alternate, so that another job on the machine slows both alike. Printed are medians over the rounds, in
milliseconds: of a whole step, and of its parts, each with its gradient, measured one by one. With --threads 1 on a CPU
it is the time that the processor spent, which depends less on other jobs.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from configs.config_loader import get_config
from configs.options import Config
from frozen.loading import network_input
from models import shape_codes, vector_ndf
from models.feature_planes import VIEWS
from models.ndf import NDF
from models.occupancy import to_grid_coords
from runtime.devices import autocast, pick_device, place
from training.loop import GRAD_CLIP
from training.ndf_loss import training_loss, with_hardest
from training.ndf_task import make_optimizer
from training.task import Batch

Work = Callable[[], object]


class PlainPlanes(nn.Module):
    """Upsampling by transposed convolutions, for the three views apart."""

    def __init__(self, num_inputs: int, resolution: list[int], channels: list[int]):
        super().__init__()
        self.coarsest = (3 * channels[0], resolution[0] // 2, resolution[0] // 2)
        self.from_numbers = nn.Linear(num_inputs, math.prod(self.coarsest))
        self.upsamplers = nn.ModuleList(
            nn.ConvTranspose2d(3 * c_in, 3 * c_out, 4, stride=2, padding=1, groups=3)
            for c_in, c_out in zip([channels[0], *channels], channels, strict=False)
        )

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """Returns [(B, 3, C_i, R_i, R_i)]."""
        level, planes = self.from_numbers(numbers).unflatten(1, self.coarsest), []
        for upsample in self.upsamplers:
            level = upsample(F.silu(level))
            planes.append(level.unflatten(1, (3, -1)))
        return planes


class PlainNDF(vector_ndf.VectorNDF):
    """Looks everything up by grid_sample."""

    def look_up(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        options: dict[str, Any] = {"padding_mode": "border", "align_corners": True}
        places = torch.stack([p[..., view] for view in VIEWS], dim=1).flatten(0, 1)[:, :, None]  # (3 B, N, 1, 2)
        found = [
            F.grid_sample(grid, p[:, None, None].to(grid.dtype), **options)[:, :, 0, 0]
            for grid in grids[: self.num_grids]
        ]
        found += [
            F.grid_sample(plane.flatten(0, 1), places.to(plane.dtype), **options)[..., 0].unflatten(0, (-1, 3)).sum(1)
            for plane in grids[self.num_grids :]
        ]
        return torch.cat(found, dim=1).transpose(1, 2)  # (B, N, sum C_i)


def plain_ndf(cfg: Config) -> NDF:
    with patch.object(shape_codes, "VectorNDF", PlainNDF), patch.object(vector_ndf, "QuadtreePlanes", PlainPlanes):
        return shape_codes.build_ndf(cfg.values())


def random_batch(cfg: Config, device: torch.device) -> Batch:
    """Points in the box and distances up to max_dist, of the sizes of a training batch."""
    candidates = cfg.ndf_training.hard_point_candidates * cfg.ndf_training.num_hard_points
    sizes = {
        "cloud": cfg.grid.num_points,
        "points": cfg.ndf_training.num_sample_points_training,
        "candidates": candidates,
    }
    batch = {name: torch.rand(cfg.training.batch_size, size, 3, device=device) - 0.5 for name, size in sizes.items()}
    for name, distances in (("points", "distances"), ("candidates", "candidate_distances")):
        batch[distances] = cfg.ndf_training.max_dist * torch.rand(batch[name].shape[:2], device=device)
    return batch


def with_gradient(work: Callable[[], Tensor | list[Tensor]], inputs: list[Tensor], cfg: Config) -> Work:
    """The work and the gradients of its outputs for the inputs, as a part of a step."""

    def run() -> None:
        with autocast(inputs[0].device, cfg.run.precision):
            outputs = work()
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        torch.autograd.grad(outputs, inputs, [torch.ones_like(output) for output in outputs], allow_unused=True)

    return run


def parts(model: NDF, cfg: Config, device: torch.device) -> dict[str, Work]:
    """The whole step and its parts, each on its own."""
    batch, optimizer = random_batch(cfg, device), make_optimizer(cfg.ndf_training.optimizer, model, cfg.ndf_training.lr)
    weights = list(model.parameters())
    x = network_input(batch["cloud"], cfg.grid, cfg.network)
    with torch.no_grad(), autocast(device, cfg.run.precision):
        code = model.encode(x)
        grids = model.features(code)
        trained = (
            with_hardest(model, grids, batch, cfg.run, cfg.ndf_training) if cfg.ndf_training.num_hard_points else batch
        )
        points = to_grid_coords(trained["points"])
        found = torch.cat([model.look_up(points, grids), points], dim=2)
    leaves = [grid.clone().requires_grad_() for grid in grids]
    code.requires_grad_()
    found.requires_grad_()

    def optimise() -> None:
        torch.nn.utils.clip_grad_norm_(weights, GRAD_CLIP)
        optimizer.step()

    def step() -> None:
        optimizer.zero_grad()
        training_loss(model, batch, cfg).backward()
        optimise()

    step()  # which also gives every weight a gradient
    named = {
        "whole step": step,
        "encoder": with_gradient(lambda: model.training_code(x), weights, cfg),
        "decoder to grids and planes": with_gradient(lambda: model.features(code), [code, *weights], cfg),
        "candidates for hard points": lambda: with_hardest(model, grids, batch, cfg.run, cfg.ndf_training),
        "look-up of the points": with_gradient(lambda: model.look_up(points, leaves), leaves, cfg),
        "point network": with_gradient(lambda: model.activate(model.point_network(found)), [found, *weights], cfg),
        "optimiser": optimise,
    }
    if not cfg.ndf_training.num_hard_points:
        del named["candidates for hard points"]
    if cfg.network.code_encoder == "pca":  # which has nothing to train
        del named["encoder"]
    return named


def milliseconds(work: Work, repeats: int, device: torch.device) -> float:
    on_gpu = device.type == "cuda"
    clock = time.process_time if not on_gpu and torch.get_num_threads() == 1 else time.perf_counter
    work()
    if on_gpu:
        torch.cuda.synchronize()
    start = clock()
    for _ in range(repeats):
        work()
    if on_gpu:
        torch.cuda.synchronize()
    return (clock() - start) / repeats * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/demo_cars.txt", help="where the sizes come from")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds; medians are printed")
    parser.add_argument("--repeats", type=int, default=5, help="of each part in a round")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args, options = parser.parse_known_args()
    options += ["--config", args.config, "--device", args.device, "--num_cpus", str(args.threads)]
    cfg = get_config(options, "train_ndf")
    device = pick_device(cfg.run)
    torch.manual_seed(0)
    models = {"plain": place(plain_ndf(cfg), device), "present": place(shape_codes.build_ndf(cfg.values()), device)}
    works = {name: parts(model.train(), cfg, device) for name, model in models.items()}
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in tqdm(range(args.rounds), desc="rounds"):
        for part in works["plain"]:
            for name, work in works.items():
                taken.setdefault((name, part), []).append(milliseconds(work[part], args.repeats, device))
    medians = {key: statistics.median(values) for key, values in taken.items()}
    print(f"{'ms on ' + str(device):30} {'plain':>8} {'present':>8} {'ratio':>6}")
    for part in works["plain"]:
        plain, present = medians["plain", part], medians["present", part]
        print(f"{part:30} {plain:8.1f} {present:8.1f} {plain / present:6.2f}")
    rates = [1e3 / medians[name, "whole step"] for name in models]
    print(f"{'steps per second':30} {rates[0]:8.1f} {rates[1]:8.1f} {rates[1] / rates[0]:6.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
