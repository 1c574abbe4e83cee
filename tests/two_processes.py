"""What the processes of test_distributed.py do: trainings of tiny networks, whose losses they write down.

`python -m torch.distributed.run --standalone --nproc_per_node 2 two_processes.py FOLDER everything`
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from training_steps import around_steps

from configs.options import Config
from dataprocessing.split import split_folders
from lab.small.helpers import read_config
from lab.small.tiny_experiment import TINY, encode
from runtime.artefacts import array_sha256
from runtime.errors import UserError
from runtime.ranks import ranks
from training import shape_samples
from training.common_statistics import with_common_statistics
from training.distributed import all_processes, any_of, exchange, from_first, mapped, mean_of, share, summed
from training.flow_task import FlowTask
from training.loop import train
from training.ndf_task import NDFTask
from training.task import Task

OPTIONS = TINY | {
    "code_encoder": "pca", "latent_dim": 3, "pca_resolution": 5, "batch_size": 4, "num_epochs": 4, "val_every": 4,
    "flow_batch_size": 6, "flow_dropout": 0.3, "flow_steps": 8, "flow_val_every": 4, "flow_ema": 0.5,
    "extra_demo_cars": 3, "code_draws": 2, "num_pictures": 0, "device": "cpu", "min_input_points": 20,
}  # fmt: skip

NORMS = {"code_encoder": "pyramid"}  # of which each layer has a batch norm
ON_GPUS = {"device": "cuda", "precision": "float32", "code_encoder": "both", "pca_dims": 1}


def config(folder: Path, **options: object) -> Config:
    """Each process writes a config file of its own, for what all of them share in the folder."""
    own = folder / f"process{ranks().rank}"
    own.mkdir(exist_ok=True)
    places = {"exp_root": folder / "experiments", "data_dir": folder / "data", "split_file": folder / "split.npz"}
    return read_config(own, **(OPTIONS | places | options))


def losses_of(task: Task, stop_at: int = 0) -> list[float]:
    """Train; the last process asks itself to stop after step `stop_at`. Gives the losses, and the status at the end."""
    losses: list[float] = []

    def record(task: Task, loss: torch.Tensor) -> None:
        losses.append(loss.item())
        if task.run.step == stop_at and ranks().rank == ranks().count - 1:
            os.kill(os.getpid(), signal.SIGUSR1)

    with around_steps(lambda task: None, record):
        status = train(task)
    return [*losses, status]


def ndf(folder: Path, stop_at: int = 0, **options: object) -> list[float]:
    cfg = config(folder, **options)
    return losses_of(NDFTask(cfg, split_folders(cfg)), stop_at)


def flow(folder: Path, stop_at: int = 0, **options: object) -> list[float]:
    """Encodes the shapes first, unless that is done, by the NDF of the experiment `one`."""
    cfg = config(folder, ndf_checkpoint=folder / "experiments" / "one" / "checkpoints_ndf", **options)
    encode(cfg)
    return losses_of(FlowTask(cfg), stop_at)


def with_a_bad_shape(folder: Path, **options: object) -> list[float]:
    """The distances of one of the shapes are no numbers."""
    read, bad = shape_samples.read_samples, split_folders(config(folder))["train"][1]

    def read_samples(place: Path, cfg: Config) -> dict:
        samples = read(place, cfg)
        if place == bad:
            samples["sets"] = [(points, np.full_like(df, np.nan)) for points, df in samples["sets"]]
        return samples

    shape_samples.read_samples = read_samples
    try:
        return ndf(folder, **options)
    finally:
        shape_samples.read_samples = read


def refusal(work: Callable[[], object]) -> str:
    try:
        work()
    except UserError as error:
        return str(error)
    return "none"


def collectives() -> list[object]:
    """What they give on values that tell the processes apart."""
    rank = ranks().rank
    found = mapped(lambda n: np.full((n, 2), 10 * n, np.float32), [3, 1, 2])
    return [
        exchange({"rank": rank}), from_first(lambda: rank + 0.1), any_of(rank == 1), any_of(False),
        mean_of(torch.tensor(float(rank))).item(), [part.tolist() for part in found], list(share(range(5))),
    ]  # fmt: skip


def normed() -> list[list[float]]:
    """Of a batch norm, two batches far from 0 after each other: what it gives of this process's part, its gradients,
    those of the weights averaged as DistributedDataParallel does, and its running statistics; then in eval mode."""
    draw = torch.Generator().manual_seed(0)
    own = torch.nn.ModuleDict({"norm": torch.nn.BatchNorm3d(3)})
    norm = with_common_statistics(own, torch.device("cpu"))["norm"]
    found = []
    for _ in range(2):
        batch, wanted = torch.randn(2, 6, 3, 2, 4, 3, generator=draw)
        batch = batch * torch.tensor([0.1, 1, 10])[:, None, None, None] + 3
        x = batch.chunk(ranks().count)[ranks().rank].clone().requires_grad_()
        y = norm(x)
        norm.zero_grad()
        ((y - wanted.chunk(ranks().count)[ranks().rank]) ** 3).mean().backward()
        found += [y, x.grad / ranks().count, *(mean_of_all(weight.grad) for weight in norm.parameters())]
        with torch.no_grad():
            norm.weight += 0.3
            norm.bias -= 0.2
    found += [*norm.buffers(), norm.eval()(x)]
    return [one.double().flatten().tolist() for one in found]


def mean_of_all(values: torch.Tensor) -> torch.Tensor:
    return values if ranks().count == 1 else summed(values.clone()) / ranks().count


def samples_in_memory(folder: Path) -> list[object]:
    """Of what kind they are, which memory they lie in (its inode), and their bytes."""
    steps = shape_samples.ShapeSteps(split_folders(cfg := config(folder))["train"], cfg)
    steps.read_all(torch.device("cpu"))
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:samples" in line]
    arrays = [array for shape in steps.cache for pair in ((shape["cloud"],), *shape["sets"]) for array in pair]
    content = np.concatenate([array.ravel() for array in arrays])
    return [type(steps.cache).__name__, [line[4] for line in maps], array_sha256(content)]


def everything(folder: Path) -> dict[str, object]:
    """By name: losses of a training and its exit status, or other values that JSON has."""
    return {
        "collectives": collectives(),
        "samples": samples_in_memory(folder),
        "ndf": ndf(folder, exp_name="two"),
        "ndf of one": ndf(folder, exp_name="from_one"),
        "ndf stopped": ndf(folder, exp_name="from_two", stop_at=3),
        "flow": flow(folder, exp_name="flow_two"),
        "flow of one": flow(folder, exp_name="flow_from_one"),
        "flow stopped": flow(folder, exp_name="flow_from_two", stop_at=3),
        "bad": with_a_bad_shape(folder, exp_name="bad_two"),
        "not divisible": refusal(lambda: ndf(folder, exp_name="no", batch_size=5)),
        "norms": ndf(folder, exp_name="norms_two", **NORMS),
        "norms of one": ndf(folder, exp_name="norms_from_one", **NORMS),
        "norms stopped": ndf(folder, exp_name="norms_from_two", stop_at=3, **NORMS),
        "normed": normed(),
    }


def on_gpus(folder: Path) -> dict[str, object]:
    """The same of a network with batch norms, and of a flow; by one process too."""
    name = ("one", "two")[ranks().count - 1]
    return {"ndf": ndf(folder, exp_name=name, **ON_GPUS), "flow": flow(folder, exp_name=f"flow_{name}", **ON_GPUS)}


if __name__ == "__main__":
    folder, work = Path(sys.argv[1]), {"everything": everything, "on_gpus": on_gpus}[sys.argv[2]]
    with all_processes(config(folder, **(ON_GPUS if work is on_gpus else {})).run):
        found = work(folder)
        (folder / f"found_{ranks().rank}.json").write_text(json.dumps(found))
