"""The fused chain is the plain one: values, log-dets, gradients, samples; and where it steps aside."""

import pytest
import torch
from flow_checks import log_abs_det, normal, randomise
from torch import Tensor
from torch.testing import assert_close

from models.real_nvp.couplings import AffineCoupling, Bijection, Chain, Permutation
from models.real_nvp.fused import FusedChain, can_be_fused
from models.real_nvp.nets import ResidualConv3d, ResidualMLP
from models.real_nvp.vector_flow import VectorFlow

DIM = 9


def chains(blocks: int = 2, s_max: float = 1.0, dropout: float = 0.0, hidden: int = 16) -> tuple[FusedChain, Chain]:
    """The same layers in both; halves of several sizes, two couplings and two permutations in a row."""
    layers: list[Bijection] = []
    for n, (kept, keep_last) in enumerate([(4, False), (4, True), (7, False), (2, False)]):
        net = ResidualMLP(kept, 2 * (DIM - kept), hidden, blocks, dropout)
        layers += [AffineCoupling(net, kept, s_max, keep_last), Permutation(DIM, seed=n)][: 1 + n % 2]
    layers.append(Permutation(DIM, seed=5))
    return randomise(FusedChain(layers)), Chain(layers)


def gradients(chain: Chain, x: Tensor) -> tuple[Tensor, ...]:
    x = x.clone().requires_grad_()
    z, log_det = chain(x)
    loss = (z * normal(*z.shape, seed=8)).sum() + (log_det * normal(len(z), seed=9)).sum()
    return torch.autograd.grad(loss, [x, *chain.parameters()])


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("s_max", [1.0, 1.7])
def test_values_log_dets_gradients_and_inverses_are_those_of_the_plain_chain(blocks: int, s_max: float):
    fused, plain = chains(blocks, s_max)
    x = normal(6, DIM)
    assert can_be_fused(list(fused.layers), x)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            for mine, other in zip(fused(x), plain(x), strict=True):
                assert_close(mine, other, rtol=1e-12, atol=1e-12)
            assert_close(fused.inverse(x), plain.inverse(x), rtol=1e-12, atol=1e-12)
    for mine, other in zip(gradients(fused, x), gradients(plain, x), strict=True):
        assert_close(mine, other, rtol=1e-10, atol=1e-12)
    assert_close(fused(x)[1], log_abs_det(fused, x), rtol=1e-8, atol=1e-9)


def test_in_float32_at_a_usual_size_gradients_are_as_near_to_float64_as_the_plain_ones():
    flow, x = randomise(VectorFlow(64, 4, 128, 2, leading=16, tail_couplings=2), scale=0.1), normal(128, 64)
    names = [name for name, _ in flow.named_parameters()]

    def found(x: Tensor) -> dict[str, Tensor]:
        grads = torch.autograd.grad(-flow.log_prob(x).mean(), list(flow.parameters()))
        return dict(zip(names, grads, strict=True))

    right = found(x)
    flow.float()
    for name, mine in found(x.float()).items():
        assert (mine.double() - right[name]).abs().max() < 1e-5 * right[name].abs().max(), name


def test_a_frozen_flow_gives_the_gradient_of_its_input_alone_and_a_part_that_is_not_used_costs_nothing():
    fused, plain = chains()
    fused.requires_grad_(False)
    x = normal(3, DIM).requires_grad_()
    for part in (0, 1):
        (mine,) = torch.autograd.grad(fused(x)[part].sum(), x)
        (other,) = torch.autograd.grad(plain(x)[part].sum(), x)
        assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_a_graph_that_is_kept_gives_the_same_gradient_again_and_changed_weights_are_noticed():
    fused, _ = chains()
    parameters = list(fused.parameters())
    loss = fused(normal(3, DIM))[0].square().sum()
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, parameters, retain_graph=True)))
    with torch.no_grad():
        parameters[0].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_cannot_be_fused_is_done_plainly():
    fused, plain = chains(dropout=0.5)
    x = normal(4, DIM)
    layers = list(fused.layers)
    assert can_be_fused(layers, x)  # in eval mode
    fused.train()
    assert not can_be_fused(layers, x)
    torch.manual_seed(0)
    mine = fused(x)
    torch.manual_seed(0)
    assert all(map(torch.equal, mine, plain(x)))
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_be_fused(list(chains()[0].layers), x)
    grid = [AffineCoupling(ResidualConv3d(1, 2, 2, 4, 1), 1, 1.0)]
    assert not can_be_fused(grid, x) and not can_be_fused(layers[1:2], normal(2, DIM, 2, 2, 2))


def test_no_layers_and_no_rows():
    x = normal(3, DIM)
    z, log_det = FusedChain([])(x)
    assert torch.equal(z, x) and not log_det.any()
    fused, plain = chains()
    none = normal(0, DIM)
    assert fused(none)[0].shape == (0, DIM) and fused(none)[1].shape == (0,)
    assert fused.inverse(none).shape == (0, DIM)
    assert torch.equal(fused.inverse(fused(x)[0]).round(decimals=6), x.round(decimals=6))


def test_names_of_parameters_are_those_of_a_plain_chain():
    fused, plain = chains()
    assert list(fused.state_dict()) == list(plain.state_dict())
