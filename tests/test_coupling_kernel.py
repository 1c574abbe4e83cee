"""Couplings as one step of autograd, beside the same written out with torch's own: values, gradients, dropout."""

from collections.abc import Iterator

import pytest
import torch
from flow_checks import normal, randomise
from torch import Tensor
from torch.testing import assert_close

from models import batch_part
from models.batch_part import dropped
from models.real_nvp.base import log_sum_exp
from models.real_nvp.bijections import Chain, Permutation
from models.real_nvp.couplings import AffineCoupling, CouplingChain, bound
from models.real_nvp.nets import ResidualMLP
from runtime.ranks import Ranks

HIDDEN = 11


def random_chain(blocks: int, s_max: float, p: float) -> CouplingChain:
    """Of 7 entries, halves of unequal size, with and without a permutation before a coupling."""
    first, second, third = (ResidualMLP(kept, 2 * (7 - kept), HIDDEN, blocks, p) for kept in (3, 4, 5))
    layers = [Permutation(7, seed=3), AffineCoupling(first, 3, s_max), AffineCoupling(second, 4, s_max, keep_last=True),
              Permutation(7, seed=5, num_fixed=2), AffineCoupling(third, 5, s_max)]  # fmt: skip
    chain = CouplingChain(layers)
    randomise(chain)
    return chain.train()


def written_out(chain: CouplingChain, x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Layer after layer, dropout by factors, from the same draws as the chain's."""
    blocks = len(chain.layers[1].net.residuals) + 1
    numbers: Iterator[Tensor] = iter(dropped([len(x) * HIDDEN] * 3 * blocks, p) if p else [])

    def dropping(h: Tensor) -> Tensor:
        if p == 0:
            return h
        factors = torch.full((h.numel(),), 1 / (1 - p), dtype=h.dtype)
        factors[next(numbers)] = 0
        return h * factors.view(h.shape)

    log_det = torch.zeros(len(x), dtype=x.dtype)
    for layer in chain.layers:
        if isinstance(layer, Permutation):
            x = x[:, layer.order]
            continue
        kept, changed = layer.split(x)
        h = torch.relu(layer.net.first(kept))
        for residual in layer.net.residuals:
            h = h + torch.relu(residual(dropping(h)))
        raw, t = layer.net.head(dropping(h)).chunk(2, dim=1)
        s = bound(raw, layer.s_max)
        x, log_det = layer.join(kept, changed * s.exp() + t), log_det + s.sum(dim=1)
    return x, log_det


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize(("blocks", "s_max"), [(1, 1.0), (2, 1.0), (2, 1.7), (4, 1.0)])
def test_values_and_every_gradient_are_those_of_the_formulas_written_out(blocks: int, s_max: float, p: float):
    chain, x = random_chain(blocks, s_max, p), normal(9, 7).requires_grad_()
    inputs = [x, *chain.parameters()]
    to_z, to_log_det = normal(9, 7, seed=4), normal(9, seed=5)

    def gradients(z: Tensor, log_det: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((z * to_z).sum() + (log_det * to_log_det).sum(), inputs)

    torch.manual_seed(7)
    found = chain(x)
    torch.manual_seed(7)
    right = written_out(chain, x, p)
    assert_close(found, right, rtol=1e-12, atol=1e-12)
    for mine, other in zip(gradients(*found), gradients(*right), strict=True):
        assert_close(mine, other, rtol=1e-11, atol=1e-12)
        assert other.abs().max() > 0
    assert (p == 0) == torch.allclose(chain(x)[0], right[0], rtol=1e-12, atol=1e-12)  # other draws, if any


def test_without_dropout_it_is_the_chain_of_its_layers_both_ways():
    chain, x = random_chain(2, 1.0, 0.3).eval(), normal(9, 7)
    plain = Chain(list(chain.layers))
    with torch.no_grad():
        assert_close(chain(x), plain(x), rtol=1e-12, atol=1e-12)
        assert_close(chain.inverse(x), plain.inverse(x), rtol=1e-12, atol=1e-12)
    jacobian = torch.autograd.functional.jacobian
    assert_close(jacobian(chain.inverse, x), jacobian(plain.inverse, x), rtol=1e-10, atol=1e-12)


def test_of_frozen_weights_only_the_input_gets_a_gradient():
    chain, x = random_chain(2, 1.0, 0.0), normal(9, 7).requires_grad_()
    (right,) = torch.autograd.grad(chain(x)[0].sum(), x)
    chain.requires_grad_(False)
    chain(x)[0].sum().backward()
    assert_close(x.grad, right)
    assert all(parameter.grad is None for parameter in chain.parameters())


def test_a_second_gradient_and_one_of_changed_weights_are_refused():
    chain, x = random_chain(2, 1.0, 0.0), normal(9, 7).requires_grad_()
    (first,) = torch.autograd.grad(chain(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    loss = chain(x)[0].sum()
    with torch.no_grad():
        chain.layers[1].net.first.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_number_that_is_not_finite_reaches_the_loss_and_every_weight_behind_it():
    chain, x = random_chain(2, 1.0, 0.0), normal(9, 7)
    x[4, 2] = torch.nan
    z, log_det = chain(x)
    assert torch.isnan(z[4]).any() and torch.isfinite(z[:4]).all()
    (z.sum() + log_det.sum()).backward()
    assert any(torch.isnan(parameter.grad).any() for parameter in chain.parameters())


def test_what_processes_drop_of_several_layers_is_what_one_drops(monkeypatch: pytest.MonkeyPatch):
    rows, widths = 12, [5, 3, 5]
    torch.manual_seed(0)
    whole = dropped([rows * width for width in widths], 0.3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(batch_part, "ranks", lambda rank=rank: Ranks(rank, 3))
        torch.manual_seed(0)
        parts.append(dropped([rows // 3 * width for width in widths], 0.3))
    for layer, width in enumerate(widths):
        joined = torch.cat([part[layer] + rank * rows // 3 * width for rank, part in enumerate(parts)])
        assert torch.equal(joined, whole[layer])
    assert len({len(numbers) for numbers in whole}) > 1 or not torch.equal(whole[0], whole[2])


@pytest.mark.parametrize("p", [1e-4, 0.05, 0.5, 0.99])
def test_gaps_between_dropped_entries_are_geometric(p: float):
    torch.manual_seed(1)
    size = int(20_000 / p)
    first, second = dropped([size, size], p)
    for numbers in (first, second):
        assert numbers[0] >= 0 and numbers[-1] < size and abs(len(numbers) - size * p) < 5 * (size * p * (1 - p)) ** 0.5
        gaps = numbers.diff() - 1
        assert gaps.min() >= 0
        for length in (1, 2, max(1, int(1 / p))):
            share = (1 - p) ** length
            assert abs((gaps >= length).double().mean() - share) < 5 * (share * (1 - share) / len(gaps)) ** 0.5
    assert dropped([0, 4], 0.5)[0].numel() == 0


def test_log_sum_exp_is_torchs_where_summands_differ_by_hundreds():
    x = (300 * normal(50, 40)).requires_grad_()
    assert_close(log_sum_exp(x), x.logsumexp(dim=1), rtol=1e-15, atol=0)
    (found,) = torch.autograd.grad(log_sum_exp(x).square().sum(), x)
    (right,) = torch.autograd.grad(x.logsumexp(dim=1).square().sum(), x)
    assert_close(found, right, rtol=1e-13, atol=1e-20)
    close = normal(50, 40)
    assert_close(log_sum_exp(close), close.logsumexp(dim=1), rtol=1e-14, atol=0)
    none = torch.full((2, 3), -torch.inf)
    assert torch.equal(log_sum_exp(none), none[:, 0])
    far = log_sum_exp(torch.tensor([[0.0, -1e4]], requires_grad=True))
    assert far.item() == 0
