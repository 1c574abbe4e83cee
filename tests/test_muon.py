"""Muon against singular values, and against a step worked out by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lab.small.network_weights import random_weights
from training.muon import RMS, Muon, as_matrices, orthogonalised


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (3, 4, 7), (6, 6)])
def test_orthogonalised_matrices_keep_their_singular_vectors_and_lose_their_sizes(shape: tuple[int, ...]):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    u, sizes, v = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalised(matrices)
    in_these_directions = u.mT @ found @ v.mT
    new_sizes = in_these_directions.diagonal(dim1=-2, dim2=-1)
    assert_close(in_these_directions, torch.diag_embed(new_sizes), atol=1e-9, rtol=0)
    large = sizes > 0.1 * sizes.amax(dim=-1, keepdim=True)
    assert new_sizes[large].min() > 0.6 and new_sizes.max() < 1.25
    assert_close(orthogonalised(1e-6 * matrices), found)


def test_iterations_on_the_small_side_are_those_of_the_paper():
    x = torch.randn(4, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = x / x.norm()
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        gram = expected @ expected.T
        expected = a * expected + (b * gram + c * gram @ gram) @ expected
    assert_close(orthogonalised(x), expected)
    singular = torch.outer(x[0, :4], x[1]).float()  # of rank one: rounding must not be blown up
    assert 0.6 < orthogonalised(singular).norm().item() < 1.25


def test_a_gradient_of_zeros_changes_nothing():
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_kernels_are_matrices_of_their_outputs_and_batches_stay_batches():
    assert as_matrices(torch.zeros(4, 3, 1)).shape == (4, 3)
    assert as_matrices(torch.zeros(4, 3, 2, 2, 2)).shape == (4, 24)
    assert as_matrices(torch.zeros(3, 5, 8)).shape == (3, 5, 8)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.fc_out = nn.Linear(5, 7), nn.Conv1d(7, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc_out(torch.tanh(self.first(x))[..., None])[..., 0]


def one_gradient(model: nn.Module, seed: int) -> None:
    x = torch.randn(11, 5, generator=torch.Generator().manual_seed(seed))
    model.zero_grad()
    model(x).square().sum().backward()


def test_matrices_step_by_muon_and_the_rest_by_adam():
    model, twin = random_weights(Small(), seed=1), random_weights(Small(), seed=1)
    muon, adam = Muon(model, lr=9.0), torch.optim.Adam(twin.parameters())
    for group in (*muon.param_groups, *adam.param_groups):  # as a training's schedule does
        group["lr"] = 0.02
    before = model.first.weight.detach().clone()
    for net, optimizer in ((model, muon), (twin, adam)):
        one_gradient(net, seed=2)
        optimizer.step()
    u, _, v = torch.linalg.svd(twin.first.weight.grad, full_matrices=False)
    along = u.T @ (before - model.first.weight.detach()) @ v.T / (0.02 * RMS * np.sqrt(7))
    assert_close(along, torch.diag(along.diagonal()), atol=1e-5, rtol=0)
    for name, value in model.named_parameters():
        if name != "first.weight":
            assert_close(value, dict(twin.named_parameters())[name])


def test_goes_on_from_its_state_bit_for_bit():
    model, other = random_weights(Small(), seed=1), random_weights(Small(), seed=5)
    muon, resumed = Muon(model, lr=0.01), Muon(other, lr=0.01)
    one_gradient(model, seed=2)
    muon.step()
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(muon.state_dict()))
    for net, optimizer in ((model, muon), (other, resumed)):
        one_gradient(net, seed=3)
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
