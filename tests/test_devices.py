"""The device option: what it accepts, what it refuses."""

import pytest
import torch
from torch import nn

from configs.options import Config
from runtime.cores import num_workers
from runtime.devices import autocast, encoder_autocast, exact_products, pick_device, place
from runtime.errors import UserError
from runtime.ranks import Ranks


def options(device: str, precision: str = "auto") -> Config:
    return Config().changed(device=device, num_cpus=1, precision=precision)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_without_a_gpu_the_cpu_is_taken(no_gpu: None, name: str):
    assert pick_device(options(name).run) == torch.device("cpu")
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("name", "index"), [("auto", None), ("cuda", None), ("cuda:1", 1)])
def test_a_gpu_is_taken_where_there_is_one(two_gpus: None, name: str, index: int | None):
    assert pick_device(options(name).run) == torch.device("cuda", index)


def test_a_gpu_that_is_not_there_is_told(no_gpu: None):
    with pytest.raises(
        UserError, match="device = cuda asked for, but torch sees 0 CUDA GPUs; use --device auto or cpu"
    ):
        pick_device(options("cuda").run)


def test_a_gpu_of_too_high_a_number_is_told(two_gpus: None):
    with pytest.raises(UserError, match="device = cuda:2 asked for, but torch sees 2 CUDA GPUs"):
        pick_device(options("cuda:2").run)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_of_several_processes_takes_a_gpu_of_its_own(two_gpus: None, monkeypatch: pytest.MonkeyPatch, name: str):
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    one_of(monkeypatch, Ranks(3, 4, 1, 2))
    assert pick_device(options(name).run) == torch.device("cuda", 1) == chosen[0]
    one_of(monkeypatch, Ranks(3, 4, 3, 4))
    with pytest.raises(UserError, match=r"4 processes on this machine found, but torch sees 2 CUDA GPUs.*_node 2, or"):
        pick_device(options(name).run)
    with pytest.raises(UserError, match="device = cuda:1 found, cuda expected: each of 4 processes takes a GPU"):
        pick_device(options("cuda:1").run)
    assert pick_device(options("cpu").run) == torch.device("cpu")


def test_processes_share_the_cores_of_their_machine(monkeypatch: pytest.MonkeyPatch):
    assert num_workers(8) == 8
    one_of(monkeypatch, Ranks(1, 6, 1, 3))
    assert (num_workers(8), num_workers(2)) == (2, 1)


def one_of(monkeypatch: pytest.MonkeyPatch, several: Ranks) -> None:
    """This process is one of several of a training."""
    monkeypatch.setattr("runtime.ranks._joined", [several])


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta"])
def test_other_names_are_told(name: str):
    with pytest.raises(UserError, match=f"device '{name}' found, auto, cpu, cuda or cuda:N expected"):
        pick_device(options(name).run)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", torch.float32), ("float32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)],
)
def test_precision_on_a_cpu(precision: str, expected: torch.dtype):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_weights_of_3d_convolutions_lie_channels_last_and_keep_their_values():
    network = nn.Sequential(nn.Conv3d(3, 5, 3), nn.ConvTranspose3d(5, 4, 4), nn.Conv2d(4, 2, 3), nn.Linear(2, 2))
    before = [weight.clone() for weight in network.state_dict().values()]
    assert place(network, torch.device("cpu")) is network
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert network[2].weight.is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))


def test_tf32_is_for_products_but_not_for_those_that_must_be_exact():
    pick_device(options("cpu", "tf32").run)
    assert torch.backends.cuda.matmul.allow_tf32
    with exact_products(torch.device("cpu")):
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32
    pick_device(options("cpu").run)
    assert not torch.backends.cuda.matmul.allow_tf32


def test_mixed_is_bf16_for_the_encoder_alone_and_on_a_gpu_alone():
    with encoder_autocast(torch.device("cpu"), "mixed"):
        assert not torch.is_autocast_enabled("cpu")
    with encoder_autocast(torch.device("cpu"), "bf16"):
        assert torch.is_autocast_enabled("cpu")
    for make, enabled in ((encoder_autocast, True), (autocast, False)):
        context = make(torch.device("cuda"), "mixed")
        assert isinstance(context, torch.autocast) == enabled
