"""The loss of an NDF: where it has a gradient, and the hardest candidates of a batch."""

from pathlib import Path

import pytest
import torch

from lab.small.tiny_experiment import ndf_task as task_of
from models.occupancy import occupancy_from_points, to_grid_coords
from training.ndf_loss import clamped_l1, training_loss, with_hardest


def test_loss_is_the_clamped_l1_with_a_gradient_wherever_it_is_wrong():
    predicted = torch.tensor([0.02, 0.30, 0.30, 0.05, 0.0], requires_grad=True)
    distances = torch.tensor([0.05, 0.05, 0.50, 0.50, 0.0])
    loss = clamped_l1(predicted, distances, 0.1).mean()
    assert loss.item() == pytest.approx((0.03 + 0.25 + 0 + 0.05 + 0) / 5)
    loss.backward()
    assert predicted.grad.sign().tolist() == [-1, 1, 0, -1, 0]


def test_the_hardest_candidates_are_those_with_the_greatest_loss(shapes: Path):
    task = task_of(shapes, code_noise=0)
    model, batch = task.model.eval(), task.steps[0]
    x = occupancy_from_points(batch["cloud"], 9, -0.5, 0.5)
    grids = model.features(model.encode(x))
    harder = with_hardest(model, grids, batch, task.cfg.run, task.cfg.ndf_training)
    assert torch.equal(harder["points"][:, :67], batch["points"])
    predicted = model(to_grid_coords(batch["candidates"]), x)
    losses = clamped_l1(predicted, batch["candidate_distances"], task.cfg.ndf_training.max_dist)
    for shape in range(2):
        worst = losses[shape].argsort(descending=True)[:3]
        assert torch.equal(harder["points"][shape, 67:], batch["candidates"][shape, worst])
        assert torch.equal(harder["distances"][shape, 67:], batch["candidate_distances"][shape, worst])
    every = clamped_l1(model(to_grid_coords(harder["points"]), x), harder["distances"], task.cfg.ndf_training.max_dist)
    assert training_loss(model, batch, task.cfg).item() == pytest.approx(every.mean().item())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_looking_for_hard_points_leaves_every_weight_its_gradient(shapes: Path, precision: str):
    task = task_of(shapes, precision=precision)
    training_loss(task.model, task.steps[0], task.cfg).backward()
    missing = [name for name, weight in task.model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert missing == []
