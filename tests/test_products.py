"""Products by oneDNN: the same as torch's own, both ways, and only where they may be."""

import time

import pytest
import torch
import torch.nn.functional as F
from flow_checks import normal
from torch.testing import assert_close

from models.kernels import products
from models.kernels.products import HAS_ONEDNN, LEAST, by_onednn, linear

WIDE = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
BY_ONEDNN = pytest.mark.skipif(not (HAS_ONEDNN and WIDE), reason="oneDNN is not used on this processor")
SHAPES = [(128, 8, 128), (256, 128, 512), (300, 131, 70), (1, 2048, 1024)]  # rows, inputs, outputs


@pytest.fixture(autouse=True)
def on_intels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN is tested where it works, if slower than MKL."""
    monkeypatch.setattr(products, "WIDE", WIDE)


def tensors(rows: int, inputs: int, outputs: int) -> list[torch.Tensor]:
    shapes = [(rows, inputs), (outputs, inputs), (outputs,)]
    return [normal(*shape, seed=n).float().requires_grad_() for n, shape in enumerate(shapes)]


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_values_and_gradients_are_those_of_float64(sizes: tuple[int, int, int], with_bias: bool):
    x, weight, bias = tensors(*sizes)
    inputs = [x, weight, bias] if with_bias else [x, weight]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    found, right = linear(*inputs), F.linear(*exact)
    back = normal(*right.shape, seed=7)
    gradients = torch.autograd.grad(found, inputs, back.float())
    scale = sum(sizes) ** 0.5
    assert_close(found.double(), right, rtol=1e-5, atol=1e-6 * scale)
    for mine, other in zip(gradients, torch.autograd.grad(right, exact, back), strict=True):
        assert mine.shape == other.shape
        assert_close(mine.double(), other, rtol=1e-5, atol=1e-6 * scale)


def test_parts_of_tensors_and_more_dimensions():
    x, weight, bias = normal(4, 50, 200).float(), normal(96, 300, seed=2).float(), normal(96, seed=3).float()
    part, columns = x[:, :, 20:120], weight[:, 7:107]
    assert by_onednn(part, columns) or not (HAS_ONEDNN and WIDE)
    assert_close(linear(part, columns, bias), F.linear(part, columns, bias), rtol=1e-5, atol=1e-5)
    assert_close(linear(weight, weight), weight @ weight.t(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("batch", [(256,), (4, 64)])
def test_what_comes_out_may_be_changed_in_place(batch: tuple[int, ...]):
    x, weight = normal(*batch, 128).float().requires_grad_(), normal(128, 128, seed=2).float().requires_grad_()
    found = torch.autograd.grad(torch.relu_(linear(x, weight)).sum(), (x, weight))
    right = torch.autograd.grad(torch.relu(F.linear(x, weight)).sum(), (x, weight))
    assert all(torch.allclose(*pair, rtol=1e-4, atol=1e-3) for pair in zip(found, right, strict=True))


def test_the_gradient_has_a_gradient():
    x, weight, bias = tensors(70, 131, 128)

    def second(function) -> torch.Tensor:
        (first,) = torch.autograd.grad(function(x, weight, bias).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), weight)[0]

    right = second(F.linear)
    assert_close(second(linear), right, rtol=1e-3, atol=float(1e-5 * right.abs().max()))


@BY_ONEDNN
def test_parts_of_larger_matrices_are_not_slow():
    part, other = normal(256, 256).float()[:, :128], normal(256, 512, seed=2).float()
    assert by_onednn(other.t(), part.t())

    def seconds(b: torch.Tensor) -> float:
        start = time.process_time()
        for _ in range(3):
            linear(other.t(), b.t())
        return time.process_time() - start

    seconds(part)
    assert seconds(part) < 20 * seconds(part.contiguous()) + 0.05


@BY_ONEDNN
def test_what_is_not_a_number_stays_so():
    """Else a training would not notice a bad batch."""
    x, weight, bias = (tensor.detach() for tensor in tensors(256, 128, 128))
    x[3, 5] = torch.nan
    assert by_onednn(x, weight)
    found = torch.relu_(linear(x, weight, bias))
    assert found[3].isnan().all() and found[:3].isfinite().all()


@BY_ONEDNN
def test_only_large_float32_products_on_a_cpu_without_autocast():
    x, weight = torch.zeros(1024, 1024), torch.zeros(LEAST // 2**20, 1024)
    assert by_onednn(x, weight) and not by_onednn(x[:-1], weight)
    assert not by_onednn(x.double(), weight.double()) and not by_onednn(x.bfloat16(), weight.bfloat16())
    assert not by_onednn(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not by_onednn(x, weight) and linear(x, weight).dtype == torch.bfloat16
    with torch.backends.mkldnn.flags(enabled=False):
        assert not by_onednn(x, weight)
