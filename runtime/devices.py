"""The one place that turns the options `device`, `precision` and `num_cpus` into torch's terms."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

import torch
from torch import nn

from runtime.cores import num_threads
from runtime.errors import UserError
from runtime.ranks import alone, ranks

Model = TypeVar("Model", bound=nn.Module)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, where it would give it back to the system.

    By default every large tensor is mapped anew, page by page: a training step of the demo took 181 ms so, 158 ms with
    this (2 threads). 32 MiB is the largest threshold that glibc takes.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(mmap_threshold, 32 << 20)
            mallopt(trim_threshold, 1 << 30)


class DeviceOptions(Protocol):
    """The options that decide where and how a script computes."""

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def num_cpus(self) -> int: ...


def pick_device(options: DeviceOptions) -> torch.device:
    """The device that `device` names; sets torch's threads and the precision of products too.

    Each of several processes gets a GPU of its own. Raises UserError if it is not there.
    """
    torch.set_num_threads(num_threads(options.num_cpus))
    torch.backends.cuda.matmul.allow_tf32 = options.precision in ("tf32", "mixed")
    keep_freed_memory()
    has_accelerator = torch.cuda.is_available()
    if not alone() and (options.device == "cuda" or (options.device == "auto" and has_accelerator)):
        return _gpu_of_its_own()
    if options.device == "auto":
        return torch.device("cuda" if has_accelerator else "cpu")
    try:
        device = torch.device(options.device)
    except RuntimeError as error:
        raise UserError(f"device {options.device!r} found, auto, cpu, cuda or cuda:N expected") from error
    if device.type == "cuda" and not alone():
        raise UserError(
            f"device = {options.device} found, cuda expected: each of {ranks().count} processes takes a GPU"
        )
    if device.type == "cuda":
        count = torch.cuda.device_count() if has_accelerator else 0
        if (device.index or 0) >= count:
            raise UserError(
                f"device = {options.device} asked for, but torch sees {count} CUDA GPUs; use --device auto or cpu"
            )
    elif device.type != "cpu":
        raise UserError(f"device {options.device!r} found, auto, cpu, cuda or cuda:N expected")
    return device


def _gpu_of_its_own() -> torch.device:
    count, needed = torch.cuda.device_count(), ranks().local_count
    if count < needed:
        raise UserError(
            f"{needed} processes on this machine found, but torch sees {count} CUDA GPUs, one for each expected; give"
            f" torchrun --nproc_per_node {max(1, count)}, or the training --device cpu"
        )
    device = torch.device("cuda", ranks().local_rank)
    torch.cuda.set_device(device)
    return device


def place(model: Model, device: torch.device) -> Model:
    """Move a network; the weights of its 3-D convolutions channels last: a quarter less time, on a CPU as on a GPU."""
    for module in model.to(device).modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.to(memory_format=torch.channels_last_3d)
    return model


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """bf16 autocast where `precision` says so (auto: on a GPU only), else nothing."""
    if precision == "bf16" or (precision == "auto" and device.type != "cpu"):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def encoder_autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """As `autocast`, but bf16 on a GPU with `mixed` too: for an encoder in training, whose codes get more noise."""
    return autocast(device, "auto" if precision == "mixed" else precision)


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Products of matrices in whole float32, whatever `precision` says."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
