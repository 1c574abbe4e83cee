"""The loss of an NDF: clamped distances at the points of a batch, the hardest of them among them."""

from collections.abc import Iterable

import torch
from torch import Tensor

from configs.options import Config, NDFTraining, Run
from frozen.loading import network_input
from models.distance_network import DistanceNetwork
from models.occupancy import to_grid_coords
from runtime.devices import autocast, encoder_autocast
from training.task import Batch


def clamped_l1(predicted: Tensor, distances: Tensor, max_dist: float) -> Tensor:
    """|min(predicted, max_dist) - min(distance, max_dist)| per point, NDF's loss (sec. 3.3), mesh units.

    Near the surface the prediction is not clamped, so that one above max_dist still gets a gradient; clamped as in
    NDF's formula it would get none and stay wrong.
    """
    far = distances >= max_dist
    return torch.where(far, (max_dist - predicted).clamp(min=0), (predicted - distances).abs())


def predict(model: DistanceNetwork, batch: Batch, cfg: Config) -> Tensor:
    """Distances at the points of a batch, (B, N) float32, mesh units."""
    x = network_input(batch["cloud"], cfg.grid, cfg.network)
    with autocast(x.device, cfg.run.precision):
        predicted: Tensor = model(to_grid_coords(batch["points"]), x)
        return predicted.float()


def training_loss(model: DistanceNetwork, batch: Batch, cfg: Config) -> Tensor:
    """The mean loss over the points of a batch and the hardest of its candidates, (), mesh units."""
    x = network_input(batch["cloud"], cfg.grid, cfg.network)
    with encoder_autocast(x.device, cfg.run.precision):
        code = model.training_code(x)
    with autocast(x.device, cfg.run.precision):
        grids = model.features(code)
    if cfg.ndf_training.num_hard_points:
        batch = with_hardest(model, grids, batch, cfg.run, cfg.ndf_training)
    with autocast(x.device, cfg.run.precision):
        predicted = model.query(to_grid_coords(batch["points"]), grids).float()
    return clamped_l1(predicted, batch["distances"], cfg.ndf_training.max_dist).mean()


def with_hardest(
    model: DistanceNetwork, grids: list[Tensor], batch: Batch, run: Run, ndf_training: NDFTraining
) -> Batch:
    """The batch plus the num_hard_points candidates of each shape with the largest loss.

    Online hard example mining (Shrivastava et al. 2016): a false surface, such as a closed window, is so small that
    random points rarely hit it, but its errors are among the largest.
    """
    # A separate context: the casts that autocast caches here, without gradients, must not be reused for the loss.
    with torch.no_grad(), autocast(batch["candidates"].device, run.precision):
        predicted = model.query(to_grid_coords(batch["candidates"]), grids).float()
        losses = clamped_l1(predicted, batch["candidate_distances"], ndf_training.max_dist)
    hardest = losses.topk(ndf_training.num_hard_points, dim=1).indices  # (B, M)
    points = batch["candidates"].gather(1, hardest[..., None].expand(-1, -1, 3))
    distances = batch["candidate_distances"].gather(1, hardest)
    return batch | {
        "points": torch.cat([batch["points"], points], dim=1),
        "distances": torch.cat([batch["distances"], distances], dim=1),
    }


@torch.no_grad()
def validate(model: DistanceNetwork, batches: Iterable[Batch], cfg: Config, device: torch.device) -> dict[str, float]:
    """Mean errors over fixed validation points, mesh units: the loss, and |error| of points below max_dist."""
    was_training = model.training
    model.eval()
    loss, near_error, near_count = [], 0.0, 0
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        predicted = predict(model, batch, cfg)
        loss.append(clamped_l1(predicted, batch["distances"], cfg.ndf_training.max_dist).mean())
        near = batch["distances"] < cfg.ndf_training.max_dist
        near_error += (predicted - batch["distances"]).abs()[near].sum().item()
        near_count += int(near.sum())
    model.train(was_training)
    return {"clamped_l1": torch.stack(loss).mean().item(), "near_abs_error": near_error / max(1, near_count)}
