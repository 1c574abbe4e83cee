"""The samples of all training shapes in memory, once on a machine, however many processes of a training run there.

The first process of a machine writes them into memory without a name (memfd_create), which the others open by /proc and
map, to read alone. Such memory is in no file system, so the small /dev/shm of containers does not bound it, and it is
given back when the last of them ends, whatever ends them.
"""

import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, overload

import numpy as np

from runtime.errors import note
from runtime.ranks import ranks
from training.distributed import exchange
from training.gpu_samples import Samples

Read = Callable[[], Iterable[Samples]]


def in_memory(read: Read) -> Sequence[Samples]:
    """The samples that `read` gives, in memory. Called by all processes of a training."""
    own = ranks()
    if own.local_count == 1:
        return list(read())
    written = exchange(_write(read) if own.local_rank == 0 else None)
    first = written[own.rank - own.local_rank]  # of this machine: torchrun numbers its processes one after the other
    shared = _opened(first) if first else None
    exchange(None)  # the first one's number of the file is valid until all have opened it
    if first and own.local_rank == 0:
        os.close(first["file"])
    if shared is None:
        note(f"process {own.rank} of {own.count} keeps the samples in memory of its own: it cannot share them")
        return list(read())
    return shared


def _write(read: Read) -> dict[str, Any] | None:
    """Where the samples are: process, number of the file, and of each shape the points of its cloud and its sets; None
    on systems without memfd_create."""
    if not hasattr(os, "memfd_create"):
        return None
    file = os.memfd_create("samples")
    counts = []
    with open(file, "wb", closefd=False) as memory:
        for shape in read():
            arrays = [shape["cloud"], *(array for pair in shape["sets"] for array in pair)]
            memory.writelines(np.ascontiguousarray(array, np.float32).data.cast("B") for array in arrays)
            counts.append([len(shape["cloud"]), *(len(points) for points, _ in shape["sets"])])
    return {"process": os.getpid(), "file": file, "counts": counts}


def _opened(first: dict[str, Any]) -> "SharedSamples | None":
    """None where /proc is not to be read."""
    with suppress(OSError):
        file = os.open(f"/proc/{first['process']}/fd/{first['file']}", os.O_RDONLY)
        try:
            return SharedSamples(mmap.mmap(file, 0, access=mmap.ACCESS_READ), first["counts"])
        finally:
            os.close(file)
    return None


class SharedSamples(Sequence[Samples]):
    """memory: of each shape the cloud (n, 3), then points (M, 3) and distances (M,) of each set, float32; counts: of
    each shape n and the numbers M."""

    def __init__(self, memory: mmap.mmap, counts: list[list[int]]):
        self.numbers = np.frombuffer(memory, np.float32)
        self.counts = counts
        sizes = [3 * cloud + 4 * sum(sets) for cloud, *sets in counts]
        self.starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, index: int) -> Samples: ...

    @overload
    def __getitem__(self, index: slice) -> list[Samples]: ...

    def __getitem__(self, index: int | slice) -> Samples | list[Samples]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        cloud, *sets = self.counts[index]
        parts = np.split(
            self.numbers[self.starts[index] : self.starts[index + 1]],
            np.cumsum([3 * cloud, *(size for count in sets for size in (3 * count, count))])[:-1],
        )
        pairs = zip(parts[1::2], parts[2::2], strict=True)
        return {"cloud": parts[0].reshape(-1, 3), "sets": [(points.reshape(-1, 3), df) for points, df in pairs]}
