"""Two processes train as one does: losses, weights, codes, bad steps, stops, resumes with another number of them."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from two_processes import (
    NORMS,
    collectives,
    config,
    flow,
    ndf,
    normed,
    on_gpus,
    samples_in_memory,
    with_a_bad_shape,
)

from frozen.checkpoint_files import latest_checkpoint, load_checkpoint
from lab.small.tiny_experiment import ndf_task, write_shapes
from models import batch_part
from models.ndf import NDF
from runtime.layout import ROOT
from runtime.ranks import Ranks
from training import common_statistics
from training.common_statistics import CommonBatchNorm
from training.stopping import EXIT_STOPPED

CLOSE = {"rel": 1e-5, "abs": 1e-7}  # float32 sums of other orders, after a few steps


def torchrun(*command: object, **options: Any) -> subprocess.Popen[str]:
    """Two processes, started as users start them. When one fails torchrun ends the other: no limit on time needed."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *map(str, command)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(run, cwd=ROOT, env=environment, text=True, **options)


def by_two_processes(folder: Path, work: str) -> list[dict[str, Any]]:
    """What each of two processes finds."""
    assert torchrun("tests/two_processes.py", folder, work).wait() == 0
    return [json.loads((folder / f"found_{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """The folder, what one process found, before and after two of them, and what each of these found."""
    folder = tmp_path_factory.mktemp("together")
    write_shapes(folder, count=10)
    one = {
        "ndf": ndf(folder, exp_name="one"),
        "flow": flow(folder, exp_name="flow_one"),
        "bad": with_a_bad_shape(folder, exp_name="bad_one"),
        "ndf stopped": ndf(folder, exp_name="from_one", stop_at=3),
        "flow stopped": flow(folder, exp_name="flow_from_one", stop_at=3),
        "norms": ndf(folder, exp_name="norms_one", **NORMS),
        "norms stopped": ndf(folder, exp_name="norms_from_one", stop_at=3, **NORMS),
    }
    two = by_two_processes(folder, "everything")
    one |= {
        "ndf of two": ndf(folder, exp_name="from_two"),
        "flow of two": flow(folder, exp_name="flow_from_two"),
        "norms of two": ndf(folder, exp_name="norms_from_two", **NORMS),
    }
    return folder, one, two


def test_what_processes_tell_each_other(done: tuple):
    """In one process they are plain calls."""
    _, _, (first, second) = done
    mapped = [[[10.0 * n] * 2] * n for n in (3, 1, 2)]
    common = [[{"rank": 0}, {"rank": 1}], 0.1, True, False, 0.5, mapped]
    assert first["collectives"] == [*common, [0, 2, 4]]
    assert second["collectives"] == [*common, [1, 3]]
    assert collectives() == [[{"rank": 0}], 0.1, False, False, 0.0, mapped, [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("name", ["ndf", "flow", "norms"])
def test_two_processes_have_the_losses_of_one_and_end_with_its_weights(done: tuple, name: str):
    folder, one, (first, second) = done
    assert first[name] == second[name] and len(first[name]) == 9
    assert first[name] == pytest.approx(one[name], **CLOSE)
    prefix, kind = {"ndf": ("", "ndf"), "flow": ("flow_", "rnvp"), "norms": ("norms_", "ndf")}[name]
    assert_close(*(folder / "experiments" / f"{prefix}{count}" / f"checkpoints_{kind}" for count in ("one", "two")))


@pytest.mark.parametrize("name", ["ndf", "flow", "norms"])
def test_a_training_goes_on_with_another_number_of_processes(done: tuple, name: str):
    _, one, (first, second) = done
    whole = one[name]
    assert one[f"{name} stopped"] == [*whole[:3], EXIT_STOPPED]
    assert first[f"{name} of one"] == second[f"{name} of one"] == pytest.approx(whole[3:], **CLOSE)
    assert first[f"{name} stopped"] == second[f"{name} stopped"]  # one of them was asked to stop
    assert first[f"{name} stopped"] == pytest.approx([*whole[:3], EXIT_STOPPED], **CLOSE)
    assert one[f"{name} of two"] == pytest.approx(whole[3:], **CLOSE)


def test_both_leave_out_the_steps_of_a_bad_shape(done: tuple):
    folder, one, (first, second) = done
    assert sum(map(math.isnan, first["bad"])) == 4  # one of the two steps of each of the epochs
    assert first["bad"] == second["bad"] == pytest.approx(one["bad"], nan_ok=True, **CLOSE)
    states = assert_close(*(folder / "experiments" / f"bad_{count}" / "checkpoints_ndf" for count in ("one", "two")))
    assert [state["bad_steps"] for state in states] == [4, 4]


@pytest.mark.parametrize("split", ["train", "val", "test", "extra"])
def test_two_processes_encode_what_one_does_bit_for_bit(done: tuple, split: str):
    codes = [done[0] / "experiments" / f"flow_{count}" / "codes" for count in ("one", "two")]
    one, two = ((folder / f"{split}.npy").read_bytes() for folder in codes)
    assert one == two
    one, two = (json.loads((folder / f"{split}.json").read_text()) for folder in codes)
    assert one == two


def test_they_share_one_copy_of_the_samples(done: tuple):
    folder, _, (first, second) = done
    kind, memory, content = first["samples"]
    assert first["samples"] == second["samples"] and kind == "SharedSamples" and len(memory) == 1
    assert samples_in_memory(folder) == ["list", [], content]


def test_what_cannot_be_split_is_refused(done: tuple):
    for found in done[2]:
        assert all(fact in found["not divisible"] for fact in ("5 shapes", "2 processes", "--batch_size"))


def assert_close(*folders: Path) -> list[dict[str, Any]]:
    """Compares the weights, averaged ones too, and the moments of two latest checkpoints; gives both."""
    one, two = (load_checkpoint(latest_checkpoint(folder)) for folder in folders)
    for kind in {"model_state_dict", "ema_state_dict"} & one.keys():
        weights, others = (torch.cat([v.double().flatten() for v in state[kind].values()]) for state in (one, two))
        # 8 steps of Adam move a weight by up to 0.08, also one whose gradient is mostly rounding: a few may differ.
        close = torch.isclose(weights, others, rtol=1e-4, atol=1e-5)
        assert close.double().mean() > 0.998
        torch.testing.assert_close(weights, others, rtol=1e-4, atol=2e-3)
    assert one["best"] == pytest.approx(two["best"], **CLOSE)
    assert one["best_step"] == two["best_step"] and one["step"] == two["step"]
    return [one, two]


def in_parts(monkeypatch: pytest.MonkeyPatch, work: Callable[[Tensor], Tensor], batch: Tensor, count: int) -> Tensor:
    """What `count` processes make of their parts of a batch, put together; each starts from the same generator."""
    found = []
    for rank, part in enumerate(batch.chunk(count)):
        monkeypatch.setattr(batch_part, "ranks", lambda rank=rank: Ranks(rank, count))
        monkeypatch.setattr(batch_part, "alone", lambda: count == 1)
        torch.manual_seed(3)
        found.append(work(part))
    return torch.cat(found)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_random_numbers_of_the_parts_are_those_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch, layout):
    batch = torch.rand(6, 5, 2, 3, 4).to(memory_format=layout)
    noise = in_parts(monkeypatch, batch_part.normal_like, batch, 1)
    kept = in_parts(monkeypatch, lambda part: batch_part.dropout(part, 0.3, True), batch, 1)
    assert 0.1 < (kept == 0).float().mean() < 0.5
    for count in (2, 3):
        assert torch.equal(in_parts(monkeypatch, batch_part.normal_like, batch, count), noise)
        found = in_parts(monkeypatch, lambda part: batch_part.dropout(part, 0.3, True), batch, count)
        torch.testing.assert_close(found, kept)
        calm = in_parts(monkeypatch, lambda part: batch_part.dropout(part, 0.3, False), batch, count)
        assert torch.equal(calm, batch)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_dropout_keeps_entries_by_chance_and_their_mean(p: float):
    part = torch.ones(301, 333, requires_grad=True)
    torch.manual_seed(0)
    kept = batch_part.dropout(part, p, True)
    share = (kept == 0).float()
    assert abs(share.mean() - p) < 5 * (p * (1 - p) / part.numel()) ** 0.5
    assert torch.allclose(kept[kept != 0], torch.tensor(1 / (1 - p)), rtol=1e-4)
    for step in (1, 2, 3, 4, 333):  # four entries come from one number
        pairs = (share.flatten()[step:] * share.flatten()[:-step]).mean()
        assert abs(pairs - p**2) < 5 * (p**2 / part.numel()) ** 0.5
    kept.sum().backward()
    assert torch.equal(part.grad, kept)
    torch.manual_seed(0)
    assert torch.equal(batch_part.dropout(part, p, True), kept)
    assert not torch.equal(batch_part.dropout(part, p, True), kept)


@pytest.mark.parametrize("kind", [{"code_kind": kind} for kind in ("none", "fused", "grid", "vector")])
def test_a_step_gives_every_weight_a_gradient(tmp_path: Path, kind: dict):
    """DistributedDataParallel waits for all of them."""
    write_shapes(tmp_path)
    task = ndf_task(tmp_path, **{"out_resolution": 3, **kind})
    task.loss(task.steps[0]).backward()
    assert all(weight.grad is not None for weight in task.model.parameters())


@pytest.mark.parametrize(("device", "kind"), [("cuda", nn.SyncBatchNorm), ("cpu", CommonBatchNorm)])
def test_batch_norms_become_synchronised_under_the_same_names(monkeypatch: pytest.MonkeyPatch, device: str, kind: type):
    monkeypatch.setattr(common_statistics, "alone", lambda: False)
    model = NDF((3, 4), 8)
    before = {name: value.data_ptr() for name, value in model.state_dict().items()}
    found = common_statistics.with_common_statistics(model, torch.device(device))
    assert {name: value.data_ptr() for name, value in found.state_dict().items()} == before
    assert sum(isinstance(layer, kind) for layer in found.modules()) == 2
    assert [name for name, _ in found.named_parameters()] == [name for name, _ in NDF((3, 4), 8).named_parameters()]


def test_a_batch_norm_of_two_processes_is_that_of_the_whole_batch(done: tuple):
    """Its second batch too, with other weights: mean 3, spread 0.1 to 10."""
    whole, parts = normed(), [found["normed"] for found in done[2]]
    assert len(whole) == 12 and max(whole[0]) > 2
    for n, wanted in enumerate(whole):
        own = n in (0, 1, 4, 5, 11)  # of a process's part of the batch
        for one in [parts[0][n] + parts[1][n]] if own else [parts[0][n], parts[1][n]]:
            assert one == pytest.approx(wanted, rel=1e-4, abs=1e-4), n


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no two GPUs here")
def test_two_gpus_train_as_one_does(tmp_path: Path):
    """With batch norms. GPUs add in an order of their own, so the losses are less close."""
    write_shapes(tmp_path, count=10)
    one = on_gpus(tmp_path)
    for two in by_two_processes(tmp_path, "on_gpus"):
        for name, losses in one.items():
            assert two[name] == pytest.approx(losses, rel=1e-3)


def test_a_killed_process_ends_the_others_and_leaves_a_checkpoint(tmp_path: Path):
    """At once: they would wait for it for two hours (`PATIENCE`), in which this test would not end."""
    write_shapes(tmp_path, count=10)
    cfg = config(tmp_path, num_epochs=50_000, val_every=5, exp_name="killed")
    with open(tmp_path / "errors", "w") as file:
        process = torchrun("train_ndf.py", "--config", cfg.run.config, stdout=subprocess.PIPE, stderr=file)
    try:
        lines = [process.stdout.readline()]
        while "NDF step" not in lines[-1]:  # the first checkpoint is saved
            assert lines[-1], "it ended before that"
            lines.append(process.stdout.readline())
        first = json.loads(cfg.experiment.lock("train_ndf").read_text())["pid"]
        workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        assert first in workers
        os.kill(next(pid for pid in workers if pid != first), signal.SIGKILL)
        lines += process.stdout.readlines()
    finally:
        process.terminate()
    assert process.wait() == 1
    errors = [line for line in (tmp_path / "errors").read_text().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "process 0 of 2" in errors[0]
    assert sum(line.startswith("NDF step 5/") for line in lines) == 1  # of the first process alone
    assert load_checkpoint(latest_checkpoint(cfg.experiment.ndf_checkpoints))["step"] % 5 == 0
    assert not cfg.experiment.lock("train_ndf").exists()
