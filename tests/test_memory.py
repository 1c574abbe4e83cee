"""Going on with less at a time where memory does not suffice; and what is said where that does not help."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from facts import says
from torch import Tensor

from evaluation.metrics.clouds import CloudSet
from evaluation.metrics.pairs import METRICS, pairwise
from generation import distance_fields
from generation.projection import dense_point_cloud, project
from lab.small.known_shapes import FunctionField, sphere
from runtime.errors import is_out_of_memory, run
from runtime.memory import PartSize

SPHERE = sphere(0.31)
ERRORS: dict[str, Callable[[], BaseException]] = {
    "a GPU": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ..."),
    "torch": lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: not enough memory: you"),
    "Python": MemoryError,
}


class Short:
    """Raises an error for more than `most` points, as memory that does not suffice does."""

    def __init__(self, most: int, error: str):
        self.most, self.error, self.largest = most, ERRORS[error], 0

    def check(self, count: int) -> None:
        if count > self.most:
            raise self.error()
        self.largest = max(self.largest, count)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance_fields, "part_size", PartSize("points", least=64))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("total", "most"), [(100, 100), (100, 30), (1, 1), (7, 1), (0, 1)])
def test_parts_are_halved_until_they_fit_and_cover_the_whole(total, most, error, capsys):
    size, short = PartSize("things"), Short(most, error)

    def part(start: int, end: int) -> list[int]:
        short.check(end - start)
        return list(range(start, end))

    for _ in range(2):  # the second time without a failure
        assert sum(size.map(part, total), []) == list(range(total))
    halvings = capsys.readouterr().err.splitlines()
    assert len(halvings) == {(100, 30): 2, (7, 1): 2}.get((total, most), 0)
    assert all(says(line, "note: memory things") for line in halvings)


def test_an_error_that_remains_is_raised_and_others_always_are():
    with pytest.raises(MemoryError):
        PartSize("things", least=5).map(lambda start, end: Short(4, "Python").check(end - start), 100)

    def bug(start: int, end: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        PartSize("things").map(bug, 100)


@pytest.mark.parametrize("error", ERRORS)
def test_a_cloud_is_the_same_in_smaller_parts(error):
    short = Short(10**9, error)

    def watched(points: Tensor) -> Tensor:
        short.check(len(points))
        return SPHERE(points)

    field = FunctionField(watched)
    clouds = []
    for most in (10**9, 700):
        short.most, short.largest = most, 0
        clouds.append(dense_point_cloud(field, 1500, torch.Generator().manual_seed(1), chunk=4000))
        assert (short.largest <= 700) == (most == 700)
    assert torch.equal(*clouds)


def test_directions_are_the_same_in_smaller_parts():
    points = torch.rand(1000, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    whole = project(FunctionField(SPHERE), points, 2, 1e-4)
    distance_fields.part_size.most = 77
    for one, other in zip(whole, project(FunctionField(SPHERE), points, 2, 1e-4), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("workers", [1, 2])
def test_distances_are_the_same_for_fewer_pairs_at_a_time(workers, monkeypatch):
    rng = np.random.default_rng(0)
    clouds = CloudSet([rng.normal(size=(20, 3)) for _ in range(9)])
    whole = pairwise("cd", clouds)
    short, metric = Short(2, "Python"), METRICS["cd"]

    def block(a: CloudSet, b: CloudSet, i: int, columns: slice) -> np.ndarray:
        short.check(columns.stop - columns.start)
        return metric.block(a, b, i, columns)

    monkeypatch.setitem(METRICS, "cd", metric._replace(block=block))
    np.testing.assert_array_equal(pairwise("cd", clouds, workers=workers), whole)
    assert short.largest == 2


@pytest.mark.parametrize("error", ERRORS)
def test_too_little_memory_is_one_line(error, capsys):
    def main() -> int:
        raise ERRORS[error]()

    with pytest.raises(SystemExit) as ended:
        run(main)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and err.count("\n") == 1
    assert says(err, "error: memory --batch_size")


def test_what_torch_and_numpy_raise_is_recognised():
    for allocate in (lambda: torch.empty(2**60, dtype=torch.uint8), lambda: np.empty(2**60, np.uint8)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert is_out_of_memory(caught.value)
