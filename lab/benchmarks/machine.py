"""What the machine is and what it can do at most, measured in the same run as everything else."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lab.benchmarks.harness import Machine, alternate
from models.kernels import linear

LIBRARIES = (
    "torch", "numpy", "scipy", "open3d-cpu", "libigl", "point-cloud-utils", "zuko", "nflows", "normflows", "FrEIA",
)  # fmt: skip
MATRIX, COPIED = 2048, 2**26  # rows of a product; numbers of a copy, 256 MB


def measure(threads: int, size: str) -> Machine:
    """Peak speed of copies and of products, by MKL or oneDNN, whichever is faster; smaller ones for the tests."""
    rows, count = (256, 2**20) if size == "tiny" else (MATRIX, COPIED)
    a, b = torch.rand(2, rows, rows)
    source, target = torch.rand(count), torch.empty(count)
    out = torch.empty(rows, rows)
    works = {
        "product": lambda: torch.mm(a, b, out=out),
        "ours": lambda: linear(a, b.t()),
        "copy": lambda: target.copy_(source),
    }
    seconds = alternate(works, 7, clock=Machine(threads, 1, 1).clock)
    fastest = min(seconds["product"], seconds["ours"])
    return Machine(threads, 2 * rows**3 / fastest, 2 * 4 * count / seconds["copy"], {"processor": processor()})


def described(machine: Machine) -> list[str]:
    """The machine and the versions of all libraries, as lines of a list."""
    present = [f"{name} {found}" for name in LIBRARIES if (found := version_of(name))]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{machine.facts['processor']}, {machine.threads} of {os.cpu_count()} cores used, {memory:.0f} GiB of memory;"
        f" load while this ran: {load()}",
        f"measured at most: {machine.flops_per_s / 1e9:,.0f} GFLOP/s in float32 products of matrices,"
        f" {machine.bytes_per_s / 1e9:,.1f} GB/s copied in memory (read and written)",
        f"Python {platform.python_version()}, {', '.join(present)}",
    ]


def load() -> str:
    """The load average of a quarter of an hour: well above the number of threads, other jobs ran too."""
    return f"{os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    found = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in reversed(lines)}
    return found.get("model name") or platform.processor() or platform.machine()


def version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
