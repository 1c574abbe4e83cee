"""Training an NDF, with or without a bottleneck."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from dataprocessing.stored_points import shape_digests
from frozen.loading import network_input
from models.ndf import NDF
from models.occupancy import to_grid_coords
from models.shape_codes import build_ndf
from runtime.devices import autocast, encoder_autocast, pick_device, place
from runtime.layout import Experiment
from runtime.seeds import step_seed
from training.bad_steps import suspects
from training.distributed import from_first, over_all, with_common_statistics
from training.hparams import record_hparams
from training.muon import Muon
from training.progress_log import ProgressLog, picture_steps
from training.same_training import Wanted
from training.shape_samples import ShapeSteps, step_loader, validation_batches
from training.training_run import EXIT_STOPPED, StopRequest, TrainingRun, learning_rate, record_config

Batch = dict[str, Tensor]
Draw = Callable[[ProgressLog, NDF], None]  # logs pictures of the network as it is

PCA_BATCH = 256  # shapes
LOG_EVERY = 20  # steps between points of the curves of the training itself


def make_optimizer(name: str, model: NDF, rate: float) -> torch.optim.Optimizer:
    """Adam or AdamW (both fused: one pass over the weights, several times faster on a CPU), RMSprop, or Muon."""
    if name == "RMSprop":
        return torch.optim.RMSprop(model.parameters(), lr=rate)
    if name == "Muon":
        return Muon(model, rate)
    kind: type[torch.optim.Adam] = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[name]
    return kind(model.parameters(), lr=rate, fused=True)


def clamped_l1(predicted: Tensor, distances: Tensor, max_dist: float) -> Tensor:
    """|min(predicted, max_dist) - min(distance, max_dist)| per point, NDF's loss (sec. 3.3), mesh units.

    Near the surface the prediction is not clamped, so that one above max_dist still gets a gradient; clamped as in
    NDF's formula it would get none and stay wrong.
    """
    far = distances >= max_dist
    return torch.where(far, (max_dist - predicted).clamp(min=0), (predicted - distances).abs())


def predict(model: NDF, batch: Batch, cfg: Namespace) -> Tensor:
    """Distances at the points of a batch, (B, N) float32, mesh units."""
    x = network_input(batch["cloud"], cfg)
    with autocast(x.device, cfg.precision):
        predicted: Tensor = model(to_grid_coords(batch["points"]), x)
        return predicted.float()


def training_loss(model: NDF, batch: Batch, cfg: Namespace) -> Tensor:
    """The loss over the points of a batch and the hardest of its candidates, a scalar, mesh units."""
    x = network_input(batch["cloud"], cfg)
    with encoder_autocast(x.device, cfg.precision):
        code = model.training_code(x)
    with autocast(x.device, cfg.precision):
        grids = model.features(code)
    if cfg.num_hard_points:
        batch = with_hardest(model, grids, batch, cfg)
    with autocast(x.device, cfg.precision):
        predicted = model.query(to_grid_coords(batch["points"]), grids).float()
    loss: Tensor = clamped_l1(predicted, batch["distances"], cfg.max_dist).mean()
    return loss


def with_hardest(model: NDF, grids: list[Tensor], batch: Batch, cfg: Namespace) -> Batch:
    """The batch plus the num_hard_points candidates of each shape with the largest loss.

    Online hard example mining (Shrivastava et al. 2016): a false surface, such as a closed window, is so small that
    random points rarely hit it, but its errors are among the largest.
    """
    # A separate context: the casts that autocast caches here, without gradients, must not be reused for the loss.
    with torch.no_grad(), autocast(batch["candidates"].device, cfg.precision):
        predicted = model.query(to_grid_coords(batch["candidates"]), grids).float()
        losses = clamped_l1(predicted, batch["candidate_distances"], cfg.max_dist)
    hardest = losses.topk(cfg.num_hard_points, dim=1).indices  # (B, M)
    points = batch["candidates"].gather(1, hardest[..., None].expand(-1, -1, 3))
    distances = batch["candidate_distances"].gather(1, hardest)
    return batch | {
        "points": torch.cat([batch["points"], points], dim=1),
        "distances": torch.cat([batch["distances"], distances], dim=1),
    }


@torch.no_grad()
def validate(model: NDF, batches: Iterable[Batch], cfg: Namespace, device: torch.device) -> dict[str, float]:
    """Mean errors over fixed validation points, mesh units: the loss, and |error| of points below max_dist."""
    was_training = model.training
    model.eval()
    loss, near_error, near_count = [], 0.0, 0
    for batch in batches:
        batch = {name: value.to(device) for name, value in batch.items()}
        predicted = predict(model, batch, cfg)
        loss.append(clamped_l1(predicted, batch["distances"], cfg.max_dist).mean())
        near = batch["distances"] < cfg.max_dist
        near_error += (predicted - batch["distances"]).abs()[near].sum().item()
        near_count += int(near.sum())
    model.train(was_training)
    return {"clamped_l1": torch.stack(loss).mean().item(), "near_abs_error": near_error / max(1, near_count)}


class NDFTrainer:
    """Trains one experiment's NDF, from scratch or from its latest checkpoint."""

    def __init__(self, cfg: Namespace, split: dict[str, list[Path]], draw: Draw | None = None):
        self.cfg, self.experiment, self.draw = cfg, Experiment(cfg), draw
        self.device = pick_device(cfg)
        torch.backends.cudnn.benchmark = True  # every step has the same sizes: the fastest convolutions are found once
        torch.manual_seed(cfg.seed)
        self.model = with_common_statistics(place(build_ndf(vars(cfg)), self.device), self.device)
        optimizer = make_optimizer(cfg.optimizer, self.model, cfg.lr)
        shapes = from_first(lambda: {part: shape_digests(folders, cfg) for part, folders in split.items()})
        self.run = TrainingRun(Wanted("ndf", cfg, shapes), self.experiment.ndf_checkpoints, self.model, optimizer)
        self.run.resume()
        self.steps = ShapeSteps(split["train"], cfg)
        self.val_folders = split["val"]

    def train(self) -> int:
        """Train to the last step. Returns 0, or EXIT_STOPPED if asked to stop earlier."""
        run, stop, num_steps = self.run, StopRequest(), len(self.steps)
        run.go_on(finished=run.step >= num_steps)
        if run.step >= num_steps:
            print(f"already trained: {run.step} steps, best validation loss {run.best:.5f} in {run.folder}")
            return 0
        record_config(self.cfg, "train_ndf")
        record_hparams(self.cfg)
        self.steps.read_all(self.device)
        if run.step == 0:
            self.fit_encoder()
        self.val_batches = validation_batches(self.val_folders, self.cfg)
        self.model.train()
        with self.progress_log() as log, tqdm(
            total=num_steps, initial=run.step, desc="NDF", unit="step", mininterval=1, disable=None
        ) as bar:  # fmt: skip
            for batch in step_loader(self.steps, run.step):
                loss = self.train_step(batch)
                bar.update()
                log.step("train_clamped_l1", loss)
                if run.step % LOG_EVERY == 0:
                    bar.set_postfix(loss=f"{loss.item():.5f}", val=f"{run.best:.5f}")
                due, stopping = run.step % self.cfg.val_every == 0 or run.step == num_steps, stop.heard()
                if stopping or due:
                    self.validate_and_save(log, due)
                if stopping and run.step < num_steps:
                    print(f"asked to stop: saved step {run.step} of {num_steps}; run the same command to go on")
                    return EXIT_STOPPED
        log.tell()
        return 0

    def progress_log(self) -> ProgressLog:
        draw = self.draw
        return ProgressLog(
            self.experiment.summary / "ndf",
            self.run,
            "ndf",
            every=LOG_EVERY,
            batch_size=self.steps.batch_size,
            draw=draw and (lambda log: draw(log, self.model)),
            drawn_at=picture_steps(len(self.steps), self.cfg.num_pictures),
        )

    def fit_encoder(self) -> None:
        """Fit an encoder that is not trained to all training shapes, and to their mirror images if `mirror`."""
        components = getattr(self.model, "components", None)
        if components is None:
            return
        share = components.fit(self.input_batches())
        print(f"principal components: {len(components.sd)} keep {100 * share:.1f} % of what they compare")

    def input_batches(self) -> Iterator[Tensor]:
        """The inputs of all training shapes, (B, R, R, R), in batches of PCA_BATCH; after each its mirror image."""
        starts = range(0, len(self.steps.folders), PCA_BATCH)
        for start in tqdm(starts, desc="principal components", unit="batch", disable=None):
            x = network_input(self.steps.clouds(start, start + PCA_BATCH).to(self.device), self.cfg)
            yield x
            if self.cfg.mirror:
                yield x.flip(1)

    @cached_property
    def loss(self) -> Callable[[Batch], Tensor]:
        """The loss of a batch; made at the first step, when the encoder is fitted."""
        return over_all(self.model, partial(training_loss, cfg=self.cfg))

    def train_step(self, batch: Batch) -> Tensor:
        """batch: this process's part of it. Returns the loss of the whole batch."""
        cfg, step = self.cfg, self.run.step
        torch.manual_seed(step_seed(cfg.seed, step))
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        rate = learning_rate(step, len(self.steps), cfg.lr, cfg.warmup_steps)
        return self.run.optimise(self.loss(batch), rate, lambda: suspects(self.steps.names(step), batch.values()))

    def validate_and_save(self, log: ProgressLog, due: bool) -> None:
        """due: whether a training that was not asked to stop would validate here too; else it cannot be the best."""
        errors = from_first(lambda: validate(self.model, self.val_batches, self.cfg, self.device))
        is_best = due and self.run.note_value(errors["clamped_l1"])
        log.scalars({f"val_{name}": value for name, value in errors.items()} | {"best_val_clamped_l1": self.run.best})
        log.flush()
        self.run.save(is_best)
        log.restart_clock()
        tqdm.write(
            f"NDF step {self.run.step}/{len(self.steps)}, {self.run.seconds / 60:.1f} min: validation loss"
            f" {errors['clamped_l1']:.5f}, mean |error| within {self.cfg.max_dist:g} {errors['near_abs_error']:.5f}"
        )
