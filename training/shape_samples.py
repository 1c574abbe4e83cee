"""Training batches from preprocessed shapes: input clouds, query points and their distances."""

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from configs.options import Config, NDFTraining, Sampling
from dataprocessing.shapes import shape_name
from dataprocessing.stored_points import REMADE, read_input_cloud, read_turned
from runtime.cores import num_workers
from runtime.errors import note
from runtime.layout import GAP_SAMPLES, SHARP_SAMPLES, UNIFORM_SAMPLES, boundary_samples
from runtime.pool import no_locks, run_in_order
from runtime.reading import open_npz
from runtime.seeds import step_seed
from training.augmentation import changed, changes_shapes
from training.distributed import own_part
from training.gpu_samples import GpuSamples, Samples, numbers_of_sets
from training.shared_samples import in_memory

LONGEST_READ_S = 900.0  # for a batch; a worker that takes longer is taken for lost


def sample_files(sampling: Sampling, ndf_training: NDFTraining) -> list[tuple[str, float]]:
    """The sample files of a shape, each with its share of a training batch."""
    boundary_share = 1 - ndf_training.uniform_ratio - ndf_training.gap_ratio - ndf_training.sharp_ratio
    files = [
        (boundary_samples(sigma), boundary_share * ratio)
        for sigma, ratio in zip(sampling.sample_std_dev, sampling.sample_ratio, strict=True)
    ]
    files += [(UNIFORM_SAMPLES, ndf_training.uniform_ratio), (GAP_SAMPLES, ndf_training.gap_ratio)]
    files.append((SHARP_SAMPLES, ndf_training.sharp_ratio))
    return [(name, share) for name, share in files if share]


def far_files(cfg: Config) -> list[bool]:
    """For each of `sample_files`, whether hard points are drawn from it: those far from the surface, else all."""
    near = {
        boundary_samples(sigma) for sigma in cfg.sampling.sample_std_dev if sigma < max(cfg.sampling.sample_std_dev)
    }
    near.add(SHARP_SAMPLES)
    far = [name not in near for name, _ in sample_files(cfg.sampling, cfg.ndf_training)]
    return far if any(far) else [True] * len(far)


def read_samples(folder: Path, cfg: Config) -> Samples:
    names = [name for name, _ in sample_files(cfg.sampling, cfg.ndf_training)]
    sets = [read_turned(folder / name, cfg.data, "points", "df") for name in names]
    return {"cloud": read_input_cloud(folder, cfg), "sets": sets}


def read_sizes(folder: Path, cfg: Config) -> list[int]:
    """How many points each set of `read_samples` has, from the heads of the files alone."""
    sizes = []
    for name, _ in sample_files(cfg.sampling, cfg.ndf_training):
        with open_npz(folder / name, REMADE) as file:
            sizes.append(int(file.shape("df")[0]))
    return sizes


def num_bytes(samples: Samples) -> int:
    return int(samples["cloud"].nbytes + sum(array.nbytes for pair in samples["sets"] for array in pair))


def draw(
    samples: Samples,
    shares: Sequence[float],
    num_points: int,
    rng: np.random.Generator,
    mirror: bool = False,
    candidate_shares: Sequence[float] = (),
    num_candidates: int = 0,
) -> Samples:
    """One training example: points drawn with replacement from each set, according to its share.

    Returns cloud (n, 3), points (N, 3), distances (N,), all mirrored in x if `mirror`; likewise candidates (M, 3),
    candidate_distances (M,) for hard points, with shares of their own, if num_candidates is not 0.
    """
    points, distances = draw_points(samples["sets"], shares, num_points, rng)
    example = {"cloud": samples["cloud"], "points": points, "distances": distances}
    if num_candidates:
        points, distances = draw_points(samples["sets"], candidate_shares, num_candidates, rng)
        example |= {"candidates": points, "candidate_distances": distances}
    if mirror:
        example["cloud"] = samples["cloud"].copy()  # the samples may be kept for later steps
        for name in example.keys() & {"cloud", "points", "candidates"}:
            example[name][:, 0] *= -1
    return example


def draw_points(
    sets: list[tuple[np.ndarray, np.ndarray]], shares: Sequence[float], num_points: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) and distances (N,) drawn with replacement from each set, according to its share."""
    indices = drawn_indices([len(points) for points, _ in sets], shares, num_points, rng)
    drawn = [  # np.take: several times faster than points[index]
        (np.take(points, index, axis=0), np.take(distances, index))
        for (points, distances), index in zip(sets, indices, strict=True)
    ]
    points, distances = zip(*drawn, strict=True)
    return np.concatenate(points), np.concatenate(distances)


def drawn_indices(
    sizes: Sequence[int], shares: Sequence[float], num_points: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Which points are drawn from sets of these sizes: numbers (count,) of each set."""
    counts = numbers_of_sets(shares, num_points)
    return [rng.integers(0, size, count) for size, count in zip(sizes, counts, strict=True)]


class ShapeSteps(Dataset):
    """Item `step` is the batch of that training step, a function of (seed, step) alone.

    Every epoch visits each shape once, in a new random order; shapes that do not fill the last batch are left out.
    Each of several processes draws the random numbers of the whole batch, so that none depends on how many they are,
    and looks up its own part.
    """

    def __init__(self, folders: list[Path], cfg: Config):
        self.folders, self.cfg = folders, cfg
        self.batch_size = min(cfg.training.batch_size, len(folders))
        self.part = own_part(self.batch_size, "batch_size")
        self.steps_per_epoch = len(folders) // self.batch_size
        self.shares = [share for _, share in sample_files(cfg.sampling, cfg.ndf_training)]
        far = far_files(cfg)
        self.candidate_shares = [is_far / sum(far) for is_far in far]
        self.num_candidates = cfg.ndf_training.hard_point_candidates * cfg.ndf_training.num_hard_points
        self.cache: Sequence[Samples] | None = None
        self.sizes: dict[int, list[int]] = {}  # of the sets of shapes whose points were not wanted
        self.on_gpu: GpuSamples | None = None

    def read_all(self, device: torch.device) -> None:
        """Keep all samples in the GPU's memory or in the computer's, if they need no more than the options allow.

        On a GPU each process keeps them; of the computer's memory those of a machine share one copy.
        """
        first = read_samples(self.folders[0], self.cfg)
        needed_gb = num_bytes(first) * len(self.folders) / 2**30
        if (
            device.type == "cuda"
            and needed_gb <= self.cfg.ndf_training.gpu_cache_gb
            and not changes_shapes(self.cfg.ndf_training)
        ):
            tasks = [(folder, self.cfg) for folder in self.folders]
            with closing(run_in_order(read_samples, tasks, num_workers(self.cfg.run.num_cpus))) as samples:
                self.on_gpu = GpuSamples(self.reading(samples), device)
        elif needed_gb <= self.cfg.ndf_training.ram_cache_gb:
            self.cache = in_memory(lambda: self.reading(read_samples(folder, self.cfg) for folder in self.folders))

    def reading(self, samples: Iterable[Samples]) -> Iterator[Samples]:
        yield from tqdm(samples, total=len(self.folders), desc="reading samples", unit="shape", disable=None)

    def samples(self, index: int) -> Samples:
        return self.cache[index] if self.cache is not None else read_samples(self.folders[index], self.cfg)

    def clouds(self, start: int, end: int) -> Tensor:
        """The input clouds of shapes start to end, (end - start, n, 3)."""
        if self.on_gpu is not None:
            return self.on_gpu.clouds[start:end]
        return torch.from_numpy(np.stack([self.samples(n)["cloud"] for n in range(start, min(end, len(self.folders)))]))

    def __len__(self) -> int:
        return int(self.steps_per_epoch * self.cfg.ndf_training.num_epochs)

    def chosen(self, step: int) -> np.ndarray:
        """Numbers of the shapes of the whole batch of a step, (B,)."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.cfg.run.seed, epoch]).permutation(len(self.folders))
        return order[place * self.batch_size : (place + 1) * self.batch_size]

    def names(self, step: int) -> list[str]:
        return [shape_name(self.folders[index]) for index in self.chosen(step)[self.part]]

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        chosen = self.chosen(step)
        rng = np.random.default_rng([self.cfg.run.seed, 1, step])
        mirrored = rng.random(len(chosen)) < 0.5 if self.cfg.ndf_training.mirror else np.zeros(len(chosen), bool)
        if self.on_gpu is not None:
            count, seed = self.cfg.ndf_training.num_sample_points_training, step_seed(self.cfg.run.seed + 1, step)
            whole = self.on_gpu.batch(
                chosen, mirrored, self.shares, count, self.candidate_shares, self.num_candidates, seed
            )
            return {name: values[self.part] for name, values in whole.items()}
        if not changes_shapes(self.cfg.ndf_training):
            return as_tensors(stack(self.examples(chosen, mirrored, self.part, rng)))
        batch = stack(self.examples(chosen, mirrored, slice(None), rng))  # which are changed together
        batch = changed(batch, self.cfg.ndf_training, rng)
        return {name: values[self.part] for name, values in as_tensors(batch).items()}

    def examples(
        self, chosen: np.ndarray, mirrored: np.ndarray, part: slice, rng: np.random.Generator
    ) -> list[Samples]:
        """Those of a part of a batch of the shapes `chosen` (B,). Random numbers are drawn for the others too."""
        count, own, found = self.cfg.ndf_training.num_sample_points_training, range(len(chosen))[part], []
        for place, (index, flip) in enumerate(zip(chosen.tolist(), mirrored, strict=True)):
            if place in own:
                samples = self.samples(index)
                found.append(draw(samples, self.shares, count, rng, flip, self.candidate_shares, self.num_candidates))
                continue
            sizes = self.sizes_of(index)
            drawn_indices(sizes, self.shares, count, rng)
            if self.num_candidates:
                drawn_indices(sizes, self.candidate_shares, self.num_candidates, rng)
        return found

    def sizes_of(self, index: int) -> list[int]:
        """How many points each set of a shape has."""
        if self.cache is not None:
            return [len(points) for points, _ in self.cache[index]["sets"]]
        if index not in self.sizes:
            self.sizes[index] = read_sizes(self.folders[index], self.cfg)
        return self.sizes[index]


def stack(shapes: list[Samples]) -> dict[str, np.ndarray]:
    """Stack examples to a batch: cloud (B, n, 3), points (B, N, 3), distances (B, N), and likewise candidates."""
    return {name: np.stack([shape[name] for shape in shapes]) for name in shapes[0]}


def as_tensors(batch: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in batch.items()}


def step_batches(steps: ShapeSteps, first_step: int) -> Iterator[dict[str, Tensor]]:
    """The batches from `first_step` on. Worker processes read samples that are not in memory."""
    left = range(first_step, len(steps))
    workers = min(num_workers(steps.cfg.run.num_cpus), len(left))
    if steps.cache is not None or steps.on_gpu is not None or not workers or not have_locks(workers):
        yield from (steps[step] for step in left)
        return
    # As arrays they come through pipes; tensors would come through /dev/shm, which containers have 64 MB of.
    loader = DataLoader(
        steps, batch_size=None, sampler=left, num_workers=workers, collate_fn=as_arrays, timeout=LONGEST_READ_S
    )
    batches: Any = iter(loader)
    try:
        for batch in batches:
            yield as_tensors(batch)
    finally:
        batches._shutdown_workers()  # left to the collector of cycles, an error would wait 5 s for each worker


def have_locks(workers: int) -> bool:
    """Whether worker processes can be started; if not, a note says why the training reads samples by itself."""
    try:
        _ = [multiprocessing.Lock() for _ in range(10 * (workers + 1))]  # more than torch needs
    except OSError as error:
        note(f"samples are read by one process: {no_locks(error)}")
        return False
    return True


def as_arrays(batch: Any) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in batch.items()}


def validation_batches(folders: list[Path], cfg: Config, points_per_shape: int = 2048) -> list[dict[str, Tensor]]:
    """Fixed batches over all validation shapes, the same at every call: [{cloud, points, distances}]."""
    shares = [share for _, share in sample_files(cfg.sampling, cfg.ndf_training)]
    rng = np.random.default_rng(step_seed(cfg.run.seed, 0))
    shapes = [draw(read_samples(folder, cfg), shares, points_per_shape, rng) for folder in folders]
    size = cfg.training.batch_size
    return [as_tensors(stack(shapes[i : i + size])) for i in range(0, len(shapes), size)]
