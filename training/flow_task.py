"""What a training of a RealNVP on frozen shape codes consists of."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from configs.options import Config
from frozen.checkpoint_files import load_checkpoint, ndf_checkpoint_path
from frozen.codes import EXTRA, SPLITS, has_extra, load_codes, load_flow_codes, read_index
from models.real_nvp import CodeFlow, build_flow, flow_options
from runtime.devices import pick_device
from training.averaged_weights import AveragedWeights
from training.bad_steps import suspects
from training.code_nna import nna_while_training
from training.code_spectrum import record_spectrum
from training.distributed import first_only, from_first, over_all, own_part
from training.flow_nll import code_quantiles, noised_nll
from training.hparams import record_hparams
from training.progress_log import Curves, ProgressLog, picture_steps
from training.same_training import NO_EXTRAS, TrainingFacts, facts_of_codes
from training.task import Batch, Task, Validation
from training.training_run import TrainingRun, record_config

WEIGHT_DECAY = 1e-2
LOG_EVERY = 50  # steps between points of the curves of the training itself
MOST_TRAIN_CODES = 4096  # training codes whose NLL is measured at each validation


class FlowTask(Task):
    """One experiment's flow, from scratch or from its latest checkpoint. All codes are held in memory.

    draw(log, flow): logs pictures, of the averaged weights.
    """

    name = "RealNVP"

    def __init__(self, cfg: Config, draw: Callable[[ProgressLog, CodeFlow], None] | None = None):
        super().__init__(cfg, pick_device(cfg.run))
        self.noise = cfg.flow.flow_noise
        train, val = load_flow_codes(cfg), load_codes(cfg, "val").one_per_shape()
        self.train_codes, self.val_codes = train.tensor().to(self.device), val.tensor().to(self.device)
        self.batch_size = min(cfg.flow.flow_batch_size, len(self.train_codes))
        self.part = own_part(self.batch_size, "flow_batch_size")
        self.names = [row["name"] for row in train.rows]
        plain = train.plain_indices()
        self.plain_codes = self.train_codes[plain[:: -(-len(plain) // MOST_TRAIN_CODES)]]
        self.trained_on = trained_on(len(plain), cfg)
        self.ndf_sha256 = read_index(self.experiment.codes, "train")["sha256"]
        self._make_flow()
        self.draw = draw and (lambda log: draw(log, self.average.model))
        self.num_steps, self.val_every = cfg.flow.flow_steps, cfg.flow.flow_val_every
        self.learning_rate = cfg.flow.flow_lr
        self.curves = Curves(
            "rnvp",
            loss="batch_nll_nats_per_dim",
            best="best_val_nll_nats_per_dim",
            every=LOG_EVERY,
            batch_size=self.batch_size,
            unit="codes",
            chart="nll_nats_per_dim",
            lines=("train", "val", "gaussian"),
            drawn_at=picture_steps(cfg.flow.flow_steps, cfg.training.num_pictures, before_the_first=True),
        )

    def _make_flow(self) -> None:
        """The flow and its averaged weights: new, fitted to the training codes, or as they were left."""
        cfg = self.cfg
        torch.manual_seed(cfg.run.seed)
        flow = build_flow(cfg.network.code_kind, tuple(self.train_codes.shape[1:]), **flow_options(cfg.values()))
        flow.fit_whitening(self.train_codes.cpu(), self.noise)
        self.flow = flow.to(self.device)
        optimizer = torch.optim.AdamW(
            self.flow.parameters(), lr=cfg.flow.flow_lr, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.run = TrainingRun(facts_of_stored_codes(cfg), self.experiment.rnvp_checkpoints, self.flow, optimizer)
        state = self.run.resume()
        if not state:
            self.flow.fit_base(self.train_codes, self.noise, cfg.run.seed)
        self.average = AveragedWeights(self.flow, cfg.flow.flow_ema)
        if state:
            self.average.model.load_state_dict(state["ema_state_dict"])

    @property
    def finished(self) -> bool:
        """After the last step, or when the validation has not improved for some time."""
        patience = self.cfg.flow.flow_patience * self.cfg.flow.flow_val_every
        return super().finished or self.run.step - self.run.best_step >= patience

    @property
    def num_shapes(self) -> str:
        return f"{self.trained_on['train']} shapes of the split and {self.trained_on['extra']} extra ones"

    def progress(self) -> str:
        return f"{self.run.step} steps on {self.num_shapes}, best validation NLL {self.run.best:.4f} nats/dim"

    def prepare(self) -> None:
        cfg = self.cfg
        record_config(cfg, "train_rnvp")
        record_hparams(cfg, load_checkpoint(ndf_checkpoint_path(cfg)).get("config", {}))
        record_spectrum(cfg)
        print(f"training on {self.num_shapes}: {len(self.train_codes)} codes")
        above = int((self.flow.noise_sd(self.noise) < 1).sum())
        entries = "principal directions" if cfg.network.code_kind == "vector" else "numbers"
        print(
            f"{above} of {self.flow.dim} {entries} of the codes vary by more than the noise"
            f" (sd {self.noise:g} of their spread)"
        )
        self.gaussian = self.flow.gaussian_nats_per_dim(self.train_codes, self.val_codes, self.noise)

    def batches(self) -> Iterator[Batch]:
        """rows: numbers of the codes; codes: as they are stored; w: noised and whitened, as the flow gets them."""
        while True:
            rows = torch.randint(len(self.train_codes), (self.batch_size,))
            codes = self.train_codes[rows.to(self.device)]
            w = self.flow.whiten_noised(codes, self.noise)  # noise is drawn for the whole batch
            yield {"rows": rows[self.part], "codes": codes[self.part], "w": w[self.part]}

    @cached_property
    def loss_over_all(self) -> Callable[[Tensor], Tensor]:
        return over_all(self.flow, lambda flow, w: -flow.log_prob_whitened(w).mean() / flow.dim)

    def loss(self, batch: Batch) -> Tensor:
        """The mean NLL, nats per dimension, of whitened codes."""
        return self.loss_over_all(batch["w"])

    def suspects(self, batch: Batch) -> list[str]:
        return suspects([self.names[row] for row in batch["rows"]], [batch["codes"]])

    def after_step(self) -> None:
        self.average.update(self.flow, self.run.step)

    def validate(self) -> Validation:
        """By the averaged weights."""
        average = self.average.model
        nlls = from_first(
            lambda: {
                "train": noised_nll(average, self.plain_codes, self.noise, self.cfg),
                "val": noised_nll(average, self.val_codes, self.noise, self.cfg),
                "gaussian": self.gaussian,
            }
        )
        nna = from_first(lambda: nna_while_training(average, self.val_codes, self.cfg.run.seed))
        return Validation(
            nlls["val"],
            {"nll_gap_val_minus_train": nlls["val"] - nlls["train"]} | nna,
            "NLL " + ", ".join(f"{name} {value:.4f}" for name, value in nlls.items()) + " nats/dim",
            chart=nlls,
            stored={
                "ema_state_dict": average.state_dict(),
                "nll_nats_per_dim": nlls,
                "quantiles": first_only(code_quantiles)(average, self.plain_codes, self.noise, self.cfg),
                "flow_noise": self.noise,
                "ndf_sha256": self.ndf_sha256,
                "trained_on": self.trained_on,
            },
        )

    def conclude(self) -> None:
        run = self.run
        print(
            f"RealNVP: {run.step} steps; best at step {run.best_step}: validation NLL {run.best:.4f} nats/dim,"
            f" Gaussian {self.gaussian:.4f} (codes with noise of sd {self.noise:g} of their spread, whitened)"
        )


def facts_of_stored_codes(cfg: Config) -> TrainingFacts:
    """What decides the training of a flow on the codes of the experiment, as their index files record it."""
    splits = (*SPLITS, EXTRA) if has_extra(cfg.experiment) else SPLITS
    indexes = {split: read_index(cfg.experiment.codes, split) for split in splits}
    recorded = {
        split: index["made_of"] or {"ndf_sha256": index["sha256"], "shapes": {}} for split, index in indexes.items()
    }
    return facts_of_codes(cfg, {EXTRA: NO_EXTRAS} | recorded)


def trained_on(num_shapes: int, cfg: Config) -> dict[str, Any]:
    """For the checkpoint: the numbers of shapes of the split and beyond it, and where the latter come from."""
    index = read_index(cfg.experiment.codes, EXTRA) if has_extra(cfg.experiment) else {}
    num_extra = index.get("num_shapes", 0)
    return {"train": num_shapes - num_extra, "extra": num_extra, "sources": index.get("sources", [])}
