"""What a training of an NDF consists of, with or without a bottleneck."""

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from configs.options import Config
from dataprocessing.stored_points import shape_digests
from frozen.loading import network_input
from models.distance_network import DistanceNetwork
from models.shape_codes import build_ndf
from runtime.devices import pick_device, place
from runtime.ranks import is_first
from training.bad_steps import suspects
from training.common_statistics import with_common_statistics
from training.distributed import from_first, over_all
from training.hparams import record_hparams
from training.muon import Muon
from training.ndf_loss import training_loss, validate
from training.progress_log import Curves, ProgressLog, picture_steps
from training.same_training import TrainingFacts
from training.shape_samples import ShapeSteps, step_batches, validation_batches
from training.task import Batch, Task, Validation
from training.training_run import TrainingRun, record_config

PCA_BATCH = 256  # shapes
LOG_EVERY = 20  # steps between points of the curves of the training itself


def make_optimizer(name: str, model: DistanceNetwork, rate: float) -> torch.optim.Optimizer:
    """Adam or AdamW (both fused: one pass over the weights, several times faster on a CPU), RMSprop, or Muon."""
    if name == "RMSprop":
        return torch.optim.RMSprop(model.parameters(), lr=rate)
    if name == "Muon":
        return Muon(model, rate)
    kind: type[torch.optim.Adam] = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[name]
    return kind(model.parameters(), lr=rate, fused=True)


class NDFTask(Task):
    """One experiment's NDF, from scratch or from its latest checkpoint.

    split: part -> folders of its shapes; draw(log, model): logs pictures.
    """

    name = "NDF"

    def __init__(
        self,
        cfg: Config,
        split: dict[str, list[Path]],
        draw: Callable[[ProgressLog, DistanceNetwork], None] | None = None,
    ):
        super().__init__(cfg, pick_device(cfg.run))
        torch.backends.cudnn.benchmark = True  # every step has the same sizes: the fastest convolutions are found once
        torch.manual_seed(cfg.run.seed)
        self.model = with_common_statistics(place(build_ndf(cfg.values()), self.device), self.device)
        self.draw = draw and (lambda log: draw(log, self.model))
        optimizer = make_optimizer(cfg.ndf_training.optimizer, self.model, cfg.ndf_training.lr)
        shapes = from_first(lambda: {part: shape_digests(folders, cfg) for part, folders in split.items()})
        facts = TrainingFacts("ndf", cfg, shapes)
        self.run = TrainingRun(facts, self.experiment.ndf_checkpoints, self.model, optimizer)
        self.run.resume()
        self.steps = ShapeSteps(split["train"], cfg)
        self.val_folders = split["val"]
        self.num_steps, self.val_every = len(self.steps), cfg.ndf_training.val_every
        self.learning_rate = cfg.ndf_training.lr
        self.curves = Curves(
            "ndf",
            loss="train_clamped_l1",
            best="best_val_clamped_l1",
            every=LOG_EVERY,
            batch_size=self.steps.batch_size,
            unit="shapes",
            drawn_at=picture_steps(self.num_steps, cfg.training.num_pictures),
        )

    def progress(self) -> str:
        return f"{self.run.step} steps, best validation loss {self.run.best:.5f}"

    def prepare(self) -> None:
        record_config(self.cfg, "train_ndf")
        record_hparams(self.cfg)
        self.steps.read_all(self.device)
        if self.run.step == 0:
            self.fit_encoder()
        self.val_batches = validation_batches(self.val_folders, self.cfg) if is_first() else []

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
            clouds = self.steps.clouds(start, start + PCA_BATCH).to(self.device)
            x = network_input(clouds, self.cfg.grid, self.cfg.network)
            yield x
            if self.cfg.ndf_training.mirror:
                yield x.flip(1)

    def batches(self) -> Iterator[Batch]:
        return map(self.on_device, step_batches(self.steps, self.run.step))

    def on_device(self, batch: Batch) -> Batch:
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    @cached_property
    def loss_over_all(self) -> Callable[[Batch], Tensor]:
        """Made at the first step, when the encoder is fitted."""
        return over_all(self.model, partial(training_loss, cfg=self.cfg))

    def loss(self, batch: Batch) -> Tensor:
        return self.loss_over_all(batch)

    def suspects(self, batch: Batch) -> list[str]:
        return suspects(self.steps.names(self.run.step), batch.values())

    def validate(self) -> Validation:
        errors = from_first(lambda: validate(self.model, self.val_batches, self.cfg, self.device))
        loss, near = errors["clamped_l1"], errors["near_abs_error"]
        return Validation(
            loss,
            {f"val_{name}": value for name, value in errors.items()},
            f"validation loss {loss:.5f}, mean |error| within {self.cfg.ndf_training.max_dist:g} {near:.5f}",
        )
